"""XML: a tree of elements without namespaces, or calls as it is read. Entities and what lies outside are refused.

An element's name is its local one: `p` for `w:p`, `a:p` and `text:p` alike. The office formats tell by the place which
one is meant, and files exist with other prefixes and with both generations of namespaces.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from lazu.documents import refusals
from lazu.documents.refusals import Refused

#: Elements within elements; each costs a few calls of Python's to walk.
MAX_DEPTH = 150

_SEPARATOR = "}"

#: A whole number, with the blanks around it that XML and HTML allow. No document has a longer one that counts.
_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,18})\s*")

#: The one namespace whose names are kept apart: `r:id` is a relation's, where `id` beside it is a number.
_REFERENCES = "/relationships"


class Names(dict[str, str]):
    """Local names by full ones; a file has few, and many times."""

    def __missing__(self, full: str) -> str:
        namespace, _, local = full.rpartition(_SEPARATOR)
        if namespace.endswith(_REFERENCES):
            local = f"r:{local}"
        if len(self) < 10_000:
            self[full] = local
        return local


class Tree:
    """Makes a tree of what the parser tells."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._names = Names()
        self._depth = 0
        self.data = self._builder.data

    def start(self, name: str, attributes: dict[str, str]) -> Element:
        """An element begins."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Refused(refusals.DEEP)
        names = self._names
        if attributes:
            attributes = {names[key]: value for key, value in attributes.items()}
        return self._builder.start(names[name], attributes)

    def stop(self, name: str) -> Element:
        """An element ends."""
        self._depth -= 1
        return self._builder.end(name)

    def close(self) -> Element:
        """Return the root."""
        return self._builder.close()


def parser(target: Any) -> Any:
    """An expat parser that tells `target` of what begins and ends, and of text; names are full ones."""
    made = expat.ParserCreate(namespace_separator=_SEPARATOR)
    made.buffer_text = True
    made.EntityDeclHandler = _refuse
    made.StartElementHandler, made.EndElementHandler = target.start, target.stop
    made.CharacterDataHandler = target.data
    return made


def feed(made: Any, data: bytes, final: bool = False) -> None:
    """Let a parser read on; raises `Refused` if this is no XML."""
    try:
        made.Parse(data, final)
    except (expat.ExpatError, LookupError, ValueError) as e:  # LookupError: an encoding that nobody knows
        raise Refused(refusals.BROKEN) from e


def tree(data: bytes) -> Element:
    """Return the root of an XML document; of no bytes, an element without anything. Raises `Refused`."""
    if not data:
        return Element("")
    target = Tree()
    feed(parser(target), data, True)
    return target.close()


def find(element: Element, *path: str) -> Element:
    """Return the first descendant along the path of names; an element without anything where there is none."""
    for name in path:
        found = element.find(name)
        if found is None:
            return Element("")
        element = found
    return element


def value(element: Element, *path: str) -> str:
    """Return the attribute `val` of the first descendant along the path, as OOXML says most things; empty without."""
    return find(element, *path).get("val", "")


def number(words: str, otherwise: int = 0, least: int = 0) -> int:
    """Return the whole number that an attribute says; `otherwise` if it says none, or a lower one than `least`.

    An odd number is no reason to refuse a document, so numbers of attributes are read nowhere else.
    """
    found = _NUMBER.fullmatch(words)
    return int(found[1]) if found and int(found[1]) >= least else otherwise


def is_on(switch: Element | dict[str, str] | None) -> bool:
    """Return whether a property that is there or not (`b`, `vanish`) is there, and not turned off."""
    return switch is not None and switch.get("val", "1") not in ("0", "false", "off")


def text(element: Element) -> str:
    """Return all text within."""
    return "".join(element.itertext())


def newer(both: Element) -> Element:
    """Return of what stands there in two forms (`AlternateContent`) the newer one."""
    choice = both.find("Choice")
    return choice if choice is not None and len(choice) else find(both, "Fallback")


def children(element: Element, *names: str) -> Iterator[Element]:
    """Give the children of these names, in order."""
    return (child for child in element if child.tag in names)


def _refuse(*_: Any) -> None:
    """Refuse an entity: office formats have none, and nested ones are a bomb."""
    raise Refused(refusals.BROKEN)
