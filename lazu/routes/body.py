"""The body of a request: read as it arrives, and to its end, whatever was answered.

A client that is still sending when the answer comes and the connection closes sees a reset, not the answer: so the
answer goes first, and the rest of the body is read and thrown away, within bounds
(docs/decisions/0005-answer-first.md). How slowly it may come is the affair of `lazu.server.connection`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import gunicorn
from flask import Response, request
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException

from lazu import clock, slots
from lazu.errors import InvalidRequest, RequestTimeout, UnsupportedEncoding
from lazu.routes.chunks import PIECE_BYTES, Chunks
from lazu.sizes import DRAIN_BYTES, DRAIN_SECONDS

#: The last chunk of a chunked body, perhaps with an extension, and a trailer that may follow it (RFC 9112 §7.1).
_LAST_CHUNK, _TRAILER = re.compile(rb"0+[ \t]*(?:;.*)?"), re.compile(rb"[!#-'*+.^_`|~0-9A-Za-z-]+:")
_LINE_END = b"\r\n"
#: Bytes at the end of what came that are looked at: trailers are short.
_LOOKED_AT = 4096

Read = Callable[[int], bytes]


class Body:
    """The body of the current request; raises `UnsupportedEncoding` for one that is compressed."""

    def __init__(self) -> None:
        if request.environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in ("", "identity"):
            raise UnsupportedEncoding
        # gunicorn takes "gzip, chunked" and undoes the chunks alone.
        codings = request.environ.get("HTTP_TRANSFER_ENCODING", "").lower().split(",")
        if not {coding.strip() for coding in codings} <= {"", "identity", "chunked"}:
            raise UnsupportedEncoding(header="compressing Transfer-Encoding")
        self._take = _reader(request.environ)
        self._connection = request.environ.get("gunicorn.socket")
        self._length = request.content_length
        self._received = 0

    def read(self, size: int) -> bytes:
        """Up to about `size` bytes, empty at the end.

        Raises `RequestTimeout` for a client that is too slow, `InvalidRequest` when the body is shorter than its
        Content-Length or its chunks are malformed.
        """
        try:
            if not self._received and self._connection:
                self._connection.go_on()
            slots.give_way()
            chunk = self._take(size)
        except TimeoutError as e:
            raise RequestTimeout("The request body stopped arriving, or came too slowly.") from e
        except (OSError, ParseException) as e:
            raise InvalidRequest("The request body ended early, or its chunks are malformed.") from e
        self._received += len(chunk)
        if not chunk and self._length is not None and self._received < self._length:
            raise InvalidRequest(f"The request body ended after {self._received} of {self._length} bytes.")
        return chunk


def _reader(environ: dict[str, Any]) -> Read:
    """The function that reads the body: past gunicorn's buffers where they are as we know them."""
    stream = environ["wsgi.input"]
    reader = getattr(stream, "reader", None)
    if gunicorn.version_info[0] == 27:
        if isinstance(reader, LengthReader):
            return _straight(reader, environ["gunicorn.socket"].recv)
        if isinstance(reader, ChunkedReader):
            environ["lazu.chunks"] = chunks = Chunks(reader, environ["gunicorn.socket"].recv)
            return chunks.read
    read: Read = stream.read
    return read


def _straight(reader: LengthReader, receive: Read) -> Read:
    def read(size: int) -> bytes:
        """Give the bytes that gunicorn holds, then those of the socket; `reader.length` stays true, for draining."""
        held = reader.unreader.take_buffered()
        most = min(size, PIECE_BYTES, reader.length)
        if held:
            reader.unreader.unread(held[most:])
        chunk: bytes = held[:most] if held else receive(most) if most else b""
        reader.length -= len(chunk)
        return chunk

    return read


def drain(response: Response, environ: dict[str, Any]) -> None:
    """Have what is left of the request's body thrown away after `response` was sent."""
    if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
        response.response = _then_drain(response.iter_encoded(), _rest(environ))


def _then_drain(answer: Iterable[bytes], take: Read) -> Iterator[bytes]:
    yield from answer
    deadline = clock.monotonic() + DRAIN_SECONDS
    left = DRAIN_BYTES
    with suppress(OSError, ParseException):
        while left > 0 and clock.monotonic() < deadline and (chunk := take(PIECE_BYTES)):
            left -= len(chunk)


def _rest(environ: dict[str, Any]) -> Read:
    """The function that reads the rest of the body, to throw it away."""
    reader = getattr(environ["wsgi.input"], "reader", None)
    if not isinstance(reader, ChunkedReader):
        return _reader(environ)
    if reader.parser is None:  # it was read to its end
        return lambda _: b""
    # Chunks are not worth taking apart for this. So nobody knows where the next request would begin.
    reader.req.force_close()
    chunks: Chunks = environ.get("lazu.chunks") or Chunks(reader, environ["gunicorn.socket"].recv)
    return _until_last_chunk(chunks.unread, environ["gunicorn.socket"].recv)


def _until_last_chunk(seen: bytes, receive: Read) -> Read:
    """A function that reads until a piece ends as chunked bodies do, or the client has nothing more to say."""
    end = seen[-_LOOKED_AT:]

    def read(size: int) -> bytes:
        nonlocal end
        if _is_last(end):
            return b""
        piece = receive(size)
        end = (end + piece)[-_LOOKED_AT:]
        return piece

    return read


def _is_last(end: bytes) -> bool:
    """Whether `end` is that of a chunked body: the last chunk, its trailers, an empty line."""
    if not end.endswith(2 * _LINE_END):
        return False
    lines = end.removesuffix(2 * _LINE_END).split(_LINE_END)
    while len(lines) > 1 and _TRAILER.match(lines[-1]):
        lines.pop()
    return _LAST_CHUNK.fullmatch(lines[-1]) is not None
