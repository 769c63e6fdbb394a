"""PDF files of all kinds, hostile ones too."""

import io
import resource
import zlib
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from lazu.documents import reading

CASES = Path(__file__).parents[1] / "pdf"


class Shown(NamedTuple):
    """How many pages a PDF has, and pictures of the first ones."""

    total: int
    pictures: list


def pictures(path, detail="auto"):
    packed = reading.pages(path, detail)
    total, places = reading.places(io.BytesIO(packed))
    return Shown(total, [packed[start : start + size] for start, size in places])


def read(case, path):
    """Return the text of a case, by its name, or of bytes, which come to `path`."""
    if isinstance(case, str):
        path = CASES / f"{case}.pdf"
    else:
        path.write_bytes(case)
    return reading.text(path, "application/pdf").text


def spent(read, book):
    """Seconds of CPU that the reader takes, and the text."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = read(book)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, text


def image(path, detail="auto", page=0):
    return Image.open(io.BytesIO(pictures(path, detail).pictures[page]))


def stream(data, extra=b""):
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), extra, data)


def pdf(*objects, trailer=b""):
    """Return a PDF of numbered objects, the first of which is the catalogue."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def pages(*contents, box=b"0 0 612 792", extra=b"", trailer=b"", each=()):
    """Return a PDF with one page for each content stream; all of them may use the font /F. `each` has more of each page."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(contents)))
    tree = b"<< /Type /Pages /Count %d /Kids [%s] /MediaBox [%s] /Resources << /Font << /F 3 0 R >> >> >>"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", tree % (len(contents), kids, box), font]
    for number, (content, more) in enumerate(zip(contents, each or [b""] * len(contents), strict=True)):
        objects += [b"<< /Type /Page /Parent 2 0 R /Contents %d 0 R %s >>" % (5 + 2 * number, more), stream(content, extra)]
    return pdf(*objects, trailer=trailer)


def words(line):
    return b"BT /F 24 Tf 72 700 Td (%s) Tj ET" % line.encode("cp1252")


def annotated(content, *annotations, catalogue=b"", more=()):
    """Return a PDF of one page with these annotations; `more` are further objects, numbered from 6."""
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalogue,
        b"<< /Type /Pages /Count 1 /Kids [4 0 R] /MediaBox [0 0 600 800] /Resources << /Font << /F 3 0 R >> >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Annots [%s] >>" % b" ".join(annotations), stream(content), *more,
    )  # fmt: skip

RED = b"1 0 0 rg 0 0 2000 2000 re f"


def bomb(size, times=1):
    """Return a page content of `size` spaces, deflated `times` over."""
    data = b" " * size
    for _ in range(times):
        data = zlib.compress(data, 9)
    return pages(data, extra=b"/Filter [%s]" % (b"/FlateDecode " * times))


def nested(kind):
    """Return a PDF whose page or catalogue holds arrays in arrays, 200,000 deep."""
    deep = b"[" * 200_000 + b"]" * 200_000
    if kind == "content":
        return pages(deep + b" TJ " + words("deep"))
    return pdf(b"<< /Type /Catalog /Pages 2 0 R /Deep %s >>" % deep, b"<< /Type /Pages /Count 0 >>")


def self_drawing():
    """Return a page whose forms draw each other ten times each, twelve deep: 10^12 boxes."""
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >>"
    forms = [stream(b" /X Do" * 10, form % number) for number in range(6, 18)]
    leaf = stream(b"0 0 5 5 re f", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]")
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 1 /Kids [3 0 R] /MediaBox [0 0 99 99] >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /XObject << /X 5 0 R >> >> >>", stream(b"/X Do"),
        *forms, leaf,
    )  # fmt: skip


def hard(number):
    """Return a PDF without text that takes a reader all the CPU time it may have, different for each number."""
    leaf = b"<< /Type /Page /Parent 2 0 R /Contents 3 0 R >>"
    kids = b" ".join(b"%d 0 R" % (4 + page) for page in range(300))
    drawing = b"0 0 m 9 9 l S\n" * 50_000 + b"%% %d" % number
    tree = b"<< /Type /Pages /Count 300 /Kids [%s] /MediaBox [0 0 600 800] >>" % kids
    return pdf(b"<< /Type /Catalog /Pages 2 0 R >>", tree, stream(drawing), *[leaf] * 300)
