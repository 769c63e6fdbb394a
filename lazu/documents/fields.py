"""Fields of a docx that are open: what they ask, and whether what they show has begun (ECMA-376 part 1, §17.16.18)."""

import re
from typing import NamedTuple

from lazu.documents import markdown, symbols

_TARGET = re.compile(r'\s*HYPERLINK\s+(?:"([^"]+)"|([^\s"\\]+))', re.IGNORECASE)
_PLACE = re.compile(r'\s\\l\s+(?:"([^"]*)"|([^\s"\\]+))', re.IGNORECASE)
#: Fields whose value in a header is that of one page.
_OF_PAGE = re.compile(r"\s*(?:PAGE|NUMPAGES|SECTIONPAGES)\b", re.IGNORECASE)

#: Stand before the words of a link, behind them, and behind the target that follows, until their paragraph is whole:
#: no XML has them.
_LINK, _TO, _END = "\x04", "\x05", "\x06"

#: Fields within each other whose end is awaited in further paragraphs.
_MAX_OPEN = 100

#: Characters of an instruction after which no more pieces of it are kept.
_MAX_INSTRUCTION = 10_000


class _Field(NamedTuple):
    """A field: `asked` if it is only part of what an outer one asks, as in the condition of an IF."""

    asked: bool
    instruction: str = ""
    shown: bool = False

    def hides(self) -> bool:
        """Return whether the words in it are not part of the text."""
        return self.asked or is_of_page(self.instruction) or bool(symbols.asked(self.instruction))


class Fields:
    """The fields that are open, each within the one before."""

    def __init__(self) -> None:
        self._open: list[_Field] = []

    def hide(self) -> bool:
        """Return whether words that come now are not part of the text."""
        return bool(self._open) and self._open[-1].hides()

    def begin(self) -> None:
        """A field begins: its instruction comes first."""
        outer = self._open[-1] if self._open else _Field(asked=False, shown=True)
        self._open.append(_Field(outer.asked or not outer.shown))

    def ask(self, words: str) -> None:
        """Take words of an instruction."""
        if self._open and len(self._open[-1].instruction) < _MAX_INSTRUCTION:
            self._open[-1] = self._open[-1]._replace(instruction=self._open[-1].instruction + words)

    def show(self) -> str:
        """What the innermost field shows begins; return what comes before it, for `linked`."""
        if not self._open:
            return ""
        self._open[-1] = self._open[-1]._replace(shown=True)
        return _LINK if target(self._open[-1].instruction) else ""

    def end(self) -> str:
        """The innermost field ends; return what comes behind it: a sign it asks for, or, for `linked`, a target."""
        ended = self._open.pop() if self._open else _Field(asked=True)
        if ended.asked:
            return ""
        link = target(ended.instruction)
        return f"{_LINK * (not ended.shown)}{_TO}{link}{_END}" if link else symbols.asked(ended.instruction)

    def end_paragraph(self) -> None:
        """End the fields whose own end is missing: those that show nothing yet, and those of a page's number."""
        if self._open and (self._open[-1].hides() or not self._open[-1].shown):
            shown = [field._replace(asked=False) for field in self._open[-_MAX_OPEN:] if field.shown]
            self._open = [field for field in shown if not field.hides()]


def target(instruction: str) -> str:
    """Return the target of a field that is a link, empty for another."""
    found = _TARGET.match(instruction)
    place = _PLACE.search(instruction, found.end()) if found else None
    return markdown.target(found[1] or found[2], (place[1] or place[2]) if place else "") if found else ""


def linked(words: str) -> str:
    """Return the words of a paragraph with the links of its fields; one may have begun in a paragraph before."""
    *links, rest = words.split(_END)
    return "".join([*map(_linked, links), rest]).replace(_LINK, "")


def _linked(words: str) -> str:
    words, _, address = words.rpartition(_TO)
    before, _, shown = words.rpartition(_LINK)
    return before + markdown.link(shown, address)


def is_of_page(instruction: str) -> bool:
    """Return whether a field gives the number of a page, or of all."""
    return bool(_OF_PAGE.match(instruction))
