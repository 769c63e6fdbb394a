"""One odd number in a document is passed over: its words are read all the same."""

import json

import pytest

from helpers.office import docx, odf, paragraph, pptx, shape, xlsx

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
