"""A stand-in for fonts that a PDF does not bring along. Runs in the reader process only.

PDFium leaves out characters for which it finds no shape, and the sealed process opens no font of the system: Chinese,
Japanese and Korean documents that only name their fonts lost all their words. The stand-in has a box for every
character there is, so it must not come to pages that are shown.
"""

import ctypes
import struct
from typing import Any

from lazu.documents.pdfium import raw

#: Writing systems of which PDFium brings no shapes itself, as Windows numbers them.
_CHARSETS = {
    raw.FXFONT_SHIFTJIS_CHARSET,
    raw.FXFONT_HANGEUL_CHARSET,
    raw.FXFONT_GB2312_CHARSET,
    raw.FXFONT_CHINESEBIG5_CHARSET,
}

#: Any address but NULL: there is one font.
_HANDLE = 1

#: Units of a character's width, and of its height above and below the line.
_EM, _ABOVE, _BELOW = 1000, 880, -120


def stand_in() -> None:
    """Have PDFium take the stand-in from here on; it must be initialised, and has not opened a page yet."""
    raw.FPDF_SetSystemFontInfo(_INFO)


def _font() -> bytes:
    """Return a TrueType font (OpenType 1.9) whose second glyph, a box, is that of each character (`cmap` format 13)."""
    corners = 0, _BELOW, _EM, _ABOVE
    box = struct.pack(">5hHH4B", 1, *corners, 3, 0, 1, 1, 1, 1)
    box += struct.pack(">8h4x", 0, _EM, 0, -_EM, _BELOW, 0, _ABOVE - _BELOW, 0)
    return _file({
        b"cmap": struct.pack(">4HI2H6I", 0, 1, 3, 10, 12, 13, 0, 28, 0, 1, 0x20, 0x10FFFF, 1),
        b"glyf": box,
        b"head": struct.pack(">4I2H16x4h2H3h", 1 << 16, 0, 0, 0x5F0F3CF5, 0, _EM, *corners, 0, 8, 2, 1, 0),
        b"hhea": struct.pack(">I3hH6h8xhH", 1 << 16, _ABOVE, _BELOW, 0, _EM, 0, 0, _EM, 1, 0, 0, 0, 1),
        b"hmtx": struct.pack(">H2h", _EM, 0, 0),
        b"loca": struct.pack(">3I", 0, 0, len(box)),
        b"maxp": struct.pack(">IH26x", 1 << 16, 2),
    })  # fmt: skip


def _file(tables: dict[bytes, bytes]) -> bytes:
    """Tables as a file, behind their directory; each begins at a multiple of 4."""
    head, body = struct.pack(">I4H", 1 << 16, len(tables), 0, 0, 0), b""
    for name, table in tables.items():
        head += struct.pack(">4s3I", name, 0, 12 + 16 * len(tables) + len(body), len(table))
        body += table + bytes(-len(table) % 4)
    return head + body


_FONT = _font()


def _map(_: Any, __: int, ___: int, charset: int, *____: Any) -> int | None:
    """The font for a charset; None where PDFium has its own."""
    return _HANDLE if charset in _CHARSETS else None


def _data(*asked: Any) -> int:
    """Return the size of the font, and copy it into the buffer if that is large enough; of one table alone, 0."""
    table, buffer, size = asked[2:]
    if not table and buffer and size >= len(_FONT):
        ctypes.memmove(buffer, _FONT, len(_FONT))
    return 0 if table else len(_FONT)


def _info() -> Any:
    """Return the calls that PDFium makes, ready before the process is sealed; it keeps a pointer to them."""
    kinds = dict(raw.FPDF_SYSFONTINFO._fields_)
    answers = {
        "MapFont": _map, "GetFontData": _data, "GetFont": lambda *_: None, "GetFaceName": lambda *_: 0,
        "GetFontCharset": lambda *_: raw.FXFONT_DEFAULT_CHARSET, "EnumFonts": lambda *_: None,
        "DeleteFont": lambda *_: None, "Release": lambda *_: None,
    }  # fmt: skip
    return raw.FPDF_SYSFONTINFO(version=2, **{name: kinds[name](answer) for name, answer in answers.items()})


_INFO = _info()
