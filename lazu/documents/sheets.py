"""Sheets and shared strings of a workbook (ECMA-376 part 1, §18) as streams, read no further than they are shown.

How East Asian words are pronounced (`rPh`) is left out.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from lazu.documents import markup
from lazu.documents.cells import Look, unescaped
from lazu.documents.markdown import MAX_ROWS

#: Empty cells, and rows, after which a sheet is read no further: some four seconds of CPU.
_MAX_EMPTY = 500_000

_ROW = re.compile(rb'<(?:\w+:)?row\s(?:[^>]*\s)?r="(\d{1,9})"')
_ROWS_END = re.compile(rb"</(?:\w+:)?sheetData\s*>|<(?:\w+:)?sheetData\s*/>")

#: Bytes of one sheet's end that are kept for its links and headers.
_MAX_END = 8 << 20

#: Bytes before the end of the rows in which the last one must begin.
_MAX_TAIL = 1 << 20

_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9]\d{0,8})")

#: Elements that say how a run looks.
_LOOKS = ("rPr", "rFont", "strike")


#: Some words behind their look: None where it is the cell's.
_Run = tuple[Look | None, str]

#: Words that all look as their cell does, or runs of them.
Words = str | tuple[_Run, ...]


class Cell(NamedTuple):
    """A cell as it is stored: `kind` is the type's word, `style` the number of its format, `words` stand in it."""

    kind: str
    style: str
    raw: str
    formula: str
    words: Words


class _Full(Exception):
    """As many rows are read as are shown, or so many empty ones that no more are looked for."""


class Sheet:
    """Reads the first rows of a sheet: `rows` by number, of cells by column.

    `last` is the number of the sheet's last row, 0 if its rows have none; `broken_off` the number of the last one that
    was read, 0 if all were; `end` the XML after the rows.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.rows: dict[int, dict[int, Cell]] = {}
        self.last = self.broken_off = 0
        self.end = b""
        self._names = markup.Names()
        self._row = self._column = self._empty = 0
        self._attributes: dict[str, str] = {}
        self._words: dict[str, list[_Run]] = {}
        self._into: list[_Run] | None = None
        self._own: Look | None = None
        self._aside = False
        self._tail: bytes | None = b""
        self._read(pieces)

    def cells(self) -> Iterator[Cell]:
        """Give all cells that were read."""
        return (cell for row in self.rows.values() for cell in row.values())

    def _read(self, pieces: Iterator[bytes]) -> None:
        parser: Any = markup.parser(self)
        for piece in pieces:
            self._look(piece)
            try:
                if parser:
                    markup.feed(parser, piece)
            except _Full:
                parser = None
        if parser:
            markup.feed(parser, b"", True)

    def _look(self, piece: bytes) -> None:
        """Keep what may hold the last row, then what follows it; nothing of it is parsed."""
        if self._tail is None:
            self.end = (self.end + piece)[:_MAX_END]
            return
        self._tail = self._tail[-_MAX_TAIL:] + piece
        found = _ROWS_END.search(self._tail) if b"sheetData" in self._tail else None
        if found:
            numbers = _ROW.findall(self._tail, 0, found.start())
            self.last = int(numbers[-1]) if numbers else 0
            self.end, self._tail = self._tail[found.end() :], None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        tag = self._names[name]
        if tag == "c":
            found = place(attributes.get("r", ""))
            self._column = found[1] if found else self._column + 1
            self._attributes, self._words = attributes, {}
        elif tag in ("v", "t", "f"):
            self._into = None if self._aside else self._words.setdefault(tag, [])
        elif tag == "rPh":
            self._aside = True
        elif tag in _LOOKS:
            self._own = _looking(self._own, tag, attributes)
        elif tag == "row":
            if len(self.rows) == MAX_ROWS or self._empty > _MAX_EMPTY:
                self.broken_off = self._row
                raise _Full
            self._empty += 1
            self._row = markup.number(attributes.get("r", ""), self._row + 1)
            self._column = 0

    def end_of_cell(self) -> None:
        """Keep a cell that has something in it."""
        words = {tag: "".join(part for _, part in found) for tag, found in self._words.items()}
        kind, style = self._attributes.get("t", ""), self._attributes.get("s", "0")
        empty = kind == "str" and words.get("v") == ""  # the value of its formula, as of =IF(A1="","",A1)
        raw, formula = words.get("v") or words.get("t", ""), "" if empty else words.get("f", "")
        cell = Cell(kind, style, raw, formula, _joined(self._words.get("t", [])))
        if cell.raw or cell.formula:
            self.rows.setdefault(self._row, {})[self._column] = cell
        else:
            self._empty += 1

    def stop(self, name: str) -> None:
        """An element ends."""
        tag = self._names[name]
        if tag == "c":
            self.end_of_cell()
        elif tag in ("v", "t", "f"):
            self._into = None
        elif tag == "rPh":
            self._aside = False
        elif tag == "r":
            self._own = None

    def data(self, words: str) -> None:
        """Text within an element."""
        if self._into is not None:
            self._into.append((self._own, words))


class _Strings:
    """Reads the strings that cells share."""

    def __init__(self) -> None:
        self.found: list[Words] = []
        self._names = markup.Names()
        self._own: Look | None = None
        self._runs: list[_Run] = []
        self._open = self._aside = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        tag = self._names[name]
        self._open = tag == "t" and not self._aside
        if tag == "rPh":
            self._aside = True
        elif tag in _LOOKS:
            self._own = _looking(self._own, tag, attributes)

    def stop(self, name: str) -> None:
        """An element ends."""
        tag = self._names[name]
        self._open = False
        if tag == "si":
            self.found.append(_joined(self._runs))
            self._runs = []
        elif tag == "rPh":
            self._aside = False
        elif tag == "r":
            self._own = None

    def data(self, words: str) -> None:
        """Text within an element."""
        if self._open:
            self._runs.append((self._own, words))


def _looking(look: Look | None, tag: str, attributes: dict[str, str]) -> Look:
    """Return the look of a run of which one more property is told; what it does not tell is not the cell's then."""
    look = look or Look()
    if tag == "rFont":
        return look._replace(font=attributes.get("val", ""))
    return look._replace(struck=markup.is_on(attributes)) if tag == "strike" else look


def _joined(runs: list[_Run]) -> Words:
    joined = [(look, unescaped("".join(words for _, words in run))) for look, run in groupby(runs, itemgetter(0))]
    return tuple(joined) if any(look for look, _ in joined) else "".join(words for _, words in joined)


def strings(pieces: Iterator[bytes]) -> Iterator[Words]:
    """Give the shared strings, no further read than they are asked for."""
    target = _Strings()
    parser = markup.parser(target)
    for piece in pieces:
        markup.feed(parser, piece)
        yield from target.found
        target.found = []


def place(reference: str) -> tuple[int, int] | None:
    """Return row and column, from 1 on, of a reference such as `B12`."""
    match = _REFERENCE.fullmatch(reference)
    if not match:
        return None
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(match[2]), column
