"""PDF files by PDFium: their text and their pages as pictures. Runs in the reader process only."""

import codecs
import ctypes
import io
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pypdfium2_raw as pdfium

from lazu.documents import encodings, refusals

PAGES = 10_000  # of which the text is read
SHOWN = 20  # pages of which a picture is made
SIDE = 1536  # pixels of a picture's longer side, at most
SCALE = 200 / 72  # pixels a point, at most: a small page is not blown up
QUALITY = 85  # of the JPEG
UTF16 = codecs.lookup("utf-16-le")  # found now: a codec is a file, and the cell opens none
HYPHEN = "\x02"  # what PDFium gives for a hyphen and the line end after it


def mapped(size: int) -> ctypes.Array[ctypes.c_char]:
    """Return standard input, `size` bytes, as memory; it must outlive the document loaded from it."""
    memory = mmap.mmap(0, size, access=mmap.ACCESS_COPY)  # never written to, but ctypes takes no read-only buffer
    return (ctypes.c_char * size).from_buffer(memory)


def load(memory: ctypes.Array[ctypes.c_char]) -> Any:
    """Return the document in `memory`. Raises `refusals.Refused`."""
    pdfium.FPDF_InitLibrary()
    document = pdfium.FPDF_LoadMemDocument64(memory, len(memory), None)
    if not document:
        error = pdfium.FPDF_GetLastError()
        raise refusals.Refused(refusals.LOCKED if error == pdfium.FPDF_ERR_PASSWORD else refusals.BROKEN)
    return document


def text(document: Any) -> Iterator[bytes]:
    """Give the text page by page, each under its heading. Raises `refusals.Refused` if no page has any."""
    count = pdfium.FPDF_GetPageCount(document)
    if count > PAGES:
        raise refusals.Refused(refusals.PAGES)
    bodies = 0
    for number in range(count):
        body = words(document, number)
        bodies += bool(body)
        yield f"[Page {number + 1} of {count}]\n{body or '(no text on this page)'}\n\n".encode()
    if not bodies:
        raise refusals.Refused(refusals.EMPTY)


def words(document: Any, number: int) -> str:
    """Return the text of one page; of one that can't be read, none."""
    with page(document, number) as leaf:
        content = pdfium.FPDFText_LoadPage(leaf) if leaf else None
        if not content:
            return ""
        found = glyphs(content, bounds(leaf))
        pdfium.FPDFText_ClosePage(content)
    return encodings.clean(found.replace("\r", "").replace(HYPHEN, "-\n")).strip()


def bounds(leaf: Any) -> Any:
    """Return the visible part of a page."""
    box = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(leaf, box)
    return box


def glyphs(content: Any, box: Any) -> str:
    """Return the characters inside `box`; FPDFText_GetText would leave out all beyond the 16-bit ones."""
    place = (content, box.left, box.top, box.right, box.bottom)
    count = pdfium.FPDFText_GetBoundedText(*place, None, 0)
    units = (ctypes.c_ushort * max(0, count))()
    pdfium.FPDFText_GetBoundedText(*place, units, count)
    return UTF16.decode(bytes(units), "replace")[0]


def picturer() -> Callable[[Any], Iterator[bytes]]:
    """Return `pictures`, with Pillow imported and ready: afterwards no file can be opened."""
    from PIL import Image, JpegImagePlugin  # 15 ms that the text of a PDF need not wait

    assert JpegImagePlugin

    def pictures(document: Any) -> Iterator[bytes]:
        """Give the number of pages, then a JPEG of each of the first ones, all behind their length."""
        count = pdfium.FPDF_GetPageCount(document)
        yield piece(count.to_bytes(4))
        for number in range(min(count, SHOWN)):
            size, pixels = rendered(document, number)
            file = io.BytesIO()
            Image.frombuffer("RGB", size, pixels, "raw", "BGRX", 0, 1).save(file, "JPEG", quality=QUALITY)
            yield piece(file.getvalue())

    return pictures


def piece(data: bytes) -> bytes:
    """Return `data` behind four bytes that say its length."""
    return len(data).to_bytes(4) + data


def rendered(document: Any, number: int) -> tuple[tuple[int, int], bytes]:
    """Return the width and height of one page in pixels, and its pixels, four bytes each: blue, green, red, unused."""
    with page(document, number) as leaf:
        if not leaf:
            raise refusals.Refused(refusals.BROKEN)
        width, height = extent(leaf)
        sheet = pdfium.FPDFBitmap_CreateEx(width, height, pdfium.FPDFBitmap_BGRx, None, 0)
        if not sheet:
            raise MemoryError
        pdfium.FPDFBitmap_FillRect(sheet, 0, 0, width, height, 0xFFFFFFFF)
        pdfium.FPDF_RenderPageBitmap(sheet, leaf, 0, 0, width, height, 0, pdfium.FPDF_ANNOT)
        pixels = ctypes.string_at(pdfium.FPDFBitmap_GetBuffer(sheet), width * height * 4)
        pdfium.FPDFBitmap_Destroy(sheet)
    return (width, height), pixels


def extent(leaf: Any) -> tuple[int, int]:
    """Return the size of a page's picture in pixels."""
    width, height = pdfium.FPDF_GetPageWidthF(leaf), pdfium.FPDF_GetPageHeightF(leaf)
    scale = min(SCALE, SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


@contextmanager
def page(document: Any, number: int) -> Iterator[Any]:
    """Open a page while the block runs; what comes is false if it can't be read."""
    leaf = pdfium.FPDF_LoadPage(document, number)
    if leaf and pdfium.FPDFPage_GetAnnotCount(leaf):
        leaf = flattened(document, leaf, number)
    try:
        yield leaf
    finally:
        if leaf:
            pdfium.FPDF_ClosePage(leaf)


def flattened(document: Any, leaf: Any, number: int) -> Any:
    """Return the page anew with its notes and form fields as part of it: else what is filled in would be missing."""
    box = bounds(leaf)  # flattening takes a page whose size is its parent's for a Letter page
    pdfium.FPDFPage_SetMediaBox(leaf, box.left, box.bottom, box.right, box.top)
    pdfium.FPDFPage_Flatten(leaf, pdfium.FLAT_NORMALDISPLAY)
    pdfium.FPDF_ClosePage(leaf)
    return pdfium.FPDF_LoadPage(document, number)
