"""HTML's elements: which have no end, begin a line, hold others; what nobody sees of a page, what is struck out.

And those of drawings (SVG 2) that stand in pages.
"""

from lazu.documents import refusals
from lazu.documents.refusals import Refused

#: Elements whose content nobody sees.
_UNSEEN = {"script", "style", "template", "noscript", "object", "iframe", "audio", "video", "canvas", "map"}

#: Attributes of a `template` that browsers show where it stands, as of HTML and of pages that Chromium saved.
_SHADOW = {"shadowrootmode", "shadowmode"}

#: How East Asian words are pronounced, which stands above them: within the line it would run into them.
_UNSEEN |= {"rt", "rp", "rtc"}

#: Elements without an end.
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

HEADINGS = {f"h{level}": level for level in range(1, 7)}

#: Kinds of fields (`input`) that have words.
_FIELDS = {"text", "submit", "button", "email", "tel", "url", "number"}

#: Elements that begin on a line of their own, besides those that are handled by name.
BLOCKS = set(
    """address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure
    footer form head header html legend main nav option p section select summary textarea""".split()
)

#: Elements that hold others, and hide them with themselves.
_HOLDERS = BLOCKS | _UNSEEN | {"svg", "ul", "ol", "menu", "dir", "table", "button"}

#: Elements whose end may be left out, and what ends them (HTML Standard, 13.1.2.4). Their parent's end does so too.
_ENDED_BY = {
    tag: set(enders.split())
    for tags, enders in (
        ("li", "li"), ("dt dd", "dt dd"), ("td th", "td th tr tbody thead tfoot"), ("tr", "tr tbody thead tfoot"),
        ("tbody thead tfoot", "tbody thead tfoot"), ("caption", "caption tr tbody thead tfoot"),
        ("rt rp rtc", "rt rp rb rtc"), ("option", "option optgroup"), ("optgroup", "optgroup"),
    )
    for tag in tags.split()
}  # fmt: skip
_ENDED_BY["p"] = BLOCKS - {"option", "select", "textarea", "legend", "caption"} | {"ul", "ol", "menu", "dir", "table"}
_ENDED_BY["p"] |= {"pre", "hr"} | set(HEADINGS) | {"li", "td", "th", "tr", "tbody", "thead", "tfoot"}

#: Elements that no equation holds: one that is open before them lacks its end.
BREAKING = _ENDED_BY["p"]

#: Elements whose end ends what is still open in them.
_ENDING = _HOLDERS | set(_ENDED_BY) | set(HEADINGS) | {"pre", "ruby"}
#: Elements that end one of a line that was left open before them: their parent's end was left out.
_BESIDE = {"li", "dt", "dd", "td", "th", "tr", "tbody", "thead", "tfoot"}

#: Elements within each other that nobody sees; a page has some ten.
_MAX_OPEN = 1000

#: Elements of a drawing that are not shown where they stand, or only where the mouse rests.
_UNDRAWN = {"title", "desc", "metadata", "defs", "symbol", "clippath", "mask", "marker", "pattern"}

#: Elements of a drawing that hold words or others.
_DRAWN = {"svg", "g", "a", "switch", "text", "tspan", "textpath", "foreignobject"}

#: Stands behind a `switch` that is open when its first element has come: it is the one that is shown.
_CHOSEN = ""

#: Elements that may be a note; and by role, type or class of a link what it is to one (DPUB-ARIA 1.1, EPUB SSV 1.1).
NOTES = {"aside", "dd", "div", "li", "p", "section", "td"}
_ROLES = {
    **dict.fromkeys(("doc-noteref", "noteref", "footnote-ref"), "noteref"),
    **dict.fromkeys(("doc-backlink", "backlink", "footnote-back", "footnote-backref"), "backlink"),
}

#: Elements whose words are struck out.
_STRIKING = {"del", "s", "strike"}

#: Elements in which there is nothing but words, also where there seems to be an element.
_VERBATIM = {"title", "textarea"}

#: Elements whose ends matter to those that strike words out, and the ones that are like another.
_KEPT = BLOCKS | set(HEADINGS) | _STRIKING | _VERBATIM | {"li", "td", "ul", "table"}
_ALIKE = {"th": "td", "caption": "td", **dict.fromkeys(("ol", "menu", "dir"), "ul")}

#: What an end does not reach beyond; for others than these a cell and a table.
_BEYOND = {"table": _VERBATIM, "td": _VERBATIM | {"table"}, "li": _VERBATIM | {"ul", "td", "table"}}
_BEYOND_OTHERS = _VERBATIM | {"td", "table"}

#: Elements within each other that are kept; no page has so many.
_MAX_KEPT = 200


def hidden(tag: str, attributes: dict[str, str]) -> bool:
    """Return whether nobody sees what is in an element."""
    style = attributes.get("style", "").replace(" ", "").casefold()
    unseen = tag in _UNSEEN and _SHADOW.isdisjoint(attributes)
    return unseen or "hidden" in attributes or "display:none" in style


def frame(tag: str, attributes: dict[str, str]) -> str:
    """Return the address of the page that an element shows within this one; empty if it shows none."""
    shown = tag in ("iframe", "frame") and not hidden("frame", attributes)  # what is in an `iframe` itself nobody sees
    return attributes.get("src", "") if shown else ""


def field(attributes: dict[str, str]) -> str:
    """Return what stands in a field (`input`)."""
    kind = attributes.get("type", "text").casefold()
    if kind in ("checkbox", "radio"):
        return "[x] " if "checked" in attributes else "[ ] "
    return f" {attributes.get('value', '')} " if kind in _FIELDS else ""


