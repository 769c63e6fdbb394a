"""Pages of PDF files as pictures. Runs in the reader process only."""

import ctypes
import io
from collections.abc import Callable, Iterator
from typing import Any

from lazu.documents.pdfium import Document, page, raw

SCALE = 200 / 72  # pixels a point, at most: a small page is not blown up
QUALITY = 85  # of the JPEG


def picturer(side: int, shown: int) -> Callable[[Document], Iterator[bytes]]:
    """Return `pictures`, with Pillow imported and ready: afterwards no file can be opened.

    `side` is the most pixels that the longer side of a picture has, `shown` the most pages of which one is made.
    """
    from PIL import Image, JpegImagePlugin  # 15 ms that the text of a PDF need not wait

    assert JpegImagePlugin

    def pictures(document: Document) -> Iterator[bytes]:
        """Give the number of pages, then a JPEG of each of the first ones.

        In place of a page that can't be read stands an empty one.
        """
        count = raw.FPDF_GetPageCount(document.handle)
        yield count.to_bytes(4)
        for number in range(min(count, shown)):
            size, pixels = _rendered(document, number, side)
            file = io.BytesIO()
            if pixels:
                Image.frombuffer("RGB", size, pixels, "raw", "BGRX", 0, 1).save(file, "JPEG", quality=QUALITY)
            yield file.getvalue()

    return pictures


def _rendered(document: Document, number: int, side: int) -> tuple[tuple[int, int], bytes]:
    """Return the width and height of one page in pixels, and its pixels, four bytes each: blue, green, red, unused.

    There are none of a page that can't be read.
    """
    with page(document, number) as leaf:
        if not leaf:
            return (0, 0), b""
        width, height = _extent(leaf, side)
        sheet = raw.FPDFBitmap_CreateEx(width, height, raw.FPDFBitmap_BGRx, None, 0)
        if not sheet:
            raise MemoryError
        place = (sheet, leaf, 0, 0, width, height, 0, raw.FPDF_ANNOT)
        raw.FPDFBitmap_FillRect(sheet, 0, 0, width, height, 0xFFFFFFFF)
        raw.FPDF_RenderPageBitmap(*place)
        if document.form:
            raw.FPDF_FFLDraw(document.form, *place)
        pixels = ctypes.string_at(raw.FPDFBitmap_GetBuffer(sheet), width * height * 4)
        raw.FPDFBitmap_Destroy(sheet)
    return (width, height), pixels


def _extent(leaf: Any, side: int) -> tuple[int, int]:
    """Return the size of a page's picture in pixels."""
    width, height = raw.FPDF_GetPageWidthF(leaf), raw.FPDF_GetPageHeightF(leaf)
    scale = min(SCALE, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
