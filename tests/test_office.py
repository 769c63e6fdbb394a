"""Office documents and web pages become Markdown, in which everything that was said is there once."""

import base64
import html
import io
import quopri
import re
import struct
import zipfile
from pathlib import Path

import pytest

from helpers.everyday import SAMPLES
from helpers.office import OFFICE, archive, docx, epub, odf, paragraph, pptx, relations, shape, xlsb, xlsx
from lazu.documents import controls, encodings, reading

# Word

HEADING = '<w:style w:styleId="H2"><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>'
LISTS = """<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>"""


def listed(words, number, depth=0):
    return paragraph(words, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr>')


def test_headings_and_lists_of_a_docx_are_kept(read):
    body = paragraph("Plan", '<w:pStyle w:val="H2"/>') + paragraph("Now:") + listed("dig", 1) + listed("deep", 1, 1) + listed("sow", 1) + listed("rest", 2)
    data = docx(body, [("styles", "styles.xml"), ("numbering", "numbering.xml")], styles=HEADING, numbering=LISTS)
    assert read(data, "docx") == "## Plan\n\nNow:\n\n3. dig\n  3.a) deep\n4. sow\n- rest\n"


def test_a_list_of_a_docx_that_begins_anew_counts_anew(read):
    """Two lists that look the same share their pattern; a list may also have its pattern from a style."""
    again = '<w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>'
    styled = LISTS.replace('"0"><w:lvl', '"0"><w:styleLink w:val="Ours"/><w:lvl', 1)
    linked = '<w:abstractNum w:abstractNumId="7"><w:numStyleLink w:val="Ours"/></w:abstractNum><w:num w:numId="7"><w:abstractNumId w:val="7"/></w:num>'
    body = listed("a", 1) + listed("b", 1) + listed("c", 3) + listed("d", 3) + listed("deep", 3, 1) + listed("e", 1) + listed("f", 7)
    data = docx(body, [("numbering", "numbering.xml")], numbering=styled + again + linked)
    assert read(data, "docx") == "3. a\n4. b\n1. c\n2. d\n  2.a) deep\n3. e\n3. f\n"


def patterns(*levels):
    """The lists 1, 2 … of a docx, each as its levels: a number's form, its label, and the level's further XML."""
    level = '<w:lvl w:ilvl="{}">{}<w:numFmt w:val="{}"/><w:lvlText w:val="{}"/></w:lvl>'.format
    made = ("".join(level(depth, more, form, label) for depth, (form, label, more) in enumerate(found)) for found in levels)
    return "".join(
        f'<w:abstractNum w:abstractNumId="{n}">{xml}</w:abstractNum><w:num w:numId="{n}"><w:abstractNumId w:val="{n}"/></w:num>'
        for n, xml in enumerate(made, 1)
    )


def numbered(read, pattern, *paragraphs):
    """What is read of paragraphs that are items of `pattern`, each given as its words and its depth, or as XML."""
    body = "".join(found if isinstance(found, str) else listed(found[0], 1, found[1]) for found in paragraphs)
    return read(docx(body, [("numbering", "numbering.xml")], numbering=patterns(pattern)), "docx")


def test_a_list_of_a_docx_begins_with_nought_where_it_says_so(read):
    zero = [("decimal", "%1.", '<w:start w:val="0"/>'), ("decimal", "%1.%2", "")]
    assert numbered(read, zero, ("a", 0), ("b", 0), ("deep", 1), ("c", 0)) == "0. a\n1. b\n  1.1 deep\n2. c\n"


def test_a_level_of_a_docx_goes_on_where_it_says_so(read):
    on = [("decimal", "Chapter %1", ""), ("decimal", "Art. %2", '<w:lvlRestart w:val="0"/>'), ("decimal", "%3", '<w:lvlRestart w:val="1"/>')]
    found = numbered(read, on, ("a", 0), ("b", 1), ("x", 2), ("c", 1), ("y", 2), ("d", 0), ("e", 1), ("z", 2))
    assert found == "Chapter 1 a\n  Art. 1 b\n    1 x\n  Art. 2 c\n    2 y\nChapter 2 d\n  Art. 3 e\n    1 z\n"


def test_a_level_of_a_docx_has_digits_for_all_levels_where_it_says_so(read):
    legal = [("upperRoman", "Article %1.", ""), ("decimalZero", "Section %1.%2", "<w:isLgl/>"), ("lowerLetter", "%1.%3", "<w:isLgl w:val='0'/>")]
    assert numbered(read, legal, ("a", 0), ("b", 1), ("c", 2)) == "Article I. a\n  Section 1.01 b\n    I.a c\n"


def test_a_level_of_a_docx_without_numbers_shows_none(read):
    """Its label was `%1.`, as it stands in the file."""
    nothing = [("none", "%1.", ""), ("none", "Note %1:", ""), ("decimal", "%1.%3", "")]
    assert numbered(read, nothing, ("a", 0), ("b", 1), ("c", 2)) == "a\n\n  Note : b\n    .1 c\n"


PICTURE = '<w:p><w:pPr>{}</w:pPr><w:r><w:drawing><wp:docPr xmlns:wp="urn:wp" name="Picture 1"/></w:drawing></w:r></w:p>'.format
FIRST = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'


def test_a_number_without_words_counts_and_stands(read):
    """A picture, or a cell of a column that Word numbers. A paragraph that is not there (hidden, deleted, the end of a section) has none."""
    gone = "".join(f"<w:p><w:pPr>{FIRST}{mark}</w:pPr></w:p>" for mark in ("<w:rPr><w:vanish/></w:rPr>", "<w:rPr><w:del/></w:rPr>", "<w:rPr><w:moveFrom/></w:rPr>", "<w:sectPr/>"))
    row = f"<w:tbl><w:tr><w:tc><w:p><w:pPr>{FIRST}</w:pPr></w:p></w:tc><w:tc>{paragraph('Screws')}</w:tc></w:tr></w:tbl>"
    found = numbered(read, [("decimal", "%1.", "")], ("Open the lid", 0), PICTURE(FIRST), gone, ("Close it", 0), row)
    assert found == "1. Open the lid\n2.\n3. Close it\n\n| 4. | Screws |\n| --- | --- |\n"
    assert numbered(read, [("bullet", "x", "")], ("a", 0), PICTURE(FIRST), ("b", 0)) == "- a\n- b\n"


@pytest.mark.parametrize(
    ("form", "start", "labels"),
    [
        ("russianLower", 9, ["и)", "к)"]), ("russianUpper", 28, ["Ю)", "Я)"]), ("ganada", 1, ["가)", "나)"]), ("chosung", 2, ["ㄴ)", "ㄷ)"]),
        ("chineseCounting", 9, ["九)", "十)"]), ("chineseCountingThousand", 19, ["十九)", "二十)"]), ("chineseCountingThousand", 1009, ["一千零九)", "一千零一十)"]),
        ("japaneseCounting", 110, ["百十)", "百十一)"]), ("ideographTraditional", 10, ["癸)", "11)"]), ("decimalEnclosedCircle", 20, ["⑳)", "21)"]),
        ("hebrew1", 15, ["\u05d8\u05d5)", "\u05d8\u05d6)"]), ("upperLetter", 26, ["Z)", "AA)"]), ("arabicAbjad", 1, ["أ)", "ب)"]), ("ordinal", 11, ["11th)", "12th)"]), ("ordinal", 22, ["22nd)", "23rd)"]), ("else", 1, ["1)", "2)"]),
        ("thaiLetters", 3, ["ค)", "ง)"]), ("thaiNumbers", 19, ["๑๙)", "๒๐)"]), ("hindiVowels", 1, ["क)", "ख)"]), ("hindiNumbers", 9, ["९)", "१०)"]),
        ("iroha", 1, ["ｲ)", "ﾛ)"]), ("irohaFullWidth", 48, ["ン)", "イイ)"]), ("aiueo", 46, ["ﾝ)", "ｱｱ)"]),
        ("thaiCounting", 1, ["1)", "2)"]), ("hindiCounting", 1, ["1)", "2)"]), ("vietnameseCounting", 1, ["1)", "2)"]),
    ],
)  # fmt: skip
def test_lists_of_a_docx_count_in_the_letters_of_its_language(read, form, start, labels):
    """Words of Thai, Hindi and Vietnamese were Chinese ones; they are digits."""
    assert numbered(read, [(form, "%1)", f'<w:start w:val="{start}"/>')], ("a", 0), ("b", 0)) == f"{labels[0]} a\n{labels[1]} b\n"


def test_a_form_that_only_newer_programs_know_is_counted_as_they_do(read):
    both = '<mc:AlternateContent xmlns:mc="urn:mc"><mc:Choice><w:numFmt w:val="custom" w:format="001, 002, 003, ..."/></mc:Choice><mc:Fallback><w:numFmt w:val="decimal"/></mc:Fallback></mc:AlternateContent>'
    lists = patterns([("decimal", "REQ-%1", "")]).replace('<w:numFmt w:val="decimal"/>', both)
    assert read(docx(listed("a", 1) + listed("b", 1), [("numbering", "numbering.xml")], numbering=lists), "docx") == "REQ-001 a\nREQ-002 b\n"


def test_a_table_of_a_docx_is_a_table(read):
    rows = [["Name", "Sum"], ["Ada | Eve", "7"], ["", ""]]
    table = "".join("<w:tr>" + "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) + "</w:tr>" for row in rows)
    assert read(docx(f"<w:tbl>{table}</w:tbl>"), "docx") == "| Name | Sum |\n| --- | --- |\n| Ada \\| Eve | 7 |\n"


def test_notes_comments_margins_and_links_of_a_docx_stand_once(read):
    body = (
        '<w:p><w:r><w:t>See </w:t></w:r><w:hyperlink r:id="rId1"><w:r><w:t>our page</w:t></w:r></w:hyperlink>'
        '<w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:commentReference w:id="0"/></w:r></w:p>'
         '<w:p><w:pPr><w:sectPr/></w:pPr></w:p><w:sectPr/>'
    )
    data = docx(
        body,
        [("hyperlink", "https://example.org/a b"), ("footnotes", "footnotes.xml"), ("comments", "comments.xml"), ("header", "hdr.xml"), ("header", "hdr.xml")],
        footnotes=f'<w:footnote w:type="separator" w:id="0">{paragraph("no")}</w:footnote><w:footnote w:id="2">{paragraph("Small print")}</w:footnote>',
        comments=f'<w:comment w:id="0" w:author="Ada">{paragraph("Why?")}</w:comment>',
        hdr=paragraph("ACME Ltd"),
    )
    assert read(data, "docx") == (
        "Header: ACME Ltd\n\nSee [our page](https://example.org/a%20b)[^1][^comment-0]\n\n[^1]: Small print\n[^comment-0]: Ada: Why?\n"
    )


def test_a_watermark_of_a_docx_is_read(read):
    mark = '<w:p><w:r><w:t>ACME</w:t><w:pict><v:shape xmlns:v="urn:v"><v:textpath string="DRAFT"/></v:shape></w:pict></w:r></w:p>'
    assert read(docx(paragraph("words"), [("header", "hdr.xml")], hdr=mark), "docx") == "Header: ACME DRAFT\n\nwords\n"


@pytest.mark.parametrize(
    ("first", "settings", "shown"),
    [("", "", ""), ("<w:titlePg/>", "", "first"), ("<w:titlePg w:val='0'/>", "<w:evenAndOddHeaders/>", "even")],
    ids=["neither", "first", "even"],
)
def test_headers_of_first_and_even_pages_are_read_where_the_document_has_them(read, first, settings, shown):
    kinds = ("default", "first", "even")
    marks = "".join(f'<w:headerReference w:type="{kind}" r:id="rId{n}"/>' for n, kind in enumerate(kinds, 1))
    relates = [*(("header", f"{kind}.xml") for kind in kinds), ("settings", "settings.xml")]
    data = docx(f"{paragraph('words')}<w:sectPr>{marks}{first}</w:sectPr>", relates, settings=settings, **{kind: paragraph(kind) for kind in kinds})
    assert read(data, "docx") == "".join(f"Header: {kind}\n\n" for kind in ("default", shown) if kind) + "words\n"


def test_deleted_words_are_gone_and_inserted_ones_there(read):
    body = "<w:p><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins></w:p>"
    assert read(docx(body), "docx") == "new\n"


def test_a_text_box_stands_once_after_its_paragraph(read):
    box = f"<w:txbxContent>{paragraph('in the box')}</w:txbxContent>"
    body = (
        '<w:p><w:r><w:t>Before</w:t><mc:AlternateContent xmlns:mc="urn:mc"><mc:Choice><w:drawing>'
        f"{box}</w:drawing></mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert read(docx(body), "docx") == "Before\n\nin the box\n"


def math(xml):
    """A paragraph with an equation; `{words}` in it is a run of these words."""
    runs = re.sub(r"{(.*?)}", r"<m:r><m:rPr/><m:t>\1</m:t></m:r>", xml)
    return f'<w:p><m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math">{runs}</m:oMath></w:p>'


@pytest.mark.parametrize(
    ("xml", "typed"),
    [
        ("<m:d><m:dPr><m:endChr m:val=']'/></m:dPr><m:e>{a+b}</m:e></m:d>{c=}<m:f><m:num>{1}</m:num><m:den>{2d}</m:den></m:f>", "(a+b]c=1/(2d)"),
        ("<m:sSup><m:e>{x}</m:e><m:sup>{2}</m:sup></m:sSup>{n+}<m:sSup><m:e>{x}</m:e><m:sup>{2n}</m:sup></m:sSup>", "x^2n+x^(2n)"),
        ("<m:f><m:num>{a}</m:num><m:den>{bc}</m:den></m:f>{+}<m:sSub><m:e>{a}</m:e><m:sub>{12}</m:sub></m:sSub>", "a/(bc)+a_12"),
        ("{a}<w:del>{+b}</w:del><w:moveFrom>{+d}</w:moveFrom><w:ins>{+c}</w:ins><m:r><m:t>=</m:t><w:br/><m:t>e</m:t></m:r>", "a+c= e"),
        ("<m:f><m:num>{a+b}</m:num><m:den><m:rad><m:deg>{3}</m:deg><m:e>{x}</m:e></m:rad></m:den></m:f>", "(a+b)/(√[3](x))"),
        ("<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{i=1}</m:sub><m:sup>{n}</m:sup><m:e>{i}</m:e></m:nary>", "∑_(i=1)^n i"),
        ("<m:sSubSup><m:e>{x}</m:e><m:sub>{i}</m:sub><m:sup>{n+1}</m:sup></m:sSubSup>", "x_i^(n+1)"),
        ("<m:func><m:fName><m:limLow><m:e>{lim}</m:e><m:lim>{x→0}</m:lim></m:limLow></m:fName><m:e>{f}</m:e></m:func>", "lim_(x→0) f"),
        ("<m:m><m:mr><m:e>{a}</m:e><m:e>{b}</m:e></m:mr><m:mr><m:e>{c}</m:e><m:e>{d}</m:e></m:mr></m:m>", "a, b; c, d"),
        ("{2}<m:sPre><m:sub>{6}</m:sub><m:sup>{14}</m:sup><m:e>{C}</m:e></m:sPre>", "2(_6^14)C"),
        ("<m:acc><m:accPr/><m:e>{x}</m:e></m:acc>{=}<m:bar><m:barPr><m:pos m:val='top'/></m:barPr><m:e>{x}</m:e></m:bar>", "x\u0302=x\u0304"),
        ("<m:f><m:num>{4π}</m:num><m:den>{c}</m:den></m:f>{j=}<m:f><m:num>{1}</m:num><m:den>{2}</m:den></m:f><m:rad><m:e>{x}</m:e></m:rad>", "((4π)/c)j=(1/2)√(x)"),
        ("<m:acc><m:accPr><m:chr m:val='\u20d7'/></m:accPr><m:e>{AB}</m:e></m:acc>{=}<m:bar><m:e>{x}</m:e></m:bar>", "(AB)\u20d7=x\u0331"),
    ],
)  # fmt: skip
def test_an_equation_of_a_docx_is_read_as_it_is_typed(read, xml, typed):
    assert read(docx(math(xml)), "docx") == f"{typed}\n"


def field(instruction, shown, form=""):
    """A field of a docx: its instruction, which may have fields in it, and what it shows."""
    mark = '<w:r><w:fldChar w:fldCharType="{}">{}</w:fldChar></w:r>'.format
    asked = instruction if "<" in instruction else f"<w:r><w:instrText> {instruction} </w:instrText></w:r>"
    return mark("begin", form) + asked + mark("separate", "") + f"<w:r><w:t>{shown}</w:t></w:r>" * bool(shown) + mark("end", "")


SYMBOLS = "".join(f'<w:r><w:sym w:font="{font}" w:char="{char}"/></w:r>' for font, char in [("Wingdings", "F0FE"), ("Symbol", "F061"), ("Symbol", "F02D"), ("Symbol", "F032"), ("Ours", "F061")])
MINUS = "\u2212"
CHECKED = "<w:ffData><w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox></w:ffData>"
CHOSEN = "<w:ffData><w:ddList><w:result w:val='1'/><w:listEntry w:val='France'/><w:listEntry w:val='Spain'/></w:ddList></w:ffData>"
HIGH = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>{}</w:t></w:r>'


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (f"<w:r><w:t>10</w:t></w:r>{HIGH.format('-6')}{HIGH.format(MINUS + '6')}{HIGH.format('th')}", "10⁻⁶⁻⁶th"),
        (SYMBOLS, f"☑α{MINUS}2"),  # noqa: RUF001 - Greek is meant
        (field("FORMCHECKBOX", "", CHECKED) + field("FORMDROPDOWN", "", CHOSEN), "[x]Spain"),
        (field("PAGE", "7") + field("PAGEREF _x \\h", "17"), "17"),
        (field(f'<w:r><w:instrText>IF </w:instrText></w:r>{field("MERGEFIELD X", "yes")}<w:r><w:instrText> = "yes" "a" "b"</w:instrText></w:r>', "a"), "a"),
    ],
    ids=["raised", "letters of fonts", "older forms", "pages", "condition"],
)  # fmt: skip
def test_what_is_more_than_words_in_a_docx_is_read_as_it_is_seen(read, runs, words):
    assert read(docx(f"<w:p>{runs}</w:p>"), "docx") == f"{words}\n"


@pytest.mark.parametrize("begun", ["SEQ a", "PAGE"])
def test_a_field_without_its_end_costs_no_words_of_the_paragraphs_behind_it(read, begun):
    whole = field(begun, "")
    for cut in (whole[: whole.rindex("<w:r>")], whole[: whole.index('<w:r><w:fldChar w:fldCharType="separate"')]):
        body = f"<w:p><w:r><w:t>Before</w:t></w:r>{cut}</w:p><w:p>{field('REF x', 'shown')}</w:p>{paragraph('words')}"
        assert read(docx(body), "docx") == "Before\n\nshown\n\nwords\n"


def test_a_field_that_shows_several_paragraphs_ends_in_the_last(read):
    whole = field('HYPERLINK "https://example.org"', "one")
    place = whole.rindex("<w:r>")
    assert read(docx(f"<w:p>{whole[:place]}</w:p><w:p><w:r><w:t>two</w:t></w:r>{whole[place:]}</w:p>"), "docx") == "one\n\n[two](https://example.org)\n"


GOOGLE = """<w:style w:styleId="Heading2"><w:name w:val="heading 2"/><w:pPr><w:keepNext/></w:pPr></w:style>
<w:style w:styleId="Ours"><w:name w:val="Ours"/><w:basedOn w:val="Heading2"/></w:style>
<w:style w:styleId="Title"><w:name w:val="Title"/></w:style>"""


def test_headings_of_google_s_documents_are_told_by_the_names_of_their_styles(read):
    body = paragraph("Top", '<w:pStyle w:val="Title"/>') + paragraph("One", '<w:pStyle w:val="Heading2"/>') + paragraph("Two", '<w:pStyle w:val="Ours"/>') + paragraph("three", '<w:pStyle w:val="Else"/>')
    assert read(docx(body, [("styles", "styles.xml")], styles=GOOGLE), "docx") == "# Top\n\n## One\n\n## Two\n\nthree\n"
    styles = """<style:style style:name="Heading_20_1" style:family="paragraph" style:display-name="Heading 1"/>
    <style:style style:name="P2" style:family="paragraph" style:parent-style-name="Heading_20_1"/><style:style style:name="Title" style:family="paragraph"/>"""
    body = '<text:p text:style-name="Title">Top</text:p><text:p text:style-name="P2">One</text:p><text:p text:style-name="P3">two</text:p>'
    assert read(odf("text", body, styles), "application/vnd.oasis.opendocument.text") == "# Top\n\n# One\n\ntwo\n"


def test_styles_that_are_based_on_each_other_end(read):
    styles = "".join(f'<w:style w:styleId="{name}"><w:basedOn w:val="{other}"/></w:style>' for name, other in ("AB", "BA"))
    run = '<w:r><w:rPr><w:rStyle w:val="A"/></w:rPr><w:t>two</w:t></w:r>'
    assert read(docx(paragraph("one", '<w:pStyle w:val="A"/>') + f"<w:p>{run}</w:p>", [("styles", "styles.xml")], styles=styles), "docx") == "one\n\ntwo\n"
    styles = "".join(f'<style:style style:name="{name}" style:family="paragraph" style:parent-style-name="{other}"/>' for name, other in ("AB", "BA"))
    assert read(odf("text", '<text:p text:style-name="A">one</text:p>', styles), "application/vnd.oasis.opendocument.text") == "one\n"


def test_struck_words_of_an_odt_are_marked(read):
    style = '<style:style style:name="{}" style:family="text"><style:text-properties style:text-line-through-style="{}"/></style:style>'.format
    body = '<text:p>Price: <text:span text:style-name="T1">1</text:span><text:span text:style-name="T1">0 </text:span><text:span text:style-name="T2">12</text:span></text:p>'
    styles = style("T1", "solid") + style("T2", "none") + style("T2", "solid").replace("text", "paragraph", 1)  # another one: names are those of a family
    assert read(odf("text", body, styles), "application/vnd.oasis.opendocument.text") == "Price: ~~10~~ 12\n"


UNSEEN = """<w:style w:styleId="Secret"><w:rPr><w:vanish/></w:rPr></w:style><w:style w:styleId="More"><w:basedOn w:val="Secret"/></w:style>"""


STRUCK = "<r><t>a </t></r><r><rPr><strike/></rPr><t>b</t></r><r><rPr><b/></rPr><t> c</t></r><r><rPr><strike val='0'/></rPr><t>d</t></r>"


def test_struck_cells_of_a_workbook_and_struck_words_in_them_are_marked(read):
    """An old price stood beside the new one as if both held. A run without properties looks as its cell does."""
    cells = [('s="1" t="s"', "<v>0</v>", "~~Tea~~"), ('s="1"', "<v>0.1</v>", "~~10%~~"), ('s="2"', "<v>12</v>", "12"), ('t="s"', "<v>1</v>", "a ~~b~~ cd")]
    cells += [('s="1" t="inlineStr"', f"<is>{STRUCK}</is>", "~~a b~~ cd"), ('s="1" t="str"', "<f>A1</f>", "~~=A1~~"), ('s="1" t="b"', "<v>1</v>", "~~TRUE~~")]
    sheet = "".join(f"<c {attributes}>{content}</c>" for attributes, content, _ in cells)
    styles = '<fonts><font/><font><strike/></font><font><strike val="0"/></font></fonts><cellXfs><xf/><xf fontId="1" numFmtId="9"/><xf fontId="2"/></cellXfs>'
    data = xlsx(("One", f'<sheetData><row r="1">{sheet}</row></sheetData>'), strings=[f"Tea</t></si><si>{STRUCK}</si><si><t>"], styles=styles)
    assert f"| {' | '.join(seen for _, _, seen in cells)} |" in read(data, "xlsx")


def test_hidden_words_of_a_docx_are_left_out_and_struck_ones_marked(read):
    run = "<w:r><w:rPr>{}</w:rPr><w:t xml:space='preserve'>{}</w:t></w:r>".format
    link = f'<w:hyperlink r:id="rId2">{run("<w:strike/>", "page")}</w:hyperlink>'
    runs = [
        run("", "Price: "), run("<w:strike/>", "10 "), run("<w:b/><w:strike/>", "EUR "), run("<w:strike w:val='0'/>", "12"), run("<w:vanish/>", " x"),
        run("<w:rStyle w:val='More'/>", " y"), run("<w:rStyle w:val='More'/><w:vanish w:val='false'/>", " seen"), run("<w:dstrike/>", " "), link,
        f'<w:hyperlink r:id="rId2">{run("<w:vanish/>", "page")}</w:hyperlink>', field("HYPERLINK", "<w:t>z</w:t>").replace("<w:r>", "<w:r><w:rPr><w:vanish/></w:rPr>"),
    ]  # fmt: skip
    data = docx(f"<w:p>{''.join(runs)}</w:p>{paragraph('words')}", [("styles", "styles.xml"), ("hyperlink", "https://example.org")], styles=UNSEEN)
    assert read(data, "docx") == "Price: ~~10 EUR~~ 12 seen [~~page~~](https://example.org)\n\nwords\n"


SECRET = '<w:rStyle w:val="Secret"/>'
STRIKING = '<w:style w:styleId="Old"><w:rPr><w:strike/></w:rPr></w:style>'


def test_words_of_a_docx_are_hidden_or_struck_where_the_style_of_their_paragraph_says_so(read):
    """A style of the words over such a one turns it back (§17.7.3), their own property counts as it stands."""
    run = "<w:r><w:rPr>{}</w:rPr><w:t>{}</w:t></w:r>".format
    styled = '<w:p><w:pPr><w:pStyle w:val="{}"/></w:pPr>{}</w:p>'.format
    link = '<w:hyperlink r:id="rId2"><w:r><w:t>page</w:t></w:r></w:hyperlink>'
    body = paragraph("a", '<w:pStyle w:val="More"/>') + styled("Secret", link + math("{b}").removeprefix("<w:p>").removesuffix("</w:p>"))
    body += styled("Secret", run("<w:rStyle w:val='More'/>", "c") + run("<w:vanish w:val='0'/>", "d") + run("<w:b/>", "e"))
    body += paragraph("10 EUR", '<w:pStyle w:val="Old"/>') + styled("Old", run("<w:strike/>", "f") + run("<w:rStyle w:val='Old'/>", "g"))
    body += f'<w:p><w:hyperlink r:id="rId2">{run(SECRET, "page")}</w:hyperlink></w:p>'
    data = docx(body, [("styles", "styles.xml"), ("hyperlink", "https://example.org")], styles=UNSEEN + STRIKING)
    assert read(data, "docx") == "cd\n\n~~10 EUR~~\n\n~~f~~g\n"


def test_a_document_within_a_docx_is_named(read):
    data = docx('<w:altChunk r:id="rId1"/>', [("aFChunk", "/word/afchunk.mht")])
    assert read(data, "docx") == "[Document within, not read: afchunk.mht]\n"


# Workbooks

CELLS = """<sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>
<row r="3"><c r="A3" s="1"><v>45292</v></c><c r="C3" s="2"><v>0.125</v></c></row>
<row r="4"><c r="A4" t="inlineStr"><is><t>typed</t></is></c><c r="C4"><f>SUM(C3)</f><v>0.1</v></c></row>
<row r="5"><c r="A5" t="b"><v>1</v></c><c r="C5"><f>NOW()</f></c></row></sheetData>
<hyperlinks><hyperlink ref="A4" r:id="rId1"/></hyperlinks><headerFooter><oddHeader>&amp;C&amp;"Arial"Budget &amp;P</oddHeader></headerFooter>"""
STYLES = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="10"/></cellXfs>'


def test_a_sheet_is_a_table_with_dates_shares_and_values(read):
    comments = relations(("hyperlink", "https://example.org"), ("comments", "../comments1.xml"))
    parts = {
        "xl__worksheets___rels__sheet1.xml.rels": comments,
        "xl__comments1.xml": '<comments><commentList><comment ref="C3"><text><t>Sure?</t></text></comment></commentList></comments>',
    }
    data = xlsx(("Plan", CELLS), ("Empty", "<sheetData/>"), strings=["When", "Share"], styles=STYLES, **parts)
    assert read(data, "xlsx") == (
        "## Sheet: Plan\n\n| When | Share |\n| --- | --- |\n| 2024-01-01 | 12.5% |\n| [typed](https://example.org) | 0.1 |\n| TRUE | =NOW() |\n\n"
        "- Comment on C3: Sure?\n\nHeader: Budget\n\n## Sheet: Empty\n"
    )


def test_plain_notes_of_a_sheet_stand_beside_its_threads(read):
    """A thread is there a second time, as a note."""
    note = '<comment ref="{}"><text><t>{}</t></text></comment>'.format
    parts = {
        "xl__worksheets___rels__sheet1.xml.rels": relations(("comments", "../comments1.xml"), ("threadedComment", "../threads.xml")),
        "xl__comments1.xml": f'<comments><commentList>{note("A1", "[Threaded comment] Why?")}{note("B2", "net")}</commentList></comments>',
        "xl__threads.xml": "".join(["<ThreadedComments>", *(f'<threadedComment ref="A1"><text>{words}</text></threadedComment>' for words in ("Why?", "So.")), "</ThreadedComments>"]),
    }
    text = read(xlsx(("One", "<sheetData/>"), **parts), "xlsx")
    assert text == "## Sheet: One\n\n- Comment on A1: Why?\n- Comment on A1: So.\n- Comment on B2: net\n"


def test_comments_and_typed_words_of_a_sheet_have_neither_places_nor_readings(read):
    """LibreOffice stores where a comment stands with it, and Excel how East Asian words are pronounced."""
    words = "<r><t>予定</t></r><rPh sb='0' eb='2'><t>ヨテイ</t></rPh><phoneticPr fontId='1'/>"
    place = '<mc:AlternateContent xmlns:mc="urn:mc"><mc:Choice><commentPr><anchor><from><col>0</col><row>790</row></from></anchor></commentPr></mc:Choice></mc:AlternateContent>'
    parts = {
        "xl__worksheets___rels__sheet1.xml.rels": relations(("comments", "../comments1.xml")),
        "xl__comments1.xml": f'<comments><commentList><comment ref="A2"><text>{words}</text>{place}</comment></commentList></comments>',
    }
    sheet = f'<sheetData><row r="1"><c r="A1" t="inlineStr"><is>{words}</is></c><c r="B1" t="inlineStr"><is><t>b</t></is></c></row></sheetData>'
    assert read(xlsx(("One", sheet), **parts), "xlsx") == "## Sheet: One\n\n| 予定 | b |\n| --- | --- |\n\n- Comment on A2: 予定\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [("&amp;CPage &amp;P", ""), ("&amp;LSeite &amp;P von &amp;N", ""), ("第&amp;P页", ""), ("- &amp;P / &amp;N -", ""), ("ACME, page &amp;P", "ACME, page"), ("1", "1")],
)  # fmt: skip
def test_a_margin_that_only_counts_pages_says_nothing(read, code, words):
    """Not of a workbook (Calc writes `Page 1` at the end of each), an OpenDocument file, or a docx."""
    footer = f"Footer: {words}" if words else ""
    assert read(xlsx(("One", f"<sheetData/><headerFooter><oddFooter>{code}</oddFooter></headerFooter>")), "xlsx").strip() == f"## Sheet: One\n\n{footer}".strip()
    field = '<text:page-number>3</text:page-number>', '<text:page-count>9</text:page-count>'
    shown = re.sub("&amp;[CL]", "", code).replace("&amp;P", field[0]).replace("&amp;N", field[1])
    masters = f"<style:master-page><style:footer><text:p>{shown}</text:p></style:footer></style:master-page>"
    assert read(odf("text", "<text:p>words</text:p>", masters=masters), "application/zip").strip() == f"words\n\n{footer}".strip()
    asked = f"<w:p><w:r><w:t>{re.sub('&amp;[CL]', '', code).replace('&amp;P', '</w:t></w:r>' + globals()['field']('PAGE', '3') + '<w:r><w:t>').replace('&amp;N', '')}</w:t></w:r></w:p>"
    assert read(docx(paragraph("words"), [("footer", "ftr.xml")], ftr=asked), "docx").strip() == f"words\n\n{footer}".strip()


