"""What stands on a PDF's page and is no part of it: notes, links, what is filled into forms."""

import re

import pytest

from helpers import documents
from helpers.documents import CASES, annotated, image, pages, stream, words


@pytest.fixture
def read(tmp_path):
    """Return the text of a case, or of bytes."""
    return lambda case: documents.read(case, tmp_path / "blob")


def test_what_is_filled_in_is_read_and_shown_though_it_has_no_appearance(read):
    lines = read("form-without-appearance").splitlines()
    assert {"FILLED VALUE", "Option B"} <= {*lines}
    assert [line for line in lines if line[0:1] in ("[", "(") and "Page" not in line] == ["[x] cb", "(x) r: v1"]
    picture = image(CASES / "form-without-appearance.pdf").convert("L")
    field = picture.crop((230, 207, 400, 240))
    assert min(field.tobytes()) < 80, "the picture has no letters in the field"


def test_notes_and_targets_of_links_are_read(read):
    assert read("note-and-link").splitlines()[1:4] == [
        "Hello plain world", "[Note: Sticky note: please fix]", "[Hello plain world](https://example.org/target)"
    ]  # fmt: skip


def test_a_target_that_stands_on_the_page_is_not_told_twice(read):
    link = b"<< /Type /Annot /Subtype /Link /Rect [70 690 400 730] /A << /S /URI /URI (https://lazu.ai/docs) >> >>"
    assert read(annotated(words("see lazu.ai/docs"), link)).split("]\n")[1].strip() == "see lazu.ai/docs"


