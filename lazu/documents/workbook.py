"""Workbooks (xlsx, xlsm) as Markdown: ECMA-376 part 1, §18. Sheets are streams that are read no further than shown."""

import html
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from lazu.documents import drawings, markdown, markup
from lazu.documents.cells import Formats, unescaped
from lazu.documents.markdown import MAX_ROWS
from lazu.documents.package import Package

#: Empty cells, and rows, after which a sheet is read no further: some four seconds of CPU.
_MAX_EMPTY = 500_000

#: Links of a sheet that are given.
_MAX_LINKS = 10_000

_ROW = re.compile(rb'<(?:\w+:)?row\s(?:[^>]*\s)?r="(\d{1,9})"')
_ROWS_END = re.compile(rb"</(?:\w+:)?sheetData\s*>|<(?:\w+:)?sheetData\s*/>")
_LINK = re.compile(rb"<(?:\w+:)?hyperlink\s[^>]*>")
_MARGIN = re.compile(rb"<(?:\w+:)?(?:odd|even|first)(Header|Footer)>([^<]*)<")

#: Codes in headers and footers: fonts, sizes, colours, page numbers.
_CODES = re.compile(r'&(?:"[^"]*"|\d+|K[0-9A-F]{6}|[A-Za-z])')

#: Bytes of one sheet's end that are looked at for its links and headers.
_MAX_END = 8 << 20

#: Bytes before the end of the rows in which the last one must begin.
_MAX_TAIL = 1 << 20

_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9]\d{0,8})")


class Cell(NamedTuple):
    """A cell as it is stored: `kind` is the type's word, `style` the number of its format."""

    kind: str
    style: str
    raw: str
    formula: str


class Workbook:
    """The sheets of one package."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._main = package.root("xl/workbook.xml")
        self._tree = package.tree(self._main)
        styles = [*map(package.tree, package.related(self._main, "styles")), Element("")]
        true = ("1", "true")
        self._formats = Formats(styles[0], markup.find(self._tree, "workbookPr").get("date1904") in true)
        # Libraries, as pandas has, give each formula the value 0 and let programs work it out on load. Excel may let
        # them too, beside true values: those that are not 0 are told, and for a true 0 its formula is no lie.
        self._unknown = ("", "0") if markup.find(self._tree, "calcPr").get("fullCalcOnLoad") in true else ("",)
        self._strings: list[str] = []
        strings = self._package.related(self._main, "sharedStrings")
        self._more = _strings(package.stream(strings[0] if strings else ""))

    def blocks(self) -> Iterator[str]:
        """Give each sheet under its name."""
        relations = self._package.relations(self._main)
        for entry in markup.find(self._tree, "sheets"):
            relation = relations.get(entry.get("r:id", ""))
            hidden = "" if entry.get("state", "visible") == "visible" else " (hidden)"
            title = f"Sheet: {entry.get('name', '')}{hidden}"
            if relation and relation.kind == "worksheet":
                yield from self._sheet(title, relation.target)
            else:
                yield markdown.heading(2, title)
            if relation and relation.kind == "chartsheet":
                yield from self._beside(relation.target, self._package.read(relation.target))

    def _sheet(self, title: str, name: str) -> Iterator[str]:
        sheet = _Sheet(self._package.stream(name))
        wanted = (int(cell.raw) for cell in sheet.cells() if cell.kind == "s" and cell.raw.isdigit())
        self._load(max(wanted, default=-1))
        links = self._links(name, sheet.end)
        shown = {row: {at: self._linked(self._shown(cell), links.get((row, at))) for at, cell in cells.items()}
                 for row, cells in sheet.rows.items()}  # fmt: skip
        yield from markdown.sheet(title, shown, sheet.last, sheet.broken_off)
        yield from self._beside(name, sheet.end)

    def _beside(self, name: str, end: bytes) -> Iterator[str]:
        """Give the words beside a sheet's cells: text boxes and charts, comments, header and footer."""
        for drawing in self._package.related(name, "drawing"):
            yield from (words for _, words in drawings.paragraphs(self._package.tree(drawing)))
            yield from self._charts(drawing)
        yield from self._comments(name)
        margins = {(kind.decode(), _margin(code.decode(errors="replace"))) for kind, code in _MARGIN.findall(end)}
        yield from (f"{kind}: {words}" for kind, words in sorted(margins, reverse=True) if words)

    def _charts(self, drawing: str) -> Iterator[str]:
        found = drawings.Drawings(self._package, drawing)
        for chart in self._package.tree(drawing).iter("chart"):
            yield from found.blocks(chart)

    def _load(self, last: int) -> None:
        """Read the shared strings up to the number `last`, if there are so many."""
        self._strings += islice(self._more, max(0, last + 1 - len(self._strings)))

    def _shown(self, cell: Cell) -> str:
        """Return the visible value of a cell; the formula of one whose value nobody has worked out."""
        if cell.formula and cell.raw in self._unknown:
            return f"={cell.formula}"
        if cell.kind == "s":
            place = int(cell.raw) if cell.raw.isdigit() else -1
            return self._strings[place] if 0 <= place < len(self._strings) else ""
        if cell.kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(cell.raw, cell.raw)
        if cell.kind in ("", "n") and cell.raw:
            return self._formats.number(cell.raw, cell.style)
        return unescaped(cell.raw).removesuffix("T00:00:00")

    def _linked(self, words: str, target: str | None) -> str:
        return markdown.link(words, target) if target else words

    def _links(self, name: str, end: bytes) -> dict[tuple[int, int], str]:
        """Return where the cells of a sheet lead to, by row and column; of a range of cells its first one leads."""
        relations, found = self._package.relations(name), {}
        for match in _LINK.findall(end)[:_MAX_LINKS]:
            attributes = dict(re.findall(r'([\w:]+)="([^"]*)"', match.decode(errors="replace")))
            relation = next((relations.get(value) for key, value in attributes.items() if key.endswith(":id")), None)
            place = _place(attributes.get("ref", "").partition(":")[0])
            if relation and relation.outside and place:
                found[place] = relation.target
        return found

    def _comments(self, name: str) -> Iterator[str]:
        """Give the comments on cells; a threaded comment is there a second time as a plain one, for older programs."""
        threads = list(self._remarks(name, "threadedComment"))
        cells = {cell for cell, _ in threads}
        for cell, words in [*threads, *(found for found in self._remarks(name, "comments") if found[0] not in cells)]:
            yield markdown.item(0, f"Comment on {cell}: {words}") if words else ""

    def _remarks(self, name: str, kind: str) -> Iterator[tuple[str, str]]:
        for part in self._package.related(name, kind):
            for comment in self._package.tree(part).iter(kind.removesuffix("s")):
                yield comment.get("ref", ""), markdown.line(unescaped(markup.text(comment)))


