"""Words of office documents are apart where they are, and whole where they are: links, soft hyphens, indents."""

import pytest

from helpers.office import docx, epub, odf, pptx, relations, shape

ODT = "application/vnd.oasis.opendocument.text"
RTF = "application/rtf"
PAGE, OTHER = "https://example.org/a", "https://example.org/b"

WORDS = "<w:r><w:t xml:space='preserve'>{}</w:t></w:r>".format
MARK = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'.format


def field(target, shown):
    """A link of a docx as a field."""
    return f"{MARK('begin')}<w:r><w:instrText> HYPERLINK {target} </w:instrText></w:r>{MARK('separate')}{shown}{MARK('end')}"


def docx_of(parts):
    links = {PAGE: "rId1", OTHER: "rId2"}
    runs = (f'<w:hyperlink r:id="{links[target]}">{WORDS(words)}</w:hyperlink>' if target else WORDS(words) for words, target in parts)
    return docx(f"<w:p>{''.join(runs)}</w:p>", [("hyperlink", PAGE), ("hyperlink", OTHER)])


def docx_fields_of(parts):
    runs = (field(f'"{target}"', WORDS(words)) if target else WORDS(words) for words, target in parts)
    return docx(f"<w:p>{''.join(runs)}</w:p>")


def odt_of(parts):
    link = '<text:a xlink:href="{1}">{0}</text:a>'.format
    words = "".join(link(words, target) if target else words for words, target in parts)
    return odf("text", f"<text:p>{words}</text:p>")


def rtf_of(parts):
    link = r'{{\field{{\*\fldinst HYPERLINK "{1}"}}{{\fldrslt {0}}}}}'.format
    words = "".join(link(words, target) if target else f"{{{words}}}" for words, target in parts)
    return r"{\rtf1 " + words.replace("\xad", r"\u173?") + "}"


def html_of(parts):
    return "<p>" + "".join(f'<a href="{target}">{words}</a>' if target else words for words, target in parts)


def pptx_of(parts):
    link = {PAGE: '<a:rPr><a:hlinkClick r:id="rId1"/></a:rPr>', OTHER: '<a:rPr b="1"><a:hlinkClick r:id="rId2"/></a:rPr>', "": ""}
    runs = "".join(f"<a:r>{link[target]}<a:t>{words}</a:t></a:r>" for words, target in parts)
    return pptx(shape("").replace("<a:r><a:t></a:t></a:r>", runs), **{"ppt__slides___rels__slide1.xml.rels": relations(("hyperlink", PAGE), ("hyperlink", OTHER))})


MAKERS = {"docx": docx_of, "docx by fields": docx_fields_of, ODT: odt_of, RTF: rtf_of, "html": html_of, "pptx": pptx_of}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ([("Click", ""), (" here ", PAGE), ("now", "")], f"Click [here]({PAGE}) now"),
        ([("Terms of ", PAGE), ("Service", OTHER)], f"[Terms of]({PAGE}) [Service]({OTHER})"),
        ([("Empty", ""), (" ", PAGE), ("after", "")], "Empty after"),
        ([("See", ""), (f" {PAGE}", PAGE), (".", "")], f"See {PAGE}."),
    ],
    ids=["blanks at both ends", "two in a row", "a blank alone", "an address"],
)
def test_a_link_stays_apart_from_the_words_beside_it(read, kind, parts, shown):
    assert read(MAKERS[kind](parts), kind.split()[0]) == ("## Slide 1\n\n" if kind == "pptx" else "") + f"{shown}\n"


def test_a_link_of_a_slide_whose_words_differ_in_their_looks_is_one(read):
    parts = [("See ", ""), ("our ", PAGE), ("big", PAGE), (" report", PAGE), (" now", "")]
    assert read(pptx_of(parts), "pptx") == f"## Slide 1\n\nSee [our big report]({PAGE}) now\n"


