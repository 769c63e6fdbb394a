"""The characters of a page as they are read where one glyph draws several of them. Runs in the reader process only.

PDFium turns round what is written from right to left character by character, also those that stand for one glyph, in
the order in which they are read: of a lam-alef (لا, "not") it makes an article (ال).
"""

import ctypes
import re
from itertools import groupby
from typing import Any
from unicodedata import normalize

from lazu.documents.pdfium import raw, utf16

#: Hebrew to Arabic; the words of a form may have spaces between them.
_LEFTWARDS = re.compile("[\u0590-\u08ff][\u0590-\u08ff ]+")

#: What characters that stand for several ones themselves are (U+FEFB: لا): PDFium takes them apart when it has turned.
_FORMS = {normalize("NFKC", chr(form)) for form in range(0xFB1D, 0xFF00)}


def units(content: Any, places: range) -> bytes:
    """Return a run of characters as UTF-16. It costs a look at each letter of a text from right to left."""
    buffer = (ctypes.c_ushort * (len(places) + 1))()
    size = raw.FPDFText_GetText(content, places.start, len(places), buffer)
    found = bytes(buffer)[: 2 * max(0, size - 1)]
    if not _LEFTWARDS.search(utf16(found)):
        return found
    first = next(at for place in places if (at := raw.FPDFText_GetTextIndexFromCharIndex(content, place)) >= 0)
    letters = "".join(map(chr, buffer[: size - 1]))  # one a unit, as PDFium counts
    return _LEFTWARDS.sub(lambda run: _read(content, first, run), letters).encode("utf-16-le", "surrogatepass")


def _read(content: Any, first: int, run: re.Match[str]) -> str:
    glyphs = groupby(range(*run.span()), lambda at: _box(content, first + at))
    return "".join(_ordered("".join(run.string[at] for at in glyph)) for _, glyph in glyphs)


def _ordered(letters: str) -> str:
    """Return the letters of a glyph as they are read."""
    return letters if letters in _FORMS else letters[::-1]


def _box(content: Any, at: int) -> tuple[float, ...]:
    """Return where a character of the text is drawn: those of one glyph have the same box."""
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    place = raw.FPDFText_GetCharIndexFromTextIndex(content, at)
    raw.FPDFText_GetCharBox(content, place, left, right, bottom, top)
    return left.value, right.value, bottom.value, top.value
