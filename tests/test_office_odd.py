"""What a document has in an odd form, or in an odd place, refuses no whole file, and is told."""

import base64
import json
from pathlib import Path

import pytest

from helpers.office import docx, odf, paragraph, pptx, relations, shape, xlsx
from lazu.documents import reading

ODT, NOTEBOOK = "application/vnd.oasis.opendocument.text", "application/x-ipynb+json"

NUMBERED = """<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
{}</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/>{}</w:num>""".format
ITEM = '<w:numPr><w:ilvl w:val="{}"/><w:numId w:val="1"/></w:numPr>'.format


def item(level=0, pattern="", override=""):
    return docx(paragraph("words", ITEM(level)), [("numbering", "numbering.xml")], numbering=NUMBERED(pattern, override))


def numbered(levels):
    style = f'<text:list-style style:name="L">{levels}</text:list-style>'
    return odf("text", '<text:list text:style-name="L"><text:list-item><text:p>words</text:p></text:list-item></text:list>', style)


def row(before="", cell="<w:tcPr/>"):
    return docx(f"<w:tbl><w:tr><w:trPr>{before}</w:trPr><w:tc>{cell}{paragraph('words')}</w:tc></w:tr></w:tbl>")


def numbers(found):
    """Give by a name what each kind of document has a number for, with `found` in its place."""
    start, level = '<w:lvl w:ilvl="0"><w:start w:val="{}"/></w:lvl>'.format, '<w:lvl w:ilvl="{}"/>'.format
    counted = '<text:list-level-style-number style:num-format="1" text:level="1" {}="{}"/>'.format
    auto = f'<a:pPr lvl="0"><a:buAutoNum type="arabicPeriod" startAt="{found}"/></a:pPr>'
    heading = {"cell_type": "heading", "level": found, "source": "words"}
    return {
        "docx, start": (item(pattern=start(found)), "docx"),
        "docx, level": (item(pattern=level(found)), "docx"),
        "docx, override": (item(override=f'<w:lvlOverride w:ilvl="{found}"/>'), "docx"),
        "docx, depth": (item(found), "docx"),
        "docx, restart": (item(pattern=f'<w:lvl w:ilvl="0"><w:lvlRestart w:val="{found}"/></w:lvl>'), "docx"),
        "docx, outline": (docx(paragraph("words", f'<w:outlineLvl w:val="{found}"/>')), "docx"),
        "docx, free columns": (row(f'<w:gridBefore w:val="{found}"/>'), "docx"),
        "docx, columns": (row(cell=f'<w:tcPr><w:gridSpan w:val="{found}"/></w:tcPr>'), "docx"),
        "docx, sign": (docx(paragraph("words") + f'<w:p><w:r><w:sym w:char="{found}" w:font="Symbol"/></w:r></w:p>'), "docx"),
        "docx, notes": (docx(paragraph("words") + f'<w:sectPr><w:footnotePr><w:numStart w:val="{found}"/></w:footnotePr></w:sectPr>'), "docx"),
        "pptx, level": (pptx(shape("words").replace("<a:p>", f'<a:p><a:pPr lvl="{found}"/>')), "pptx"),
        "pptx, start": (pptx(shape("words").replace("<a:p>", f"<a:p>{auto}")), "pptx"),
        "xlsx, row": (xlsx(("A", f'<sheetData><row r="{found}"><c t="str"><v>words</v></c></row></sheetData>')), "xlsx"),
        "xlsx, style": (xlsx(("A", f'<sheetData><row r="1"><c t="str" s="{found}"><v>words</v></c></row></sheetData>')), "xlsx"),
        "xlsx, string": (xlsx(("A", f'<sheetData><row r="1"><c t="s"><v>{found}</v></c><c t="str"><v>words</v></c></row></sheetData>')), "xlsx"),
        "odt, heading": (odf("text", f'<text:h text:outline-level="{found}">words</text:h>'), ODT),
        "odt, blanks": (odf("text", f'<text:p><text:s text:c="{found}"/>words</text:p>'), ODT),
        "odt, level": (numbered(counted("text:level", found).replace(' text:level="1"', "", 1)), ODT),
        "odt, start": (numbered(counted("text:start-value", found)), ODT),
        "odt, levels shown": (numbered(counted("text:display-levels", found)), ODT),
        "html, item": (f'<ol start="{found}"><li value="{found}">words</ol>', "html"),
        "html, cell": (f'<table><tr><td colspan="{found}" rowspan="{found}">words</table>', "html"),
        "ipynb, heading": (json.dumps({"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": [heading]}]}), NOTEBOOK),
    }  # fmt: skip