def test_a_formula_whose_value_is_no_word_is_an_empty_cell(read):
    """It was shown as one that nobody has worked out, and its row counted among the first 1,000."""
    empty = '<c r="A{0}" t="str"><f>IF(C{0}="","",C{0})</f><v></v></c>'
    rows = "".join(f'<row r="{n}">{empty.format(n)}</row>' for n in range(2, 1500))
    last = f'<row r="1500">{empty.format(1500)}<c r="B1500"><v>7</v></c><c r="C1500"><f>NOW()</f><v></v></c></row>'
    text = read(xlsx(("One", f'<sheetData><row r="1"><c r="B1"><v>1</v></c></row>{rows}{last}</sheetData>')), "xlsx")
    assert text == "## Sheet: One\n\n| 1 |  |\n| --- | --- |\n| 7 | =NOW() |\n"


def test_a_value_that_a_library_left_to_be_worked_out_is_no_zero(read):
    """XlsxWriter, which pandas writes with, gives each formula the value 0."""
    cells = '<sheetData><row r="1"><c r="A1"><v>0</v></c><c r="B1"><f>SUM(D2:D3)</f><v>0</v></c><c r="C1"><f>A1+7</f><v>7</v></c></row></sheetData>'
    written = xlsx(("One", cells), calculated="0")
    assert read(written, "xlsx") == "## Sheet: One\n\n| 0 | 0 | 7 |\n| --- | --- | --- |\n"
    assert read(xlsx(("One", cells), calculated="1"), "xlsx") == "## Sheet: One\n\n| 0 | =SUM(D2:D3) | 7 |\n| --- | --- | --- |\n"


