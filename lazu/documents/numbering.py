"""Labels of numbered paragraphs in a docx: `2.`, `2.1`, `(b)`, `iv)`, counted as Word does (ECMA-376 part 1, §17.9)."""

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element

from lazu.documents import markup

_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip

#: How the names of schemes begin in a presentation.
_SCHEMES = {"alphaLc": "lowerLetter", "alphaUc": "upperLetter", "romanLc": "lowerRoman", "romanUc": "upperRoman"}

#: Levels that a list has in Word.
_LEVELS = 9


class Level(NamedTuple):
    """One level of a list: how it counts, from which number, and what its label looks like, as `%1.%2)`."""

    form: str
    start: int
    label: str


class Numbering:
    """The lists of a document: `tree` is its part numbering.xml. It counts, so ask once a paragraph, in order."""

    def __init__(self, tree: Element) -> None:
        self._abstract = {entry.get("abstractNumId", ""): entry for entry in tree.iter("abstractNum")}
        self._styled = {markup.value(entry, "styleLink"): entry for entry in self._abstract.values()}
        self._lists = {entry.get("numId", ""): entry for entry in tree.iter("num")}
        self._levels: dict[str, list[Level]] = {}
        self._counts: dict[str, list[int]] = {}

    def label(self, number: str, depth: int) -> str | None:
        """Return the label of the next paragraph at `depth` (from 0) of a list: `-` for a bullet, None without one."""
        entry = self._lists.get(number)
        if entry is None or not 0 <= depth < _LEVELS:
            return None
        counts = self._counts.setdefault(markup.value(entry, "abstractNumId"), [0] * _LEVELS)
        if number not in self._levels:
            self._levels[number] = _levels(self._pattern(entry), entry)
            _begin_anew(entry, counts)
        levels = self._levels[number]
        counts[depth] = counts[depth] + 1 if counts[depth] else levels[depth].start
        counts[depth + 1 :] = [0] * (_LEVELS - depth - 1)
        return _shown(levels, counts, depth)

    def _pattern(self, entry: Element) -> Element | None:
        """Return the pattern of a list: its own, or that of the style that it names."""
        own = self._abstract.get(markup.value(entry, "abstractNumId"))
        link = "" if own is None else markup.value(own, "numStyleLink")
        return self._styled.get(link) if link else own


def _begin_anew(entry: Element, counts: list[int]) -> None:
    """Forget the counts of those levels that a list starts itself; the others it goes on from lists of its pattern."""
    for override in entry.iter("lvlOverride"):
        depth = int(override.get("ilvl", "0"))
        if markup.value(override, "startOverride") and 0 <= depth < _LEVELS:
            counts[depth] = 0


def _levels(abstract: Element | None, number: Element) -> list[Level]:
    """Return the levels of a list: those of its pattern, and over them its own."""
    levels = [Level("bullet", 1, "")] * _LEVELS
    patterns = [] if abstract is None else [(entry, entry) for entry in abstract.iter("lvl")]
    overrides = [(entry, markup.find(entry, "lvl")) for entry in number.iter("lvlOverride")]
    for place, entry in patterns + overrides:
        depth = int(place.get("ilvl", "0"))
        if 0 <= depth < _LEVELS:
            levels[depth] = _level(entry, levels[depth], markup.value(place, "startOverride"))
    return levels


def _level(entry: Element, known: Level, start: str) -> Level:
    first = start or markup.value(entry, "start")
    return Level(
        markup.value(entry, "numFmt") or known.form,
        int(first) if first.isdigit() else known.start,
        markup.value(entry, "lvlText") or known.label,
    )


def _shown(levels: list[Level], counts: list[int], depth: int) -> str | None:
    level = levels[depth]
    if level.form == "bullet":
        return "-"
    if level.form == "none" or "%" not in level.label:
        return level.label or None

    def counted(match: re.Match[str]) -> str:
        at = int(match[1]) - 1
        return number(counts[at] or levels[at].start, levels[at].form)

    return re.sub(r"%([1-9])", counted, level.label)


def automatic(scheme: str, count: int) -> str:
    """Return the label of a numbered paragraph of a slide: `3.`, `c)` or `(iii)`, as its scheme says (§20.1.10.61)."""
    form = next((form for begin, form in _SCHEMES.items() if scheme.startswith(begin)), "decimal")
    found = number(count, form)
    if scheme.endswith("ParenBoth"):
        return f"({found})"
    return f"{found})" if scheme.endswith("ParenR") else f"{found}."


def number(count: int, form: str) -> str:
    """Return a number in letters, Roman or Arabic digits."""
    if form in ("lowerLetter", "upperLetter"):
        letters = chr(ord("a") + (count - 1) % 26) * min((count - 1) // 26 + 1, 9)
    elif form in ("lowerRoman", "upperRoman"):
        letters = _roman(count)
    else:
        return f"{count:02d}" if form == "decimalZero" else str(count)
    return letters.upper() if form.startswith("upper") else letters


def _roman(count: int) -> str:
    letters = ""
    for size, sign in _ROMAN:
        times, count = divmod(min(count, 9999), size)
        letters += sign * times
    return letters
