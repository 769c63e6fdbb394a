"""Letters of fonts that are signs, and bullets that say something, are read as they are seen, whatever the format."""

import pytest

from helpers.office import docx, odf, paragraph, pptx, xlsx

ODT = "application/vnd.oasis.opendocument.text"

#: Words in fonts, and how they are seen: a letter is one of the font, or stands where Unicode has fonts' own.
SEEN = [("5 ", "Arial"), ("m", "Symbol"), ("g, ", "Arial"), ("\uf0a3", "Symbol"), (" 3 ", ""), ("ü", "Wingdings"), ("\uf0fb", "Wingdings"), ("a b", "symbol")]
SHOWN = "5 \u03bcg, ≤ 3 ✓✗\u03b1 \u03b2"


def run(words, properties):
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{words}</w:t></w:r>'


def test_letters_of_a_docx_that_are_signs_in_their_font_are_read_as_such(read):
    """They were letters or nothing that anybody has: `5 mg` for µg. The font may come from a style, and a theme's is none."""
    runs = "".join(run(words, f'<w:rFonts w:ascii="{font}" w:hAnsi="{font}"/>' * bool(font)) for words, font in SEEN)
    styles = '<w:style w:styleId="{}"><w:rPr><w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/></w:rPr></w:style>'.format
    named = run("m", '<w:rStyle w:val="S"/>') + run("m", '<w:rFonts w:ascii="Symbol" w:asciiTheme="minorHAnsi"/>') + run("m\uf06d", '<w:rFonts w:hAnsi="Symbol"/>')
    body = f"<w:p>{runs}</w:p><w:p>{named}</w:p>" + paragraph("m", '<w:pStyle w:val="P"/>') + paragraph("m")
    data = docx(body, [("styles", "styles.xml")], styles=styles("S") + styles("P"))
    assert read(data, "docx") == f"{SHOWN}\n\n\u03bcmm\u03bc\n\n\u03bc\n\nm\n"


def test_letters_of_a_slide_that_are_signs_in_their_font_are_read_as_such(read):
    """Its programs name two fonts: that of letters, and that of what Unicode leaves to fonts."""
    fonts = [*((words, f'<a:latin typeface="{font}"/>' * bool(font)) for words, font in SEEN), (" \uf0e0 on", '<a:sym typeface="Wingdings"/>')]
    runs = "".join(f"<a:r><a:rPr>{font}</a:rPr><a:t>{words}</a:t></a:r>" for words, font in fonts)
    assert read(pptx(f"<p:sp><p:nvSpPr><p:nvPr/></p:nvSpPr><p:txBody><a:p>{runs}</a:p></p:txBody></p:sp>"), "pptx") == f"## Slide 1\n\n{SHOWN} → on\n"


RICH = '<r><t>ü</t></r><r><rPr><rFont val="Calibri"/></rPr><t>done_x0021_</t></r><r><rPr><rFont val="Symbol"/></rPr><t>m</t></r>'


def test_letters_of_a_workbook_that_are_signs_in_their_font_are_read_as_such(read):
    """As lists are ticked off. The font is the cell's, or a run's own; numbers stay what they are."""
    fonts = "".join(f'<font><name val="{name}"/></font>' for name in ("Calibri", "Wingdings"))
    runs = [f"ü</t></si><si>{RICH}</si><si><t>ü"]
    cells = [('s="1" t="s"', "<v>0</v>", "✓"), ('s="1" t="s"', "<v>1</v>", "✓done!\u03bc"), ('s="0" t="s"', "<v>1</v>", "üdone!\u03bc"), ('t="s"', "<v>2</v>", "ü")]
    cells += [('s="1" t="str"', "<f>A1</f><v>û</v>", "✗"), ('s="1" t="inlineStr"', "<is><t>þ</t></is>", "☑"), ('t="inlineStr"', f"<is>{RICH}</is>", "üdone!\u03bc"), ('s="1"', "<v>7</v>", "7")]
    sheet = "".join(f"<c {attributes}>{content}</c>" for attributes, content, _ in cells)
    data = xlsx(("One", f'<sheetData><row r="1">{sheet}</row></sheetData>'), strings=runs, styles=f'<fonts>{fonts}</fonts><cellXfs><xf/><xf fontId="1"/></cellXfs>')
    assert f"| {' | '.join(seen for _, _, seen in cells)} |" in read(data, "xlsx")