def test_long_whole_numbers_keep_their_digits(read):
    """They are ids: Python writes all of them, Excel 15."""
    raw = ("1234567890123456789", "4111111111111111", "-4.1111111111111102E+15", "1E+15", "0.1", "1.5E+30")
    cells = "".join(f'<c s="1"><v>{value}</v></c>' for value in raw)
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="1"/></cellXfs>'
    row = "1234567890123456789 | 4111111111111111 | -4111111111111110 | 1000000000000000 | 0.1 | 1.5e+30"
    assert f"| {row} |" in read(xlsx(("One", f'<sheetData><row r="1">{cells}</row></sheetData>'), styles=styles), "xlsx")
    cells = "".join(f'<table:table-cell office:value-type="float" office:value="{value}"/>' for value in raw)
    assert f"| {row} |" in read(odf("spreadsheet", f"<table:table><table:table-row>{cells}</table:table-row></table:table>"), "application/zip")


def test_a_sheet_that_is_filled_far_down_with_nothing_is_read_only_so_far(read):
    """Formulas without a word, or cells that only have a colour; it was read to its end, and refused as taking too long."""
    empty = '<c r="A{0}" t="str"><f>IF(C{0}="","",C{0})</f><v></v></c><c r="B{0}" s="1"/><c r="C{0}" s="1"/>'
    rows = "".join(f'<row r="{n}">{empty.format(n)}</row>' for n in range(2, 150_000))
    text = read(xlsx(("One", f'<sheetData><row r="1"><c r="A1"><v>7</v></c></row>{rows}</sheetData>')), "xlsx")
    assert text == "## Sheet: One (rows 1–125001 of 149999)\n\n| 7 |\n| --- |\n"  # noqa: RUF001 - a range has a dash


DRAWN = """<xdr:wsDr xmlns:xdr="urn:x" xmlns:a="urn:a" xmlns:mc="urn:mc"><a:p><a:r><a:t>box</a:t></a:r></a:p><mc:AlternateContent>
<mc:Choice><xdr:graphicFrame/></mc:Choice><mc:Fallback><a:p><a:r><a:t>This chart isn't available</a:t></a:r></a:p></mc:Fallback></mc:AlternateContent></xdr:wsDr>"""


def test_what_older_programs_show_in_place_of_a_chart_is_no_word_of_a_sheet(read):
    parts = {"xl__worksheets___rels__sheet1.xml.rels": relations(("drawing", "../drawing1.xml")), "xl__drawing1.xml": DRAWN}
    assert read(xlsx(("One", "<sheetData/>"), **parts), "xlsx") == "## Sheet: One\n\nbox\n"


def test_escaped_characters_and_times_that_run_backwards_are_shown_as_meant(read):
    sheet = """<sheetData><row r="1"><c t="s"><v>0</v></c><c t="str"><v>a_x0041__x005F_x0041_</v></c></row>
    <row r="2"><c s="1"><v>-0.1</v></c><c s="1"><v>1.5</v></c></row></sheetData>"""
    styles = '<numFmts><numFmt numFmtId="170" formatCode="[h]:mm"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="170"/></cellXfs>'
    text = read(xlsx(("One", sheet), strings=["Line 1_x000D_\nLine 2"], styles=styles), "xlsx")
    assert text == "## Sheet: One\n\n| Line 1<br>Line 2 | aA_x0041_ |\n| --- | --- |\n| -02:24:00 | 36:00:00 |\n"


def test_the_first_thousand_rows_are_read_and_the_others_counted(read):
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 25_001))
    text = read(xlsx(("Long", f"<sheetData>{rows}</sheetData>")), "xlsx")
    assert text.startswith("## Sheet: Long (rows 1–1000 of 25000)\n\n| 1 |\n| --- |\n| 2 |")  # noqa: RUF001 - a range has a dash
    assert text.endswith("| 1000 |\n")


def cached(kind, values, code=""):
    """What a chart keeps of cells: `kind` is str or num; None is an empty one."""
    points = "".join(f'<c:pt idx="{n}"><c:v>{value}</c:v></c:pt>' for n, value in enumerate(values) if value is not None)
    return f"<c:{kind}Ref><c:f>x</c:f><c:{kind}Cache>{f'<c:formatCode>{code}</c:formatCode>' * bool(code)}{points}</c:{kind}Cache></c:{kind}Ref>"


def series(name, places, values, numbers="val", at="cat"):
    return f"<c:ser><c:tx>{cached('str', [name])}</c:tx><c:{at}>{places}</c:{at}><c:{numbers}>{values}</c:{numbers}></c:ser>"


def charted(title, group, axes):
    """A chart of the older kind: its axes by name and title, the one across first."""
    kinds = "".join(f'<c:{kind}><c:axId val="{n}"/><c:title><c:tx>{words}</c:tx></c:title></c:{kind}>' for n, (kind, words) in enumerate(axes, 1))
    return f'<c:chartSpace xmlns:c="urn:c" xmlns:a="urn:a"><c:chart><c:title><c:tx>{title}</c:tx></c:title><c:plotArea>{group}{kinds}</c:plotArea></c:chart></c:chartSpace>'


def rich(words):
    return f"<c:rich><a:p><a:r><a:t>{words}</a:t></a:r></a:p></c:rich>"


def levels(*levels):
    points = ("".join(f'<c:pt idx="{n}"><c:v>{words}</c:v></c:pt>' for n, words in enumerate(level) if words) for level in levels)
    return f"<c:multiLvlStrRef><c:multiLvlStrCache>{''.join(f'<c:lvl>{level}</c:lvl>' for level in points)}</c:multiLvlStrCache></c:multiLvlStrRef>"


AXIS_IDS = '<c:axId val="1"/><c:axId val="2"/>'
SHARES = charted(
    cached("str", ["Sales of"]),
    f'<c:barChart>{series("EU", levels(["Q1", "Q2", "Q1"], ["2023", None, "2024"]), cached("num", [0.10000000000000001, None, 0.5], "0%"))}{AXIS_IDS}</c:barChart>',
    [("catAx", rich("Quarter</a:t></a:r><a:br/><a:r><a:t>of ye</a:t></a:r><a:r><a:t>ar")), ("valAx", rich("share"))],
)  # fmt: skip
DAYS = charted(rich("Days"), f'<c:lineChart>{series("kg", cached("num", [45292, 45293], "m/d/yyyy"), cached("num", [0.1, 2]))}{AXIS_IDS}</c:lineChart>', [])
POINTS = charted(
    rich("Points"),
    f"<c:scatterChart>{series('A', cached('num', [1, 2]), cached('num', [3, 4]), 'yVal', 'xVal')}{series('B', cached('num', [5]), cached('num', [6]), 'yVal', 'xVal')}{AXIS_IDS}</c:scatterChart>",
    [("valAx", rich("s")), ("valAx", rich("m"))],
)
WATERFALL = """<cx:chartSpace xmlns:cx="urn:cx"><cx:chartData><cx:data id="7"><cx:strDim type="cat"><cx:lvl><cx:pt idx="0">Start</cx:pt><cx:pt idx="1">End</cx:pt></cx:lvl></cx:strDim>
<cx:numDim type="val"><cx:lvl formatCode="0&quot; t&quot;"><cx:pt idx="0">5</cx:pt><cx:pt idx="1">-2</cx:pt></cx:lvl></cx:numDim></cx:data></cx:chartData><cx:chart><cx:title><cx:tx><cx:txData><cx:v>Stock</cx:v></cx:txData></cx:tx></cx:title>
<cx:plotArea><cx:plotAreaRegion><cx:series><cx:tx><cx:txData><cx:v>Coal</cx:v></cx:txData></cx:tx><cx:dataId val="7"/></cx:series></cx:plotAreaRegion><cx:axis><cx:catScaling/></cx:axis></cx:plotArea></cx:chart></cx:chartSpace>"""


def drawn(chart):
    """The members that show a chart on the first sheet."""
    return {
        "xl__worksheets___rels__sheet1.xml.rels": relations(("drawing", "../drawing1.xml")),
        "xl__drawing1.xml": f'<xdr:wsDr xmlns:xdr="urn:x" xmlns:r="{OFFICE}"><c:chart xmlns:c="urn:c" r:id="rId1"/></xdr:wsDr>',
        "xl___rels__drawing1.xml.rels": relations(("chart", "a.xml")), "xl__a.xml": chart,
    }  # fmt: skip


def test_charts_are_tables_with_their_units_dates_and_levels(read):
    charts = {"a": SHARES, "b": DAYS, "c": POINTS, "d": WATERFALL}
    frames = "".join(f'<c:chart xmlns:c="urn:c" r:id="rId{n}"/>' for n in range(1, 5))
    drawing = f'<xdr:wsDr xmlns:xdr="urn:x" xmlns:r="{OFFICE}">{frames}</xdr:wsDr>'
    parts = {
        "xl__worksheets___rels__sheet1.xml.rels": relations(("drawing", "../drawing1.xml")), "xl__drawing1.xml": drawing,
        "xl___rels__drawing1.xml.rels": relations(*(("chart", f"{name}.xml") for name in charts)), **{f"xl__{name}.xml": xml for name, xml in charts.items()},
    }  # fmt: skip
    alone = {
        "xl___rels__workbook.xml.rels": relations(("worksheet", "worksheets/sheet1.xml"), ("chartsheet", "chartsheets/s.xml")),
        "xl__chartsheets__s.xml": "<chartsheet><headerFooter><oddFooter>&amp;CACME</oddFooter></headerFooter></chartsheet>",
        "xl__chartsheets___rels__s.xml.rels": relations(("drawing", "../drawing2.xml")), "xl__drawing2.xml": drawing.replace(frames, '<c:chart xmlns:c="urn:c" r:id="rId1"/>'),
        "xl___rels__drawing2.xml.rels": relations(("chart", "d.xml")),
    }  # fmt: skip
    assert read(xlsx(("One", "<sheetData/>"), ("Alone", ""), **parts, **alone), "xlsx") == (
        "## Sheet: One\n\nChart: Sales of\n\nAxis: share\n\n| Quarter of year | EU |\n| --- | --- |\n| 2023 / Q1 | 10% |\n| 2023 / Q2 |  |\n| 2024 / Q1 | 50% |\n\n"
        "Chart: Days\n\n|  | kg |\n| --- | --- |\n| 2024-01-01 | 0.1 |\n| 2024-01-02 | 2 |\n\n"
        "Chart: Points\n\nAxis: m\n\n| s | A | s | B |\n| --- | --- | --- | --- |\n| 1 | 3 | 5 | 6 |\n| 2 | 4 |  |  |\n\n"
        + "".join(f"{place}Chart: Stock\n\n|  | Coal |\n| --- | --- |\n| Start | 5 t |\n| End | -2 t |\n" for place in ("", "\n## Sheet: Alone\n\n"))
        + "\nFooter: ACME\n"
    )


CODES = [
    ("[$€-407] #,##0.00", "1234.5", "€ 1234.5"), ("#,##0.00\\ [$€-407];[Red]-#,##0.00\\ [$€-407]", "-1234.5", "-1234.5 €"), ('0" kg"', "5", "5 kg"),
    ('_("$"* #,##0_);_("$"* (#,##0)', "-9", "-$9"), ('0.0%" p.a."', "0.125", "12.5% p.a."), ('0.0,,"M"', "1500000", "1500000"), ('000"-"0000', "5551234", "5551234"),
    ('[<2]0" day";0" days"', "5", "5"), ('"a;b "0', "4", "a;b 4"), (";;;", "4", "4"), ("[h]:mm", "inf", "inf"), ("[$-409]m/d/yyyy", "45292", "2024-01-01"),
    ("[h]:mm", "1e305", "1e+305"), ("\\+0.0%;\\-0.0%", "-0.03", "-3%"), ('"+"0.0%;"-"0.0%;0%', "0", "0%"), ('[Green]"▲"0.0%;[Red]"▼"0.0%', "-0.03", "-3%"), ('0" Dr";0" Cr"', "-5", "-5"),
    ('0" kg";"none"', "-5", "-5"), ('0" kg";\\-0" kg";"-"', "-5", "-5 kg"), ('"INV-"0000', "42", "INV-0042"), ("00000", "-501.5", "-00501.5"), ("0.0E+00", "5e20", "5e+20"), ("000%", "0.5", "50%"),
    ("0000000", "5e20", "5e+20"), ("m/d/yyyy", "nan", "nan"), (f'0"{"t" * 40}"', "5", "5" + "t" * 40), (f'0"{"t" * 41}"', "5", "5"),
]  # fmt: skip


