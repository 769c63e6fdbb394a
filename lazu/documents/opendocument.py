"""OpenDocument (odt, ods, odp) as Markdown: ODF 1.3 part 3. Of tables in spreadsheets the first 1,000 rows."""

import re
from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from lazu.documents import margins, markdown, markup, mathml, refusals, rows, symbols, values
from lazu.documents.archive import Archive
from lazu.documents.labels import Labels, headings
from lazu.documents.markdown import MAX_ROWS
from lazu.documents.notes import Notes
from lazu.documents.refusals import Refused

#: What is not part of the text as it stands: deleted words, what an index was made from, what macros and forms hold.
_SKIPPED = {
    "tracked-changes", "forms", "sequence-decls", "variable-decls", "user-field-decls", "index-title-template",
    "scripts", "table-of-content-source", "alphabetical-index-source", "settings", "ruby-text", "event-listeners",
    "calculation-settings", "content-validations", "named-expressions", "database-ranges",
}  # fmt: skip

#: Words of a presentation that every slide repeats.
_REPEATED = {"page-number", "date-time", "header", "footer"}

#: Where notes and comments belong.
_MARKS = re.compile(r"\[\^[^\[\]\s]+\]")

#: Columns of a sheet, and how often an empty cell is repeated where that is more than the rest of its row.
_MAX_COLUMNS, _MAX_EMPTY = 16_384, 500


def blocks(data: bytes) -> Iterator[str]:
    """Give the document in `data` as blocks of Markdown; raises `Refused`."""
    archive = Archive(data)
    if b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise Refused(refusals.LOCKED)
    if "content.xml" not in archive:
        raise Refused(refusals.BROKEN)
    content, last = rows.content(archive.stream("content.xml"))
    styles = markup.tree(archive.read("styles.xml"))
    yield from Document(archive, [content, styles], last).blocks(content, styles)


#: What begins on a line of its own, and what stands within a line.
_BLOCKS = {
    "p": "_paragraph", "h": "_heading", "list": "_list", "table": "_table", "spreadsheet": "_spreadsheet",
    "page": "_slide", "frame": "_framed", "annotation": "_remark",
}  # fmt: skip
_WORDS = {
    "s": "_spaces", "span": "_span", "tab": "_tab", "line-break": "_break", "a": "_link", "note": "_note",
    "annotation": "_comment", "frame": "_frame", "custom-shape": "_frame", "rect": "_frame", "g": "_frame",
}  # fmt: skip