@pytest.mark.parametrize("name", numbers("1"))
def test_an_odd_number_refuses_no_document(read, name):
    """`²` is a digit to Python and no number, and no number may have 5,000 digits: the whole file was `damaged`."""
    for odd in "²", "9" * 5000, "x", "", "-1":
        assert "words" in read(*numbers(odd)[name]), odd


def test_blanks_around_a_number_do_not_count(read):
    """XML allows them; the number was as if it was not there, or refused the file."""
    assert read(item(" 0 ", '<w:lvl w:ilvl=" 0"><w:start w:val=" 7 "/></w:lvl>'), "docx") == "7. words\n"


OLD = base64.b64decode((Path(__file__).parent / "documents" / "old.xls.b64").read_text())

def protected(begin, before):
    """Return the old workbook with other records in the place of its first 152 bytes: the last of them tells of a password."""
    rest = 152 - len(begin + before) - 4
    locked = begin + before + b"\x2f\0" + rest.to_bytes(2, "little") + b"\1" + bytes(rest - 1)
    return OLD[:512] + locked + OLD[512 + 152 :]


@pytest.mark.parametrize("before", [b"", b"\x86\0\0\0"], ids=["plain", "not to be changed"])
@pytest.mark.parametrize("begin", [OLD[512:532], b"\x09\x08\x08\0\0\5\5\0" + bytes(4)], ids=["Excel 97", "Excel 95"])
def test_a_password_of_a_binary_workbook_is_told(read, begin, before):
    """It was `damaged, or cut short`: calamine tells of a password only if it is given a path."""
    with pytest.raises(reading.Unreadable, match="protected by a password"):
        read(protected(begin, before), "application/vnd.ms-excel")


def test_a_damaged_binary_workbook_has_no_password(read):
    with pytest.raises(reading.Unreadable, match="damaged"):
        read(OLD[:512] + b"\xff" * 512 + OLD[1024:], "application/vnd.ms-excel")


def test_a_binary_workbook_whose_stream_is_in_capitals_is_read(read):
    """Crystal Reports writes it so: it was `neither text nor a document`."""
    odd = OLD.replace("Workbook".encode("utf-16-le"), "WORKBOOK".encode("utf-16-le"))
    assert odd != OLD
    assert "| 2024-01-02 | 0.125 |" in read(odd, "application/octet-stream")


def test_a_diagram_of_a_workbook_is_read(read):
    """Its words were missing, and those of one in a docx or pptx were there."""
    diagram = '<d:dataModel xmlns:d="urn:d" xmlns:a="urn:a"><d:ptLst><d:pt><d:t><a:p><a:r><a:t>Plan first</a:t></a:r></a:p></d:t></d:pt></d:ptLst></d:dataModel>'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    drawing = f'<x:wsDr xmlns:x="urn:x" xmlns:d="urn:d" xmlns:r="{office}"><d:relIds r:dm="rId1"/></x:wsDr>'
    parts = {
        "xl__worksheets___rels__sheet1.xml.rels": relations(("drawing", "../drawings/drawing1.xml")), "xl__drawings__drawing1.xml": drawing,
        "xl__drawings___rels__drawing1.xml.rels": relations(("diagramData", "../diagrams/data1.xml")), "xl__diagrams__data1.xml": diagram,
    }  # fmt: skip
    assert read(xlsx(("A", ""), **parts), "xlsx") == "## Sheet: A\n\n- Plan first\n"