def test_a_number_keeps_the_currency_or_unit_of_its_format(read):
    """And its zeros. Where the format shows another number, as in millions, or negative ones with other words, it stands alone."""
    cells = "".join(f'<row r="{n}"><c s="{n - 1}"><v>{raw}</v></c></row>' for n, (_, raw, _) in enumerate(CODES, 1))
    formats = "".join(f'<numFmt numFmtId="{n}" formatCode="{html.escape(code)}"/>' for n, (code, _, _) in enumerate(CODES, 200))
    styles = f"<numFmts>{formats}</numFmts><cellXfs>{''.join(f'<xf numFmtId={chr(34)}{n}{chr(34)}/>' for n in range(200, 200 + len(CODES)))}</cellXfs>"
    lines = read(xlsx(("One", f"<sheetData>{cells}</sheetData>"), styles=styles), "xlsx").split("\n")[2:-1]
    assert [line.strip("| ") for line in lines if line != "| --- |"] == [words for _, _, words in CODES]


def test_a_format_without_an_end_costs_little(read):
    styles = f'<numFmts><numFmt numFmtId="200" formatCode="0{"[" * 300_000}"/></numFmts><cellXfs><xf numFmtId="200"/></cellXfs>'
    assert read(xlsx(("One", '<sheetData><row r="1"><c s="0"><v>7</v></c></row></sheetData>'), styles=styles), "xlsx").startswith("## Sheet: One\n\n| ")


def test_days_are_counted_from_1904_where_a_workbook_or_chart_says_so(read):
    """Excel on old Macs did; it has no 29 February 1900, which the other calendar skips."""
    sheet = '<sheetData><row r="1"><c s="0"><v>30</v></c><c s="0"><v>45292</v></c></row></sheetData>'
    for said, first, second in (("1", "1904-01-31", "2028-01-02"), ("0", "1900-01-30", "2024-01-01")):
        book = f'<workbook xmlns:r="{OFFICE}"><workbookPr date1904="{said}"/><sheets><sheet name="One" sheetId="1" r:id="rId1"/></sheets></workbook>'
        chart = charted(rich("Days"), f"<c:lineChart>{series('kg', cached('num', [30], 'm/d/yyyy'), cached('num', [7]))}{AXIS_IDS}</c:lineChart>", [])
        parts = {"xl__workbook.xml": book, **drawn(chart.replace("<c:chart>", f'<c:date1904 val="{said}"/><c:chart>'))}
        text = read(xlsx(("One", sheet), styles='<cellXfs><xf numFmtId="14"/></cellXfs>', **parts), "xlsx")
        assert f"| {first} | {second} |" in text
        assert f"| {first} | 7 |" in text


def test_a_chart_of_bubbles_has_their_sizes(read):
    sized = series("Towns", cached("num", [1]), cached("num", [2]), "yVal", "xVal").replace("</c:ser>", f"<c:bubbleSize>{cached('num', [9])}</c:bubbleSize></c:ser>")
    text = read(xlsx(("One", "<sheetData/>"), **drawn(charted(rich("Map"), f"<c:bubbleChart>{sized}</c:bubbleChart>", []))), "xlsx")
    assert text.endswith("|  | Towns | Towns (size) |\n| --- | --- | --- |\n| 1 | 2 | 9 |\n")


def test_a_point_of_a_chart_that_is_far_away_costs_nothing(read):
    far = cached("num", [7]).replace("</c:numCache>", '<c:pt idx="300000000"><c:v>8</c:v></c:pt></c:numCache>')
    text = read(xlsx(("One", "<sheetData/>"), **drawn(charted(rich("Far"), f"<c:lineChart>{series('kg', cached('str', ['a']), far)}</c:lineChart>", []))), "xlsx")
    assert "|  | kg |\n| --- | --- |\n| a | 7 |\n" in text


def test_places_that_differ_and_whose_axis_has_no_name_are_called_x(read):
    two = "".join(series(name, cached("num", [place]), cached("num", [7]), "yVal", "xVal") for name, place in (("A", 1), ("B", 5)))
    text = read(xlsx(("One", "<sheetData/>"), **drawn(charted(rich("Points"), f"<c:scatterChart>{two}</c:scatterChart>", []))), "xlsx")
    assert text.endswith("| x | A | x | B |\n| --- | --- | --- | --- |\n| 1 | 7 | 5 | 7 |\n")


# Presentations


def test_slides_have_numbers_titles_and_notes(read):
    notes = f"<p:notes XMLNS><p:cSld><p:spTree>{shape('Speak up', 'body')}{shape('7', 'sldNum')}</p:spTree></p:cSld></p:notes>"
    data = pptx(
        shape("Aims", "title") + shape("more\nfaster", "") + shape("ACME", "ftr"),
        shape("A box") + shape("ACME", "ftr"),
        **{"ppt__slides___rels__slide1.xml.rels": relations(("notesSlide", "../n1.xml")), "ppt__n1.xml": notes},
    )
    assert read(data, "pptx") == "## Slide 1: Aims\n\n- more\n- faster\n\nNotes: Speak up\n\n## Slide 2\n\nA box\n\nOn every slide: ACME\n"


def test_comments_on_a_slide_are_read_with_space_between_their_paragraphs(read):
    older = '<p:cmLst XMLNS><p:cm authorId="1"><p:text>Why 300?</p:text></p:cm></p:cmLst>'
    newer = '<p:cmLst XMLNS><p:cm><p:txBody><a:p><a:r><a:t>Raise it to 400</a:t></a:r></a:p><a:p><a:r><a:t>300 is too low</a:t></a:r></a:p></p:txBody></p:cm></p:cmLst>'
    rels = relations(("comments", "../c1.xml"), ("comments", "../c2.xml"))
    data = pptx(shape("Aims", "title"), **{"ppt__slides___rels__slide1.xml.rels": rels, "ppt__c1.xml": older, "ppt__c2.xml": newer})
    assert read(data, "pptx") == "## Slide 1: Aims\n\n- Comment: Why 300?\n- Comment: Raise it to 400 300 is too low\n"


def test_raised_words_and_equations_of_a_slide_are_read_as_in_a_docx(read):
    form = "<a14:m><m:oMath><m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></a14:m>"
    both = f'<mc:AlternateContent xmlns:mc="urn:mc" xmlns:a14="urn:a14" xmlns:m="urn:m"><mc:Choice>{form}</mc:Choice><mc:Fallback><a:r><a:t>x2</a:t></a:r></mc:Fallback></mc:AlternateContent>'
    run = '<a:r><a:rPr baseline="{}"/><a:t>{}</a:t></a:r>'.format
    words = shape("10").replace("</a:p>", f"{run(30000, 6)}{run(-25000, 2)}{run(0, 7)}{run('0%', 8)}{run('30%', 9)} {both}</a:p>")
    assert read(pptx(words), "pptx") == "## Slide 1\n\n10⁶₂78⁹x^2\n"


def test_numbered_paragraphs_of_a_slide_have_their_numbers_and_struck_words_are_marked(read):
    line = '<a:p><a:pPr lvl="{}">{}</a:pPr><a:r>{}<a:t>{}</a:t></a:r></a:p>'.format
    numbered, letters = '<a:buAutoNum type="arabicPeriod"/>', '<a:buAutoNum type="alphaLcParenBoth" startAt="3"/>'
    lines = [(0, numbered, "", "one"), (1, letters, "", "deep"), (1, letters, "", "deeper"), (0, numbered, "", ""), (0, numbered, '<a:rPr strike="sngStrike"/>', "two")]
    lines += [(0, "<a:buNone/>", "", "words"), (0, numbered, "", "anew"), (0, "<a:buChar/>", "", "point")]
    lines += [(1, letters, '<a:rPr strike="noStrike"/>', "below it"), (0, '<a:buAutoNum type="romanUcParenR"/>', "", "Roman")]
    lines += [(0, '<a:buAutoNum type="ea1ChsPeriod" startAt="11"/>', "", "Chinese")]
    body = shape("x").replace("<a:p><a:r><a:t>x</a:t></a:r></a:p>", "".join(line(*words) for words in lines))
    assert read(pptx(body), "pptx") == (
        "## Slide 1\n\n1. one\n  (c) deep\n  (d) deeper\n2. ~~two~~\n\nwords\n\n1. anew\n- point\n  (c) below it\nI) Roman\n十一. Chinese\n"
    )


# Web pages

PAGE = """<!doctype html><html><head><title>Tea &amp; more</title><style>p {}</style><script>let x = "<p>no</p>"</script></head>
<body><h1>Tea</h1><p>Green  or
black?<br>Both.</p><ol start="2"><li>boil <ul><li>water</ul><li>wait</ol>
<table><tr><th>Kind<th>Price<tr><td>Green<td>4|5</table><pre>a  b
c</pre><p hidden>never</p><a href="https://example.org/x">more</a> <img src="x" alt="a cup"></body></html>"""


def test_a_page_is_read_as_it_is_seen(read):
    assert read(PAGE, "html") == (
        "Title: Tea & more\n\n# Tea\n\nGreen or black?\nBoth.\n\n2. boil\n  - water\n3. wait\n\n"
        "| Kind | Price |\n| --- | --- |\n| Green | 4\\|5 |\n\n```\na  b\nc\n```\n\n[more](https://example.org/x) [Picture: a cup]\n"
    )


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>one<p hidden>x<p>two", "one\n\ntwo\n"),
        ("<p hidden>x <b>y<div>two</div>", "two\n"),
        ("<ul><li hidden>x<ul><li>y</ul>z<li>two</ul>three", "- two\n\nthree\n"),
        ("<div><p hidden>x</div>two", "two\n"),
        ("<table><tr><td>a<td style='display:none'><p>x<td>c<tr hidden><td>y<td>z<tr><td>d<td>e</table>two", "| a | c |\n| --- | --- |\n| d | e |\n\ntwo\n"),
        ("<div hidden><p>x<ul><li>y</ul></p><b></div>two", "two\n"),
        ("<svg><title>x</title><path/></svg>two", "two\n"),
        ("<ul><li><p hidden>x<li>two</ul>", "- two\n"),
        ("<table><tr><td>a<td><p hidden>x<td>c<tr><td><p hidden>y<tr><td>d</table>", "| a |  | c |\n| --- | --- | --- |\n| d |  |  |\n"),
        ("<div>one <span hidden>x <i>y</i></div>two", "one\n\ntwo\n"),
        ("<p>one <b hidden><div>x</div>y</b> two", "one two\n"),
        ("<div><h1>Title <span hidden>x</h1><p>words</p></div>two", "# Title\n\nwords\n\ntwo\n"),
        ("<ul><li>a <span hidden>x<li>b<li>c</ul>two", "- a\n- b\n- c\n\ntwo\n"),
        ("<p>one<menu><li>a<li>b<dir><li>c</dir></menu><h2>two</h2><p>three<p hidden>x<menu><li>d</menu>", "one\n\n- a\n- b\n  - c\n\n## two\n\nthree\n\n- d\n"),
        ("<table><tr><td>a<span hidden>x<td>b<tr><td>c<td>d</table>", "| a | b |\n| --- | --- |\n| c | d |\n"),
        ("10<sup>6</sup> H<sub>2</sub>O, 1<sup>st</sup>", "10⁶ H₂O, 1st\n"),
        ("Price: <del>10</del><ins>12</ins> <s>a</s><s> <b>b</b> </s>c<strike><p>d<p>e</strike>f", "Price: ~~10~~12 ~~a b~~ c\n\n~~d~~\n\n~~e~~f\n"),
        ("<table><tr><td><s>1<td>2<tr><td>3<td>4</table>5", "| ~~1~~ | 2 |\n| --- | --- |\n| 3 | 4 |\n\n5\n"),
        ("<p><del>a<p>b<ul><li><del>c<li>d</ul><div><del>e</div>f", "~~a~~\n\nb\n\n- ~~c~~\n- d\n\n~~e~~\n\nf\n"),
        ("<del><p>a</p><table><tr><td>b<td>c</table></del>d", "~~a~~\n\n| ~~b~~ | ~~c~~ |\n| --- | --- |\n\nd\n"),
        ("<table><tr><td><s>1</tr>2<tr><td>3<td>4</table>5", "| ~~1~~<br>2 |  |\n| --- | --- |\n| 3 | 4 |\n\n5\n"),
        ('<a href="/x"><s><div>10</div></s></a><p>12', "~~[10](/x)~~\n\n12\n"),
        ("<ruby>東京<rp>(</rp><rt>とうきょう</rt><rp>)</rp></ruby>の<ruby><rb>人口<rt>じんこう</ruby>は<ruby>約<rt>やく<rb>千</ruby>人<p>two", "東京の人口は約千人\n\ntwo\n"),
        ("<ol start=0><li>a<li>b</ol>then<ol type=a start=3><li>c<li>d</ol>then<ol type=I><li value=-4>e</ol>", "0. a\n1. b\n\nthen\n\nc. c\nd. d\n\nthen\n\n-4. e\n"),
        ("<select><option>Rome<option selected>Paris</select>", "Rome\n\n[x] Paris\n"),
        ("<ol><li>a<li value=7>b<li>c</ol>then<ol reversed><li>x<li>y</ol>", "1. a\n7. b\n8. c\n\nthen\n\n- x\n- y\n"),
        ("<ol reversed start=5><li>a<li value=3>b<li>c</ol>then<ol reversed start=x><li>d</ol>", "5. a\n3. b\n2. c\n\nthen\n\n- d\n"),
        ("<p>See <x-tag><template shadowrootmode=open><style>x</style><b>4.50</b> EUR</template></x-tag>, <template>no</template>end", "See 4.50 EUR, end\n"),
        ("<template><x-tag><template shadowrootmode=open>no</template></x-tag>no</template>end", "end\n"),
        ('<h1>Prices</h1><x-tag><template shadowmode="closed"><ul><li>Tea<slot></slot></ul></template>4.50</x-tag><p>end', "# Prices\n\n- Tea\n\n4.50\n\nend\n"),
    ],
)  # fmt: skip
def test_a_page_is_read_as_a_browser_shows_it(read, page, text):
    assert read(page, "html") == text


