"""Line ends that PDFium leaves out, as where it takes a column of numbers for text that runs downwards."""

import ctypes
from collections.abc import Iterator
from typing import Any, NamedTuple

from lazu.documents.pdfium import raw

_LEAST = 0.1, 0.9  # of a font's size: how far the next line begins to the left, and below or above


def runs(content: Any) -> Iterator[range]:
    """Give the characters of a text page in runs, between which a line end belongs."""
    start = 0
    for line in _lines(content):
        if _leaps(content, line):
            for place in _breaks(content, line):
                yield range(start, place)
                start = place
    yield range(start, raw.FPDFText_CountChars(content))


def _lines(content: Any) -> Iterator[range]:
    """Give the characters between two line ends of PDFium's."""
    count = raw.FPDFText_CountChars(content)
    units = (ctypes.c_ushort * (count + 1))()
    raw.FPDFText_GetText(content, 0, count, units)
    start = 0
    for place, unit in enumerate(units):
        if unit == ord("\n"):
            end = raw.FPDFText_GetCharIndexFromTextIndex(content, place)
            yield range(start, end)
            start = end + 1
    yield range(start, count)


def _leaps(content: Any, line: range) -> bool:
    """Return whether two pieces of a line, one behind the other, are not side by side: quick, for most are."""
    count = raw.FPDFText_CountRects(content, line.start, len(line))
    if count < 2:
        return False
    left, top, right, bottom = (ctypes.c_double() for _ in range(4))
    ceiling, floor = float("inf"), float("-inf")
    for place in range(count):
        raw.FPDFText_GetRect(content, place, left, top, right, bottom)
        if bottom.value > ceiling or top.value < floor:
            return True
        ceiling, floor = top.value, bottom.value
    return False


class _Letter(NamedTuple):
    """Where a character stands, and its width and height."""

    x: float
    y: float
    width: float
    height: float


def _breaks(content: Any, line: range) -> Iterator[int]:
    """Give the characters of a line with which the text goes on in another one."""
    before = None
    for place in line:
        if raw.FPDFText_IsGenerated(content, place) == 1:
            continue
        if raw.FPDFText_IsHyphen(content, place) == 1:
            before = None  # PDFium joins what follows, from the next line, to what is before
            continue
        letter = _letter(content, place)
        if before and _wraps(content, place, before, letter):
            yield place
        before = letter


def _letter(content: Any, place: int) -> _Letter:
    x, y, left, right, bottom, top = (ctypes.c_double() for _ in range(6))
    raw.FPDFText_GetCharOrigin(content, place, x, y)
    raw.FPDFText_GetCharBox(content, place, left, right, bottom, top)
    return _Letter(x.value, y.value, right.value - left.value, top.value - bottom.value)


def _wraps(content: Any, place: int, before: _Letter, letter: _Letter) -> bool:
    """Return whether a character begins a line: it lies back, and beside the one before, as its text is turned."""
    turn = raw.FS_MATRIX()
    raw.FPDFText_GetMatrix(content, place, turn)
    size = abs(raw.FPDFText_GetFontSize(content, place))
    x, y = letter.x - before.x, letter.y - before.y
    back, beside = _LEAST[0] * size * (turn.a**2 + turn.b**2), _LEAST[1] * size * (turn.c**2 + turn.d**2)
    tall = max(each.width * abs(turn.c) + each.height * abs(turn.d) for each in (before, letter))
    wraps: bool = x * turn.a + y * turn.b < -back and abs(x * turn.c + y * turn.d) > max(beside, tall)
    return wraps
