"""Labels of lists and headings in OpenDocument, counted as its programs do: ODF 1.3 part 3, §16.30 to §16.34."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from xml.etree.ElementTree import Element

from lazu.documents import markup, numbering, symbols

#: How lists count: in OpenDocument, and in HTML.
FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}

#: The name of the style of all headings, which has none: no list's style is called so.
_OUTLINE = "\0"

#: Styles on which one is based that are looked at.
_MAX_PARENTS = 20

_HEADING = re.compile("heading ([1-9])")


class _Level(NamedTuple):
    """One level of a list: how it counts, from which number, of how many levels its label shows the numbers."""

    form: str
    before: str
    after: str
    shown: int
    start: int


class Labels:
    """The labels of one document, whose styles are in `trees`. It counts, so ask once a heading or item, in order.

    `fonts` are those of the styles of words and paragraphs that name one, or are based on one that does.
    """

    def __init__(self, trees: list[Element]) -> None:
        self._levels = {place: level for tree in trees for place, level in _levels(tree)}
        faces = {face.get("name", ""): face.get("font-family", "") for tree in trees for face in tree.iter("font-face")}
        self.fonts = _fonts(trees, faces)
        self._bullets = {place: marker for tree in trees for place, marker in _bullets(tree, faces, self.fonts)}
        self._outline: dict[int, int] = {}
        self._counts: dict[int, int] = {}  # of the list that is open, by depth
        self._last: dict[tuple[str, int], int] = {}  # where lists ended, by their ids and styles

    def heading(self, heading: Element, level: int) -> str:
        """Return the label of a heading, empty without."""
        if heading.get("is-list-header") == "true":
            return ""
        own = heading.get("start-value", "") if heading.get("restart-numbering") == "true" else ""
        self._count(self._outline, _OUTLINE, level - 1, own)
        return self._label(self._outline, _OUTLINE, level - 1)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Count a list for itself, also one in a note or box of another's item."""
        outer, self._counts = self._counts, {}
        try:
            yield
        finally:
            self._counts = outer

    def begin(self, entries: Element, depth: int, style: str) -> None:
        """A list begins: anew, or it goes on from another."""
        before = entries.get("continue-list") or (style if entries.get("continue-numbering") == "true" else "")
        self._counts.pop(depth, None)
        if (before, depth) in self._last:
            self._counts[depth] = self._last[before, depth]

    def end(self, entries: Element, depth: int, style: str) -> None:
        """A list ends, from which others may go on."""
        if depth in self._counts:
            self._last.update(((name, depth), self._counts[depth]) for name in (style, entries.get("id", "")) if name)

    def item(self, entry: Element, depth: int, style: str) -> str:
        """Return the marker of an item. A header has none, and an item that begins with a list is not counted."""
        if entry.tag == "list-header":
            return " "
        if not (len(entry) and entry[0].tag == "list"):
            self._count(self._counts, style, depth, entry.get("start-value", ""))
        return self._label(self._counts, style, depth) or self._bullets.get((style, depth), "-")

    def _count(self, counts: dict[int, int], style: str, depth: int, own: str) -> None:
        level = self._levels.get((style, depth))
        following = counts[depth] + 1 if depth in counts else level.start if level else 1
        counts[depth] = markup.number(own, following)
        for deeper in [other for other in counts if other > depth]:
            del counts[deeper]

    def _label(self, counts: dict[int, int], style: str, depth: int) -> str:
        level = self._levels.get((style, depth))
        if level is None:
            return ""
        places = range(max(0, depth + 1 - level.shown), depth + 1)
        levels = [(place, self._levels[style, place]) for place in places if (style, place) in self._levels]
        numbers = (numbering.number(counts.get(place, found.start), found.form) for place, found in levels)
        return f"{level.before}{'.'.join(numbers)}{level.after}"


def _levels(tree: Element) -> Iterator[tuple[tuple[str, int], _Level]]:
    """Give the levels that count, by style and depth."""
    for style in (found for found in tree.iter() if found.tag in ("list-style", "outline-style")):
        name = style.get("name", "") if style.tag == "list-style" else _OUTLINE
        for level in markup.children(style, "list-level-style-number", "outline-level-style"):
            if level.get("num-format"):
                yield (name, markup.number(level.get("level", ""), 1) - 1), _level(level)


def _bullets(tree: Element, faces: dict[str, str], fonts: dict[str, str]) -> Iterator[tuple[tuple[str, int], str]]:
    """Give the markers of levels that have a bullet, by style and depth."""
    for style in (found for found in tree.iter("list-style") if found.get("name")):
        for level in markup.children(style, "list-level-style-bullet"):
            font = _font(level, faces) or fonts.get(level.get("style-name", ""), "")
            place = style.get("name", ""), markup.number(level.get("level", ""), 1) - 1
            yield place, symbols.marker(level.get("bullet-char", "-"), font)


def _fonts(trees: list[Element], faces: dict[str, str]) -> dict[str, str]:
    """Return the fonts of styles; those of the document itself come before those of its styles' part."""
    found = [style for tree in reversed(trees) for style in tree.iter("style")]
    styles = {style.get("name", ""): style for style in found if style.get("family") in ("text", "paragraph")}
    named = ((name, [_font(style, faces) for style in _parents(styles, name)]) for name in styles)
    return {name: next(filter(None, fonts)) for name, fonts in named if any(fonts)}


def _font(style: Element, faces: dict[str, str]) -> str:
    properties = markup.find(style, "text-properties")
    name = properties.get("font-name", "")
    return (faces.get(name, "") or name or properties.get("font-family", "")).strip("'\" ")


def _level(level: Element) -> _Level:
    before, after = level.get("num-prefix", ""), level.get("num-suffix", "")
    usual = "." if level.tag == "list-level-style-number" and not before else ""  # as Markdown has it
    shown, start = (markup.number(level.get(name, ""), 1) for name in ("display-levels", "start-value"))
    form = level.get("num-format", "")
    return _Level(FORMS.get(form) or numbering.told(form), before, after or usual, shown, start)


def headings(trees: list[Element]) -> dict[str, int]:
    """Return the levels of the styles that make a heading of a paragraph.

    Google's documents have no other headings, and no level but in the names of styles.
    """
    found = (style for tree in trees for style in tree.iter("style") if style.get("family") == "paragraph")
    styles = {style.get("name", ""): style for style in found}
    levels = ((name, _named(styles, name)) for name in styles)
    return {name: level for name, level in levels if level}


def _named(styles: dict[str, Element], name: str) -> int:
    """Return the level that the name of a style tells, or of one that it is based on; 0 for none."""
    for style in _parents(styles, name):
        name = style.get("name", "")
        shown = style.get("display-name", name.replace("_20_", " ")).casefold()
        if shown == "title":
            return 1
        if found := _HEADING.fullmatch(shown):
            return int(found[1])
    return 0


def _parents(styles: dict[str, Element], name: str) -> Iterator[Element]:
    """Give the style of this name, and those that it is based on."""
    for _ in range(_MAX_PARENTS):
        if name not in styles:
            break
        yield styles[name]
        name = styles[name].get("parent-style-name", "")