def test_a_link_by_a_field_of_a_docx_is_one_and_its_address_stands_once(read):
    mail, bare, empty = (field(f'"{target}"', shown) for target, shown in (("mailto:a@b.example", WORDS("a@b.example")), (PAGE, WORDS(PAGE)), (PAGE, "")))
    place, within = field(r'\l "top"', WORDS("Top")), field(f'"{PAGE}"', WORDS("See ") + field(f'"{OTHER}"', WORDS("this")) + WORDS(" too"))
    unshown = WORDS("Look:") + field(f'"{PAGE}"', "").replace(MARK("separate"), "")
    paragraphs = (mail, bare, empty, place, within, unshown)
    assert read(docx("".join(f"<w:p>{runs}</w:p>" for runs in paragraphs)), "docx") == (
        f"a@b.example\n\n{PAGE}\n\n{PAGE}\n\nTop\n\nSee [this]({OTHER}) [too]({PAGE})\n\nLook:{PAGE}\n"
    )


@pytest.mark.parametrize("kind", MAKERS)
def test_soft_hyphens_of_documents_are_dropped(read, kind):
    assert read(MAKERS[kind]([("Donau\xaddampf\xadschiff", "")]), kind.split()[0]).endswith("Donaudampfschiff\n")


def test_soft_hyphens_of_books_and_lists_are_dropped_and_those_of_plain_text_stay(read):
    assert read(epub("<ul><li>Donau&shy;schiff<li>two</ul>"), "application/epub+zip").endswith("- Donauschiff\n- two\n")
    assert read("Donau\xadschiff", "text/plain") == "Donau\xadschiff"


CODE = ["def f(x):", "    if x:", "        return 1", "\treturn 2"]
LONG = "words " * 20


def code_docx(lines):
    return docx("".join(f"<w:p>{WORDS(line)}</w:p>" for line in lines))


def code_odt(lines):
    spaced = (line.replace("    ", '<text:s text:c="4"/>').replace("\t", "<text:tab/>") for line in lines)
    return odf("text", "".join(f"<text:p>{line}\n  </text:p>" for line in spaced))


def code_rtf(lines):
    return r"{\rtf1 " + "".join(rf"{{{line}}}\par" for line in lines).replace("\t", r"\tab ") + "}"


def code_pptx(lines):
    return pptx(shape("\n".join(lines)))


@pytest.mark.parametrize(("kind", "make"), [("docx", code_docx), (ODT, code_odt), (RTF, code_rtf), ("pptx", code_pptx)], ids=["docx", "odt", "rtf", "pptx"])
def test_code_whose_lines_are_paragraphs_keeps_its_depth_and_prose_has_none(read, kind, make):
    lines = [*CODE, " a slip", f"\t{LONG}", f"    {LONG}", "    "]
    told = "\n\n".join([*CODE, "a slip", LONG.strip(), LONG.strip()])
    assert read(make(lines), kind).removeprefix("## Slide 1\n\n") == f"{told}\n"


def test_lines_of_one_paragraph_keep_their_depth(read):
    assert read(code_docx(["    a</w:t><w:br/><w:t xml:space='preserve'>        b", "</w:t><w:br/><w:t xml:space='preserve'>    c"]), "docx") == "    a\n        b\n\n    c\n"


def test_an_indent_makes_no_code_of_headings_items_cells_and_footers(read):
    rows = '<table:table><table:table-row><table:table-cell><text:p><text:s text:c="4"/>cell</text:p></table:table-cell></table:table-row></table:table>'
    body = f'<text:h text:outline-level="1"><text:s text:c="4"/>Head</text:h><text:list><text:list-item><text:p><text:tab/>item</text:p></text:list-item></text:list>{rows}'
    assert read(odf("text", body), ODT) == "# Head\n\n- item\n\n| cell |\n| --- |\n"
    assert read(pptx(shape("    Head", "title") + shape("    item", "body") + shape("    ACME", "ftr")), "pptx") == "## Slide 1: Head\n\n- item\n\nOn every slide: ACME\n"