def blocks(data: bytes) -> Iterator[str]:
    """Give the workbook in `data` as blocks of Markdown; raises `Refused`."""
    return Workbook(Package(data)).blocks()


class _Full(Exception):
    """As many rows are read as are shown, or so many empty ones that no more are looked for."""


class _Sheet:
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
        self._words: dict[str, list[str]] = {}
        self._into: list[str] | None = None
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
            place = _place(attributes.get("r", ""))
            self._column = place[1] if place else self._column + 1
            self._attributes, self._words = attributes, {}
        elif tag in ("v", "t", "f"):
            self._into = self._words.setdefault(tag, [])
        elif tag == "row":
            if len(self.rows) == MAX_ROWS or self._empty > _MAX_EMPTY:
                self.broken_off = self._row
                raise _Full
            self._empty += 1
            number = attributes.get("r", "")
            self._row = int(number) if number.isdigit() else self._row + 1
            self._column = 0

    def end_of_cell(self) -> None:
        """Keep a cell that has something in it."""
        words = {tag: "".join(found) for tag, found in self._words.items()}
        kind, style = self._attributes.get("t", ""), self._attributes.get("s", "0")
        empty = kind == "str" and words.get("v") == ""  # the value of its formula, as of =IF(A1="","",A1)
        cell = Cell(kind, style, words.get("v") or words.get("t", ""), "" if empty else words.get("f", ""))
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

    def data(self, words: str) -> None:
        """Text within an element."""
        if self._into is not None:
            self._into.append(words)


class _Strings:
    """Reads the strings that cells share; how East Asian words are pronounced (`rPh`) is left out."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._names = markup.Names()
        self._words: list[str] = []
        self._open = self._aside = False

    def start(self, name: str, _: dict[str, str]) -> None:
        """An element begins."""
        tag = self._names[name]
        self._open = tag == "t" and not self._aside
        if tag == "rPh":
            self._aside = True

    def stop(self, name: str) -> None:
        """An element ends."""
        tag = self._names[name]
        self._open = False
        if tag == "si":
            self.found.append(unescaped("".join(self._words)))
            self._words = []
        elif tag == "rPh":
            self._aside = False

    def data(self, words: str) -> None:
        """Text within an element."""
        if self._open:
            self._words.append(words)


def _strings(pieces: Iterator[bytes]) -> Iterator[str]:
    """Give the shared strings, no further read than they are asked for."""
    target = _Strings()
    parser = markup.parser(target)
    for piece in pieces:
        markup.feed(parser, piece)
        yield from target.found
        target.found = []


def _place(reference: str) -> tuple[int, int] | None:
    """Return row and column, from 1 on, of a reference such as `B12`."""
    match = _REFERENCE.fullmatch(reference)
    if not match:
        return None
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(match[2]), column


def _margin(code: str) -> str:
    """Return the words of a header or footer, whose codes begin with &."""
    return markdown.line(_CODES.sub(" ", html.unescape(code)))