CHART = """<h1>Report</h1><p>See the <svg><title>i</title><path d="M0"/></svg>chart:</p><svg width="400"><title>Sales</title>
<desc>Bars</desc><style>text {{}}</style><script>let x = "<text>no</text>"</script><defs><text id="a">never</text></defs>{}</svg><p>End.</p>"""


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        ('<text x="1">Revenue 2025:\n 4.2 M</text>no<g>no<text x="1" y="40">Costs</text></g>', "Revenue 2025: 4.2 M\nCosts"),
        ('<text>Re<tspan>ven</tspan>ue <tspan dy="-4">net</tspan></text><text><textPath href="#p">Along</textPath></text>', "Revenue net\nAlong"),
        ('<text y="9"><tspan x="0" dy="0">Two</tspan><tspan x="0" dy="1.2em">lines</tspan><tspan x="90">wide</tspan></text>', "Two\nlines wide"),
        ('<text><tspan x="0" y="0">One</tspan><tspan x="30" y="0">line</tspan><tspan x="0" y="20">two</tspan></text>', "One line\ntwo"),
        ('<text>a<title>tip</title>b</text><symbol><text>c</text></symbol><g display="none"><g><text>d</text></g></g><text>e</text>', "ab\ne"),
        ('<foreignObject><div>Node <b>A</b></div><p>two</p></foreignObject><foreignObject><ul><li>B</ul></foreignObject>', "Node A\n\ntwo\n\n- B"),
        ('<switch><foreignObject><div>Box</div></foreignObject><text>Box…</text></switch><text>C</text>', "Box\n\nC"),
        ('<switch><g requiredFeatures="x"/><a href="/faq"><text>Text is not SVG</text></a></switch><text>C</text>', "C"),
        ('<a href="/x"><path d="M0"><text>Node</text></a><line><text>B</text><svg><text>C</text></svg>', "[Node](/x)\nB\nC"),
        ('<text>open <g><foreignObject><svg><text>in</text></svg><p>two</p></foreignObject></g><text>A', "open\nin\n\ntwo\n\nA"),
        ('<div>no drawing</div><text>any more</text>', "no drawing\n\nany more"),
    ],
)  # fmt: skip
def test_the_words_of_a_drawing_within_a_page_are_read_and_nothing_else_of_it(read, drawn, text):
    """A title is shown only where the mouse rests."""
    assert read(CHART.format(drawn), "html") == f"# Report\n\nSee the chart:\n\n{text}\n\nEnd.\n"


def test_a_drawing_that_has_no_end_hides_nothing_behind_it(read):
    assert read("<div><svg><defs><g></div>one<p>two<table><tr><td><svg><switch><g/><td>b</table>", "html") == "one\n\ntwo\n\nb\n"


def test_a_drawing_in_a_book_or_a_message_is_read_as_in_a_page(read):
    words = '<svg:svg><svg:style>p {}</svg:style><svg:a xlink:href="/x"><svg:text x="1">Costs</svg:text></svg:a></svg:svg>'
    assert read(epub("", f"<p>See</p>{words}"), "application/epub+zip").endswith("\n\nSee\n\n[Costs](/x)\n")
    mail = "Subject: hi\nContent-Type: text/html; charset=utf-8\n\n<p>See</p><svg><style>p {}</style><text>Costs</text></svg>"
    assert read(mail, "message/rfc822") == "Subject: hi\n\nSee\n\nCosts\n"


def test_what_looks_like_an_element_in_a_title_or_a_field_is_none(read):
    """Newer Pythons give it as words, older ones not at all."""
    assert read("<title>The <del> element</title><textarea>use <s> here</textarea>two", "html").endswith(" here\n\ntwo\n")


def test_spaces_that_are_struck_out_cost_little(read):
    spaces = "\xa0" * 200_000
    assert read(f"<s>a{spaces}b</s>c", "html") == f"~~a{spaces}b~~c\n"


HEADS = "<table><tr><th rowspan=2>Region<th colspan=2>2023<th colspan=2>2024<tr><th>Q1<th>Q2<th>Q1<th>Q2<tr><td>North<td>1<td>2<td>3<td>4</table>"
GROUPS = "<table><thead><tr><th>Kind<th>Sum<tbody><tr><td rowspan=0>Tea<td>1<tr><td>2<tbody><tr><td>Milk<td rowspan=9>3<tfoot><tr><td>All<td>6</table>"


def test_numbers_stand_under_their_heads_where_cells_reach_over_columns_and_rows(read):
    assert read(HEADS, "html") == (
        "| Region | 2023 |  | 2024 |  |\n| --- | --- | --- | --- | --- |\n|  | Q1 | Q2 | Q1 | Q2 |\n| North | 1 | 2 | 3 | 4 |\n"
    )
    assert read("<table><thead><tr><th rowspan=9>Kind<th>Sum</thead><tr><td>Tea<td>1</table>", "html") == "| Kind | Sum |\n| --- | --- |\n| Tea | 1 |\n"
    assert read("<table><tr><td colspan=0 rowspan=2>a<td>b<tr><td>c</table>", "html") == "| a | b |\n| --- | --- |\n|  | c |\n"
    assert read(GROUPS, "html") == "| Kind | Sum |\n| --- | --- |\n| Tea | 1 |\n|  | 2 |\n| Milk | 3 |\n| All | 6 |\n"


DATA = "<table><tr><th>Item<th>Pieces<th>Off<th>Price<tr><td>Apples<td>2<td><td>1,50<tr><td><td><td>a|b<td>2,40</table>"


def test_a_table_within_a_layout_keeps_its_columns(read):
    """Nearly all mail in HTML has its tables in others, which are there for the looks."""
    table = "| Item | Pieces | Off | Price |\n| --- | --- | --- | --- |\n| Apples | 2 |  | 1,50 |\n|  |  | a\\|b | 2,40 |\n"
    layout = "<table><tr><td><td><td width=20><tr><td><td>{}<td></table>".format
    assert read(layout(layout(f"<h1>Invoice</h1>{DATA}")), "html") == f"Invoice\n\n{table}"
    assert read(f"<table><tr><td>left<td>{DATA}</table>", "html") == (
        "| left | Item \\| Pieces \\| Off \\| Price<br>Apples \\| 2 \\| \\| 1,50<br>\\| \\| a\\|b \\| 2,40 |\n| --- | --- |\n"
    )


CAPTION = "<table><caption>Table 1: <b>Sales</b>{}<thead><tr><th>Item<th>Sum</thead><tr><td>Tea<td>1</table>"
SALES = "Table 1: Sales\n\n| Item | Sum |\n| --- | --- |\n| Tea | 1 |\n"


@pytest.mark.parametrize("end", ["</caption>", "", "</caption><colgroup><col>\n"])
def test_the_caption_of_a_table_stands_before_it(read, end):
    """It was the head, and the heads of the columns were data."""
    assert read(CAPTION.format(end), "html") == SALES
    assert read(epub("", CAPTION.format(end)), "application/epub+zip").endswith(f"\n\n{SALES}")


def test_the_caption_of_a_table_within_a_cell_stays_in_it(read):
    inner = "<table><caption>Inner</caption><tr><td>1<td>2</table>"
    assert read(f"<table><tr><td>left<td>{inner}</table>", "html") == "| left | Inner<br>1 \\| 2 |\n| --- | --- |\n"


def test_cells_that_reach_over_all_there_is_cost_little(read):
    many = "<td colspan=9999999 rowspan=0>" * 300 + "x" + "<tr><td>y" * 1000
    assert read(f"<table>{many}</table>", "html").count("y") == 1000


def test_a_link_around_blocks_leads_from_the_first(read):
    assert read('<pre><a href="/z">a\nb</pre><a name="top">c<br>d', "html") == "```\na\nb\n```\n\nc\nd\n"
    assert read('<p>See<a href="https://example.org/x">\n<h3>Card</h3><p>words</p></a> <a href="/y">more</a>', "html") == (
        "See\n\n### [Card](https://example.org/x)\n\nwords\n\n[more](/y)\n"
    )


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('<p><a name="i">See the <a href="/x">manual</a>', "See the [manual](/x)\n"),
        ('<p><a name="i">one<br>two<br><a href="/x">three</a>', "one\ntwo\n[three](/x)\n"),
        ('<p><a href="/x">See the </a>manual', "[See the](/x) manual\n"),
        ('<p>a<a href="/x"> </a>b', "a b\n"),
    ],
    ids=["anchor", "lines", "space", "no words"],
)  # fmt: skip
def test_a_link_takes_no_space_from_the_words_beside_it(read, page, text):
    assert read(page, "html") == text


