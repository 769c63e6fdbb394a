"""What a PDF holds beside its pages' own words, and what the ways it can be odd cost: nothing but what is lost."""

import io
import math
import re

import pytest
from PIL import Image

from helpers import documents
from helpers.documents import CASES, annotated, image, pages, pdf, pictures, spent, stream, words
from lazu.documents import reading


@pytest.fixture
def read(tmp_path):
    """Return the text of a case, or of bytes."""
    return lambda case: documents.read(case, tmp_path / "blob")


# Tables


@pytest.mark.parametrize(
    ("case", "cells"),
    [
        ("table-run-together", "Apples 400.01 3 Pears 600.01 5 Plums 800.01 7"),
        ("all-number-table", "200.01 1 400.01 3 600.01 5 800.01 7 1000.01 9 1200.01 11 1400.01 13 1600.01 15"),
        ("pjl-prefix", "Apples 400.01 3 Pears 600.01 5 Plums 800.01 7"),
    ],
)
def test_cells_of_a_table_stay_apart(read, case, cells):
    assert read(case).split("]\n")[1].split() == cells.split()


def test_words_of_a_page_with_few_stay_whole(read):
    """A receipt, printed by Chromium: PDFium ends lines within words (`Cak` `e`, `Car` `d`)."""
    shown = "Cafe Rio No. 4711 Latte 3.50 Bagel 4.20 Tea 2.10 Cake 5.00 Tip 1.00 Total 15.80 Card Thank you"
    assert read("words-in-pieces").split("]\n")[1].split() == shown.split()


CELLS = b"BT /F 12 Tf 72 700 Td (400.01) Tj ET BT /F 12 Tf 330 700 Td (3) Tj ET BT /F 12 Tf 900 700 Td (beside) Tj ET"


def test_cells_stay_apart_where_words_lie_beside_the_page_which_are_not_read(read):
    assert read(pages(CELLS)).split("]\n")[1].split() == ["400.01", "3"]


COLUMN = b"BT /F 12 Tf 72 705 Td (Quantity) Tj ET BT /F 12 Tf 72 665 Td (Price) Tj ET %s"


@pytest.mark.parametrize("turn", [b"", b"0 1 -1 0 792 0 cm ", b"-1 0 0 -1 612 792 cm "], ids=["upright", "turned", "upside down"])
@pytest.mark.parametrize("down", [40, 15])
def test_numbers_below_one_another_stay_apart(read, turn, down):
    """They were `125`: of a page with few words PDFium thinks that it is written downwards."""
    column = COLUMN % b"BT /F 12 Tf 202 705 Td (12) Tj ET BT /F 12 Tf 202 %d Td (5) Tj ET" % (705 - down)
    assert {"12", "5"} <= {*read(pages(turn + column)).split()}


@pytest.mark.parametrize("turn", [b"", b"0 1 -1 0 792 0 cm "], ids=["upright", "turned"])
@pytest.mark.parametrize("column", ["3 10 7 12 9", "Qty 1 5 7", "1 B 2 C 3 D"])
def test_what_stands_straight_below_is_a_line_of_its_own(read, turn, column):
    """Aligned to the right they were `3 107 129`, letters and numbers alone `157` and `1B2C3D`."""
    lines = column.split()
    shown = [b"BT /F 12 Tf %d %d Td (%s) Tj ET" % (200 - 7 * len(s), 700 - 14 * n, s.encode()) for n, s in enumerate(lines)]
    assert read(pages(turn + b" ".join(shown))).split("]\n")[1].split() == lines


def at(x, y, text):
    return b"BT /F 12 Tf %d %d Td (%s) Tj ET " % (x, y, text.encode())


TURNS = b"1 0 0 1 0 0", b"0 1 -1 0 792 0", b"-1 0 0 -1 792 792", b"0 -1 1 0 0 792"
LINES = [f"line {n} of some words" for n in range(5)]
ROWS = [" ".join(f"{row}-{place}" for place in range(3)) for row in range(5, 8)]