def dropped(letter, how="drop"):
    return paragraph(letter, f'<w:framePr w:dropCap="{how}" w:lines="3"/>')


@pytest.mark.parametrize("how", ["drop", "margin"])
def test_a_dropped_capital_of_a_docx_begins_its_word(read, how):
    """It is a paragraph of its own: `D`, and below it `rop cap.`"""
    assert read(docx(paragraph("Before") + dropped("D", how) + paragraph("rop cap.")), "docx") == "Before\n\nDrop cap.\n"


def test_a_dropped_capital_without_a_paragraph_stays(read):
    table = f"<w:tbl><w:tr><w:tc>{paragraph('cell')}</w:tc></w:tr></w:tbl>"
    assert read(docx(dropped("A") + table + dropped("B")), "docx") == "A\n\n| cell |\n| --- |\n\nB\n"


def behind(master):
    """The parts of a presentation that put its first slide on a layout of this content."""
    return {
        "ppt__slides___rels__slide1.xml.rels": relations(("slideLayout", "../slideLayouts/slideLayout1.xml")),
        "ppt__slideLayouts__slideLayout1.xml": f"<p:sldLayout XMLNS><p:cSld><p:spTree>{master}</p:spTree></p:cSld></p:sldLayout>",
    }


def test_the_number_of_a_slide_on_its_master_is_not_told(read):
    """There it is a stand-in, `<#>`, also in a shape that is no placeholder of it."""
    number = shape("Page ").replace("</a:p>", '<a:fld type="slidenum"><a:t>&lt;#></a:t></a:fld></a:p>')
    assert read(pptx(shape("words"), **behind(number)), "pptx") == "## Slide 1\n\nwords\n"
    assert read(pptx(shape("words"), **behind(number + shape("ACME"))), "pptx").endswith("\n\nOn every slide: ACME\n")


def test_a_date_that_is_typed_on_a_slide_is_told(read):
    """It was left out as if it was that of today, which a field shows."""
    today = shape("", "dt").replace("<a:r><a:t></a:t></a:r>", '<a:fld type="datetime1"><a:t>1/2/2024</a:t></a:fld>')
    assert read(pptx(shape("words") + shape("As of 31 March 2026", "dt")), "pptx").endswith("On every slide: As of 31 March 2026\n")
    assert read(pptx(shape("words") + today), "pptx") == "## Slide 1\n\nwords\n"


FRAME = '<draw:frame {}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>'.format
FOOTER, NUMBER, FILLED = (f'presentation:class="{name}"' for name in ("footer", "page-number", "title"))


def odp(master, shown="true", before="", slide=""):
    style = f'<style:style style:name="d" style:family="drawing-page"><style:drawing-page-properties presentation:display-footer="{shown}"/></style:style>'
    body = f'{before}<draw:page draw:style-name="d" draw:master-page-name="M" {slide}>{FRAME("", "words")}</draw:page>'
    return odf("presentation", body, style, f'<style:master-page style:name="M">{master}</style:master-page><style:master-page style:name="N">{FRAME("", "unused")}</style:master-page>')


def test_what_the_master_of_an_odp_shows_is_told_once(read):
    """Its footer and its own words were missing."""
    kind, master = "application/vnd.oasis.opendocument.presentation", FRAME(FOOTER, "Footer") + FRAME("", "ACME") + FRAME(NUMBER, "1") + FRAME(FILLED, "Click here")
    assert read(odp(master), kind) == "## Slide 1\n\nwords\n\nOn every slide: Footer · ACME\n"
    assert read(odp(master, shown="false"), kind) == "## Slide 1\n\nwords\n\nOn every slide: ACME\n"
    field, said = FRAME(FOOTER, "<presentation:footer/>"), '<presentation:footer-decl presentation:name="f">{}</presentation:footer-decl>'
    own = odp(field, before=said.format("Own"), slide='presentation:use-footer-name="f"')
    assert read(own, kind) == "## Slide 1\n\nwords\n\nOn every slide: Own\n"
