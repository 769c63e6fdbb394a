"""MathML on one line, as it is typed: `(a+b)/(2c)`, `√(x)`; in web pages, books and OpenDocument (MathML 3)."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element, TreeBuilder

from lazu.documents import markdown, markup, refusals
from lazu.documents.equations import set_off, whole
from lazu.documents.refusals import Refused

#: Languages in which an equation is typed, and may stand beside itself (`annotation`).
_TYPED = ("tex", "starmath")

#: What nobody sees: a function and its argument, and terms, stand beside each other.
_INVISIBLE = str.maketrans({"\u2061": " ", "\u2062": None, "\u2063": None, "\u2064": " "})

#: What is written above a letter, as the mark on it.
_MARKS = {
    "^": "\u0302", "\u02c6": "\u0302", "¯": "\u0304", "\u203e": "\u0304", "\u02c9": "\u0304", "_": "\u0304",
    "~": "\u0303", "\u02dc": "\u0303", "\u2192": "\u20d7", "\u02d9": "\u0307", ".": "\u0307", "¨": "\u0308",
}  # fmt: skip

#: Elements that show what is in them as if they were not there.
_WRAPPERS = {"mrow", "mstyle", "mpadded"}

#: Elements of HTML without an end, and those of MathML that some pages leave open.
_EMPTY = {"none", "mprescripts", "mspace", "br", "img"}


class Formula:
    """An equation of a web page that is open. Elements may lack their ends."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._open: list[str] = []
        self.begin("math", {})

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins; raises `Refused` for more within each other than any equation has."""
        tag = _local(tag)
        self._builder.start(tag, attributes)
        if tag in _EMPTY:
            self._builder.end(tag)
        else:
            self._open.append(tag)
        if len(self._open) > markup.MAX_DEPTH:
            raise Refused(refusals.DEEP)

    def end(self, tag: str) -> bool:
        """An element ends, and what is open in it; return whether it was the equation itself."""
        tag = _local(tag)
        ended = "" if tag in self._open else tag
        while ended != tag:
            ended = self._open.pop()
            self._builder.end(ended)
        return not self._open

    def data(self, found: str) -> None:
        """Words."""
        self._builder.data(found)

    def words(self) -> str:
        """End it; return it as it is typed."""
        for tag in reversed(self._open):
            self._builder.end(tag)
        return words(self._builder.close())


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def words(element: Element) -> str:
    """Return what is in an element of an equation."""
    parts, behind = [], ""
    for child in reversed(element):
        tail, part = _text(element, child.tail), _one(child)
        parts += [tail, set_off(part, tail or behind) if _is_fraction(child) else part]
        behind = part or tail or behind
    return _joined([_text(element, element.text), *reversed(parts)])


def _is_fraction(element: Element) -> bool:
    while element.tag in _WRAPPERS and len(element) == 1:
        element = element[0]
    return element.tag == "mfrac" and len(element) > 1


def _text(element: Element, found: str | None) -> str:
    found = markdown.spaced(found or "").translate(_INVISIBLE)
    return found if element.tag == "mtext" else found.strip(" ")


def _joined(parts: Iterable[str]) -> str:
    """Return parts beside each other: digits are apart, and words, as functions are (`1 1/2`, `sin x`)."""
    found, last = "", ""
    for part in filter(None, parts):
        digits = last[-1:].isdigit() and part[0].isdigit()
        named = last[-1:].isalnum() and part[0].isalnum() and (_is_word(last) or _is_word(part))
        found += f"{' ' * (digits or named)}{part}"
        last = part
    return found


def _is_word(part: str) -> bool:
    return len(part) > 1 and part.isalpha()


def _one(element: Element) -> str:
    return _FORMS.get(element.tag, words)(element)


def _each(element: Element, count: int) -> list[str]:
    """Return what is in the first children; an empty word for each that is missing."""
    return [*map(_one, element[:count]), *[""] * (count - len(element))]


def _nothing(_: Element) -> str:
    return ""


def _space(_: Element) -> str:
    return " "


def _typed(element: Element) -> str:
    """Return an equation as it was typed in TeX or StarMath, else the first form of it that there is."""
    for other in markup.children(element, "annotation"):
        if any(name in other.get("encoding", "").casefold() for name in _TYPED) and markup.text(other).strip():
            return markdown.line(markup.text(other))
    return _each(element, 1)[0]


def _fraction(element: Element) -> str:
    over, under = _each(element, 2)
    if element.get("linethickness", "").startswith("0"):
        return f"{over} over {under}"
    return f"{whole(over)}/{whole(under)}"


def _root(element: Element) -> str:
    return f"\u221a({words(element)})"


def _root_of(element: Element) -> str:
    found, degree = _each(element, 2)
    return f"\u221a[{degree}]({found})"


def _scripts(low: str, high: str) -> str:
    return f"{f'_{whole(low)}' if low else ''}{f'^{whole(high)}' if high else ''}"


def _below(element: Element) -> str:
    base, low = _each(element, 2)
    return base + _scripts(low, "")


def _above(element: Element) -> str:
    base, high = _each(element, 2)
    return f"{whole(base)}{_MARKS[high]}" if high in _MARKS else base + _scripts("", high)


def _around(element: Element) -> str:
    base, low, high = _each(element, 3)
    return base + _scripts(low, high)


def _many(element: Element) -> str:
    """Return indices and exponents behind a letter, and before it, as isotopes have them: `(_6^14)C`."""
    base, *found = _each(element, len(element)) or [""]
    tags = [child.tag for child in element]
    end = tags.index("mprescripts") - 1 if "mprescripts" in tags[1:] else len(found)
    behind, before = found[:end], found[end + 1 :]
    first, last = ("".join(map(_scripts, pairs[::2], pairs[1::2])) for pairs in (before, behind))
    return f"{f'({first})' if first else ''}{base}{last}"


def _fenced(element: Element) -> str:
    between = element.get("separators", ",").strip()[:1]
    return f"{element.get('open', '(')}{between.join(map(_one, element))}{element.get('close', ')')}"


def _rows(element: Element) -> str:
    return "; ".join(", ".join(map(_one, row)) for row in element)


_FORMS = {
    "semantics": _typed, "mfrac": _fraction, "msqrt": _root, "mroot": _root_of, "mfenced": _fenced, "mtable": _rows,
    "mmultiscripts": _many, "mspace": _space, "br": _space, "msubsup": _around, "munderover": _around,
    **dict.fromkeys(("msub", "munder"), _below), **dict.fromkeys(("msup", "mover"), _above),
    **dict.fromkeys(("annotation", "annotation-xml", "mphantom", "none", "mprescripts"), _nothing),
}  # fmt: skip