def test_lines_come_in_order_however_a_page_and_its_text_are_turned(read):
    """Lines shown running down came last line first; of a row shown upside down its last piece."""
    block = b"".join(at(72, 600 - 14 * n, line) for n, line in enumerate(LINES))
    block += b"".join(at(72 + 100 * x, 500 - 14 * y, piece) for y, row in enumerate(ROWS) for x, piece in enumerate(row.split()))
    contents = [turn + b" cm " + block for turn in TURNS for _ in range(4)]
    rotated = [b"/Rotate %d" % (90 * turn) for _ in range(4) for turn in range(4)]
    text = read(pages(*contents, box=b"0 0 792 792", each=rotated))
    for page in text.strip().split("\n\n"):
        assert page.split("]\n")[1].split() == " ".join([*LINES, *ROWS]).split(), page


def test_lines_of_a_block_come_in_order_though_the_page_around_it_is_upright(read):
    above = b"".join(at(72, 760 - 14 * n, f"body {n}") for n in range(3))
    aside = b"".join(at(72, 400 - 14 * n, line) for n, line in enumerate(LINES))
    text = read(pages(above + TURNS[3] + b" cm " + aside, box=b"0 0 792 792"))
    assert text.split("]\n")[1].split() == " ".join(["body 0 body 1 body 2", *LINES]).split()


OTHERWISE = [b"0 1 -1 0", b"0 -1 1 0", b"-1 0 0 -1", b".7071 .7071 -.7071 .7071"]


@pytest.mark.parametrize("turn", OTHERWISE)
@pytest.mark.parametrize("down", [0, 200])
def test_what_is_turned_otherwise_than_the_words_before_it_is_a_line_of_its_own(read, turn, down):
    """They were `400.0137`."""
    turned = b"BT /F 12 Tf %s %d %d Tm (37 kg) Tj ET" % (turn, 115, 700 - down)
    assert read(pages(at(50, 700, "Total 400.01") + turned)).split("]\n")[1].split() == "Total 400.01 37 kg".split()


def test_letters_along_a_curve_are_one_line(read):
    turns = ((letter, math.radians(28 - 8 * place)) for place, letter in enumerate("Approved"))
    matrix = "BT /F 12 Tf {0:f} {1:f} {2:f} {0:f} {3:f} {4:f} Tm ({5}) Tj ET".format
    placed = (matrix(math.cos(a), math.sin(a), -math.sin(a), 300 - 60 * math.sin(a), 400 + 60 * math.cos(a), c) for c, a in turns)
    assert read(pages(" ".join(placed).encode())).split("]\n")[1].strip().replace(" ", "") == "Approved"


HYPHENS = b"BT /F 12 Tf 14 TL 72 700 Td (more difficult to com\\255) Tj (pile than anti-) ' (inflammatory state-of-) ' (the-art COVID-) ' (19 drugs) ' %s ET"


@pytest.mark.parametrize("beside", [b"", b"828 20 Td (beside the page) Tj"], ids=["whole", "cut"])
def test_a_hyphen_at_the_end_of_a_line_stays(read, beside):
    """They were `antiinflammatory` and `COVID19`. Nothing tells whether a word would have one without the line end."""
    assert read(pages(HYPHENS % beside)).split("]\n")[1].split() == [
        *"more difficult to com- pile than anti- inflammatory state-of- the-art COVID- 19 drugs".split()
    ]  # fmt: skip


def test_a_hyphen_at_the_end_of_a_line_stays_in_what_a_link_lies_on(read):
    link = b"<< /Type /Annot /Subtype /Link /Rect [72 650 400 715] /A << /S /URI /URI (https://lazu.ai) >> >>"
    text = read(annotated(b"BT /F 12 Tf 14 TL 72 700 Td (See anti-) Tj (inflammatory) ' ET", link))
    assert text.split("]\n", 1)[1].rstrip() == "See anti-\ninflammatory\n[See anti-inflammatory](https://lazu.ai)"


FAR = [
    ("SimSun", "GBK-EUC-H", "GB1", "gbk", "鲸鱼唱歌"), ("MingLiU", "ETen-B5-H", "CNS1", "big5", "鯨魚唱歌"),
    ("MS-Mincho", "90ms-RKSJ-H", "Japan1", "cp932", "鯨が歌う"), ("Batang", "KSCms-UHC-H", "Korea1", "cp949", "고래는"),
]  # fmt: skip


