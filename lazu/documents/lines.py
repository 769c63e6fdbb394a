"""Where the characters of a page stand: its lines, with the ends that PDFium leaves out, and what a box holds."""

import ctypes
import math
from collections import Counter
from collections.abc import Iterator
from sys import maxunicode
from typing import Any, NamedTuple
from unicodedata import east_asian_width

from lazu.documents import ligatures
from lazu.documents.pdfium import direction, raw, utf16

HYPHEN = "\ufffe"  # what FPDFText_GetText gives for a hyphen and the line end after it, whoever wrote it

#: Of a font's size: how far right of a letter the next line begins at most, if they may be written downwards and if
#: they may not, and how far below or above it at least.
_DOWNWARDS, _ACROSS, _BESIDE = -0.1, 0.5, 0.9

#: Of a letter's height: how far above or below it and how far from its end the next one of its word begins at most.
_NEAR = 0.1

#: The cosine of the angle between two letters of one line at least: more than on a curve of ten letters, less than 45°.
_CURVED = 0.75

#: What it costs to read a letter that is shown upright, running down, upside down, running up: the lines of those that
#: run down come last first, as do the pieces of lines upside down; pieces of those that run up come as they were drawn.
_DISORDER = 0, 4, 4, 1
_ASKED = 32  # letters of a page that tell how it is to be read


def runs(content: Any) -> Iterator[tuple[range, str]]:
    """Give the characters of a text page in runs, each with what belongs behind it: a line end, or nothing.

    Where it takes what stands in a column for text that runs downwards, PDFium leaves line ends out between numbers and
    puts some into words.
    """
    start = 0
    for line, end in _lines(content):
        if _bends(content, line) or _leaps(content, line):
            for place in _breaks(content, line):
                yield range(start, place), "\n"
                start = place
        if not end:
            yield range(start, line.stop), end
            start = line.stop + 1
    yield range(start, raw.FPDFText_CountChars(content)), "\n"


def rotation(content: Any, own: int) -> int:
    """Return the rotation of the page, in quarter turns clockwise, with which most of its characters come in order.

    PDFium sorts pieces of text that are shown at one height from left to right. It is the `own` one if none is better.
    """
    turns = Counter(_turns(content, own))
    costs = [sum(_DISORDER[(each - turn) % 4] * turns[turn] for turn in turns) for each in range(4)]
    return own if costs[own] == min(costs) else costs.index(min(costs))


def _turns(content: Any, own: int) -> Iterator[int]:
    """Give the quarter turns, counterclockwise, of letters all over a page: few, for each costs a look."""
    matrix, count = raw.FS_MATRIX(), raw.FPDFText_CountChars(content)
    for place in range(0, count, count // _ASKED + 1):
        raw.FPDFText_GetMatrix(content, place, matrix)
        along, up = matrix.a, matrix.b
        turn = (0 if along >= 0 else 2) if abs(along) >= abs(up) else (1 if up > 0 else 3)
        if turn == own:
            yield turn
        elif raw.FPDFText_IsGenerated(content, place) != 1:
            yield (turn + 2 * (raw.FPDFText_GetFontSize(content, place) < 0)) % 4


def _lines(content: Any) -> Iterator[tuple[range, str]]:
    """Give the characters between two line ends of PDFium's, each with its own: nothing where that is within a word."""
    count = raw.FPDFText_CountChars(content)
    units = (ctypes.c_ushort * (count + 1))()
    raw.FPDFText_GetText(content, 0, count, units)
    start = 0
    for place, unit in enumerate(units):
        if unit == ord("\n"):
            end = raw.FPDFText_GetCharIndexFromTextIndex(content, place)
            yield range(start, end), "" if _touching(content, end) else "\n"
            start = end + 1
    yield range(start, count), "\n"


def _touching(content: Any, end: int) -> bool:
    """Return whether the letters before and behind a line end stand side by side, with no room for a space."""
    places = max(0, end - 2), end + 1  # a line end is a carriage return too
    if not all(chr(min(raw.FPDFText_GetUnicode(content, place), maxunicode)).isalpha() for place in places):
        return False
    before, behind, x, level, other = raw.FS_RECTF(), raw.FS_RECTF(), *(ctypes.c_double() for _ in range(3))
    raw.FPDFText_GetLooseCharBox(content, places[0], before)
    raw.FPDFText_GetLooseCharBox(content, places[1], behind)
    raw.FPDFText_GetCharOrigin(content, places[0], x, level)
    raw.FPDFText_GetCharOrigin(content, places[1], x, other)
    near = _NEAR * (before.top - before.bottom)
    touches: bool = abs(behind.left - before.right) < near and abs(other.value - level.value) < near
    return touches


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


def _bends(content: Any, line: range) -> bool:
    """Return whether the last letter of a line is turned otherwise than the first one: quick, too."""
    last = next((place for place in reversed(line) if raw.FPDFText_IsGenerated(content, place) != 1), line.start)
    return _apart(direction(content, line.start), direction(content, last))


def _apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] * other[0] + one[1] * other[1] < _CURVED * math.hypot(*one) * math.hypot(*other)


