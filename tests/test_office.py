"""Office documents and web pages become Markdown, in which everything that was said is there once."""

import pytest

from helpers.office import docx, paragraph, pptx, relations, shape, xlsx
from lazu.documents import reading

TYPES = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@pytest.fixture
def read(tmp_path):
    """A function that reads bytes of a kind (or of a media type) and gives their text."""

    def read(data, kind):
        path = tmp_path / "blob"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return reading.text(path, TYPES.get(kind, kind)).text

    return read


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
        "Header: ACME Ltd\n\nSee [our page](https://example.org/a%20b)[^2][^comment-0]\n\n[^2]: Small print\n[^comment-0]: Ada: Why?\n"
    )


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


def test_the_first_thousand_rows_are_read_and_the_others_counted(read):
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 25_001))
    text = read(xlsx(("Long", f"<sheetData>{rows}</sheetData>")), "xlsx")
    assert text.startswith("## Sheet: Long (rows 1–1000 of 25000)\n\n| 1 |\n| --- |\n| 2 |")  # noqa: RUF001 - a range has a dash
    assert text.endswith("| 1000 |\n")


# Presentations


def test_slides_have_numbers_titles_and_notes(read):
    notes = f"<p:notes XMLNS><p:cSld><p:spTree>{shape('Speak up', 'body')}{shape('7', 'sldNum')}</p:spTree></p:cSld></p:notes>"
    data = pptx(
        shape("Aims", "title") + shape("more\nfaster", "") + shape("ACME", "ftr"),
        shape("A box") + shape("ACME", "ftr"),
        **{"ppt__slides___rels__slide1.xml.rels": relations(("notesSlide", "../n1.xml")), "ppt__n1.xml": notes},
    )
    assert read(data, "pptx") == "## Slide 1: Aims\n\n- more\n- faster\n\nNotes: Speak up\n\n## Slide 2\n\nA box\n\nOn every slide: ACME\n"


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