@pytest.mark.parametrize(("x", "y"), [(24, 0), (0, 30)], ids=["across", "down"])
@pytest.mark.parametrize(("font", "encoding", "letters", "codec", "text"), FAR, ids=[row[2] for row in FAR])
def test_letters_that_stand_alone_are_read_though_their_font_is_not_there(read, font, encoding, letters, codec, text, x, y):
    """As programs write what they recognised in a scan: each letter is placed by itself, and the font only named."""
    system = f"<< /Registry (Adobe) /Ordering ({letters}) /Supplement 2 >>"
    below = f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{font} /CIDSystemInfo {system} /FontDescriptor 6 0 R >>"
    shown = [f"BT 3 Tr /F 24 Tf {72 + x * n} {700 - y * n} Td <{letter.encode(codec).hex()}> Tj ET" for n, letter in enumerate(text)]
    scan = pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [4 0 R] /MediaBox [0 0 600 800] /Resources << /Font << /F 3 0 R >> >> >>",
        f"<< /Type /Font /Subtype /Type0 /BaseFont /{font} /Encoding /{encoding} /DescendantFonts [{below}] >>".encode(),
        b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R >>",
        stream(" ".join(shown).encode()),
        f"<< /Type /FontDescriptor /FontName /{font} /Flags 4 /FontBBox [0 -200 1000 900] /Ascent 800 /Descent -200 >>".encode(),
    )
    assert read(scan) == f"[Page 1 of 1]\n{text}\n\n"


def test_marks_beside_the_pages_of_a_book_cost_little(read):
    """Each letter was looked at by itself: a book of 350 pages took more than 20 s."""
    line = b"(" + b"The quick brown fox jumps over the lazy dog. " * 2 + b") '"
    page = b"BT /F 9 Tf 12 TL 72 740 Td " + line * 50 + b" ET BT /F 9 Tf %d 10 Td (mark) Tj ET"
    (plain, text), (marked, without) = (spent(read, pages(*[page % x] * 100)) for x in (300, 900))
    assert text.replace("mark\n", "").split() == without.split()
    assert marked < 3 * plain


LINK = b"/Annots [<< /Type /Annot /Subtype /Link /Rect [70 690 200 730] /A << /S /URI /URI (https://lazu.ai) >> >>]"


def spelled(glyph, shown, extra=b""):
    """Return a PDF of one page in which the letter A stands for `glyph`."""
    names = (
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange "
        b"1 beginbfchar <41> <%s> endbfchar endcmap end" % glyph.encode("utf-16-be").hex().encode()
    )
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [4 0 R] /MediaBox [0 0 600 800] /Resources << /Font << /F 3 0 R >> >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R %s >>" % extra, stream(shown), stream(names),
    )  # fmt: skip


@pytest.mark.parametrize("place", [72, 900], ids=["whole", "cut"])
def test_characters_beyond_16_bits_are_read(read, place):
    assert "x\U0001f600" in read(spelled("\U0001f600", at(72, 700, "xA") + at(place, 600, "yA")))


def test_letters_that_a_font_draws_as_one_are_read_in_their_order(read):
    """By WeasyPrint, in Noto Sans Arabic: each "no" was an article, for PDFium turned the letters of its glyph round."""
    assert read("lam-alef").split("]\n")[1].split() == "لا تدفع الفاتورة الآن. السلام عليكم، لأن الإسلام لا يمنع ذلك، ولا بأس.".split()


def test_words_that_chromium_wrote_from_right_to_left_are_read_so(read):
    """Most had their letters the wrong way round: PDFium turns the letters round, but not those of an `ActualText`."""
    assert read("written-leftwards").split("]\n")[1].strip() == "لا تدفع الفاتورة في عام ٢٠٢٦\nقیمت کالا"


@pytest.mark.parametrize("place", [72, 900], ids=["whole", "cut"])
@pytest.mark.parametrize(
    ("glyph", "letters"), [("لا", "لا"), ("\ufefb", "لا"), ("لله", "لله"), ("\ufdf2", "الله"), ("שׁ", "שׁ"), ("\ufb2a", "שׁ")]
)
def test_letters_of_one_glyph_keep_their_order_whether_it_is_named_by_them_or_by_its_own_sign(read, place, glyph, letters):
    text = read(spelled(glyph, at(72, 700, "A") + at(place, 600, "beside"), LINK))
    assert text.split("\n")[1] == letters
    assert f"[{letters}](https://lazu.ai)" in text


# XFA


