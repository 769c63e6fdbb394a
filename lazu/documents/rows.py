"""Rows of tables in OpenDocument. Of a sheet's the first 1,000 that have anything become a tree; others are counted."""

from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

from lazu.documents import markup
from lazu.documents.markdown import MAX_ROWS


def content(pieces: Iterable[bytes]) -> tuple[Element, dict[Element, int]]:
    """Return the root of a content.xml, and of each sheet in it the number of the last row that has anything.

    Raises `Refused`.
    """
    target = _Content()
    for piece in pieces:
        markup.feed(target.parser, piece)
    markup.feed(target.parser, b"", True)
    return target.close(), target.last


class _Content(markup.Tree):
    """Makes a tree in which a sheet has its first rows; those behind them cost no memory, and little time."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[Element, int] = {}
        self.parser: Any = markup.parser(self)
        self._sheet: Element | None = None
        self._row: Element | None = None
        self._in_sheets = self._filled = False
        self._kept = self._number = self._open = 0

    def start(self, name: str, attributes: dict[str, str]) -> Element:
        """An element begins."""
        element = super().start(name, attributes)
        if element.tag == "spreadsheet":
            self._in_sheets = True
        elif element.tag == "table" and self._in_sheets and self._sheet is None:
            self._sheet = element
            self._kept = self._number = 0
        elif element.tag == "table-row" and self._sheet is not None and self._row is None:
            self._row = element
            if self._kept >= MAX_ROWS:
                self._pass_over()
        return element

    def stop(self, name: str) -> Element:
        """An element ends."""
        element = super().stop(name)
        if element is self._row:
            self._count(element, filled(element))
        elif element is self._sheet:
            self._sheet = None
        return element

    def _count(self, row: Element, has_any: bool) -> None:
        self._row = None
        repeated = times(row, "number-rows-repeated")
        self._number += repeated
        if has_any and self._sheet is not None:
            self._kept += repeated
            self.last[self._sheet] = self._number

    def _pass_over(self) -> None:
        """Look at nothing of the row that begins but whether there is anything in it."""
        self._open, self._filled = 1, False
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._inner_start, self._inner_stop
        self.parser.CharacterDataHandler = None

    def _inner_start(self, _: str, attributes: dict[str, str]) -> None:
        self._open += 1
        self._filled = self._filled or self._open > 2 or any(key.endswith("}value-type") for key in attributes)

    def _inner_stop(self, name: str) -> None:
        self._open -= 1
        if self._open or self._row is None:
            return
        self.parser.StartElementHandler, self.parser.EndElementHandler = self.start, self.stop
        self.parser.CharacterDataHandler = self.data
        row = super().stop(name)
        self._count(row, self._filled)


def numbered(table: Element, number: int = 1) -> Iterator[tuple[Element, int, int]]:
    """Give the rows of a table, also those in groups: each with its number, from 1 on, and how often it is repeated."""
    for child in table:
        if child.tag == "table-row":
            repeated = times(child, "number-rows-repeated")
            yield child, number, repeated
            number += repeated
        elif child.tag in ("table-header-rows", "table-rows", "table-row-group"):
            for row, at, repeated in numbered(child, number):
                yield row, at, repeated
                number = at + repeated


def times(element: Element, name: str) -> int:
    """Return how often an element is repeated, by the attribute of this name."""
    return markup.number(element.get(name, ""), 1)


def filled(row: Element) -> bool:
    """Return whether any cell of a row has something in it."""
    return any(len(cell) or cell.get("value-type") for cell in row)