@pytest.mark.parametrize(
    ("xml", "typed"),
    [
        ("<mn>1</mn><mfrac><mn>1</mn><mn>2</mn></mfrac>", "1 1/2"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>10</mn></mfrac>", "(a+b)/10"),
        ("<msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><msub><mi>a</mi><mi>ij</mi></msub>", "x^2+a_(ij)"),
        ("<msqrt><mn>16</mn></msqrt><mroot><mi>x</mi><mn>3</mn></mroot>", "√(16)√[3](x)"),
        ("<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><mi>i</mi>", "∑_(i=1)^ni"),
        ("<mi>sin</mi><mo>&ApplyFunction;</mo><mi>x</mi><mo>=</mo><mi>cos</mi><mi>y</mi>", "sin x=cos y"),
        ("<mover><mi>x</mi><mo>^</mo></mover><mo>=</mo><mover accent=true><mi>y</mi><mo>¯</mo></mover>", "x\u0302=y\u0304"),
        ("<mmultiscripts><mi>C</mi><mprescripts><mn>6</mn><mn>14</mn></mmultiscripts>", "(_6^14)C"),
        ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr>\n<mtr><mtd>3</mtd><mtd>4</mtd></mtr></mtable>", "1, 2; 3, 4"),
        ("<mfenced><mi>a</mi><mi>b</mi></mfenced><mtext> if </mtext><mi>a</mi>", "(a,b) if a"),
        ('<semantics><mi>E</mi><annotation encoding="application/x-tex">\\frac{1}{2} m</annotation></semantics>', "\\frac{1}{2} m"),
        ("<semantics><mi>E</mi><annotation encoding=other>x</annotation></semantics>", "E"),
        ("<mfrac><mn>1<mn>2</mfrac>x", "(1 2)/x"),
        ("<msup><mi>e</mi><mrow><mfrac><mn>2</mn><mn>5</mn></mfrac><mo>&#x2062;</mo><mi>π</mi></mrow></msup>", "e^((2/5)π)"),
        ("<mstyle><mfrac><mn>1</mn><mn>2</mn></mfrac></mstyle><mo>(</mo><mfrac><mi>a</mi><mi>b</mi></mfrac><mo>)</mo>", "(1/2)(a/b)"),
    ],
)  # fmt: skip
def test_an_equation_of_a_page_is_read_as_it_is_typed(read, xml, typed):
    """½ was 12, √16 was 16, and 2/5 of π was `2/5π`."""
    assert read(f"<p>It is <math>{xml}</math>, or <b>not</b>", "html") == f"It is {typed}, or not\n"


def test_an_equation_without_its_end_costs_no_words(read):
    assert read("<p>a <math><mi>x<p>b <math><mfrac><mn>1</p>c<table><tr><td><math>y<td>z</table>", "html") == "a x\n\nb 1/\n\nc\n\n| y | z |\n| --- | --- |\n"
    assert read(epub("", "<p><m:math><m:mfrac><m:mn>1</m:mn><m:mn>2</m:mn></m:mfrac></m:math> cup</p>"), "application/epub+zip").endswith("\n\n1/2 cup\n")
    with pytest.raises(reading.Unreadable, match="nested too deeply"):
        read("<math>" + "<mrow>" * 100_000, "html")


def test_marks_that_only_one_program_knows_are_comments(read):
    assert read("<p>a<![if !supportLists]>b<![endif]><![unheard of[c]]></p>", "html") == "ab\n"


# OpenDocument

MATH = """<m:math xmlns:m="http://www.w3.org/1998/Math/MathML"><m:semantics><m:mfrac><m:mn>1</m:mn><m:mn>2</m:mn></m:mfrac>
<m:annotation m:encoding="StarMath 5.0">{}</m:annotation></m:semantics></m:math>""".format


def test_an_equation_of_an_odt_stands_in_its_line(read):
    objects = f'<draw:object xlink:href="./Object 1"/>|<draw:object>{MATH("")}</draw:object>'.split("|")
    frames = [f'<draw:frame>{found}<draw:image xlink:href="./ObjectReplacements/Object 1"/></draw:frame>' for found in objects]
    data = odf("text", f"<text:p>The law {frames[0]} or {frames[1]} holds.</text:p>", **{"Object 1/content.xml": MATH("E = m c^2")})
    assert read(data, "application/zip") == "The law E = m c^2 or 1/2 holds.\n"
    assert read(odf("presentation", f"<draw:page>{frames[1]}</draw:page>"), "application/zip") == "## Slide 1\n\n1/2\n"
    assert read(archive({"content.xml": MATH("E = m c^2")}), "application/zip") == "E = m c^2\n"


NUMBERED = """<text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-format="1"/>
<text:list-level-style-bullet text:level="2"/></text:list-style>"""


def test_an_odt_is_read_with_lists_notes_comments_and_margins(read):
    body = (
        '<text:h text:outline-level="2">Plan</text:h>'
        '<text:list text:style-name="L1"><text:list-item><text:p>dig</text:p><text:list><text:list-item><text:p>deep</text:p></text:list-item></text:list>'
        "</text:list-item><text:list-item><text:p>sow</text:p></text:list-item></text:list>"
        '<text:p>A<text:s text:c="3"/>B <text:a xlink:href="https://example.org">site</text:a>'
        '<text:note text:id="ftn1"><text:note-citation>1</text:note-citation><text:note-body><text:p>Small print</text:p></text:note-body></text:note>'
        "<office:annotation><dc:creator>Ada</dc:creator><text:p>Why?</text:p></office:annotation></text:p>"
        "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
        "<table:table><table:table-row><table:table-cell><text:p>Name</text:p></table:table-cell><table:table-cell><text:p>Sum</text:p></table:table-cell></table:table-row>"
        '<table:table-row><table:table-cell><text:p>Ada</text:p></table:table-cell><table:table-cell table:number-columns-repeated="2"/></table:table-row></table:table>'
    )
    masters = "".join(f"<style:master-page><style:footer><text:p>{name}</text:p></style:footer></style:master-page>" for name in ("ACME", "ACME"))
    assert read(odf("text", body, NUMBERED, masters), "application/vnd.oasis.opendocument.text") == (
        "## Plan\n\n1. dig\n  - deep\n2. sow\n\nA   B [site](https://example.org)[^1][^comment-1]\n\n| Name | Sum |\n| --- | --- |\n| Ada |  |\n\n"
        "[^1]: Small print\n[^comment-1]: Ada: Why?\n\nFooter: ACME\n"
    )


OUTLINE = """<text:outline-style style:name="Outline"><text:outline-level-style text:level="1" style:num-format="I" style:num-suffix="."/>
<text:outline-level-style text:level="2" style:num-format="1" text:display-levels="2"/><text:outline-level-style text:level="3" style:num-format=""/></text:outline-style>"""
LETTERS = """<text:list-style style:name="L2"><text:list-level-style-number text:level="1" style:num-format="a" style:num-prefix="(" style:num-suffix=")"/>
<text:list-level-style-number text:level="2" style:num-format="1" text:display-levels="2" text:start-value="3"/></text:list-style>"""


def entries(*words, style="L2", attributes=""):
    """A list; an item is its words, or XML."""
    items = "".join(f"<text:list-item>{word if '<' in word else f'<text:p>{word}</text:p>'}</text:list-item>" for word in words)
    return f'<text:list text:style-name="{style}" {attributes}>{items}</text:list>'


def test_headings_and_lists_of_an_odt_are_numbered_as_in_the_document(read):
    headings = "".join(f'<text:h text:outline-level="{level}">{words}</text:h>' for level, words in [(1, "Aims"), (2, "First"), (2, "Second"), (3, "Plain"), (1, "Means"), (2, "Third")])
    body = (
        headings
        + entries("a", f"<text:p>b</text:p>{entries('deep', 'deeper')}", attributes='xml:id="x"')
        + entries("other", style="L1")
        + entries("c", attributes='text:continue-list="x"')
        + entries(entries("under c"), attributes='text:continue-numbering="true"')
        + entries("d", attributes='text:continue-numbering="true"')
        + entries("anew")
        + entries("nine").replace("<text:list-item>", '<text:list-item text:start-value="9">')
    )
    assert read(odf("text", body, NUMBERED + LETTERS, OUTLINE), "application/vnd.oasis.opendocument.text") == (
        "# I. Aims\n\n## I.1 First\n\n## I.2 Second\n\n### Plain\n\n# II. Means\n\n## II.1 Third\n\n"
        "(a) a\n(b) b\n  b.3. deep\n  b.4. deeper\n1. other\n(c) c\n  c.3. under c\n(d) d\n(a) anew\n(i) nine\n"
    )


@pytest.mark.parametrize(
    ("form", "labels"),
    [("一, 二, 三, ...", "二十 二十一"), ("가, 나, 다, ...", "바바 사사"), ("①, ②, ③, ...", "⑳ 21"), ("001, 002, 003, ...", "020 021"), ("Α, Β, Γ, ...", "Υ Φ"), ("x, y, z, ...", "20 21")],  # noqa: RUF001 - Greek is meant
)  # fmt: skip
def test_numbers_that_programs_tell_by_the_first_of_them_are_counted_on(read, form, labels):
    """OpenDocument's programs and, in newer forms, Word's."""
    shown = [f"{label}. {words}" for label, words in zip(labels.split(), "ab", strict=True)]
    style = f'<text:list-style style:name="L2"><text:list-level-style-number text:level="1" style:num-format="{form}" style:num-suffix="." text:start-value="20"/></text:list-style>'
    assert read(odf("text", entries("a", "b"), style), "application/vnd.oasis.opendocument.text").splitlines() == shown
    custom = patterns([("custom", "%1.", '<w:start w:val="20"/>')]).replace('"custom"', f'"custom" w:format="{form}"')
    assert read(docx(listed("a", 1) + listed("b", 1), [("numbering", "numbering.xml")], numbering=custom), "docx").splitlines() == shown


def test_a_list_goes_on_after_one_in_a_note_or_box_of_its_item(read):
    note = f'<text:note text:id="ftn1"><text:note-body>{entries("x", "y")}</text:note-body></text:note>'
    box = f"<draw:frame><draw:text-box>{entries('z')}</draw:text-box></draw:frame>"
    inner = f"<text:p>b</text:p>{entries(f'<text:p>deep{note}{box}</text:p>', 'deeper')}"
    assert read(odf("text", entries("a", inner, "c"), LETTERS), "application/vnd.oasis.opendocument.text") == (
        "(a) a\n(b) b\n  b.3. deep[^1]\n(a) z\n  b.4. deeper\n(c) c\n\n[^1]: (a) x (b) y\n"
    )


def test_the_header_of_a_list_has_no_number(read):
    header = "<text:list-header><text:p>Aims</text:p></text:list-header>"
    body = entries("a", "b").replace("<text:list-item>", f"{header}<text:list-item>", 1)
    assert read(odf("text", body, LETTERS), "application/vnd.oasis.opendocument.text") == "  Aims\n(a) a\n(b) b\n"


def test_hidden_sheets_and_slides_of_opendocument_are_marked(read):
    kinds = [("table", "table", 'table:display="false"'), ("drawing-page", "drawing-page", 'presentation:visibility="hidden"')]
    styles = "".join(f'<style:style style:name="s" style:family="{family}"><style:{name}-properties {what}/></style:style>' for family, name, what in kinds)
    sheets = '<table:table table:name="One" table:style-name="s"/><table:table table:name="Two" table:style-name="t"/>'
    assert read(odf("spreadsheet", sheets, styles), "application/zip") == "## Sheet: One (hidden)\n\n## Sheet: Two\n"
    pages = '<draw:page draw:style-name="s"/><draw:page draw:style-name="t"/>'
    assert read(odf("presentation", pages, styles), "application/zip") == "## Slide 1 (hidden)\n\n## Slide 2\n"


def test_an_ods_is_read_by_its_values_and_counts_its_rows(read):
    cell = '<table:table-cell office:value-type="{}" office:{}="{}"><text:p>{}</text:p></table:table-cell>'
    body = (
        '<table:table table:name="One"><table:table-row>'
        + cell.format("date", "date-value", "2024-01-02T00:00:00", "02/01/24")
        + cell.format("float", "value", "0.125", "0.13")
        + '<table:table-cell table:number-columns-repeated="16382"/></table:table-row><table:table-row table:number-rows-repeated="5000">'
        + cell.format("string", "string-value", "x", "x")
        + '</table:table-row><table:table-row table:number-rows-repeated="17179869184"><table:table-cell/></table:table-row></table:table>'
    )
    text = read(odf("spreadsheet", body), "application/vnd.oasis.opendocument.spreadsheet")
    assert text.startswith("## Sheet: One (rows 1–1000 of 5001)\n\n| 2024-01-02 | 0.125 |\n| --- | --- |\n| x |  |\n")  # noqa: RUF001 - a range has a dash
    assert text.count("| x |") == 999


def row_of_cells(*cells):
    """A sheet of one row; each cell is its attributes, without their namespace, and its words."""
    made = "".join(f'<table:table-cell {re.sub("([a-z-]+=)", r"office:" + chr(92) + "1", attributes)}>{f"<text:p>{words}</text:p>" if words else ""}</table:table-cell>' for attributes, words in cells)
    return f'<table:table table:name="One"><table:table-row>{made}</table:table-row></table:table>'


def test_cells_of_an_ods_that_have_a_value_and_no_words_are_read(read):
    """As libraries write them: those behind it moved into its place."""
    values = [("boolean", "boolean-value='true'"), ("time", "time-value='-PT14H30M05.6S'"), ("time", "time-value='P1DT2H'"), ("percentage", "value='0.125'")]
    values += [("currency", "value='12.5' currency='EUR'"), ("string", "string-value='attr only'"), ("date", "date-value='2024-01-02'"), ("string", ""), ("float", "value='2.50'")]
    body = row_of_cells(*((f"value-type='{kind}' {value}", "") for kind, value in values))
    assert read(odf("spreadsheet", body), "application/zip") == (
        "## Sheet: One\n\n| TRUE | -14:30:06 | 26:00:00 | 12.5% | 12.5 EUR | attr only | 2024-01-02 | 2.5 |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )


def test_a_truth_that_calc_took_from_an_xlsx_is_one(read):
    """It is stored as a number with a formula."""
    body = row_of_cells(("value-type='float' value='1' formula='of:=TRUE()'", "TRUE"), ("value-type='float' value='1'", "1"))
    assert read(odf("spreadsheet", body), "application/zip") == "## Sheet: One\n\n| TRUE | 1 |\n| --- | --- |\n"


ROUNDED = [
    ("percentage", "0.1249", "", "12%", "12.49%"), ("percentage", "0.0004", "", "0%", "0.04%"), ("percentage", "-0.03", "", "-3,0 % p.a.", "-3 % p.a."), ("percentage", "0.5", "", "half", "50%"),
    ("currency", "1234.567", "", "$1,235", "$1234.567"), ("currency", "1234567.891", "EUR", "1.234.567,89 €", "1234567.891 €"), ("currency", "-3.254", "", "($3.25)", "-$3.254"),
    ("currency", "-3.254", "USD", "$3.25", "-3.254 USD"), ("currency", "1234567", "USD", "$1.2M", "1234567 USD"), ("currency", "999.96", "", "$1,000", "$999.96"), ("currency", "0", "USD", "$ -", "0 USD"),
    ("float", "1231.254", "", "$1,231.25", "$1231.254"), ("float", "5.04", "", "5 kg", "5.04 kg"), ("float", "1500000", "", "1.5 M", "1500000"), ("float", "0.5", "", "1/2", "0.5"), ("float", "12345.6", "", "1.23E+04", "12345.6"),
    ("float", "0", "", "-", "0"), ("float", "0", "", "none", "0"), ("float", "INF", "", "555", "555"), ("float", "NaN", "", "n/a", "n/a"), ("float", "x", "", "5 kg", "5 kg"), ("date", "2024-01-02T00:00:00.000Z", "", "1/2/24", "2024-01-02"), ("date", "2024-01-02T10:30:00.000Z", "", "1/2/24", "2024-01-02 10:30:00"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "raw", "currency", "shown", "value"), ROUNDED, ids=[value for *_, value in ROUNDED])
def test_a_number_of_an_ods_is_read_in_full_with_what_is_shown_around_it(read, kind, raw, currency, shown, value):
    """As of an xlsx; not where another number is shown, as in millions, or a negative one without a minus."""
    body = row_of_cells((f"value-type='{kind}' {'date-' * (kind == 'date')}value='{raw}' currency='{currency}'", shown))
    assert read(odf("spreadsheet", body), "application/zip") == f"## Sheet: One\n\n| {value} |\n| --- |\n"


def test_a_chart_of_libreoffice_is_read_below_its_sheet_and_on_its_slide(read):
    """Its frame has an empty paragraph in it, which was taken for the chart."""
    frame = '<draw:frame><draw:object xlink:href="./Object 1"><loext:p xmlns:loext="urn:loext"/></draw:object><draw:image/></draw:frame>'
    chart = odf("chart", "<text:p>Sales</text:p><table:table><table:table-row><table:table-cell/>" + 2 * "<table:table-cell><text:p>Q1</text:p></table:table-cell>" + "</table:table-row></table:table>")
    with zipfile.ZipFile(io.BytesIO(chart)) as made:
        parts = {"Object 1/content.xml": made.read("content.xml").decode()}
    sheet = row_of_cells(("value-type='string'", "a"), ("value-type='string'", "b")).replace("<text:p>", f"{frame}<text:p>", 1)
    found = "Sales\n\n|  | Q1 | Q1 |\n| --- | --- | --- |\n"
    assert read(odf("spreadsheet", sheet, **parts), "application/zip") == f"## Sheet: One\n\n| a | b |\n| --- | --- |\n\n{found}"
    assert read(odf("presentation", f"<draw:page>{frame}</draw:page>", **parts), "application/zip") == f"## Slide 1\n\n{found}"


def test_an_empty_point_of_a_chart_of_libreoffice_is_empty(read):
    """It has no words for one but `NaN`, and older ones `1.#NAN`."""
    row = row_of_cells(*((f"value-type='float' value='{value}'", value) for value in ("NaN", "7", "1.#NAN", "INF", "8")))
    with zipfile.ZipFile(io.BytesIO(odf("chart", row))) as made:
        parts = {"Object 1/content.xml": made.read("content.xml").decode()}
    page = '<draw:page><draw:frame><draw:object xlink:href="./Object 1"/></draw:frame></draw:page>'
    assert read(odf("presentation", page, **parts), "application/zip") == "## Slide 1\n\n|  | 7 |  |  | 8 |\n| --- | --- | --- | --- | --- |\n"


def test_words_that_stand_for_what_programs_put_in_are_not_read(read):
    """Calc writes `???` for the name of the sheet, and Impress `<number>` into the notes."""
    header = "<text:p><text:sheet-name>???</text:sheet-name> (<text:title>???</text:title>) <text:date>00/00/0000</text:date>, <text:time>00:00:00</text:time></text:p>"
    mine = "<text:p><text:title>Budget</text:title> <text:sheet-name>???</text:sheet-name></text:p>"
    masters = f"<style:master-page><style:header>{header}</style:header><style:footer>{mine}</style:footer></style:master-page>"
    assert read(odf("spreadsheet", row_of_cells(("value-type='string'", "a")), masters=masters), "application/zip") == "## Sheet: One\n\n| a |\n| --- |\n\nFooter: Budget\n"
    frame = '<draw:frame presentation:class="{}"><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>'.format
    notes = f"<presentation:notes>{frame('notes', 'Speak up')}{frame('page-number', '&lt;number>')}{frame('header', 'ACME')}</presentation:notes>"
    assert read(odf("presentation", f"<draw:page>{notes}</draw:page>"), "application/zip") == "## Slide 1\n\nNotes: Speak up\n"


def test_the_first_rows_of_an_ods_of_any_length_are_read(read):
    """A file of half a megabyte, whose XML is far larger, was refused as needing too much memory."""
    cell = f'<table:table-cell office:value-type="float" office:value="7" table:style-name="{"long" * 1000}"><text:p>7</text:p></table:table-cell>'
    row = f"<table:table-row>{cell}</table:table-row>"
    empty = '<table:table-row table:number-rows-repeated="9"><table:table-cell table:number-columns-repeated="1024"/></table:table-row>'
    group = f"<table:table-row-group>{empty}{row * 4}{empty}</table:table-row-group>"
    sheets = f'<table:table table:name="One">{row * 18_000}{group}</table:table><table:table table:name="Two">{empty}{row}</table:table>'
    text = read(odf("spreadsheet", sheets), "application/zip")
    assert text.startswith("## Sheet: One (rows 1–1000 of 18013)\n\n| 7 |\n")  # noqa: RUF001 - a range has a dash
    assert text.endswith("| 7 |\n\n## Sheet: Two\n\n| 7 |\n| --- |\n")
    assert text.count("\n| 7 |") == 1001


def test_a_comment_on_a_date_or_number_is_read(read):
    note = "<office:annotation><dc:creator>Ada</dc:creator><text:p>moved</text:p></office:annotation>"
    cells = [f'<table:table-cell office:value-type="{kind}" office:{kind.replace("float", "")}{"-" * (kind == "date")}value="{value}">{note}<text:p>x</text:p></table:table-cell>'
             for kind, value in (("date", "2024-01-02"), ("float", "0.125"))]  # fmt: skip
    body = f'<table:table table:name="One"><table:table-row>{"".join(cells)}</table:table-row></table:table>'
    assert read(odf("spreadsheet", body), "application/zip") == (
        "## Sheet: One\n\n| 2024-01-02[^comment-0] | 0.125[^comment-1] |\n| --- | --- |\n\n[^comment-0]: Ada: moved\n[^comment-1]: Ada: moved\n"
    )


def test_an_odp_is_read_slide_by_slide(read):
    frame = '<draw:frame presentation:class="{}"><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>'
    notes = f"<presentation:notes>{frame.format('notes', 'Speak up')}</presentation:notes>"
    body = f"<draw:page>{frame.format('title', 'Aims')}{frame.format('outline', 'more')}{notes}</draw:page>"
    assert read(odf("presentation", body), "application/zip") == "## Slide 1: Aims\n\nmore\n\nNotes: Speak up\n"


# The others


def test_a_book_is_read_in_its_order(read):
    book = epub("<h1>Two</h1><p>The end&hellip;</p>", "<h1>One</h1>")
    assert read(book, "application/epub+zip") == "Title: A book\n\nAuthor: Ada\n\n# One\n\n# Two\n\nThe end…\n"


@pytest.mark.parametrize(("member", "locked"), [("OPS/c%201.xhtml", True), ("OPS/fonts/serif.otf", False)])
def test_a_book_whose_chapters_are_encrypted_is_refused(read, member, locked):
    """By any shop; fonts are mixed up in many books that everybody can read."""
    entry = f'<EncryptedData><CipherData><CipherReference URI="{member}"/></CipherData></EncryptedData>'
    book = epub("\x8f\x11", "<h1>One</h1>", **{"META-INF__encryption.xml": f"<encryption>{entry}</encryption>"})
    if locked:
        with pytest.raises(reading.Unreadable, match="protected by a password"):
            read(book, "application/epub+zip")
    else:
        assert "# One" in read(book, "application/epub+zip")


RTF = rb"""{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}{\f1\fcharset204 Arial;}}{\stylesheet{\s1\b\f0 heading 1;}}{\info{\title no}}
{\header ACME\par}\pard\s1 Plan\par\pard{\listtext 1.\tab}dig \u8364?5\par\pard caf\'e9 {\f1 \'cf\'f0\'e8} {\field{\*\fldinst HYPERLINK "https://example.org"}{\fldrslt site}}{\footnote Small print}\par
\trowd\intbl Name\cell Sum\cell\row\intbl Ada\cell 7\cell\row\pard{\v hidden}{\*\unknown no}\bin3 {}x \*\cs7 end\u-10179?\u-8704?\par}"""


def test_an_rtf_is_read_in_the_charsets_of_its_fonts(read):
    assert read(RTF, "text/rtf") == (
        "Header: ACME\n\n# Plan\n\n1. dig €5\n\ncafé При [site](https://example.org)[^1]\n\n| Name | Sum |\n| --- | --- |\n| Ada | 7 |\n\n end😀\n\n"
        "[^1]: Small print\n".replace("\n end", "\nend")
    )


def test_an_rtf_is_read_in_every_charset_that_fonts_may_have(read):
    """One in Traditional Chinese was refused as damaged: its codec was looked for behind the seal."""
    words = {"cp950": "\u4e2d", "gb18030": "\u4e2d", "cp932": "\u65e5", "cp949": "\ud55c"}
    words |= {"cp1251": "\u0436", "cp1253": "\u03c9", "cp1255": "\u05d0", "cp1256": "\u0628", "cp874": "\u0e01"}
    fonts = "".join(f"{{\\f{number}\\fcharset{number} X;}}" for number in controls.CHARSETS)
    body = "".join(f"\\f{number} " + "".join(f"\\'{byte:02x}" for byte in words.get(codec, "\xe9").encode(codec)) for number, codec in controls.CHARSETS.items())
    text = "".join(words.get(codec, "\xe9") for codec in controls.CHARSETS.values())
    assert read(f"{{\\rtf1\\ansi{{\\fonttbl{fonts}}}{body}}}", "text/rtf") == f"{text}\n"


def test_what_an_rtf_hides_or_replaces_ends_where_it_says(read):
    """`\\plain` ends all formatting, and the end of a group what stands there for older programs."""
    assert read(rb"{\rtf1 a\v b\plain c {\u8217}text {\u8217\'92}s\par}", "text/rtf") == "ac ’text ’s\n"  # noqa: RUF001 - as it is typeset


def test_an_rtf_in_utf8_is_read(read):
    assert read(rb"{\rtf1\ansi\ansicpg65001 Gr\'c3\'bc\'c3\'9fe\par}", "text/rtf") == "Grüße\n"


def test_merged_cells_of_an_rtf_keep_what_follows_under_its_heading(read):
    """The file says where each cell ends, and no more; ends that nobody sees apart are one."""
    heads = rb"\trowd\cellx2000\cellx6000\cellx8000\intbl Region\cell 2023\cell 2024\cell\row"
    sums = rb"\trowd\cellx2012\cellx4000\cellx6000\cellx8000\intbl East\cell 10\cell 20\cell 30\cell\row West\cell 11\cell 21\cell 31\cell\row"
    total = rb"\trowd\trleft4000\cellx6000\cellx8000\intbl 41\cell 61\cell {\*\nesttableprops\trowd\cellx500}\row"
    assert read(rb"{\rtf1\pard" + heads + sums + total + rb"\pard end\par}", "text/rtf") == (
        "| Region | 2023 |  | 2024 |\n| --- | --- | --- | --- |\n| East | 10 | 20 | 30 |\n| West | 11 | 21 | 31 |\n|  |  | 41 | 61 |\n\nend\n"
    )


@pytest.mark.parametrize("ends", [b"", rb"\cellx900\cellx900\cellx100"])
def test_cells_of_an_rtf_that_says_nothing_true_of_their_ends_follow_each_other(read, ends):
    rows = rb"\trowd" + ends + rb"\intbl a\cell b\cell c\cell d\cell\row 1\cell\cell 3\cell\row"
    assert read(rb"{\rtf1\pard" + rows + rb"\pard end\par}", "text/rtf") == "| a | b | c | d |\n| --- | --- | --- | --- |\n| 1 |  | 3 |  |\n\nend\n"


NOTEBOOK = """{"nbformat": 4, "metadata": {"kernelspec": {"language": "python"}}, "cells": [
{"cell_type": "markdown", "source": ["# Hi\\n", "there"]},
{"cell_type": "code", "source": "1 + 1", "outputs": [{"output_type": "execute_result", "data": {"text/plain": ["2"], "text/html": "<b>2</b>"}},
{"output_type": "error", "traceback": ["\\u001b[31mOops\\u001b[0m"]}, {"output_type": "display_data", "data": {"image/png": "AAAA"}}]}]}"""


@pytest.mark.parametrize("kind", ["application/json", "application/x-ipynb+json", "application/octet-stream"])
def test_a_notebook_is_read_with_its_outputs(read, kind):
    assert read(NOTEBOOK, kind) == (
        "# Hi\nthere\n\n```python\n1 + 1\n```\n\nOutput:\n\n```\n2\n```\n\nOutput:\n\n```\nOops\n```\n\nOutput:\n\n```\n[image/png]\n```\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"properties": {"nbformat": {"type": "integer"}, "cells": {"type": "array"}}}\n',
        '{"books": [{"nbformat": 4, "cells": []}]}\n',
        '{"nbformat": 4, "cells": [',
    ],
    ids=["schema", "list", "cut"],
)
def test_json_that_speaks_of_notebooks_is_a_text(read, text):
    assert read(text, "application/json") == text


MAIL = """From: =?utf-8?q?J=C3=B6rg?= <j@example.org>
To: ada@example.org
Subject: =?windows-1251?B?z/Do4uXy?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=koi8-r
Content-Transfer-Encoding: base64

8NLJ18XU
--a
Content-Type: text/html

<p>never</p>
--a--
--b
Content-Type: application/pdf; name="plan.pdf"
Content-Disposition: attachment; filename="plan.pdf"
Content-Transfer-Encoding: base64

JVBERg==
--b--
"""


def test_a_message_is_read_and_its_attachments_named(read):
    assert read(MAIL, "message/rfc822") == (
        "From: Jörg <j@example.org>\nTo: ada@example.org\nSubject: Привет\n\nПривет\n\nAttachments:\n\n- plan.pdf (application/pdf, 4 bytes)\n"  # noqa: RUF001 - Cyrillic is what is read
    )


def test_a_message_in_html_alone_is_read_as_a_page(read):
    mail = "Subject: hi\nContent-Type: text/html; charset=utf-8\n\n<h1>Hello</h1><p>you</p>"
    assert read(mail, "message/rfc822") == "Subject: hi\n\n# Hello\n\nyou\n"


def test_a_notebook_or_json_that_speaks_of_pdf_is_none(read):
    """Its head within the first 1,024 bytes had them refused as damaged."""
    book = NOTEBOOK.replace("# Hi", "%PDF-1.7")
    assert read("\ufeff" + book, "application/json").startswith("%PDF-1.7\nthere\n\n```python")
    words = '{"magic": "%PDF-1.7", "kind": "pdf"}\n'
    assert read(words, "application/json") == words


def multipart(kind, *parts):
    """A part of a message that is made of others."""
    boundary = f"b{len(''.join(parts))}"
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n" + "".join(f"--{boundary}\n{part}\n" for part in parts) + f"--{boundary}--\n"


def mail(part, subject="hi"):
    return f"Subject: {subject}\nMIME-Version: 1.0\n{part}"


PLAIN = "Content-Type: text/plain\n\n{}"
WEB = "Content-Type: text/html\n\n<p>{}</p>"
LOGO = "Content-Type: image/png; name=logo.png\nContent-ID: <l>\n\nPNG"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (multipart("mixed", WEB.format("The contract"), PLAIN.format("-- the list")), "The contract\n\n-- the list\n"),
        (multipart("mixed", PLAIN.format("before"), LOGO, PLAIN.format("after")), "before\n\nafter\n\nAttachments:\n\n- logo.png (image/png, 3 bytes)\n"),
        (multipart("alternative", PLAIN.format(" "), multipart("related", WEB.format("rich"), LOGO)), "rich\n\nAttachments:\n\n- logo.png (image/png, 3 bytes)\n"),
        (multipart("alternative", WEB.format("rich"), PLAIN.format("plain")), "plain\n"),
        (multipart("alternative", "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\n", WEB.format("come")), "come\n\nBEGIN:VCALENDAR\n"),
        (multipart("mixed", PLAIN.format("see"), PLAIN.format("log line").replace("plain", "plain; name=a.log")), "see\n\nlog line\n"),
        (multipart("mixed", PLAIN.format("see"), "Content-Disposition: attachment; filename=a.log\n" + PLAIN.format("log line")), "see\n\nAttachments:\n\n- a.log (text/plain, 8 bytes)\n"),
        (multipart("mixed", "Content-Disposition: inline\n" + WEB.format("hello").replace("html", "html; name=body.html"), LOGO), "hello\n\nAttachments:\n\n- logo.png (image/png, 3 bytes)\n"),
        (multipart("mixed", PLAIN.format("scanned"), "Content-Type: application/pdf\n\n%PDF"), "scanned\n\nAttachments:\n\n- unnamed (application/pdf, 4 bytes)\n"),
        (multipart("alternative", PLAIN.format("come"), "Content-Type: text/calendar; name=invite.ics\n\nBEGIN"), "come\n\nBEGIN\n"),
        ("Content-Type: text/calendar\n\nBEGIN:VCALENDAR\n", "BEGIN:VCALENDAR\n"),
        ("Content-Type: multipart/mixed\n\nno boundary\n", "no boundary\n"),
    ],
    ids=["footer of a list", "around a picture", "empty plain form", "two forms", "calendar and page", "named text", "attached text", "named body", "without a name", "named form", "calendar", "no parts"],
)  # fmt: skip
def test_every_text_of_a_message_is_read_and_of_its_forms_one(read, body, words):
    assert read(mail(body), "message/rfc822") == f"Subject: hi\n\n{words}"