class _Letter(NamedTuple):
    """Where a character stands, its width and height, and in which direction it runs.

    Wide are those that are written downwards.
    """

    x: float
    y: float
    width: float
    height: float
    wide: bool
    along: tuple[float, float]


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
    wide = east_asian_width(chr(min(raw.FPDFText_GetUnicode(content, place), maxunicode))) in "WF"
    along = direction(content, place)
    return _Letter(x.value, y.value, right.value - left.value, top.value - bottom.value, wide, along)


def _wraps(content: Any, place: int, before: _Letter, letter: _Letter) -> bool:
    """Return whether a character begins a line: it is turned otherwise, or lies beside the one before and not ahead.

    Chinese and its like must lie back, for straight below they may be one line, also with turned numbers in it; a
    column of numbers is none.
    """
    if _apart(before.along, letter.along) and not (before.wide or letter.wide):
        return True
    turn = raw.FS_MATRIX()
    raw.FPDFText_GetMatrix(content, place, turn)
    size = abs(raw.FPDFText_GetFontSize(content, place))
    x, y = letter.x - before.x, letter.y - before.y
    most = _DOWNWARDS if before.wide or letter.wide else _ACROSS
    ahead, beside = most * size * (turn.a**2 + turn.b**2), _BESIDE * size * (turn.c**2 + turn.d**2)
    tall = max(each.width * abs(turn.c) + each.height * abs(turn.d) for each in (before, letter))
    wraps: bool = x * turn.a + y * turn.b < ahead and abs(x * turn.c + y * turn.d) > max(beside, tall)
    return wraps


class Letters:
    """The characters of a text page by place, each looked at once; FPDFText_GetBoundedText looks at all each time."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self._outlines: list[tuple[range, str, Any]] = []
        self._middles: dict[range, list[tuple[int, float, float]]] = {}

    def within(self, box: Any) -> str:
        """Return the text of the characters whose middle lies in `box`, by lines."""
        if not self._outlines:
            self._outlines = [(line, end, _outline(self._content, line)) for line, end in _lines(self._content)]
        near = ((self._part(line, box), end) for line, end, outline in self._outlines if _touch(outline, box))
        return "".join(part + end for part, end in near if part).removesuffix("\n")

    def _part(self, line: range, box: Any) -> str:
        if line not in self._middles:
            self._middles[line] = list(_middles(self._content, line))
        left, bottom, right, top = box.left, box.bottom, box.right, box.top
        held = [place for place, x, y in self._middles[line] if left <= x <= right and bottom <= y <= top]
        if not held:
            return ""
        return utf16(ligatures.units(self._content, range(held[0], held[-1] + 1))).replace(HYPHEN, "-")


def _outline(content: Any, line: range) -> Any:
    """Return the box around a line."""
    left, top, right, bottom = (ctypes.c_double() for _ in range(4))
    around = raw.FS_RECTF(float("inf"), float("-inf"), float("-inf"), float("inf"))
    for place in range(raw.FPDFText_CountRects(content, line.start, len(line))):
        raw.FPDFText_GetRect(content, place, left, top, right, bottom)
        around.left, around.right = min(around.left, left.value), max(around.right, right.value)
        around.bottom, around.top = min(around.bottom, bottom.value), max(around.top, top.value)
    return around


def _touch(one: Any, other: Any) -> bool:
    beside: bool = one.left > other.right or one.right < other.left
    return not (beside or one.bottom > other.top or one.top < other.bottom)


def _middles(content: Any, line: range) -> Iterator[tuple[int, float, float]]:
    """Give the characters of a line that PDFium did not make up, and their middles."""
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    for place in line:
        if raw.FPDFText_IsGenerated(content, place) != 1:
            raw.FPDFText_GetCharBox(content, place, left, right, bottom, top)
            yield place, (left.value + right.value) / 2, (bottom.value + top.value) / 2
