"""Word's documents (docx, docm) as Markdown: ECMA-376 part 1, §17. Macros are never looked at."""

from collections import deque
from collections.abc import Iterator
from itertools import chain, pairwise
from xml.etree.ElementTree import Element

from lazu.documents import drawings, equations, fields, margins, markdown, markup, symbols
from lazu.documents.notes import References
from lazu.documents.package import Package
from lazu.documents.styles import Styles

#: What is not part of the text as it stands: deleted and moved words, properties, and the older form of a drawing.
_SKIPPED = {"del", "moveFrom", "pPr", "rPr", "tblPr", "trPr", "tcPr", "sectPr", "sdtPr", "delText", "instrText", "rt"}

#: Characters that are elements.
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}

_HEIGHTS = {"superscript": markdown.raised, "subscript": markdown.lowered}


def blocks(data: bytes) -> Iterator[str]:
    """Give the document in `data` as blocks of Markdown; raises `Refused`."""
    package = Package(data)
    main = package.root("word/document.xml")
    styles = Styles(package, main)
    tree = package.tree(main)
    unused = _unused(package, main, tree)
    headers, footers = (
        [name for name in package.related(main, kind) if name not in unused] for kind in ("header", "footer")
    )
    yield from _margins(package, styles, "Header", headers)
    references = References(_settings(package, main), tree)
    yield from Part(package, main, styles, references).blocks(tree)
    for kind in ("footnote", "endnote", "comment"):
        for name in package.related(main, f"{kind}s"):
            yield from _notes(Part(package, name, styles), package.tree(name), kind, references.names)
    yield from _margins(package, styles, "Footer", footers)


def _settings(package: Package, main: str) -> Element:
    return next(map(package.tree, package.related(main, "settings")), Element(""))


def _unused(package: Package, main: str, tree: Element) -> set[str]:
    """Return the headers and footers of first or even pages in a document that does not set those apart."""
    apart = {
        "first": any(map(markup.is_on, tree.iter("titlePg"))),
        "even": any(map(markup.is_on, _settings(package, main).iter("evenAndOddHeaders"))),
    }
    marks = [*tree.iter("headerReference"), *tree.iter("footerReference")]
    used = {mark.get("r:id") for mark in marks if apart.get(mark.get("type", ""), True)}
    unused = {mark.get("r:id") for mark in marks} - used
    return {relation.target for key, relation in package.relations(main).items() if key in unused}


def _margins(package: Package, styles: Styles, kind: str, names: list[str]) -> Iterator[str]:
    """Headers or footers, each once, however many sections have it."""
    seen = set()
    for name in names:
        words = margins.telling(markdown.flat(Part(package, name, styles).blocks(package.tree(name))))
        if words not in seen:
            seen.add(words)
            yield f"{kind}: {words}" if words else ""


def _notes(part: "Part", tree: Element, kind: str, names: dict[tuple[str, str], str]) -> Iterator[str]:
    """Give the notes of a kind in the order of their marks, and behind them those that have no name, as comments."""
    found = (note for note in markup.children(tree, kind) if note.get("type", "normal") == "normal")
    notes = {(kind, note.get("id", "")): note for note in found}
    for key in dict.fromkeys([*names, *notes]):
        if key in notes and names.get(key) != "":
            words, author = markdown.flat(part.blocks(notes[key])), notes[key].get("author")
            yield markdown.note(names.get(key, "-".join(key)), f"{author}: {words}" if author else words)


#: What makes words of an element, where that is more than its children's words.
_SPECIAL = {
    "t": "_text", "sym": "_symbol", "r": "_run", "oMath": "_equation",
    "hyperlink": "_link", "textpath": "_art", "fldSimple": "_simple_field",
    "fldChar": "_field", "instrText": "_instruction", "txbxContent": "_box", "docPr": "_picture",
    "AlternateContent": "_either", "chart": "_chart", "relIds": "_chart",
    **dict.fromkeys(_SIGNS, "_sign"),
    **dict.fromkeys(_SKIPPED - {"instrText"}, "_none"),
    **dict.fromkeys(("footnoteReference", "endnoteReference", "commentReference"), "_reference"),
}  # fmt: skip