class Unseen:
    """An element that nobody sees, if one is open, and those within it that hold more."""

    def __init__(self) -> None:
        self._open: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._open)

    def begin(self, tag: str) -> None:
        """An element that nobody sees begins."""
        self._open = [tag]

    def ends_before(self, tag: str) -> bool:
        """Take an element that begins; return whether it is seen: the hidden one may end before it.

        Raises `Refused` for more elements within each other than any page has.
        """
        for place in reversed(range(len(self._open))):
            if self._open[place] not in _ENDED_BY:
                break
            del self._open[place if tag in _ENDED_BY[self._open[place]] else len(self._open) :]
        if len(self._open) == 1 and self._open[0] not in _ENDING and tag in _BESIDE:
            self._open = []
        if self._open and (tag in _ENDING or tag == self._open[0]):
            self._open.append(tag)
        if len(self._open) > _MAX_OPEN:
            raise Refused(refusals.DEEP)
        return not self._open

    def ends_with(self, tag: str) -> bool:
        """Take an end; return whether it is that of an element that is seen. The hidden one within ends with it."""
        if tag in self._open:
            while self._open.pop() != tag:
                pass
            return False
        first = self._open[0]
        if (first in _HOLDERS and first not in _ENDED_BY) or tag not in _ENDING:
            return False
        self._open = []
        return True


class Drawing:
    """A drawing, if one is open: which of its words are seen, and which of them stand apart."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._height = ""  # at which the words stand

    def _inside(self) -> bool:
        """Return whether elements are the drawing's: in `foreignObject` they are the page's."""
        return self._open[-1:] not in ([], ["foreignobject"])

    def shows(self) -> bool:
        """Return whether words that come are seen."""
        return not self._inside() or "text" in self._open

    def hides(self, tag: str, attributes: dict[str, str]) -> bool:
        """Return whether nobody sees what is in an element that begins."""
        hidden = tag in _UNDRAWN or self._open[-1:] == [_CHOSEN] or attributes.get("display") == "none"
        return hidden and self._inside() and tag not in BREAKING

    def begin(self, tag: str, attributes: dict[str, str]) -> str:
        """Take an element that begins, and return what parts its words from those before.

        Raises `Refused` for more elements within each other than any page has.
        """
        self._break(tag)
        if not (self._inside() or tag == "svg"):
            return ""
        if self._open[-1:] == ["switch"]:
            self._open.append(_CHOSEN)
        if tag in _DRAWN:
            self._open.append(tag)
        if len(self._open) > _MAX_OPEN:
            raise Refused(refusals.DEEP)
        return self._apart(tag, attributes)

    def end(self, tag: str) -> str:
        """Take an end, and return what parts the words behind it from those before."""
        self._break(tag)
        if tag not in self._open or not (self._inside() or tag in ("svg", "foreignobject")):
            return ""
        while self._open.pop() != tag:
            pass
        return "\n" if tag in ("text", "foreignobject") else ""

    def _break(self, tag: str) -> None:
        """End the drawing before an element of the page: its own end was left out (HTML Standard, 13.2.6.5)."""
        while tag in BREAKING and self._inside():
            self._open.pop()

    def _apart(self, tag: str, attributes: dict[str, str]) -> str:
        before, self._height = self._height, attributes.get("y", self._height)
        if tag in ("text", "foreignobject"):
            return "\n"
        if tag != "tspan" or "x" not in attributes:
            return ""
        return "\n" if before != self._height or attributes.get("dy", "0") != "0" else " "


def role(attributes: dict[str, str]) -> str:
    """Return what a link is to a note: `noteref` to it, `backlink` from it, empty if nothing says that it is either."""
    said = " ".join(attributes.get(name, "") for name in ("role", "epub:type", "class")).split()
    return next((_ROLES[word] for word in said if word in _ROLES), "")


class _Element(str):
    """The name of an element that is open; each is an object of its own."""

    __slots__ = ()


class Opened:
    """Elements that are open: those that strike words out, and those in which they end (HTML Standard, 13.2.6.4.7)."""

    def __init__(self) -> None:
        self._open: list[str] = []

    def struck(self) -> bool:
        """Return whether words are struck out."""
        return not _STRIKING.isdisjoint(self._open)

    def last(self, tag: str) -> str | None:
        """Return the element of this name that has begun just now; None if it is not kept."""
        return self._open[-1] if self._open[-1:] == [_ALIKE.get(tag, tag)] else None

    def has(self, element: str) -> bool:
        """Return whether this very element is still open."""
        return any(found is element for found in self._open)

    def end_before(self, tag: str) -> None:
        """End the elements that one ends by its beginning."""
        for other in ("p", "li", "td", "dt", "dd"):
            if tag in _ENDED_BY[other] and not self._in_verbatim():
                self.end(other)

    def begin(self, tag: str) -> None:
        """An element begins."""
        tag = _ALIKE.get(tag, tag)
        if tag in _KEPT and len(self._open) < _MAX_KEPT and not self._in_verbatim():
            self._open.append(_Element(tag))

    def _in_verbatim(self) -> bool:
        return bool(self._open) and self._open[-1] in _VERBATIM

    def end(self, tag: str) -> None:
        """An element ends, and what is open in it; but `s` and `strike` go on behind it, except behind a cell."""
        tag = "td" if tag == "tr" else _ALIKE.get(tag, tag)
        place = self._place(tag)
        if place is None:
            return
        within = self._open[place + 1 :]
        if tag not in _STRIKING:
            within = [other for other in within if other in ("s", "strike") and tag not in ("td", "table")]
        self._open[place:] = within

    def _place(self, tag: str) -> int | None:
        """Return where the element stands that an end of this name ends, if one is open."""
        for place in reversed(range(len(self._open) if tag in self._open else 0)):
            if self._open[place] == tag:
                return place
            if self._open[place] in _BEYOND.get(tag, _BEYOND_OTHERS):
                return None
        return None