def test_messages_within_a_message_are_read_with_their_own_attachments(read):
    pdf = "Content-Type: application/pdf; name={}.pdf\n\n%PDF"
    order = mail(multipart("mixed", PLAIN.format("ten boxes"), pdf.format("inner")), "order")
    part = "Content-Type: message/rfc822\nContent-Disposition: attachment; filename=order.eml\n\n"
    text = read(mail(multipart("mixed", PLAIN.format("see below"), part + order, pdf.format("outer"))), "message/rfc822")
    assert text == (
        "Subject: hi\n\nsee below\n\nAttachments:\n\n- outer.pdf (application/pdf, 4 bytes)\n\n"
        "Forwarded message:\n\nSubject: order\n\nten boxes\n\nAttachments:\n\n- inner.pdf (application/pdf, 4 bytes)\n"
    )
    digest = multipart("digest", *(f"\n{mail(PLAIN.format(word), word)}" for word in ("one", "two")))
    assert read(mail(digest), "message/rfc822") == (
        "Subject: hi\n\nForwarded message:\n\nSubject: one\n\none\n\nForwarded message:\n\nSubject: two\n\ntwo\n"
    )


@pytest.mark.parametrize(("coding", "encode"), [("BASE64", base64.encodebytes), ("quoted-printable", quopri.encodestring), ("base64", bytes)])
def test_a_message_within_a_message_that_is_encoded_is_read(read, coding, encode):
    """No program may encode one; some do, and some only say so."""
    order = mail(multipart("mixed", PLAIN.format("Größe = 10, " + "long " * 20), LOGO), "order").encode()
    part = f"Content-Type: message/rfc822\nContent-Transfer-Encoding: {coding}\n\n{encode(order).decode()}"
    text = read(mail(multipart("mixed", PLAIN.format("see"), part)), "message/rfc822")
    assert text.startswith("Subject: hi\n\nsee\n\nForwarded message:\n\nSubject: order\n\nGröße = 10, long long")
    assert text.endswith("long\n\nAttachments:\n\n- logo.png (image/png, 3 bytes)\n")


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("To: undisclosed-recipients:; <a@b.example>", "To: undisclosed-recipients:; <a@b.example>"),
        ("From: ada@", "From: ada@"),
        ("From: =?utf-8?q?J=C3=B6rg?= ada@", "From: Jörg ada@"),
    ],
)
def test_a_message_with_an_odd_address_is_read(read, header, shown):
    assert read(f"{header}\nSubject: hi\n\nwords\n", "message/rfc822") == f"{shown}\nSubject: hi\n\nwords\n"


@pytest.mark.parametrize("begin", ["\ufeff", "\n", "\ufeff\r\n\r\n"])
def test_a_message_behind_a_mark_or_empty_lines_is_read(read, begin):
    assert read(f"{begin}Subject: hi\nContent-Transfer-Encoding: base64\n\nd29yZHM=\n", "message/rfc822") == "Subject: hi\n\nwords\n"


