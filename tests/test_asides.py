"""What stands beside the words of office documents: notes, the targets of links, descriptions of pictures, authors."""

from helpers.office import docx, odf, paragraph, pptx, relations, shape, xlsx

ODT = "application/vnd.oasis.opendocument.text"


# Notes

NOTED = "One[^1] two[^i] three[^2] four[^ii]\n\nSee footnote 2 and endnote ii.\n\n"
SEE = "See footnote 2 and endnote ii."


def noted(*notes):
    """A paragraph of an odt with notes, each as its words, its kind and its citation; ids are counted from 0 for all, as LibreOffice does."""
    note = '{}<text:note text:id="ftn{}" text:note-class="{}"><text:note-citation>{}</text:note-citation><text:note-body><text:p>{} words</text:p></text:note-body></text:note>'.format
    made = (note(words, number, kind, citation, words) for number, (words, kind, citation) in enumerate(notes))
    return f"<text:p>{' '.join(made)}</text:p>"


def referring(*references, section=""):
    """A paragraph of a docx with references to notes, each as its kind, its id and its own mark; `section` ends at it."""
    run = '<w:r><w:{}Reference w:id="{}"{}/>{}</w:r>'.format
    custom = ' w:customMarkFollows="1"'
    runs = (run(kind, number, custom * bool(mark), f"<w:t>{mark}</w:t>" * bool(mark)) for kind, number, mark in references)
    return f"<w:p><w:pPr>{section}</w:pPr>{'<w:r><w:t>x</w:t></w:r>'.join(runs)}</w:p>"


def with_notes(body, settings="", footnotes=9, endnotes=0):
    """A docx whose notes of both kinds have the ids from 2 on, as Word's and LibreOffice's do."""
    parts = {
        f"{kind}s": "".join(f'<w:{kind} w:id="{number}">{paragraph(f"{kind} {number}")}</w:{kind}>' for number in range(2, 2 + count))
        for kind, count in (("footnote", footnotes), ("endnote", endnotes))
    }
    return docx(body, [(kind, f"{kind}.xml") for kind in (*parts, "settings")], settings=settings, **parts)


def test_notes_have_the_numbers_that_the_document_speaks_of(read):
    """None of the formats says the number by the note's id, and each counts foot- and endnotes apart."""
    kinds = ["footnote", "endnote", "footnote", "endnote"]
    marks = [("One", 2), ("two", 2), ("three", 3), ("four", 3)]
    notes = "[^1]: One words\n[^i]: two words\n[^2]: three words\n[^ii]: four words\n"
    body = noted(*zip(("One", "two", "three", "four"), kinds, ("1", "i", "2", "ii"), strict=True))
    assert read(odf("text", f"{body}<text:p>{SEE}</text:p>"), ODT) == NOTED + notes
    note = r"%s{\super\chftn}{\*\footnote%s {\super\chftn} %s words}"
    rich = " ".join(note % (words, r"\ftnalt" * (kind == "endnote"), words) for (words, _), kind in zip(marks, kinds, strict=True))
    assert read(rf"{{\rtf1 {rich}\par {SEE}\par}}", "text/rtf") == NOTED + notes
    runs = "".join(f'<w:r><w:t>{words}</w:t><w:{kind}Reference w:id="{number}"/><w:t> </w:t></w:r>' for (words, number), kind in zip(marks, kinds, strict=True))
    data = with_notes(f"<w:p>{runs}</w:p>{paragraph(SEE)}", footnotes=2, endnotes=2)
    assert read(data, "docx") == NOTED + "[^1]: footnote 2\n[^2]: footnote 3\n[^i]: endnote 2\n[^ii]: endnote 3\n"


def test_notes_of_a_docx_are_counted_as_its_sections_say(read):
    section = "<w:sectPr><w:footnotePr>{}</w:footnotePr><w:sectPrChange><w:sectPr/></w:sectPrChange></w:sectPr>".format
    anew = '<w:numFmt w:val="lowerLetter"/><w:numStart w:val="1"/><w:numRestart w:val="eachSect"/>'
    body = (
        referring(("footnote", 3, ""), ("footnote", 2, ""), section=section(""))
        + referring(("footnote", 4, ""), section=section(anew))
        + referring(("footnote", 5, ""), section=section(anew))
        + section("")
    )
    settings = '<w:footnotePr><w:numFmt w:val="upperRoman"/><w:numStart w:val="4"/></w:footnotePr>'
    assert read(with_notes(body, settings, footnotes=4), "docx") == (
        "[^IV]x[^V]\n\n[^a]\n\n[^a-2]\n\n[^IV]: footnote 3\n[^V]: footnote 2\n[^a]: footnote 4\n[^a-2]: footnote 5\n"
    )


