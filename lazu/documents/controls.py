"""Control words of rich text: which groups are read, what a word does, what stands for which character."""

#: Groups that are not read. Nor are those that begin with `\\*`, but for those of `READ`.
SKIPPED = set(
    """colortbl info pict generator listtable listoverridetable rsidtbl themedata datastore xmlnstbl latentstyles
    filetbl revtbl sn sv sp nonesttables atnid atndate atnref atrfstart atrfend bkmkstart bkmkend objdata
    objclass pgptbl template operator nextfile fontemb falt panose mmathPr formfield datafield tc xe private""".split()
)

#: Groups whose words run on their own, and others that are read although they begin with `\\*`.
MARGINS = {"header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"}
READ = {"fldinst", "atnauthor", "shpinst", "shptxt", "footnote", "annotation", "nestcell", "result", *MARGINS}

#: How notes are counted, in the words of a docx, by the ends of control words.
COUNTS = {
    "ar": "decimal", "alc": "lowerLetter", "auc": "upperLetter", "rlc": "lowerRoman", "ruc": "upperRoman",
    "chi": "chicago",
}  # fmt: skip

#: What control words do: methods of the reader.
ACTS = {
    "u": "_unicode", "par": "_par", "sect": "_par", "page": "_par", "cell": "_cell", "row": "_row", "pard": "_reset",
    "ansicpg": "_page", "mac": "_page", "f": "_set_font", "fcharset": "_charset", "s": "_style",
    "intbl": "_in_table", "v": "_hide", "deleted": "_hide", "plain": "_hide", "uc": "_width", "ilvl": "_list_depth",
    "outlinelevel": "_outline", "trowd": "_define", "trleft": "_define", "cellx": "_define",
    "ftnalt": "_endnote",
    **{f"{place}ftnn{form}": "_count" for place in ("", "s", "a", "sa") for form in COUNTS},
    **dict.fromkeys(("fonttbl", "stylesheet", "fldinst", "atnauthor"), "_into"),
    **dict.fromkeys(("field", "listtext", "pntext", "shptxt"), "_begin"),
    **dict.fromkeys(("footnote", "annotation", *MARGINS), "_aside"),
}  # fmt: skip

#: Control words and symbols that stand for characters.
SIGNS = {
    "tab": "\t", "line": "\n", "emdash": "\u2014", "endash": "\u2013", "lquote": "\u2018", "rquote": "\u2019",
    "ldblquote": "\u201c", "rdblquote": "\u201d", "bullet": "\u2022", "emspace": " ", "enspace": " ", "nestcell": ", ",
    "nestrow": "\n",
}  # fmt: skip
ESCAPED = {b"~": "\xa0", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\"}

#: Codecs by the number of a font's character set.
CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "cp950", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip

#: Codecs by the number of the document's code page.
PAGES = {name.removeprefix("cp"): name for name in ("cp1252", "cp437", "cp850", "cp852", "cp866", *CHARSETS.values())}
PAGES["936"], PAGES["10000"], PAGES["65001"] = "gb18030", "mac_roman", "utf-8"
