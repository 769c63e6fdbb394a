"""Tables of a web page: which cell stands in which column, where others reach over several columns or rows.

HTML Standard, 4.9.12: a cell that reaches over others leaves their places empty here.
"""

from lazu.documents import markup

#: Columns over which one cell reaches, and columns of a row that are held free at most.
_MAX_SPAN, _MAX_COLUMNS = 99, 1000

#: Rows over which a cell reaches at most; one that says 0 reaches to the end of its group of rows.
_MAX_ROWS = 65534

#: Places of one table that are held free for cells of rows above; no real one has so many.
_MAX_HELD = 200_000

_FREE: list[str] = []


class Table:
    """A table that is open: its `caption`, and `rows` of cells, of which the last one grows."""

    def __init__(self) -> None:
        self.caption: list[str] = []
        self.rows: list[list[list[str]]] = []
        self._in_caption = False
        self._held: dict[int, int] = {}  # columns that cells above still take, and the last row in which they do
        self._room = _MAX_HELD
        self._free = 0  # columns behind the last cell that it takes too

    def begin_caption(self) -> None:
        """The caption begins; it ends where rows or cells begin."""
        self._in_caption = True

    def begin_group(self) -> None:
        """A group of rows begins: no cell of another reaches into it."""
        self._in_caption = False
        self._held = {}

    def begin_row(self) -> None:
        """A row begins."""
        self._in_caption = False
        self.rows.append([])
        self._free = 0

    def begin_cell(self, columns: str = "", rows: str = "") -> None:
        """A cell begins that reaches over so many columns and rows, as its attributes say."""
        self._in_caption = False
        if not self.rows:
            self.begin_row()
        row, number = self.rows[-1], len(self.rows) - 1
        row += [_FREE] * self._free
        while self._room and self._held.get(len(row), -1) >= number:
            row.append(_FREE)
            self._room -= 1
        wide = min(markup.number(columns, 1, least=1), _MAX_SPAN, max(_MAX_COLUMNS - len(row), 1))
        high = min(markup.number(rows, 1), _MAX_ROWS) or _MAX_ROWS
        if high > 1 and len(row) < _MAX_COLUMNS:
            self._held.update(dict.fromkeys(range(len(row), len(row) + wide), number + high - 1))
        row.append([])
        self._free = wide - 1

    def cell(self) -> list[str]:
        """Return the lines of the caption or of the last cell; words between cells come into one of their own."""
        if self._in_caption:
            return self.caption
        if not self.rows or not self.rows[-1]:
            self.begin_cell()
        return self.rows[-1][-1]
