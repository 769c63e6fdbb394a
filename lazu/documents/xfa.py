"""XFA forms: PDF files whose real form is XML that only Adobe's programs lay out. Its words and what is filled in."""

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple
from xml.parsers import expat

from lazu.documents.pdfium import Document, raw

TITLE = "[An XFA form, which only Adobe's programs can show. Its words, and what is filled in:]"

_TEMPLATE, _DATA = "http://www.xfa.org/schema/xfa-template/", "http://www.xfa.org/schema/xfa-data/"


class Form(NamedTuple):
    """The words of a form in the order of its template, and what is filled in: names and values."""

    words: list[str]
    values: list[tuple[str, str]]


def read(document: Document) -> Form:
    """Return the words of a document's XFA; empty where it has none, and of damaged XML those before the damage."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = reader.begin, reader.end
    parser.CharacterDataHandler = reader.pieces.append
    with suppress(expat.ExpatError, LookupError):
        for packet in _packets(document):
            parser.Parse(packet)
    return Form(reader.words, reader.values)


def bare(document: Document) -> bool:
    """Return whether the pages of a document are none of its form: "Please wait", they say."""
    return int(raw.FPDF_GetFormType(document.handle)) == int(raw.FORMTYPE_XFA_FULL)


def _packets(document: Document) -> Iterator[bytes]:
    """Give the XML piece by piece; together they are one XML document."""
    for place in range(raw.FPDF_GetXFAPacketCount(document.handle)):
        size = ctypes.c_ulong()
        raw.FPDF_GetXFAPacketContent(document.handle, place, None, 0, size)
        buffer = ctypes.create_string_buffer(size.value)
        raw.FPDF_GetXFAPacketContent(document.handle, place, buffer, size.value, size)
        yield buffer.raw


class _Reader:
    """Collects texts while the XML goes by, each piece between two tags under the names of what it stands in."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.values: list[tuple[str, str]] = []
        self.pieces: list[str] = []
        self._path: list[str] = []

    def begin(self, name: str, _: dict[str, str]) -> None:
        self._keep()
        self._path.append(name)

    def end(self, _: str) -> None:
        self._keep()
        self._path.pop()

    def _keep(self) -> None:
        text = " ".join("".join(self.pieces).split())
        self.pieces.clear()
        if not text:
            return
        names = [name.rpartition(" ")[2] for name in self._path]
        if any(name.startswith(_DATA) for name in self._path):
            self.values.append((names[-1], text))
        elif self._path[1:] and self._path[1].startswith(_TEMPLATE) and _shown(names):
            self.words.append(text)


def _shown(names: list[str]) -> bool:
    """Return whether a text of the template is seen, by the names above it: a label, no script or default value."""
    path = "/".join(names)
    return any(f"{holder}/value/{kind}" in path for holder in ("draw", "caption") for kind in ("text", "exData"))
