"""HTTP/1.1 as an upstream speaks it, read strictly and piece by piece (RFC 9112): the head of an answer, and its body.

Nothing here touches a socket. What is no HTTP raises `Malformed`; a lenient reading could let a server behind Lazu and
one before it see two different answers.
"""

import re
from dataclasses import dataclass
from typing import Protocol

#: Bytes that the head of an answer may have, interim answers before it included.
MAX_HEAD = 64 * 1024

#: Bytes of one line of chunked framing, and of all trailers together.
MAX_LINE = 4096

_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class Malformed(Exception):
    """An answer that is no HTTP."""


@dataclass(frozen=True)
class Head:
    """The head of an answer: fields in their order, `length` of the body if it says so."""

    status: int
    fields: list[tuple[str, str]]
    length: int | None = None
    chunked: bool = False

    def value(self, name: str) -> str:
        """Return the values of the field `name`, which is lower case, as one; empty if there is none."""
        return ", ".join(value for key, value in self.fields if key.lower() == name)


class HeadReader:
    """Finds the head of the final answer; interim ones (1xx but 101) are skipped."""

    def __init__(self) -> None:
        self._held = b""
        self._skipped = 0

    def feed(self, data: bytes) -> tuple[Head, bytes] | None:
        """Return the head, and what came after it, as soon as it is whole; raises `Malformed`."""
        since = max(0, len(self._held) - 3)
        self._held += data
        while (end := _END.search(self._held, since)) and self._skipped + end.end() <= MAX_HEAD:
            head, self._held = parse(self._held[: end.start()]), self._held[end.end() :]
            if head.status >= 200 or head.status == 101:
                return head, self._held
            self._skipped += end.end()
            since = 0
        if self._skipped + len(self._held) > MAX_HEAD:
            raise Malformed("its head is too long")
        return None


def parse(text: bytes) -> Head:
    """Return the head in `text`, which has all but the empty line at its end; raises `Malformed`."""
    first, *lines = text.decode("latin-1").replace("\r\n", "\n").split("\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise Malformed("its first line is no status line")
    fields: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and fields:  # a folded line (RFC 9112 §5.2) is one line from here on
            name, value = fields.pop()
            fields.append(_field(f"{name}: {value} {line.strip()}"))
        else:
            fields.append(_field(line))
    return Head(int(status[2]), fields, *_framing(fields, old=status[1] == "0"))


def _field(line: str) -> tuple[str, str]:
    field = _FIELD.fullmatch(line)
    if field is None:
        raise Malformed("a header is no header")
    return field[1], field[2].strip(" \t")


def _framing(fields: list[tuple[str, str]], old: bool) -> tuple[int | None, bool]:
    """Return length and whether it is chunked, for one way to read it and no other (RFC 9112 §6.3).

    `old` is HTTP/1.0.
    """
    lengths = [value for name, value in fields if name.lower() == "content-length"]
    codings = [value.lower() for name, value in fields if name.lower() == "transfer-encoding"]
    if len(lengths) + len(codings) > 1 or (codings and (old or codings != ["chunked"])):
        raise Malformed("its length can be read in two ways")
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        raise Malformed("its length is no number")
    return (int(lengths[0]) if lengths else None), bool(codings)


class Payload(Protocol):
    """The body of an answer. `ended` once it is whole; `until_close` if the connection's end is its end."""

    ended: bool
    until_close: bool

    def feed(self, data: bytes) -> bytes:
        """Return the content in `data`; raises `Malformed`."""


class Sized:
    """A body of `left` bytes; what comes after them is not looked at."""

    until_close = False

    def __init__(self, left: int) -> None:
        self._left = left
        self.ended = left == 0

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of `data` that belong to the body."""
        piece = data[: self._left]
        self._left -= len(piece)
        self.ended = self._left == 0
        return piece


class Endless:
    """A body that ends with its connection."""

    ended = False
    until_close = True

    def feed(self, data: bytes) -> bytes:
        """Return all of it."""
        return data


class Chunked:
    """A body in chunks (RFC 9112 §7.1); extensions and trailers are dropped."""

    until_close = False

    def __init__(self) -> None:
        self.ended = False
        self._held = b""
        #: Bytes of the current chunk still to come; its CRLF is due; the last chunk is over; bytes of trailers.
        self._left, self._due, self._last, self._trailers = 0, False, False, 0

    def feed(self, data: bytes) -> bytes:
        """Return the content in `data`; raises `Malformed`."""
        if self._held:
            data, self._held = self._held + data, b""
        pieces, at = [], 0
        while not self.ended and at < len(data):
            if self._left:
                pieces.append(data[at : at + self._left])
                at += len(pieces[-1])
                self._left -= len(pieces[-1])
                self._due = not self._left
            elif (at := self._line(data, at)) < 0:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _line(self, data: bytes, at: int) -> int:
        """Take the line that begins at `at`; gives where it ends, or -1 and keeps it when its end has not come."""
        if self._due and not b"\r\n".startswith(data[at : at + 2]):
            raise Malformed("a chunk is longer than its size")
        end = data.find(b"\r\n", at, at + MAX_LINE)
        if end >= 0:
            self._take(data[at:end])
            return end + 2
        if len(data) - at >= MAX_LINE:
            raise Malformed("a line of its chunks is too long")
        self._held = data[at:]
        return -1

    def _take(self, line: bytes) -> None:
        if self._due:
            self._due = False
        elif self._last:
            self._trailers += len(line)
            self.ended = not line
            if self._trailers > MAX_LINE:
                raise Malformed("its trailers are too long")
        elif size := _SIZE.fullmatch(line):
            self._left = int(size[1], 16)
            self._last = self._left == 0
        else:
            raise Malformed("the size of a chunk is no number")


def payload(head: Head, method: str) -> Payload:
    """Return the body that comes after `head`, the answer to a request by `method`."""
    if method == "HEAD" or head.status in (204, 304):
        return Sized(0)
    if head.chunked:
        return Chunked()
    return Endless() if head.length is None else Sized(head.length)