def xfa(form, rendering=b"true"):
    """Return a PDF that says nothing but "Please wait", and holds an XFA form."""
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R /NeedsRendering %s /AcroForm << /Fields [] /XFA 6 0 R >> >>" % rendering,
        b"<< /Type /Pages /Count 1 /Kids [4 0 R] /MediaBox [0 0 600 800] /Resources << /Font << /F 3 0 R >> >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R >>", stream(words("Please wait...")), stream(form),
    )  # fmt: skip


XFA = b"""<xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/"><template xmlns="http://www.xfa.org/schema/xfa-template/3.3/"><subform>
<draw><value><text>Request for leave</text></value></draw><event><script>var x = 1</script></event>
<field name="who"><caption><value><exData><body xmlns="http://www.w3.org/1999/xhtml">Your <b>name</b></body></exData></value></caption></field>
</subform></template><xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><form><who>Ada</who></form></xfa:data>
</xfa:datasets></xdp:xdp>"""


def test_an_xfa_form_says_what_it_is_and_what_is_filled_in(read):
    title, *lines = read(xfa(XFA)).splitlines()
    assert "XFA form" in title
    assert lines == ["Request for leave", "Your", "name", "who: Ada"]


@pytest.mark.parametrize("form", [b"", b"<xdp:xdp", b'<?xml version="1.0" encoding="IBM037"?>\x4c'], ids=["none", "cut", "odd encoding"])
def test_an_xfa_form_that_says_nothing_is_refused_by_its_name(read, form):
    with pytest.raises(reading.Unreadable, match="XFA form"):
        read(xfa(form))


def test_what_is_filled_into_the_xfa_of_a_readable_form_is_added(read):
    assert "who: Ada" in read(xfa(XFA, b"false").replace(b"Please wait...", b"Adaptor of Ada")).split("\n")
    assert read("xfa-data").split("\n\n") == ["[Page 1 of 1]\nHello plain world", "Name: XFA VALUE"]


# Damage


def test_an_unreadable_page_is_named_and_the_others_are_read(read):
    assert read("one-unreadable-page").split("\n\n")[:2] == [
        "[Page 1 of 2]\nTestcase: \u2019Pages loop\u2019", "[Page 2 of 2]\n(this page could not be read)"
    ]  # fmt: skip
    total, shown = pictures(CASES / "one-unreadable-page.pdf")
    assert (total, [bool(picture) for picture in shown]) == (2, [True, False])


@pytest.mark.parametrize(("case", "texts"), [("images-500-empty-cropbox", ["Hello"]), ("invalid-boxes", ["Empty /MediaBox", "Empty /CropBox", "Empty /CropBox and /MediaBox intersection"])])
def test_a_page_with_an_empty_or_absurd_box_is_read_and_shown_whole(read, case, texts):
    assert [block.split("\n")[1] for block in read(case).strip().split("\n\n")] == texts
    for picture in pictures(CASES / f"{case}.pdf").pictures:
        shown = Image.open(io.BytesIO(picture)).convert("L")
        assert max(shown.size) == 1536
        assert min(shown.tobytes()) < 80, "nothing is shown"


def test_no_pages_are_no_file(read):
    with pytest.raises(reading.Unreadable, match="no pages"):
        read("no-pages")
    with pytest.raises(reading.Unreadable, match="no pages"):
        pictures(CASES / "no-pages.pdf")


@pytest.mark.parametrize("before", [b"\x1b%-12345X@PJL JOB\r\n@PJL ENTER LANGUAGE=PDF\r\n", b"%!PS-Adobe-3.0 ticket\n" + b"<job copies='2'/>\n" * 50, b"\xef\xbb\xbf", bytes(400)])
def test_up_to_1024_bytes_before_a_pdf_make_no_other_file_of_it(read, before):
    assert "inside" in read(before + pages(words("inside")))


@pytest.mark.parametrize(("detail", "side"), [("low", 768), ("auto", 1536), ("high", 2048)])
def test_detail_sets_the_size_of_pictures(detail, side):
    assert max(image(CASES / "table-run-together.pdf", detail).size) == side


def test_every_case_has_text_on_each_page_it_tells_of(read):
    for path in CASES.glob("*.pdf"):
        if path.stem != "no-pages":
            assert re.search(r"\[Page 1 of \d\]\n\S", read(path.stem)), path