class Document:
    """One document: `trees` are those in which styles are looked for, `last` has the numbers of sheets' last rows."""

    def __init__(self, archive: Archive, trees: list[Element], last: dict[Element, int]) -> None:
        self._archive = archive
        self._last = last
        self._labels = Labels(trees)
        self._hidden = {name for tree in trees for name in _hidden(tree)}
        self._struck = {name for tree in trees for name in _struck(tree)}
        self._headings = headings(trees)
        self._font = ""  # of the words that come
        self._notes = Notes()
        self._aside: list[Iterator[str]] = []  # boxes and charts, which follow the paragraph they are anchored in
        self._slides = 0

    def blocks(self, content: Element, styles: Element) -> Iterator[str]:
        """Give the whole document: headers once before it, notes and comments after it, footers once at the end."""
        pages = list(styles.iter("master-page"))
        yield from self._margins(pages, "header")
        yield mathml.words(content) if content.tag == "math" else ""
        yield from self._within(markup.find(content, "body"))
        yield from self._notes.blocks
        yield from self._margins(pages, "footer")
        yield from self._repeated(margins.repeated(content, styles))

    def _margins(self, pages: list[Element], kind: str) -> Iterator[str]:
        names = (kind, f"{kind}-left", f"{kind}-first")
        found = [margin for page in pages for margin in markup.children(page, *names)]
        words = [margins.telling(markdown.flat(self._within(margins.bare(margin)))) for margin in found]
        yield from (f"{kind.capitalize()}: {line}" for line in dict.fromkeys(words) if line)

    def _repeated(self, shapes: Iterable[Element]) -> Iterator[str]:
        found = (margins.telling(markdown.flat(map(self._words, list(shape.iter("p")) or [shape]))) for shape in shapes)
        words = " · ".join(filter(None, dict.fromkeys(found)))
        yield f"On every slide: {words}" if words else ""

    def _within(self, container: Element) -> Iterator[str]:
        """Give the content of an element, as Markdown."""
        for child in container:
            yield from self._one(child)

    def _one(self, element: Element) -> Iterator[str]:
        if element.tag not in _SKIPPED:
            yield from getattr(self, _BLOCKS.get(element.tag, "_within"))(element)

    def _paragraph(self, paragraph: Element) -> Iterator[str]:
        words = markdown.paragraph(self._words(paragraph))
        level = self._headings.get(paragraph.get("style-name", ""))
        yield markdown.heading(level, words) if level else words
        yield from self._beside()

    def _heading(self, heading: Element, label: str = "") -> Iterator[str]:
        level, words = markup.number(heading.get("outline-level", ""), 1), self._words(heading)
        label = label or self._labels.heading(heading, level)
        yield markdown.heading(level, f"{label} {words}" if words.strip() else "")
        yield from self._beside()

    def _beside(self) -> Iterator[str]:
        aside, self._aside = self._aside, []
        for found in aside:
            yield from found

    def _list(self, element: Element) -> Iterator[str]:
        with self._labels.apart():
            yield from self._items(element, 0, element.get("style-name", ""))

    def _items(self, element: Element, depth: int, style: str) -> Iterator[str]:
        self._labels.begin(element, depth, style)
        for entry in markup.children(element, "list-item", "list-header"):
            yield from self._item(entry, depth, style, self._labels.item(entry, depth, style))
        self._labels.end(element, depth, style)

    def _item(self, entry: Element, depth: int, style: str, marker: str) -> Iterator[str]:
        """Give an item of a list: its first words behind the marker, what follows them below."""
        for child in entry:
            if child.tag == "list":
                yield from self._items(child, depth + 1, child.get("style-name", style))
            elif child.tag == "p":
                words = self._words(child).replace("\n", " ")
                yield markdown.item(depth, words, marker)
                marker = " " * len(marker) if words.strip() else marker
                yield from self._beside()
            elif child.tag == "h":
                yield from self._heading(child, marker.removeprefix("- ").removesuffix("-"))
            else:
                yield from self._one(child)

    def _words(self, element: Element) -> str:
        """Return the words within an element on their line; boxes are put aside."""
        outer = self._font
        own = "" if element.tag in ("p", "h") else outer
        self._font = self._labels.fonts.get(element.get("style-name", ""), own)
        words = self._shown(element.text) + "".join(self._part(child) + self._shown(child.tail) for child in element)
        self._font = outer
        return markdown.struck(words)

    def _shown(self, words: str | None) -> str:
        """Return words as they are seen; further blanks in a row than one are elements (§6.1.2)."""
        return symbols.words(markdown.spaced(words or ""), self._font)

    def _part(self, child: Element) -> str:
        if child.tag in _SKIPPED:
            return ""
        return str(getattr(self, _WORDS.get(child.tag, "_words"))(child))

    def _spaces(self, element: Element) -> str:
        return " " * min(markup.number(element.get("c", ""), 1), 100)

    def _span(self, element: Element) -> str:
        return markdown.strike(self._words(element), element.get("style-name", "") in self._struck)

    def _tab(self, _: Element) -> str:
        return "\t"

    def _break(self, _: Element) -> str:
        return "\n"

    def _link(self, element: Element) -> str:
        return markdown.link(self._words(element), element.get("href", ""))

    def _note(self, element: Element) -> str:
        kind, mark = element.get("note-class", "footnote"), markup.text(markup.find(element, "note-citation"))
        name = self._notes.name(kind, mark) if mark.strip() else self._notes.next(kind)
        return self._notes.add(name, markdown.flat(self._within(markup.find(element, "note-body"))))

    def _comment(self, element: Element) -> str:
        author = markup.text(markup.find(element, "creator"))
        words = " ".join(self._words(child) for child in markup.children(element, "p", "list"))
        return self._notes.add(f"comment-{len(self._notes.blocks)}", words, author)

    def _remark(self, element: Element) -> Iterator[str]:
        yield self._comment(element)

    def _frame(self, frame: Element) -> str:
        """Put a frame aside, unless it is an equation, which stands within its line."""
        inside = (self._inside(child) for child in markup.children(frame, "object"))
        formula = next((mathml.words(found) for found in inside if found.tag == "math"), "")
        if not formula:
            self._aside.append(self._framed(frame))
        return formula

    def _framed(self, frame: Element) -> Iterator[str]:
        """Give a frame: a text box, a picture, or an object in a folder of its own, as charts are."""
        for child in frame:
            if child.tag == "object":
                yield from self._object(child)
            elif child.tag == "desc":
                yield f"[Picture: {markdown.line(markup.text(child))}]" if markup.text(child).strip() else ""
            elif child.tag not in ("image", "object-ole"):
                yield from self._one(child)

    def _object(self, element: Element) -> Iterator[str]:
        found = self._inside(element)
        for cell in filter(values.is_empty_point, markup.find(found, "body", "chart").iter("table-cell")):
            cell.clear()
        yield from [mathml.words(found)] if found.tag == "math" else self._within(markup.find(found, "body"))

    def _inside(self, element: Element) -> Element:
        """Return the root of what is in an object: in a folder of its own, or in its place."""
        name = f"{element.get('href', '').removeprefix('./').rstrip('/')}/content.xml"
        inline = next(markup.children(element, "math", "document"), None)
        return markup.tree(self._archive.read(name)) if inline is None else inline

    def _table(self, table: Element) -> Iterator[str]:
        yield markdown.table([self._row(row) for row, _, _ in rows.numbered(table)])
        yield from self._beside()

    def _row(self, row: Element) -> list[str]:
        """Return the cells of a row.

        One that is said to be there thousands of times is the rest of the row, and empty.
        """
        cells: list[str] = []
        for cell in markup.children(row, "table-cell", "covered-table-cell"):
            words = self._cell(cell)
            times = min(rows.times(cell, "number-columns-repeated"), _MAX_COLUMNS - len(cells))
            cells += [words] * (times if words or times < _MAX_EMPTY else 1)
        return cells

    def _cell(self, cell: Element) -> str:
        """Return a cell's value, or its words where they say more."""
        value, words = values.value(cell), markdown.inner(self._within(cell))
        return value + "".join(_MARKS.findall(words)) if value else words

    def _spreadsheet(self, element: Element) -> Iterator[str]:
        for table in markup.children(element, "table"):
            charts = list(_taken(table, "object"))  # they float over the sheet, whatever cell has them
            shown: dict[int, dict[int, str]] = {}
            for row, number, times in rows.numbered(table):
                if not rows.filled(row):
                    continue
                room = min(times, MAX_ROWS - len(shown))
                if room > 0:
                    cells = dict(enumerate(self._row(row), 1))
                    shown.update((at, cells) for at in range(number, number + room))
            hidden = " (hidden)" * (("table", table.get("style-name", "")) in self._hidden)
            yield from markdown.sheet(f"Sheet: {table.get('name', '')}{hidden}", shown, self._last.get(table, 0))
            yield from self._beside()
            for shapes in markup.children(table, "shapes"):
                yield from self._within(shapes)
            for chart in charts:
                yield from self._object(chart)

    def _slide(self, page: Element) -> Iterator[str]:
        self._slides += 1
        title = next((frame for frame in page.iter("frame") if frame.get("class") == "title"), None)
        words = "" if title is None else markdown.flat(self._framed(title))
        hidden = " (hidden)" * (("drawing-page", page.get("style-name", "")) in self._hidden)
        yield markdown.heading(2, f"Slide {self._slides}{hidden}{': ' if words else ''}{words}")
        yield from self._shapes(child for child in page if child is not title and child.tag != "notes")
        for notes in markup.children(page, "notes"):
            words = "\n".join(filter(None, self._shapes(notes)))
            yield f"Notes: {words}" if words.strip() else ""

    def _shapes(self, shapes: Iterable[Element]) -> Iterator[str]:
        for shape in shapes:
            if shape.get("class") not in _REPEATED:
                yield from self._one(shape)


def _taken(tree: Element, name: str) -> Iterator[Element]:
    """Take the elements of this name out of a tree, and give them."""
    for holder in list(tree.iter()):
        for found in holder.findall(name):
            holder.remove(found)
            yield found


def _hidden(tree: Element) -> Iterator[tuple[str, str]]:
    """Give the styles of sheets and slides that are hidden, each behind its family."""
    for style in tree.iter("style"):
        for properties in markup.children(style, "table-properties", "drawing-page-properties"):
            if properties.get("display") == "false" or properties.get("visibility") == "hidden":
                yield style.get("family", ""), style.get("name", "")


def _struck(tree: Element) -> Iterator[str]:
    """Give the styles that strike words out."""
    for style in tree.iter("style"):
        line = markup.find(style, "text-properties").get("text-line-through-style", "none")
        if style.get("family") == "text" and line != "none":
            yield style.get("name", "")