@pytest.mark.parametrize(("kind", "codec"), [("text/plain; charset=iso-8859-1", "latin-1"), ("text/plain; charset=koi8-r", "koi8-r"), ("text/plain", "latin-1"), ("text/plain", "utf-8")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_headers_in_another_charset_than_unicode_are_read(read, kind, codec, end):
    """No standard allows them; of `Confer\xeancia` they made a word with a hole."""
    words = "Привет, друзья" if codec == "koi8-r" else "Conferência de imprensa às três"
    message = end.join([f"Subject: {words}", f"Content-Type: {kind}", "Content-Transfer-Encoding: 8bit", "", words, ""])
    assert read(message.encode(codec), "message/rfc822").splitlines() == [f"Subject: {words}", "", words]


def test_a_message_that_says_it_is_ascii_and_is_not_is_read(read):
    message = "Subject: Cron\nContent-Type: text/plain; charset=ANSI_X3.4-1968\nContent-Transfer-Encoding: 8bit\n\nGröße\n"
    assert read(message, "message/rfc822") == "Subject: Cron\n\nGröße\n"


def test_the_pictures_of_a_saved_page_are_no_attachments(read):
    nameless = LOGO.replace("; name=logo.png", "")
    page = multipart("related", WEB.format("Tea"), nameless, nameless, LOGO)
    assert read(mail(page), "message/rfc822") == "Subject: hi\n\nTea\n\nAttachments:\n\n- logo.png (image/png, 3 bytes)\n"


EVENT = """BEGIN:VCALENDAR
METHOD:{}
BEGIN:VTIMEZONE
TZID:Berlin
BEGIN:STANDARD
DTSTART:16010101T030000
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
DESCRIPTION:Please\\njoin. Or dial 555\\, then \\\\1.
DTSTART;TZID="Berlin":20261201T093000
DTEND:20261201T101500Z
RRULE:FREQ=WEEKLY;UNTIL=20270131
SUMMARY;LANGUAGE=en:Review of
  the p
 lan
LOCATION:Room 5\\; 2nd floor
ORGANIZER;CN="Boss: Ltd; B":mailto:boss@example.org
ATTENDEE;PARTSTAT=NEEDS-ACTION;CN=Ada:MAILTO:ada@example.org
ATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.org
BEGIN:VALARM
DESCRIPTION:REMINDER
END:VALARM
END:VEVENT
END:VCALENDAR
"""
INVITED = """{}: Review of the plan
Start: 2026-12-01 09:30:00 Berlin
End: 2026-12-01 10:15:00 UTC
Repeats: FREQ=WEEKLY;UNTIL=2027-01-31
Place: Room 5; 2nd floor
Organizer: Boss: Ltd; B <boss@example.org>
Attendees: Ada <ada@example.org>, bob@example.org (DECLINED)
"""
CALENDAR = "Content-Type: text/calendar; charset=utf-8\n\n{}"
DIAL = "Please\njoin. Or dial 555, then \\1."


@pytest.mark.parametrize(
    ("said", "kind", "method", "title", "more"),
    [
        ("Please join.", "alternative", "REQUEST", "Invitation", f"\n{DIAL}\n"), (f"Hello. {DIAL}", "alternative", "CANCEL", "Cancelled", ""),
        ("see", "mixed", "PUBLISH", "Appointment", f"\n{DIAL}\n"),
    ],
    ids=["invitation", "words that the text has too", "beside a text"],
)  # fmt: skip
def test_an_invitation_tells_what_when_and_where(read, said, kind, method, title, more):
    """Its appointment is no other form of its words, as the page is, and was lost."""
    parts = [PLAIN.format(said), WEB.format("Please join."), CALENDAR.format(EVENT.format(method).replace("\n", "\r\n"))]
    text = read(mail(multipart(kind, *parts[:: 2 if kind == "mixed" else 1])), "message/rfc822")
    assert text == f"Subject: hi\n\n{said}\n\n{INVITED.format(title)}{more}"


def test_an_appointment_of_whole_days_ends_before_the_next(read):
    """And a letter that its program broke in two by a line is whole again."""
    days = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261201\nDTEND;VALUE=DATE:20261203\nSUMMARY:Gr\u00f6\u00dfe\nEND:VEVENT\nEND:VCALENDAR\n"
    message = mail(CALENDAR.format(days)).encode().replace(b"\xc3\xb6", b"\xc3\n \xb6")
    assert read(message, "message/rfc822") == "Subject: hi\n\nAppointment: Größe\nStart: 2026-12-01\nEnd: before 2026-12-03\n"


def test_a_report_of_delivery_tells_whom_a_message_did_not_reach_and_why(read):
    """Python takes it for messages within the message."""
    status = "Content-Type: message/delivery-status\n{}\nReporting-MTA: dns; example.org\n\nFinal-Recipient: rfc822; no@example.org\nAction: failed\nStatus: 5.1.1\n"
    told = "Reporting-MTA: dns; example.org\n\nFinal-Recipient: rfc822; no@example.org\nAction: failed\nStatus: 5.1.1"
    returned = f"Content-Type: message/rfc822\n\n{mail(PLAIN.format('ten boxes'), 'order')}"
    for header in ("", "Content-Disposition: attachment; filename=details.txt\n"):
        text = read(mail(multipart("report", PLAIN.format("Could not deliver."), status.format(header), returned)), "message/rfc822")
        assert text == f"Subject: hi\n\nCould not deliver.\n\n{told}\n\nForwarded message:\n\nSubject: order\n\nten boxes\n"
    read_it = "Content-Type: message/disposition-notification\n\nDisposition: manual-action; displayed\n"
    assert read(mail(multipart("report", PLAIN.format("Read."), read_it)), "message/rfc822") == "Subject: hi\n\nRead.\n\nDisposition: manual-action; displayed\n"


def test_the_frames_of_a_saved_page_are_read_where_they_stand(read):
    """Chromium names them by id, others by place; what nobody sees, or no frame shows, is not read, and no frame twice."""
    part = "Content-Type: text/html\n{}\n\n{}".format
    page = (
        "<p>Tea</p><iframe src='cid:f%40x'>old browser</iframe><p>and</p><table><tr><td>1<td><iframe src=b/c.html></iframe></table>"
        "<iframe style='display: none' src='cid:ad@x'></iframe><iframe src='https://other.example/'></iframe><iframe src='//[x'></iframe>"
    )
    parts = [
        part("Content-Location: https://example.org/a/", page).replace("text/html", "application/xhtml+xml"), part("Content-ID: <f@x>", "<title>Frame</title><p>green</p><iframe src='cid:g@x'></iframe>"),
        part("Content-Location: https://example.org/a/b/c.html", "<p>2</p><iframe src='cid:f@x'></iframe>"), part("Content-ID: <g@x>", "<p>leaves<frame src='https://example.org/a/'>"),
        part("Content-ID: <ad@x>", "buy"), part("Content-ID: <h@x>", "loose"), "Content-Type: text/css\nContent-ID: <s@x>\n\np {}",
    ]  # fmt: skip
    assert read(mail(multipart("related", *parts)), "message/rfc822") == "Subject: hi\n\nTea\n\ngreen\n\nleaves\n\nand\n\n| 1 | 2 |\n| --- | --- |\n"


LABELS = {"iso-8859-8-i": "iso8859_8", "windows-31j": "cp932", "x-sjis": "cp932", "x-gbk": "gbk", "x-euc-jp": "euc_jp", "x-cp1251": "cp1251", "windows-874": "cp874", "utf-7": "utf_7"}
WORDS = {"iso8859_8": "שלום", "cp932": "資料", "gbk": "报告", "euc_jp": "資料", "cp1251": "отчёт", "cp874": "เอกสาร", "utf_7": "Größe"}
LABELS |= {f"iso-8859-{part}": f"iso8859_{part}" for part in (3, 4, 10, 13, 14, 16)}


def test_a_message_is_read_in_every_charset_that_programs_name(read):
    """Its headers too."""
    words = {label: WORDS.get(codec) or bytes(range(0xE0, 0xF0)).decode(codec, "ignore") for label, codec in LABELS.items()}
    part = "Content-Type: text/plain; charset={}\nContent-Transfer-Encoding: base64\n\n{}".format
    parts = [part(label, base64.b64encode(text.encode(LABELS[label])).decode()) for label, text in words.items()]
    subject = f"=?windows-31j?B?{base64.b64encode('資料'.encode('cp932')).decode()}?="
    assert read(mail(multipart("mixed", *parts), subject), "message/rfc822") == "\n\n".join(["Subject: 資料", *words.values()]) + "\n"


def test_a_message_that_names_no_charset_is_read_in_the_one_that_fits(read):
    """The detector reads its tables before the seal is on; each part is guessed for itself."""
    parts = [text.encode(codec) for codec, text in SAMPLES if not codec.startswith("iso2022")]
    expected = [encodings.decode(part.rstrip()).text for part in parts]
    for coding, encode in ((b"8bit", bytes), (b"quoted-printable", quopri.encodestring)):
        body = b"".join(b"--b\nContent-Transfer-Encoding: %s\n\n%s\n" % (coding, encode(part.rstrip())) for part in parts) + b"--b--\n"
        text = read(b"Content-Type: multipart/mixed; boundary=b\n\n" + body, "message/rfc822")
        assert text == "\n\n".join(expected) + "\n"
    assert "Добрый день, высылаю отчёт за прошлый месяц." in text


MACRO = b"Sub AutoOpen()\r\nShell \"calc\"\r\nEnd Sub"


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (docx(paragraph("words")), "word"),
        (pptx(shape("words")), "ppt"),
        (xlsx(("One", '<sheetData><row r="1"><c t="inlineStr"><is><t>words</t></is></c></row></sheetData>')), "xl"),
    ],
    ids=["docm", "pptm", "xlsm"],
)
def test_a_document_with_macros_is_read_without_them(read, document, place):
    file = io.BytesIO(document)
    with zipfile.ZipFile(file, "a") as whole:
        whole.writestr(f"{place}/vbaProject.bin", MACRO)
    text = read(file.getvalue(), "application/octet-stream")
    assert "words" in text
    assert "Auto" not in text


# Hostile documents


PARAGRAPH = "<w:p><w:r><w:t>x</w:t></w:r></w:p>"
ENTITIES = '<!DOCTYPE d [<!ENTITY a {}>]><w:document xmlns:w="urn:w"><w:p><w:r><w:t>&a;</w:t></w:r></w:p></w:document>'


def entity(what):
    return archive({"word/document.xml": ENTITIES.format(what), "[Content_Types].xml": ""})


def repeated(words):
    """A sheet that says it is that cell in every row and column there is."""
    cell = f'<table:table-cell table:number-columns-repeated="17179869184"><text:p>{words}</text:p></table:table-cell>'
    return odf("spreadsheet", f'<table:table><table:table-row table:number-rows-repeated="17179869184">{cell}</table:table-row></table:table>')


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: docx(" " * (65 << 20)), "too much memory"),
        (lambda: docx(PARAGRAPH * 2_000_000), "too much memory"),
        (lambda: entity('"ha"'), "damaged"),
        (lambda: entity('SYSTEM "file:///etc/passwd"'), "damaged"),
        (lambda: docx("<w:tbl><w:tr><w:tc>" * 20_000 + PARAGRAPH + "</w:tc></w:tr></w:tbl>" * 20_000), "nested too deeply"),
        (lambda: repeated("x"), "more than 8 MB"),
        (lambda: b"{\\rtf1" + b"{" * 100_000, "nested too deeply"),
        (lambda: b'{"nbformat": 4, "cells":' + b"[" * 100_000, "nested too deeply"),
        (lambda: docx(PARAGRAPH)[:-40], "damaged"),
        (lambda: epub("", "<svg>" * 200_000 + PARAGRAPH), "nested too deeply"),
        (lambda: docx(""), "no text in it"),
    ],
    ids=["65 MB of spaces", "two million paragraphs", "entity", "file outside", "nested tables", "repeated cells", "nested groups", "nested lists", "cut", "nested drawings", "empty"],
)  # fmt: skip
def test_a_hostile_document_is_one_clean_refusal(read, make, reason):
    with pytest.raises(reading.Unreadable, match=reason):
        read(make(), "application/octet-stream")


MARKED = """<table:table><table:table-row><table:table-cell office:value-type="float" office:value="7"><text:p>{}</text:p>
</table:table-cell></table:table-row></table:table>"""


@pytest.mark.parametrize(
    ("make", "kind", "found"),
    [
        (lambda: "<math><mtext>" + ("x" * 150 + "<!---->") * 50_000 + "</mtext></math>", "html", "x" * 7_500_000),
        (lambda: odf("spreadsheet", MARKED.format("[^" * 200_000)), "application/zip", "| 7 |"),
    ],
    ids=["a word in many pieces", "notes that do not end"],
)
def test_what_is_long_takes_time_by_its_length_only(read, make, kind, found):
    """They took minutes, which no call is given."""
    assert found in read(make(), kind)


def test_a_cell_in_the_last_corner_costs_nothing(read):
    cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    assert read(xlsx(("One", f"<sheetData>{cells}</sheetData>")), "xlsx") == "## Sheet: One\n\n| 1 |  |\n| --- | --- |\n|  | 2 |\n"


def test_a_sheet_of_two_million_cells_is_read_no_further_than_shown(read):
    rows = "".join(f'<row r="{n}">{"<c><v>1</v></c>" * 20}</row>' for n in range(1, 100_001))
    assert "(rows 1–1000 of 100000)" in read(xlsx(("One", f"<sheetData>{rows}</sheetData>")), "xlsx")  # noqa: RUF001 - a range has a dash


def test_elements_without_an_end_that_nobody_sees_cost_little(read):
    assert read("<div hidden>" + "<caption>x" * 200_000 + "</div>words", "html") == "words\n"
    with pytest.raises(reading.Unreadable, match="nested too deeply"):
        read("<div hidden>" * 200_000 + "</p>" * 200_000, "html")


def test_fields_without_an_end_cost_little(read):
    begun = '<w:r><w:fldChar w:fldCharType="begin"/></w:r>' * 80_000
    body = f"<w:p>{begun}{'<w:r><w:t>x</w:t></w:r>' * 80_000}</w:p>{paragraph('words')}"
    assert read(docx(body), "docx") == "words\n"


def test_tables_without_an_end_lose_no_words(read):
    assert read("<table><tr><td>" * 20_000 + "words", "html").strip().endswith("words")


OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def compound(*streams):
    """An OLE2 container with streams of these names, which hold nothing."""
    header = bytearray(OLE2 + bytes(504))
    header[30:32], header[48:52] = (9).to_bytes(2, "little"), (1).to_bytes(4, "little")
    header[76:80] = bytes(4)
    table = b"\xfd\xff\xff\xff" + b"\xfe\xff\xff\xff" * 127
    entries = b""
    for number, name in enumerate(("Root Entry", *streams)):
        raw = name.encode("utf-16-le")
        right = number + 1 if 0 < number < len(streams) else 0xFFFFFFFF
        child = 1 if number == 0 else 0xFFFFFFFF
        links = b"".join(value.to_bytes(4, "little") for value in (0xFFFFFFFF, right, child))
        entries += raw.ljust(64, b"\0") + (len(raw) + 2).to_bytes(2, "little") + b"\x02\x01" + links + bytes(48)
    return bytes(header) + table + entries.ljust(512, b"\0")


@pytest.mark.parametrize(
    ("stream", "advice"),
    [
        ("WordDocument", "Save it as .docx"),
        ("PowerPoint Document", "Save it as .pptx"),
        ("__substg1.0_0037001F", "Save it as .eml"),
        ("EncryptedPackage", "protected by a password"),
    ],
)
def test_what_older_programs_wrote_is_refused_with_advice(read, stream, advice):
    for kind in ("application/x-ole-storage", "application/msword", "application/octet-stream"):
        with pytest.raises(reading.Unreadable, match=advice):
            read(compound(stream), kind)


def test_a_binary_workbook_is_read(read):
    """Made by xlwt: a date, a number, a text, a truth."""
    book = base64.b64decode((Path(__file__).parent / "documents" / "old.xls.b64").read_text())
    assert read(book, "application/vnd.ms-excel") == (
        "## Sheet: Plan\n\n| When | Share |\n| --- | --- |\n| 2024-01-02 | 0.125 |\n| words | TRUE |\n"
    )


def test_short_cells_and_errors_of_a_binary_workbook_are_read(read):
    """SheetJS writes a cell behind another one without its column; calamine passed over it."""
    words = lambda text: len(text).to_bytes(4, "little") + text.encode("utf-16-le")  # noqa: E731
    number = struct.pack("<d", 45293)
    rows = [
        [(6, 1, words("Name")), (17, 0, words("When")), (12, 0, b""), (17, 0, words("Sum")), (17, 0, words("Err"))],
        [(1, 1, b""), (16, 0, number), (15, 0, b"\1"), (13, 0, (7 << 2 | 2).to_bytes(4, "little")), (14, 0, b"\x07")],
        [(5, 1, number), (11, 5, b"\x2a" + bytes(8)), (18, 0, bytes(4))],
        [(3, 2, b"\x17"), (17, 0, words("x" * 70))],
    ]
    assert read(xlsb(rows, ["shared"]), "application/octet-stream") == (
        "## Sheet: Plan\n\n| Name | When |  | Sum | Err |  |\n| --- | --- | --- | --- | --- | --- |\n|  | 2024-01-02 | TRUE | 7 | #DIV/0! |  |\n"
        f"| 45293 |  |  |  | #N/A | shared |\n|  | #REF! | {'x' * 70} |  |  |  |\n"
    )