FACE = '<style:font-face style:name="Symbol1" svg:font-family="\'Symbol\'" xmlns:svg="urn:x"/>'
FONT = '<style:style style:name="{}" style:family="text"{}><style:text-properties {}/></style:style>'.format
FO = 'xmlns:fo="urn:y"'


def test_letters_of_an_odt_that_are_signs_in_their_font_are_read_as_such(read):
    """A style names a font as the document calls it, or by its own name, or is based on one that does."""
    styles = FACE + FONT("Symbol", "", 'style:font-name="Symbol1"') + FONT("symbol", ' style:parent-style-name="Symbol"', "")
    styles += FONT("Wingdings", "", f'{FO} fo:font-family="Wingdings"') + FONT("Arial", "", 'style:font-name="Arial"')
    spans = "".join(f'<text:span text:style-name="{font}">{words.replace(" ", "<text:s/>")}</text:span>' for words, font in SEEN)
    note = '<text:note text:id="ftn1"><text:note-body><text:p>m</text:p></text:note-body></text:note>'
    within = f'<text:span text:style-name="Symbol">m<text:span text:style-name="Arial">m</text:span>m{note}</text:span>m'
    assert read(odf("text", f"<text:p>{spans}</text:p><text:p>{within}</text:p>", styles), ODT) == f"{SHOWN}\n\n\u03bcm\u03bc[^1]m\n\n[^1]: m\n"


FONTS = rb"{\fonttbl{\f0\fswiss Arial;}{\f3\froman\fcharset2 Symbol{\*\falt Arial};}{\f6\fnil\fcharset2 Wingdings;}}"


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (rb"5 {\f3 m}g, x {\f3\'a3} 3, {\f6\'fe} {\f6\'a8}, {\f3\u-3987\'6d}g", "5 \u03bcg, x ≤ 3, ☑ ☐, \u03bcg"),
        (rb"\f3 m\f0 g \f3 a\plain a \f3\'d7\~\'96a\~", "\u03bcg \u03b1a ⋅\xa0\u03b1"),
        (rb'{\field{\*\fldinst SYMBOL 109 \\f "Symbol" \\s 10}{\fldrslt }}g {\field{\*\fldinst SYMBOL 0xFC \\f Wingdings}{\fldrslt\f6 \'fc}}', "\u03bcg ✓"),
        (rb'{\v{\field{\*\fldinst SYMBOL 109 \\f "Symbol"}{\fldrslt }}}g {\field{\*\fldinst SYMBOL 65 \\f "Arial"}{\fldrslt A}}', "g A"),
    ],
    ids=["letters", "reset", "fields", "others"],
)  # fmt: skip
def test_letters_of_an_rtf_that_are_signs_in_their_font_are_read_as_such(read, words, seen):
    assert read(rb"{\rtf1\ansi\deff0" + FONTS + words + rb"\par}", "text/rtf") == f"{seen}\n"


def test_a_field_of_a_docx_that_asks_for_a_sign_shows_it(read):
    """Also without a result, and once with one; what it asks of a font that is none of signs is in its result."""
    field = '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> SYMBOL {} \\s 10 </w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>{}<w:r><w:fldChar w:fldCharType="end"/></w:r>'.format
    shown = run("m", '<w:rFonts w:ascii="Symbol"/>')
    simple = '<w:fldSimple w:instr="SYMBOL 163 \\f Symbol"/>'
    body = field('109 \\f "Symbol"', "") + field('0109 \\f "Symbol"', shown) + field('65 \\f "Arial"', run("A", "")) + simple
    assert read(docx(f"<w:p>{body}</w:p>"), "docx") == "\u03bc\u03bcA≤\n"


