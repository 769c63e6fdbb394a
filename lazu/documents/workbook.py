"""Workbooks (xlsx, xlsm) as Markdown: ECMA-376 part 1, §18."""

import html
import re
from collections.abc import Iterator
from itertools import chain, islice
from xml.etree.ElementTree import Element

from lazu.documents import drawings, margins, markdown, markup, sheets, symbols
from lazu.documents.cells import Formats, Look, unescaped
from lazu.documents.package import Package
from lazu.documents.sheets import Cell, Sheet, Words

#: Links of a sheet that are given.
_MAX_LINKS = 10_000

_LINK = re.compile(rb"<(?:\w+:)?hyperlink\s[^>]*>")
_MARGIN = re.compile(rb"<(?:\w+:)?(?:odd|even|first)(Header|Footer)>([^<]*)<")

#: Codes in headers and footers: fonts, sizes, colours, page numbers.
_CODES = re.compile(r'&(?:"[^"]*"|\d+|K[0-9A-F]{6}|[A-Za-z])')


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
        self._strings: list[Words] = []
        people = (entry for part in package.related(self._main, "person") for entry in package.tree(part))
        self._people = {person.get("id", ""): person.get("displayName", "") for person in people}
        strings = self._package.related(self._main, "sharedStrings")
        self._more = sheets.strings(package.stream(strings[0] if strings else ""))

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
        sheet = Sheet(self._package.stream(name))
        wanted = (markup.number(cell.raw, -1) for cell in sheet.cells() if cell.kind == "s")
        self._load(max(wanted, default=-1))
        links = self._links(name, sheet.end)
        shown = {row: {at: self._linked(self._seen(cell), links.get((row, at))) for at, cell in cells.items()}
                 for row, cells in sheet.rows.items()}  # fmt: skip
        yield from markdown.sheet(title, shown, sheet.last, sheet.broken_off)
        yield from self._beside(name, sheet.end)

    def _beside(self, name: str, end: bytes) -> Iterator[str]:
        """Give the words beside a sheet's cells: text boxes, pictures and charts, comments, header and footer."""
        for drawing in self._package.related(name, "drawing"):
            tree = self._package.tree(drawing)
            yield from (words for _, words in drawings.paragraphs(tree))
            drawn = drawings.Drawings(self._package, drawing)
            yield from drawn.descriptions(tree)
            yield from chain.from_iterable(map(drawn.blocks, drawings.apart(tree)))
        yield from self._comments(name)
        found = {(kind.decode(), _margin(code.decode(errors="replace"))) for kind, code in _MARGIN.findall(end)}
        yield from (f"{kind}: {words}" for kind, words in sorted(found, reverse=True) if words)

    def _load(self, last: int) -> None:
        """Read the shared strings up to the number `last`, if there are so many."""
        self._strings += islice(self._more, max(0, last + 1 - len(self._strings)))

    def _seen(self, cell: Cell) -> str:
        """Return what is seen in a cell; what is struck out is marked."""
        if self._has_words(cell):
            return markdown.struck(self._words(cell))
        return markdown.struck(markdown.strike(self._shown(cell), self._formats.look(cell.style).struck))

    def _has_words(self, cell: Cell) -> bool:
        """Return whether there are words in a cell; of a formula without a value it is shown instead."""
        return cell.kind in ("s", "str", "inlineStr") and not (cell.formula and cell.raw in self._unknown)

    def _shown(self, cell: Cell) -> str:
        """Return the visible value of a cell without words; the formula of one whose value nobody has worked out."""
        if cell.formula and cell.raw in self._unknown:
            return f"={cell.formula}"
        if cell.kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(cell.raw, cell.raw)
        if cell.kind in ("", "n") and cell.raw:
            return self._formats.number(cell.raw, cell.style)
        return unescaped(cell.raw).removesuffix("T00:00:00")

    def _words(self, cell: Cell) -> str:
        """Return the words of a cell as its look, or that of each run of them, shows them."""
        words = cell.words or unescaped(cell.raw)
        if cell.kind == "s":
            place = markup.number(cell.raw, -1)
            words = self._strings[place] if 0 <= place < len(self._strings) else ""
        look = self._formats.look(cell.style)
        runs = ((None, words),) if isinstance(words, str) else words
        return "".join(_as_seen(run, own or look, look.font) for own, run in runs)

    def _linked(self, words: str, target: str | None) -> str:
        return markdown.link(words, target) if target else words

    def _links(self, name: str, end: bytes) -> dict[tuple[int, int], str]:
        """Return where the cells of a sheet lead to, by row and column; of a range of cells its first one leads."""
        relations, found = self._package.relations(name), {}
        for match in _LINK.findall(end)[:_MAX_LINKS]:
            attributes = dict(re.findall(r'([\w:]+)="([^"]*)"', match.decode(errors="replace")))
            relation = next((relations.get(value) for key, value in attributes.items() if key.endswith(":id")), None)
            place = sheets.place(attributes.get("ref", "").partition(":")[0])
            if relation and relation.outside and place:
                found[place] = markdown.target(relation.target, html.unescape(attributes.get("location", "")))
        return found

    def _comments(self, name: str) -> Iterator[str]:
        """Give the comments on cells; a threaded comment is there a second time as a plain one, for older programs."""
        threads = list(self._remarks(name, "threadedComment"))
        cells = {cell for cell, _, _ in threads}
        plain = (found for found in self._remarks(name, "comments") if found[0] not in cells)
        for cell, author, words in [*threads, *plain]:
            said = words.removeprefix(f"{author}:").strip()  # Excel begins a comment with its author
            yield markdown.item(0, f"Comment{' by ' * bool(author)}{author} on {cell}: {said}") if said else ""

    def _remarks(self, name: str, kind: str) -> Iterator[tuple[str, str, str]]:
        """Give cell, author and words of each comment of a kind."""
        for part in self._package.related(name, kind):
            tree = self._package.tree(part)
            authors = {str(place): markup.text(entry) for place, entry in enumerate(markup.find(tree, "authors"))}
            for comment in tree.iter(kind.removesuffix("s")):
                author = authors.get(comment.get("authorId", "")) or self._people.get(comment.get("personId", ""), "")
                author = "" if author.startswith("tc={") else author  # the id of a thread that is not there any more
                words = markup.find(comment, "text")
                for reading in words.findall("rPh"):
                    words.remove(reading)
                yield comment.get("ref", ""), markdown.line(author), markdown.line(unescaped(markup.text(words)))


def blocks(data: bytes) -> Iterator[str]:
    """Give the workbook in `data` as blocks of Markdown; raises `Refused`."""
    return Workbook(Package(data)).blocks()


def _as_seen(words: str, look: Look, font: str) -> str:
    """Return words as they look; `font` is that of words whose look names none."""
    return markdown.strike(symbols.words(words, look.font or font), look.struck)


def _margin(code: str) -> str:
    """Return the words of a header or footer, whose codes begin with &."""
    return margins.telling(markdown.line(_CODES.sub(" ", html.unescape(code))))