def test_a_note_of_a_docx_keeps_its_own_mark_and_hidden_ones_are_not_counted(read):
    hidden = '<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:footnoteReference w:id="6"/></w:r></w:p>'
    body = hidden + referring(("footnote", 2, "*"), ("footnote", 3, ""), ("footnote", 4, "*"), ("footnote", 5, "[a b]"))
    text = "[^*]x[^1]x[^*-2]x[^a] b]\n\n[^*]: footnote 2\n[^1]: footnote 3\n[^*-2]: footnote 4\n[^a]: footnote 5\n"
    assert read(with_notes(body, footnotes=5), "docx") == text


def test_notes_of_both_kinds_that_have_one_number_are_told_apart(read):
    arabic = '<w:endnotePr><w:numFmt w:val="decimal"/></w:endnotePr>'
    data = with_notes(referring(("footnote", 2, ""), ("endnote", 2, "")), arabic, footnotes=1, endnotes=1)
    assert read(data, "docx") == "[^1]x[^endnote-1]\n\n[^1]: footnote 2\n[^endnote-1]: endnote 2\n"
    body = noted(("One", "footnote", "1"), ("two", "endnote", "1"), ("three", "footnote", "1"), ("four", "footnote", " [†] "))
    assert read(odf("text", body), ODT) == (
        "One[^1] two[^endnote-1] three[^1-2] four[^†]\n\n[^1]: One words\n[^endnote-1]: two words\n[^1-2]: three words\n[^†]: four words\n"
    )


def test_notes_of_an_rtf_are_counted_in_its_form_and_hidden_ones_not(read):
    note = r"a{\footnote\pard\plain words}"
    assert read(rf"{{\rtf1\ftnnauc\sectd\sftnnchi {{\v {note}}}{note}{note}\par}}", "text/rtf") == "a[^*]a[^†]\n\n[^*]: words\n[^†]: words\n"


def test_a_note_below_a_list_is_no_more_of_its_last_item(read):
    """Notes follow each other without an empty line, and so do items."""
    note = '<text:note><text:note-body><text:p>words</text:p></text:note-body></text:note>'
    items = "".join(f"<text:list-item><text:p>{words}</text:p></text:list-item>" for words in ("a", f"b{note}{note}"))
    text = "- a\n- b[^1][^2]\n\n[^1]: words\n[^2]: words\n"
    assert read(odf("text", f"<text:list>{items}</text:list>"), ODT) == text
    label, rich = r"{\listtext\bullet\tab}", r"{\footnote words}"
    assert read(rf"{{\rtf1 {label}a\par {label}b{rich}{rich}\par}}", "text/rtf") == text


# Links


def test_links_lead_to_the_place_that_is_named_apart_from_the_page(read):
    """Office's programs take addresses apart at the `#`."""
    page, place = "https://example.org/edit", "[words](https://example.org/edit#gid=7)"
    cell = '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>words</t></is></c></row></sheetData><hyperlinks><hyperlink ref="A1" r:id="rId1" location="a=1&amp;gid=7"/></hyperlinks>'
    sheet = xlsx(("One", cell), **{"xl__worksheets___rels__sheet1.xml.rels": relations(("hyperlink", page))})
    assert read(sheet, "xlsx") == f"## Sheet: One\n\n| {place.replace('gid', 'a=1&gid')} |\n| --- |\n"
    run = "<w:r><w:t>words</w:t></w:r>"
    link = f'<w:p><w:hyperlink r:id="rId1" w:anchor="gid=7">{run}</w:hyperlink></w:p>'
    assert read(docx(link, [("hyperlink", page)]), "docx") == f"{place}\n"
    assert read(docx(link, [("hyperlink", f"{page}#own")]), "docx") == f"[words]({page}#own)\n"
    rich = rf'{{\rtf1 {{\field{{\*\fldinst{{HYPERLINK "{page}" \\o "a tip" \\l "gid=7"}}}}{{\fldrslt words}}}}\par}}'
    assert read(rich, "text/rtf") == f"{place}\n"


def test_a_field_of_a_docx_that_is_a_link_leads_to_its_target_in_every_form(read):
    simple = '<w:p><w:fldSimple w:instr="{}"><w:r><w:t>words</w:t></w:r></w:fldSimple></w:p>'.format
    instructions = [' HYPERLINK "https://example.org" \\l "sec" ', "hyperlink https://example.org \\t _blank", ' HYPERLINK \\l "sec" ', " REF sec \\h "]
    body = "".join(simple(found.replace('"', "&quot;")) for found in instructions)
    assert read(docx(body), "docx") == "[words](https://example.org#sec)\n\n[words](https://example.org)\n\nwords\n\nwords\n"


