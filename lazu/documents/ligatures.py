"""The characters of a page, those written from right to left in the order in which they are read.

PDFium turns such ones round one by one, also those that stand for one glyph, and are in order: of a lam-alef (لا,
"not") it makes an article (ال). It does not turn what stands for letters as `ActualText`, as Chromium writes each.
Runs in the reader process only.
"""

import ctypes
import re
from itertools import groupby
from typing import Any, NamedTuple
from unicodedata import combining, normalize

from lazu.documents.pdfium import direction, raw, utf16

#: Hebrew to Arabic; the words of a form may have spaces between them.
_LEFTWARDS = re.compile("[\u0590-\u08ff][\u0590-\u08ff ]+")

#: What characters that stand for several ones themselves are (U+FEFB: لا): PDFium takes them apart when it has turned.
_FORMS = {normalize("NFKC", chr(form)) for form in range(0xFB1D, 0xFF00)}


class _Glyph(NamedTuple):
    """A glyph: its first place among the characters of the page, and what it stands for."""

    place: int
    letters: str

    def is_word(self) -> bool:
        """Return whether it is part of a word."""
        return all(each.isalpha() or combining(each) for each in self.letters)


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
    places = [raw.FPDFText_GetCharIndexFromTextIndex(content, first + at) for at in range(*run.span())]
    drawn = groupby(zip(places, run[0], strict=True), lambda each: _box(content, each[0]))
    found = ""
    for is_word, word in groupby((_glyph([*each]) for _, each in drawn), _Glyph.is_word):
        glyphs = [*word]
        if is_word and _rightwards(content, glyphs):
            glyphs.reverse()
        found += "".join(glyph.letters for glyph in glyphs)
    return found


def _glyph(drawn: list[tuple[int, str]]) -> _Glyph:
    letters = "".join(letter for _, letter in drawn)
    return _Glyph(drawn[0][0], letters if letters in _FORMS else letters[::-1])


def _rightwards(content: Any, word: list[_Glyph]) -> bool:
    """Return whether the letters of a word come from left to right, whatever marks they bear."""
    bare = [glyph.place for glyph in word if any(map(str.isalpha, glyph.letters))]
    if len(bare) < 2:
        return False
    along, up = direction(content, bare[0])
    first, last = (_at(content, place) for place in (bare[0], bare[-1]))
    if first == last and len(bare) == len(word):  # what stands for one piece of text has one origin
        first, last = (_box(content, place)[::2] for place in (bare[0], bare[-1]))
    return (last[0] - first[0]) * along + (last[1] - first[1]) * up > 0


def _at(content: Any, place: int) -> tuple[float, ...]:
    x, y = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(content, place, x, y)
    return x.value, y.value


def _box(content: Any, place: int) -> tuple[float, ...]:
    """Return where a character is drawn: those of one glyph have the same box."""
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    raw.FPDFText_GetCharBox(content, place, left, right, bottom, top)
    return left.value, right.value, bottom.value, top.value
