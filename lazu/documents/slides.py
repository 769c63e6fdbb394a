"""Presentations (pptx, pptm) as Markdown: ECMA-376 part 1, §19. Macros are never looked at."""

from collections.abc import Iterator
from itertools import groupby
from xml.etree.ElementTree import Element

from lazu.documents import drawings, margins, markdown, markup, numbering, symbols
from lazu.documents.package import Package

_TITLES = ("title", "ctrTitle")

#: Placeholders that every slide repeats: the number, the date and the footer.
_REPEATED = ("sldNum", "dt", "ftr", "hdr", "sldImg")


def blocks(data: bytes) -> Iterator[str]:
    """Give the slides in `data` as blocks of Markdown; raises `Refused`."""
    package = Package(data)
    main = package.root("ppt/presentation.xml")
    relations = package.relations(main)
    ids = [entry.get("r:id", "") for entry in package.tree(main).iter("sldId")]
    names = [relations[key].target for key in ids if key in relations]
    authors = _authors(package, package.related(main, "commentAuthors", "authors"))
    footers: dict[str, None] = {}
    for number, name in enumerate(names, 1):
        slide = Slide(package, name)
        yield from slide.blocks(number)
        yield from slide.comments(authors)
        footers.update(dict.fromkeys(slide.footers()))
    layouts = dict.fromkeys(layout for name in names for layout in package.related(name, "slideLayout"))
    masters = dict.fromkeys(master for layout in layouts for master in package.related(layout, "slideMaster"))
    for name in [*masters, *layouts]:
        footers.update(dict.fromkeys(Slide(package, name).fixed()))
    if footers:
        yield f"On every slide: {' · '.join(map(str.strip, footers))}"


def _authors(package: Package, names: list[str]) -> dict[str, str]:
    trees = [package.tree(name) for name in names]
    return {entry.get("id", ""): entry.get("name", "") for tree in trees for entry in tree}


class Slide:
    """One slide, or the layout or master behind it."""

    def __init__(self, package: Package, name: str) -> None:
        self._package = package
        self._name = name
        self._drawings = drawings.Drawings(package, name)
        self._relations = package.relations(name)
        self._tree = package.tree(name)

    def blocks(self, number: int) -> Iterator[str]:
        """Give the slide under its number and title, and its notes."""
        shapes = list(_shapes(markup.find(self._tree, "cSld", "spTree")))
        title = next((shape for shape in shapes if _placeholder(shape) in _TITLES), None)
        words = "" if title is None else " ".join(words for _, words in drawings.paragraphs(title))
        hidden = " (hidden)" if self._tree.get("show") in ("0", "false") else ""
        yield markdown.heading(2, f"Slide {number}{hidden}{': ' if words else ''}{words}")
        for shape in shapes:
            yield from self._drawings.descriptions(shape) if shape is title else self._shape(shape)
        for name in self._package.related(self._name, "notesSlide"):
            yield from _notes(self._package.tree(name))

    def comments(self, authors: dict[str, str]) -> Iterator[str]:
        """Give the comments on the slide."""
        for name in self._package.related(self._name, "comments"):
            for comment in self._package.tree(name).iter():
                if comment.tag in ("cm", "reply"):
                    yield _comment(comment, authors)

    def footers(self) -> Iterator[str]:
        """Give the words of the slide's footer, and of a date that is typed: one that is a field is that of today."""
        for shape in _shapes(markup.find(self._tree, "cSld", "spTree")):
            typed = _placeholder(shape) == "dt" and next(shape.iter("fld"), None) is None
            if typed or _placeholder(shape) in ("ftr", "hdr"):
                yield from (words for _, words in drawings.paragraphs(shape))

    def fixed(self) -> Iterator[str]:
        """Give the words that a layout or master shows on its slides: those of no placeholder and no field."""
        for shape in _shapes(markup.find(self._tree, "cSld", "spTree")):
            if _placeholder(shape) is None:
                for paragraph in shape.iter("p"):
                    for field in paragraph.findall("fld"):
                        paragraph.remove(field)
                yield from filter(margins.telling, (words for _, words in drawings.paragraphs(shape)))

    def _shape(self, shape: Element) -> Iterator[str]:
        kind = _placeholder(shape)
        if kind in _REPEATED:
            return
        if shape.tag == "graphicFrame":
            yield from self._frame(shape)
        for body in markup.children(shape, "txBody"):
            items = _Items()
            for paragraph in body.iter("p"):
                yield self._paragraph(paragraph, kind, items)
        yield from self._drawings.descriptions(shape)

    def _paragraph(self, paragraph: Element, kind: str | None, items: "_Items") -> str:
        properties = markup.find(paragraph, "pPr")
        words = markdown.paragraph(markdown.struck(self._words(paragraph)))
        depth = markup.number(properties.get("lvl", ""))
        marker = items.marker(properties, depth) if words else "-"
        listed = kind in ("body", "obj", "") or properties.find("buChar") is not None or depth or marker != "-"
        if properties.find("buNone") is not None or not listed:
            return words
        return markdown.item(depth, words.replace("\n", " "), marker)

    def _words(self, paragraph: Element) -> str:
        """Return the words of a paragraph; runs with one target, which differ in their looks, are one link."""
        parts = ((target, "".join(map(drawings.words, runs))) for target, runs in groupby(paragraph, self._target))
        return "".join(markdown.link(markdown.struck(words), target) if words else "" for target, words in parts)

    def _target(self, run: Element) -> str:
        relation = self._relations.get(markup.find(run, "rPr", "hlinkClick").get("r:id", ""))
        return relation.target if relation and relation.outside else ""

    def _frame(self, shape: Element) -> Iterator[str]:
        """Give a table, a chart or a diagram."""
        for table in shape.iter("tbl"):
            yield markdown.table(map(_row, table.iter("tr")))
        for element in drawings.apart(shape):
            yield from self._drawings.blocks(element)