class Part:
    """One part of a document: its body, a header, its footnotes."""

    def __init__(self, package: Package, name: str, styles: Styles, references: References | None = None) -> None:
        self._relations = package.relations(name)
        self._drawings = drawings.Drawings(package, name)
        self._styles = styles
        self._references = references or References(Element(""), Element(""))
        self._marked: tuple[str, str] | None = None  # a note whose own mark comes
        self._aside: list[Iterator[str]] = []  # boxes and charts, which follow the paragraph they are anchored in
        self._fields = fields.Fields()
        self._marks = frozenset[str]()  # that the style of a paragraph gives its words
        self._fonts = self._font = "", ""  # of a paragraph and of a run: of letters, and of private characters
        self._hidden = 0  # runs
        self._unseen = False

    def blocks(self, container: Element) -> Iterator[str]:
        """Give the paragraphs and tables within an element, as Markdown."""
        for child in _whole(container):
            if child.tag == "p":
                yield self._paragraph(child)
                if self._aside:
                    yield from self._beside()
            elif child.tag == "tbl":
                yield markdown.table(self._row(row) for row in _within(child, "tr"))
            elif child.tag == "AlternateContent":
                yield from self.blocks(markup.newer(child))
            elif child.tag == "altChunk":
                yield self._chunk(child)
            elif child.tag not in _SKIPPED:
                yield from self.blocks(child)

    def _chunk(self, element: Element) -> str:
        """Return the name of a document in another form that Word would take in (§17.17.2)."""
        relation = self._relations.get(element.get("r:id", ""))
        return f"[Document within, not read: {markdown.line(relation.target.rpartition('/')[2])}]" if relation else ""

    def _beside(self) -> Iterator[str]:
        aside, self._aside = self._aside, []
        for found in aside:
            yield from found

    def _paragraph(self, paragraph: Element) -> str:
        properties = markup.find(paragraph, "pPr")
        self._marks = self._styles.marks(properties)
        self._fonts = self._font = self._styles.fonts(properties) or ("", "")
        words = markdown.paragraph(markdown.struck(fields.linked("".join(self._runs(paragraph)))))
        self._fields.end_paragraph()
        self._marked = None
        if not len(properties):
            return words
        if properties.find("sectPr") is not None:
            self._references.begin_section()
        place, level = self._styles.place(properties), self._styles.level(properties)
        label = self._styles.numbering.label(*place) if place and (words or self._stands(properties)) else None
        if level:
            bare = "" if label in (None, "-") else label.removeprefix("- ")
            return markdown.heading(level, f"{bare} {words}")
        if place and label:
            item = markdown.item(place[1], words.replace("\n", " "), label)
            return item or markdown.Item("" if label == "-" else label)
        return words

    def _stands(self, properties: Element) -> bool:
        """Return whether a paragraph without words is seen: its mark is not hidden, deleted or a section's end."""
        mark = markup.find(properties, "rPr")
        gone = {"del", "moveFrom"} & {entry.tag for entry in mark} or "vanish" in self._styles.marked(mark, self._marks)
        return not gone and properties.find("sectPr") is None

    def _row(self, row: Element) -> Iterator[str]:
        """Give the cells of a row, an empty one for each further column that a cell spans."""
        yield from [""] * min(markup.number(markup.value(row, "trPr", "gridBefore")), 99)
        for cell in _within(row, "tc"):
            yield markdown.inner(self.blocks(cell))
            yield from [""] * (min(markup.number(markup.value(cell, "tcPr", "gridSpan"), 1), 99) - 1)

    def _runs(self, element: Element) -> Iterator[str]:
        """Give the words within an element."""
        for child in element:
            yield from getattr(self, _SPECIAL.get(child.tag, "_runs"))(child)

    def _run(self, run: Element) -> Iterator[str]:
        properties, words = run.find("rPr"), self._runs(run)
        self._font = self._fonts if properties is None else self._styles.fonts(properties) or self._fonts
        if properties is None and not self._marks:
            return words
        properties = markup.find(run, "rPr")
        marks = self._styles.marked(properties, self._marks)
        if "vanish" in marks:
            return self._pass(words)
        height = properties.find("vertAlign")
        if height is not None:
            words = map(_HEIGHTS.get(height.get("val", ""), str), words)
        if marks:
            return chain(markdown.STRUCK[:1], words, markdown.STRUCK[1:])
        return words

    def _pass(self, words: Iterator[str]) -> Iterator[str]:
        """Give nothing of hidden words; a field may begin or end among them."""
        self._hidden += 1
        self._unseen = True
        boxes = len(self._aside)
        deque(words, maxlen=0)
        self._unseen = False
        del self._aside[boxes:]
        yield from ()

    def _text(self, element: Element) -> Iterator[str]:
        if not self._fields.hide():
            yield self._mark(symbols.words(element.text or "", *self._font))

    def _sign(self, element: Element) -> Iterator[str]:
        yield _SIGNS[element.tag]

    def _symbol(self, element: Element) -> Iterator[str]:
        yield self._mark(symbols.sign(element))

    def _mark(self, words: str) -> str:
        """Return words; if a note's own mark begins them, it is one in Markdown."""
        if not self._marked or not words.strip():
            return words
        mark, space, rest = words.strip().partition(" ")
        key, self._marked = self._marked, None
        return self._references.mark(key, mark) + space + rest

    def _equation(self, element: Element) -> Iterator[str]:
        if "vanish" not in self._marks:
            yield equations.words(element)

    def _none(self, _: Element) -> Iterator[str]:
        return iter(())

    def _link(self, element: Element) -> Iterator[str]:
        relation = self._relations.get(element.get("r:id", ""))
        place = element.get("anchor", "") or element.get("docLocation", "")
        yield self._linked(element, markdown.target(relation.target, place) if relation and relation.outside else "")

    def _linked(self, element: Element, target: str) -> str:
        hidden = self._hidden
        words = markdown.struck("".join(self._runs(element)))
        hidden = not words and self._hidden > hidden
        return markdown.link(words, target) if target and not hidden else words

    def _simple_field(self, element: Element) -> Iterator[str]:
        instruction = element.get("instr", "")
        if target := fields.target(instruction):
            yield self._linked(element, target)
        elif not fields.is_of_page(instruction):
            yield from symbols.asked(instruction) or self._runs(element)

    def _field(self, element: Element) -> Iterator[str]:
        """A field begins, shows its words, or ends."""
        kind = element.get("fldCharType")
        if kind == "begin":
            self._fields.begin()
            yield symbols.filled(markup.find(element, "ffData"))
        elif kind == "separate":
            yield self._fields.show()
        elif kind == "end":
            yield self._fields.end()

    def _instruction(self, element: Element) -> Iterator[str]:
        self._fields.ask(element.text or "")
        return iter(())

    def _reference(self, element: Element) -> Iterator[str]:
        key = element.tag.removesuffix("Reference"), element.get("id", "")
        if key[0] == "comment":
            yield f"[^{'-'.join(key)}]"
        elif self._unseen:
            self._references.names[key] = ""
        elif element.get("customMarkFollows", "0") in ("1", "true", "on"):
            self._marked = key
        else:
            yield self._references.mark(key)

    def _box(self, element: Element) -> Iterator[str]:
        self._aside.append(self.blocks(element))
        return iter(())

    def _art(self, element: Element) -> Iterator[str]:
        """Words that are drawn: an older form of WordArt, or a watermark, which is one in a header."""
        self._aside.append(iter([element.get("string", "")]))
        return iter(())

    def _chart(self, element: Element) -> Iterator[str]:
        self._aside.append(self._drawings.blocks(element))
        return iter(())

    def _picture(self, element: Element) -> Iterator[str]:
        yield self._drawings.described(element)

    def _either(self, element: Element) -> Iterator[str]:
        return self._runs(markup.newer(element))


def _whole(container: Element) -> Iterator[Element]:
    """Give what is in an element; a dropped capital, a paragraph of its own, begins the one behind it (§17.3.1.11)."""
    for child, behind in pairwise([*container, Element("")]):
        if behind.tag == "p" and markup.find(child, "pPr", "framePr").get("dropCap", "none") != "none":
            behind[:0] = [run for run in child if run.tag != "pPr"]
        else:
            yield child


def _within(element: Element, name: str) -> Iterator[Element]:
    """Give rows of a table or cells of a row, also those in content controls and insertions."""
    for child in element:
        if child.tag == name:
            yield child
        elif child.tag not in _SKIPPED and child.tag != "tbl":
            yield from _within(child, name)
