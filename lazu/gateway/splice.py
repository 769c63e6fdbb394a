"""A request body made of JSON text and of files: read from disk while it is sent, its length known before.

A `Slice` is bytes of a file, as base64 or as text of a JSON string; a `Spliced` is text with slices in its holes.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import pybase64

from lazu import ids
from lazu.errors import InternalError

#: Bytes read at a time: a multiple of 3, so that each piece is base64 without padding until the last
#: (docs/decisions/0040-splice.md has the measurement).
PIECE = 192 * 1024

#: What RFC 8259 §7 wants escaped, the backslash first, for it is in all the others; and every other byte. By these a
#: text of 3 MB takes 2 ms, by `json.dumps` of each piece 15.
_ESCAPED = {byte: json.dumps(chr(byte))[1:-1].encode() for byte in b'\\"' + bytes(range(0x20))}
_PLAIN = bytes(byte for byte in range(256) if byte not in _ESCAPED)


@dataclass(frozen=True)
class Slice:
    """`size` bytes from `start` of the file that `open` gives, for a hole in a JSON string.

    They go as base64, or with `text` as the UTF-8 that they are, escaped. `len` is of what goes.
    """

    open: Callable[..., BinaryIO]
    size: int
    start: int = 0
    text: bool = False

    def __len__(self) -> int:
        return self._escaped if self.text else (self.size + 2) // 3 * 4

    @cached_property
    def _escaped(self) -> int:
        return sum(map(len, self))

    def __iter__(self) -> Iterator[bytes]:
        """Return the encoded bytes in pieces; raises FileNotFoundError, and `InternalError` when the file is short."""
        left = self.size
        with self.open() as file:
            file.seek(self.start)
            while left:
                piece = _exactly(file, min(PIECE, left))
                left -= len(piece)
                yield _escape(piece) if self.text else pybase64.b64encode(piece)


def _escape(piece: bytes) -> bytes:
    """Return UTF-8 as the inside of a JSON string. Only ASCII is escaped, so a piece may end within a character."""
    there = piece.translate(None, _PLAIN)
    for byte, escaped in _ESCAPED.items():
        if byte in there:
            piece = piece.replace(bytes((byte,)), escaped)
    return piece


def _exactly(file: BinaryIO, size: int) -> bytes:
    piece = file.read(size)
    while len(piece) < size:
        more = file.read(size - len(piece))
        if not more:
            raise InternalError
        piece += more
    return piece


class Holes:
    """Places in a JSON text that slices will fill. A hole is a string that nobody can have written into the text."""

    def __init__(self) -> None:
        self._prefix = ids.new_marker()
        self._slices: list[Slice] = []

    def cut(self, filling: Slice) -> str:
        """Return a new hole, to be put into a string of the JSON, once."""
        self._slices.append(filling)
        return f"{self._prefix}{len(self._slices) - 1:08d}"

    def fill(self, text: str, kept: object = None) -> "Spliced":
        """Return `text`, which is ASCII and has each hole once, as a body; `kept` lives as long as that."""
        return Spliced(text, list(self._find(text)), kept)

    def _find(self, text: str) -> Iterator[tuple[int, int, Slice]]:
        size = len(self._prefix) + 8
        at = text.find(self._prefix)
        while at >= 0:
            yield at, at + size, self._slices[int(text[at + size - 8 : at + size])]
            at = text.find(self._prefix, at + size)


class Spliced:
    """ASCII text with slices in place of some of it: `holes` are start, end and filling, in order. `len` is exact."""

    def __init__(self, text: str, holes: list[tuple[int, int, Slice]], kept: object = None) -> None:
        self._text = text
        self._holes = holes
        self._kept = kept

    def __len__(self) -> int:
        return len(self._text) + sum(len(filling) - (end - start) for start, end, filling in self._holes)

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        for start, end, filling in self._holes:
            yield from self._plain(at, start)
            yield from filling
            at = end
        yield from self._plain(at, len(self._text))

    def _plain(self, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, PIECE):
            yield self._text[at : min(at + PIECE, end)].encode()


class Plain:
    """A body that goes on as it came, under the same protocol as `Spliced`."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = memoryview(data)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[memoryview]:
        for at in range(0, len(self._data), PIECE):
            yield self._data[at : at + PIECE]
