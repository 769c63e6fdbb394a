"""Styles of a docx: is a paragraph a heading or an item of a list, are words hidden (ECMA-376 part 1, §17.7)."""

import re
from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple
from xml.etree.ElementTree import Element

from lazu.documents import markup
from lazu.documents.numbering import Numbering
from lazu.documents.package import Package

_HEADING = re.compile("heading ([1-9])")


#: Properties of words that say what becomes of them.
_MARKS = ("vanish", "strike", "dstrike")


class Style(NamedTuple):
    """What a style gives its paragraphs: the level of a heading, 0 for none, and the list that they are items of.

    `marks` are those properties of words that it turns on, `fonts` those of letters and of private characters.
    """

    level: int
    listed: Element | None
    marks: frozenset[str]
    fonts: tuple[str, str] | None


class Styles:
    """The styles of a document: is a paragraph a heading, of which level; is it an item of a list."""

    def __init__(self, package: Package, main: str) -> None:
        trees = [package.tree(name) for name in package.related(main, "styles")]
        self._styles = {style.get("styleId", ""): style for tree in trees for style in tree.iter("style")}
        self._known: dict[str, Style] = {}
        numbering = [package.tree(name) for name in package.related(main, "numbering")]
        self.numbering = Numbering(numbering[0] if numbering else Element(""))

    def level(self, properties: Element) -> int:
        """Return the level of a heading from 1 on, 0 for other text."""
        own = _outline(properties)
        return self._style(markup.value(properties, "pStyle")).level if own is None else own

    def place(self, properties: Element) -> tuple[str, int] | None:
        """Return the list of which a paragraph is an item, and the depth in it."""
        listed = _list(properties)
        if listed is None:
            listed = self._style(markup.value(properties, "pStyle")).listed
        if listed is None:
            return None
        depth = markup.value(listed, "ilvl") or markup.value(properties, "numPr", "ilvl")
        return markup.value(listed, "numId"), markup.number(depth)

    def marks(self, paragraph: Element) -> frozenset[str]:
        """Return the marks (`vanish`, `strike`, `dstrike`) that the style of a paragraph gives its words."""
        return self._style(markup.value(paragraph, "pStyle")).marks

    def marked(self, run: Element, paragraph: frozenset[str]) -> frozenset[str]:
        """Return the marks of a run in a paragraph whose style gives `paragraph`: its own properties count.

        Without any a style of the run turns on what the paragraph's does not, and off what it does (§17.7.3).
        """
        return _turned(paragraph ^ self._style(markup.value(run, "rStyle")).marks, run)

    def fonts(self, properties: Element) -> tuple[str, str] | None:
        """Return the fonts that properties of a run or a paragraph name, or their style does, if any."""
        style = markup.value(properties, "rStyle") or markup.value(properties, "pStyle")
        return _fonts(properties) or self._style(style).fonts

    def _style(self, name: str) -> Style:
        """Return a style; found once for all that have it, of which there may be a million."""
        if name not in self._known:
            self._known[name] = self._inherited(name)
        return self._known[name]

    def _inherited(self, name: str) -> Style:
        chain = list(self._parents(name))
        holders = [markup.find(style, "pPr") for style in chain]
        levels = [level for level in map(_outline, holders) if level is not None]
        lists = [listed for listed in map(_list, holders) if listed is not None]
        runs = [markup.find(style, "rPr") for style in chain]
        marks, fonts = reduce(_turned, reversed(runs), frozenset[str]()), next(filter(None, map(_fonts, runs)), None)
        return Style(levels[0] if levels else _named(chain), lists[0] if lists else None, marks, fonts)

    def _parents(self, name: str) -> Iterator[Element]:
        """Give the style of this name, and those that it is based on."""
        seen = set[str]()
        while name in self._styles and name not in seen:
            seen.add(name)
            yield self._styles[name]
            name = markup.value(self._styles[name], "basedOn")


def _named(chain: list[Element]) -> int:
    """Return the level that the names of styles tell: Google's documents have no other."""
    names = [markup.value(style, "name").casefold() for style in chain]
    found = next(filter(None, map(_HEADING.fullmatch, names)), None)
    return int(found[1]) if found else int(names[:1] == ["title"])


def _turned(marks: frozenset[str], properties: Element) -> frozenset[str]:
    """Return marks of which properties turn some on or off."""
    for name in _MARKS:
        own = properties.find(name)
        if own is not None:
            marks = marks | {name} if markup.is_on(own) else marks - {name}
    return marks


def _fonts(holder: Element) -> tuple[str, str] | None:
    """Return the fonts that properties name themselves; that of a theme comes before another (§17.3.2.26)."""
    found = markup.find(holder, "rFonts")
    letters, own = (found.get(f"{kind}Theme", "") or found.get(kind, "") for kind in ("ascii", "hAnsi"))
    return (letters, own) if letters or own else None


def _outline(holder: Element) -> int | None:
    """Return the level that properties name themselves."""
    level = markup.number(markup.value(holder, "outlineLvl"), -1) + 1
    return (level if level <= 9 else 0) if level else None


def _list(holder: Element) -> Element | None:
    """Return the list that properties name themselves."""
    listed = holder.find("numPr")
    return listed if listed is not None and markup.value(listed, "numId") else None
