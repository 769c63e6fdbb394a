"""Text of a rich text file that runs on its own, as the body, a header and a note do; and the tables in it.

A row says where its cells end (`cellx`), in twips from the margin, not which columns they reach over: the columns of
a table are what lies between the ends of all its rows.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from lazu.documents import markdown

#: Twips (1/1440 inch) between the ends of two cells of a row at least, and between ends that are not the same: 1 mm.
_NEAR = 57

#: Columns of a table at most; those of a real one have room for a word.
_MAX_COLUMNS = 1000

#: The cells of a row; where the first begins, and each ends.
_Row = tuple[list[str], list[int]]


@dataclass
class Flow:
    """What was read of it: `blocks`, and the parts of the paragraph, the cell, the row and the table that are open."""

    blocks: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    cell: list[str] = field(default_factory=list)
    row: list[str] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)
    label: str = ""
    left: int = 0
    ends: list[int] = field(default_factory=list)

    def take(self) -> str:
        """Return the words of the paragraph, which ends; characters beyond the first 65,536 came as two halves."""
        words, self.words = "".join(self.words), []
        return markdown.paragraph(words.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))

    def end_cell(self) -> None:
        """A cell ends."""
        self.row.append("\n".join(filter(None, [*self.cell, self.label, self.take()])))
        self.cell, self.label = [], ""

    def define(self, word: str, number: int) -> None:
        """A row's definition begins, says where the row begins, or where its next cell ends; it holds until another."""
        if word == "cellx":
            self.ends.append(number)
        else:
            self.left, self.ends = (number, self.ends) if word == "trleft" else (0, [])

    def end_row(self) -> None:
        """A row ends, and its definition is known: it may stand behind the cells too."""
        if self.row:
            self.rows.append((self.row, list(_bounds(self.left, self.ends, len(self.row)))))
            self.row = []

    def end_table(self) -> None:
        """No row follows."""
        self.end_row()
        if self.rows:
            self.blocks.append(markdown.table(_placed(self.rows)))
            self.rows = []


def _bounds(last: int, ends: list[int], count: int) -> Iterator[int]:
    """Give where a row begins, and where each of its cells ends: `_NEAR` behind the one before at least."""
    yield last
    for given in (*ends[:count], *[0] * (count - len(ends))):
        last = max(given, last + _NEAR)
        yield last


def _placed(rows: list[_Row]) -> Iterator[list[str]]:
    """Give the cells of rows in the columns in which they begin, empty ones for those that they reach over."""
    marks: list[int] = []
    for end in sorted({end for _, bounds in rows for end in bounds[1:]}):
        if not marks or end - marks[-1] >= _NEAR:
            marks.append(end)
    places = [_places(bounds, marks) for _, bounds in rows]
    columns = {place: column for column, place in enumerate(sorted(set(chain(*places))))}
    for (cells, _), row in zip(rows, places, strict=True):
        found = {columns[place]: words for place, words in zip(row, cells, strict=True)}
        yield cells if len(columns) > _MAX_COLUMNS else [found.get(column, "") for column in range(max(found) + 1)]


def _places(bounds: list[int], marks: list[int]) -> list[int]:
    """Return before how many of the marks, of which each stands for the ends within `_NEAR` behind it, cells begin."""
    behind = [bisect_right(marks, end) for end in bounds[1:]]
    return [min(bisect_right(marks, bounds[0] + _NEAR), behind[0] - 1), *behind[:-1]]