#: Bullets with their fonts, and what stands before the words of their items.
BULLETS = [("☐", "", "- ☐ "), ("\uf0fc", "Wingdings", "- ✓ "), ("û", "Wingdings", "- ✗ "), ("•", "", "- "), ("\uf0b7", "Symbol", "- "), ("§", "Wingdings", "- "), (" ", "", "  ")]
LISTED = "".join(f"{marker}w{n}\n" for n, (_, _, marker) in enumerate(BULLETS))


def test_bullets_of_a_docx_that_say_something_are_kept(read):
    """A check list was a plain one. A blank is what pandoc has before the further paragraphs of an item."""
    level = '<w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="{}"/><w:rPr>{}</w:rPr></w:lvl>'.format
    fonts = [level(sign, f'<w:rFonts w:ascii="{font}" w:hAnsi="{font}"/>' * bool(font)) for sign, font, _ in BULLETS]
    lists = "".join(f'<w:abstractNum w:abstractNumId="{n}">{xml}</w:abstractNum><w:num w:numId="{n}"><w:abstractNumId w:val="{n}"/></w:num>' for n, xml in enumerate(fonts))
    place = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="{}"/></w:numPr>'.format
    body = "".join(paragraph(f"w{n}", place(n)) for n in range(len(BULLETS)))
    heading = paragraph("Aims", f'<w:outlineLvl w:val="0"/>{place(0)}')
    assert read(docx(body + heading, [("numbering", "numbering.xml")], numbering=lists), "docx") == f"{LISTED}\n# ☐ Aims\n"


def test_bullets_of_an_odt_that_say_something_are_kept(read):
    level = '<text:list-level-style-bullet text:level="1" text:bullet-char="{}"{}>{}</text:list-level-style-bullet>'.format
    fonts = [level(sign, "", f'<style:text-properties {FO} fo:font-family="{font}"/>' * bool(font)) for sign, font, _ in BULLETS]
    fonts.append(level("ü", ' text:style-name="W"', ""))
    styles = "".join(f'<text:list-style style:name="L{n}">{xml}</text:list-style>' for n, xml in enumerate(fonts)) + FONT("W", "", 'style:font-name="Wingdings"')
    body = "".join(f'<text:list text:style-name="L{n}"><text:list-item><text:p>w{n}</text:p></text:list-item></text:list>' for n in range(len(fonts)))
    assert read(odf("text", body, styles), ODT) == f"{LISTED}- ✓ w7\n"


def test_bullets_of_a_slide_that_say_something_are_kept(read):
    entry = '<a:p><a:pPr>{}<a:buChar char="{}"/></a:pPr><a:r><a:t>w{}</a:t></a:r></a:p>'.format
    lines = "".join(entry(f'<a:buFont typeface="{font}"/>' * bool(font), sign, n) for n, (sign, font, _) in enumerate(BULLETS))
    assert read(pptx(f"<p:sp><p:nvSpPr><p:nvPr/></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"), "pptx") == f"## Slide 1\n\n{LISTED}"


def test_bullets_of_an_rtf_that_say_something_are_kept(read):
    """LibreOffice names no font there, and who has a font's own sign as a bullet means no letter."""
    labels = [rb"\u9744?", rb"\f6\'fc", rb"\u-3845?", rb"\bullet", rb"\f3\'b7", rb"\f6\'76", rb"\f0 o", rb"\u10146?", rb"\f0 2."]
    body = b"".join(rb"\pard{\listtext\pard\plain %s\tab}w%d\par" % found for found in zip(labels, range(9), strict=True))
    assert read(rb"{\rtf1\ansi\deff0" + FONTS + body + b"}", "text/rtf") == (
        "- ☐ w0\n- ✓ w1\n- ✗ w2\n- w3\n- w4\n- w5\n- w6\n- w7\n2. w8\n"
    )