class _Items:
    """Counts the numbered paragraphs of one text, by depth: other words at their depth or above end a list."""

    def __init__(self) -> None:
        self._lists: dict[int, tuple[str, str]] = {}
        self._counts: dict[int, int] = {}

    def marker(self, properties: Element, depth: int) -> str:
        """Return the marker of the next paragraph: its number, or that of its bullet."""
        found = properties.find("buAutoNum")
        scheme, start = ("", "") if found is None else (found.get("type", ""), found.get("startAt", "1"))
        self._lists = {level: known for level, known in self._lists.items() if level <= depth}
        if self._lists.get(depth) != (scheme, start):
            self._lists[depth] = scheme, start
            self._counts[depth] = markup.number(start, 1) - 1
        self._counts[depth] += 1
        if scheme:
            return numbering.automatic(scheme, self._counts[depth])
        bullet, font = (markup.find(properties, name) for name in ("buChar", "buFont"))
        return symbols.marker(bullet.get("char", "-"), font.get("typeface", ""))


def _row(row: Element) -> list[str]:
    return ["\n".join(words for _, words in drawings.paragraphs(cell)) for cell in row.iter("tc")]


def _shapes(container: Element) -> Iterator[Element]:
    """Give the shapes within a tree of groups, in the order in which they are drawn."""
    for shape in container:
        if shape.tag == "grpSp":
            yield from _shapes(shape)
        elif shape.tag == "AlternateContent":
            yield from _shapes(markup.newer(shape))
        else:
            yield shape


def _placeholder(shape: Element) -> str | None:
    """Return of which kind a placeholder is, empty for the plain one; None for a shape that is none."""
    for properties in shape:
        if properties.tag.startswith("nv"):
            found = markup.find(properties, "nvPr").find("ph")
            return None if found is None else found.get("type", "")
    return None


def _notes(tree: Element) -> Iterator[str]:
    shapes = [shape for shape in _shapes(markup.find(tree, "cSld", "spTree")) if _placeholder(shape) not in _REPEATED]
    notes = [words for shape in shapes for _, words in drawings.paragraphs(shape)]
    if notes:
        yield "Notes: " + "\n".join(notes)


def _comment(comment: Element, authors: dict[str, str]) -> str:
    found = [entry.text or "" for entry in markup.children(comment, "text")]  # newer ones have paragraphs
    found += [words for entry in markup.children(comment, "txBody") for _, words in drawings.paragraphs(entry)]
    words = " ".join(found)
    author = authors.get(comment.get("authorId", ""), "")
    return markdown.item(0, f"Comment{' by ' * bool(author)}{author}: {markdown.line(words)}") if words.strip() else ""