def test_many_links_on_a_page_cost_no_more_than_on_many(read):
    """All characters of the page were looked at for each: 4,800 links took 8 s."""
    row = b"BT /F 4 Tf %d %d Td (Entry %d of the names) Tj ET"
    link = b"<< /Type /Annot /Subtype /Link /Rect [%d %d %d %d] /A << /S /URI /URI (https://lazu.ai/%d) >> >>"
    places = [(n % 10 * 60, n // 10 * 5, n) for n in range(3000)]
    links = [link % (x, y - 1, x + 58, y + 3, n) for x, y, n in places]

    def book(count):
        """Return the index on `count` pages."""
        contents = [b" ".join(row % place for place in places[start::count]) for start in range(count)]
        marks = [b"/Annots [%s]" % b" ".join(links[start::count]) for start in range(count)]
        return pages(*contents, box=b"0 0 600 1500", each=marks)

    (many, text), (one, dense) = (documents.spent(read, book(count)) for count in (15, 1))
    assert sorted(re.findall(r"\[.*\]\(.*\)", text)) == sorted(f"[Entry {n} of the names](https://lazu.ai/{n})" for n in range(3000))
    assert dense.count("](https") == 3000
    assert one < 3 * many


@pytest.mark.parametrize("other", ["info@lazu.ai", "lazu.ai/docs", "lazu.ai.example", "mylazu.ai", "x-lazu.ai", "example.org/lazu.ai"])
def test_a_target_is_told_though_it_is_a_part_of_another_address(read, other):
    link = b"<< /Type /Annot /Subtype /Link /Rect [70 690 120 730] /A << /S /URI /URI (https://lazu.ai) >> >>"
    assert "(https://lazu.ai)" in read(annotated(words(f"see {other}"), link))
    for same in ("lazu.ai.", "(https://lazu.ai/)", "lazu.ai, now"):
        assert "](" not in read(annotated(words(f"see {same}"), link))


def test_notes_are_read_though_their_words_stand_on_the_page(read):
    note = b"<< /Type /Annot /Subtype /%s /Rect [72 690 110 715] /Contents (%s) >>"
    page = words("Notes: Nothing else. Page 1 of 10")
    text = read(annotated(page, *(note % (b"Text", said) for said in (b"No", b"1", b"first\rsecond"))))
    assert text.rstrip().split("\n")[2:] == ["[Note: No]", "[Note: 1]", "[Note: first", "second]"]
    assert "1" in read(annotated(page, note % (b"FreeText", b"1"))).rstrip().split("\n")
    assert "Note: 1" in read(annotated(page, note % (b"Highlight", b"1")))
    assert "Note:" not in read(annotated(words("fee"), note % (b"Highlight", b"fee"))), "some programs put the marked words there"


#: A field of a form, filled in, with its looks.
FIELD = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (%s) /V (%s) /F 4 /Rect [200 %d 300 %d] /DA (/F 12 Tf 0 g) /AP << /N %d 0 R >> >>"
FORM = b"/AcroForm << /Fields [%s] /DA (/F 12 Tf 0 g) /DR << /Font << /F 3 0 R >> >> >>"


def filled(fields, shown=True):
    """Return a form of these names and values, which has looks for each, empty ones if not `shown`."""
    page = b" ".join(b"BT /F 12 Tf 72 %d Td (%s) Tj ET" % (705 - 40 * n, name) for n, name in enumerate(fields))
    looks = b"/Type /XObject /Subtype /Form /BBox [0 0 100 20] /Resources << /Font << /F 3 0 R >> >>"
    text = b"/Tx BMC BT /F 12 Tf 2 5 Td (%s) Tj ET EMC" if shown else b"/Tx BMC EMC %% %s"
    widgets = [FIELD % (name, value, 700 - 40 * n, 720 - 40 * n, 6 + n) for n, (name, value) in enumerate(fields.items())]
    streams = [stream(text % value, looks) for value in fields.values()]
    first = 6 + len(fields)
    references = [b"%d 0 R" % number for number in range(first, first + len(fields))]
    return annotated(page, *references, catalogue=FORM % b" ".join(references), more=[*streams, *widgets])


def test_what_is_filled_into_a_form_stands_apart_and_with_its_name(read):
    """All values came in one heap behind all names, two of them as one: `124`."""
    lines = read(filled({b"Room": b"12", b"Floor": b"4", b"Discount": b"", b"Nights": b"7"})).rstrip().split("\n")
    assert lines[1:5] == ["Room", "Floor", "Discount", "Nights"]
    assert lines[5:8] == ["12", "4", "7"]
    assert lines[8:] == ["Room: 12", "Floor: 4", "Nights: 7"]


def test_what_is_filled_in_is_read_though_it_is_a_part_of_other_words(read):
    text = read(filled({b"Page 1 of 10, Nothing": b"No", b"Children": b"1"}, shown=False))
    assert text.rstrip().split("\n")[-2:] == ["Page 1 of 10, Nothing: No", "Children: 1"]


def test_of_a_list_all_chosen_entries_are_read_as_they_are_shown(read):
    field = b"<< /Type /Annot /Subtype /Widget /FT /Ch /Ff %d /T (Languages) /Opt [[(de) (German)] [(fr) (French)] [(nl) (Dutch)]] /V %s"
    field += b" /F 4 /Rect [72 500 200 560] /DA (/F 12 Tf 0 g) >>"
    for flags, value, told in ((2097152, b"[(de) (nl)]", "German, Dutch"), (131072, b"(fr)", "French"), (393216, b"(Welsh)", "Welsh")):
        form = annotated(words("Choose"), b"6 0 R", catalogue=FORM % b"6 0 R", more=[field % (flags, value)])
        assert f"Languages: {told}\n" in read(form)


def test_a_hidden_note_is_not_read(read):
    note = b"<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /F 2 /Contents (draft) >>"
    assert "draft" not in read(annotated(words("shown"), note))


def test_free_text_without_an_appearance_is_read(read):
    assert "أعمق الآمال في التقدم البشري" in read("freetext-no-appearance")


def test_flattening_that_garbles_a_page_is_undone(read):
    text = read("flatten-garbles")
    assert "Ulrike-Gschwandtner-Straße 5" in text
    assert text.count("[ ] ") == 5


def test_attached_files_are_named(read):
    names = b"/Names << /EmbeddedFiles << /Names [(a) << /Type /Filespec /F (sums.csv) /UF (sums.csv) >>] >> >>"
    note = b"<< /Type /Annot /Subtype /FileAttachment /Rect [0 0 9 9] /FS << /Type /Filespec /F (more.xml) /UF (more.xml) >> >>"
    text = read(annotated(words("see below"), note, catalogue=names))
    assert "[Attached file: sums.csv]" in text
    assert "[Attached file: more.xml]" in text
