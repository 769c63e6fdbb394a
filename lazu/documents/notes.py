"""Names of a document's notes: the marks that people see (`2`, `ii`, `*`), since its words refer to them by those."""

import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from lazu.documents import markdown, markup, numbering

#: What the label of a note can't have in Markdown, and marks of what is struck out (`markdown.STRUCK`).
_NO_LABEL = re.compile(r"[\[\]^\s\x02\x03]+")


class Notes:
    """Names the notes of one document, each as no other, in the order in which their marks are read.

    `forms` says how each kind (`footnote`, `endnote`) is counted, in the words of a docx; `blocks` are those that were
    kept here.
    """

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.forms = {"footnote": "decimal", "endnote": "lowerRoman"}
        self._counts = Counter[str]()
        self._kinds: dict[str, str] = {}  # by name: Markdown takes `I` and `i` for one
        self._again = Counter[str]()

    def next(self, kind: str) -> str:
        """Return the name of a note that has the next number of its kind."""
        self._counts[kind] += 1
        return self.name(kind, numbering.number(self._counts[kind], self.forms[kind]))

    def name(self, kind: str, mark: str) -> str:
        """Return the name of a note that has this mark: its kind stands before it if a note of another kind has it.

        If one of its own kind has it, a number stands behind: marks may begin anew with each page or chapter.
        """
        mark = _NO_LABEL.sub("", mark) or kind
        if self._kinds.get(mark.casefold(), kind) != kind:
            mark = f"{kind}-{mark}"
        name = mark
        while name.casefold() in self._kinds:
            self._again[mark] += 1
            name = f"{mark}-{self._again[mark] + 1}"
        self._kinds[name.casefold()] = kind
        return name

    def add(self, name: str, words: str, author: str = "") -> str:
        """Keep a note and return its mark; the author is that of a comment."""
        self.blocks.append(markdown.note(name, f"{author}: {words}" if author else words))
        return f"[^{name}]"


class Footnotes(Notes):
    """The notes of a web page, or of all chapters of a book, by the addresses at which they stand.

    `page` is the name of the chapter that is read, empty of a page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.page = ""
        self._names: dict[str, str] = {}

    def mark(self, target: str, own: str) -> str:
        """Return the mark of the note at an address that a link says; `own` is what people see there."""
        page, _, place = target.partition("#")
        key = self._key(unquote(page), unquote(place)) if place else own
        if key not in self._names:
            self._names[key] = self.name("footnote", unicodedata.normalize("NFKC", own))
        return f"[^{self._names[key]}]"

    def at(self, place: str) -> str:
        """Return the name of the note that is the element of this id, empty if no mark has led to it."""
        return self._names.get(self._key("", place), "") if place else ""

    def _key(self, page: str, place: str) -> str:
        """Return the address of a place; a page alone may name itself as it likes."""
        found = posixpath.join(posixpath.dirname(self.page), page) if page else self.page
        return f"{posixpath.normpath(found) if self.page else ''}#{place}"


class References(Notes):
    """The notes of a docx by kind and id, counted as its settings and each of its sections say (§17.11)."""

    def __init__(self, settings: Element, tree: Element) -> None:
        super().__init__()
        former = {section for change in tree.iter("sectPrChange") for section in change}
        self._settings = settings
        self._sections = (section for section in tree.iter("sectPr") if section not in former)
        self.names: dict[tuple[str, str], str] = {}
        self.begin_section()

    def begin_section(self) -> None:
        """A section begins; `sectPr` stands at its end."""
        section = next(self._sections, Element(""))
        for kind in self.forms:
            self._count(kind, [markup.find(holder, f"{kind}Pr") for holder in (section, self._settings)])

    def mark(self, key: tuple[str, str], own: str = "") -> str:
        """Return the mark in Markdown of the note of this kind and id; `own` is the one that its author gave it."""
        if not self.names.get(key):
            self.names[key] = self.name(key[0], own) if own else self.next(key[0])
        return f"[^{self.names[key]}]"

    def _count(self, kind: str, said: Iterable[Element]) -> None:
        form, start, restart = (
            next(filter(None, (markup.value(found, name) for found in said)), "")
            for name in ("numFmt", "numStart", "numRestart")
        )
        self.forms[kind] = form or self.forms[kind]
        if kind not in self._counts or restart == "eachSect":
            self._counts[kind] = markup.number(start, 1) - 1