# Pictures


def test_pictures_of_a_sheet_are_named_by_their_description(read):
    picture = '<xdr:twoCellAnchor><xdr:pic><xdr:nvPicPr><xdr:cNvPr id="2" name="Picture 1"{}/></xdr:nvPicPr></xdr:pic></xdr:twoCellAnchor>'.format
    described = picture(' descr="Our  logo"')
    both = f'<mc:AlternateContent xmlns:mc="urn:mc"><mc:Choice>{picture(" descr=" + chr(34) + "New" + chr(34))}</mc:Choice><mc:Fallback>{described}</mc:Fallback></mc:AlternateContent>'
    parts = {
        "xl__worksheets___rels__sheet1.xml.rels": relations(("drawing", "../drawings/drawing1.xml")),
        "xl__drawings__drawing1.xml": f'<xdr:wsDr xmlns:xdr="urn:xdr">{described}{picture("")}{both}</xdr:wsDr>',
    }
    assert read(xlsx(("One", "<sheetData/>"), **parts), "xlsx") == "## Sheet: One\n\n[Picture: Our logo]\n\n[Picture: New]\n"


def test_what_a_click_on_a_shape_or_picture_opens_is_read(read):
    click = '<p:cNvPr descr="{}"><a:hlinkClick r:id="{}"/></p:cNvPr>'.format
    shapes = [shape("Our aims", "title"), shape("words"), shape("next slide"), f"<p:pic><p:nvPicPr>{click('Logo', 'rId1')}</p:nvPicPr></p:pic>"]
    clicks = [click("", "rId1"), click("", "rId1"), click("", "rId2"), ""]
    slide = "".join(found.replace("<p:cNvPr/>", added) for found, added in zip(shapes, clicks, strict=True))
    leads = relations(("hyperlink", "https://example.org/a#b"), ("slide", "slide2.xml"))
    assert read(pptx(slide, **{"ppt__slides___rels__slide1.xml.rels": leads}), "pptx") == (
        "## Slide 1: Our aims\n\nhttps://example.org/a#b\n\nwords\n\nhttps://example.org/a#b\n\nnext slide\n\n[[Picture: Logo]](https://example.org/a#b)\n"
    )
    drawn = '<w:p><w:r><w:drawing><wp:docPr xmlns:wp="urn:wp" descr="Logo"><a:hlinkClick xmlns:a="urn:a" r:id="rId1"/></wp:docPr></w:drawing></w:r></w:p>'
    assert read(docx(drawn, [("hyperlink", "https://example.org")]), "docx") == "[[Picture: Logo]](https://example.org)\n"


# Comments


def test_comments_of_a_sheet_and_an_rtf_have_their_authors(read):
    note = '<comment ref="{}" authorId="{}"><text><t>{}</t></text></comment>'.format
    notes = [note("B1", 0, "Eve:\nnet"), note("B2", 1, "gross"), note("B3", 2, "lost"), note("B4", 9, "unsigned")]
    parts = {
        "xl__worksheets___rels__sheet1.xml.rels": relations(("comments", "../comments1.xml"), ("threadedComment", "../threads.xml")),
        "xl__comments1.xml": f"<comments><authors><author>Eve</author><author>Bob</author><author>tc={{1}}</author></authors><commentList>{''.join(notes)}</commentList></comments>",
        "xl__threads.xml": '<ThreadedComments><threadedComment ref="A1" personId="{1}"><text>Why?</text></threadedComment></ThreadedComments>',
        "xl__persons__person.xml": '<personList><person displayName="Ada L." id="{1}"/></personList>',
        "xl___rels__workbook.xml.rels": relations(("worksheet", "worksheets/sheet1.xml"), ("person", "persons/person.xml")),
    }
    assert read(xlsx(("One", "<sheetData/>"), **parts), "xlsx") == (
        "## Sheet: One\n\n- Comment by Ada L. on A1: Why?\n- Comment by Eve on B1: net\n- Comment by Bob on B2: gross\n"
        "- Comment on B3: lost\n- Comment on B4: unsigned\n"
    )
    comment = r"{\*\atnid x}%s\chatn{\*\annotation{\*\atndate 1}\pard\plain %s}"
    signed, unsigned = comment % (r"{\*\atnauthor J\u246?rg}", "Why?"), comment % ("", "So.")
    assert read(rf"{{\rtf1 One{signed} two{unsigned}\par}}", "text/rtf") == "One[^comment-1] two[^comment-2]\n\n[^comment-1]: Jörg: Why?\n[^comment-2]: So.\n"
