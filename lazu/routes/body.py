"""The body of a request: read as it arrives, and to its end, whatever was answered.

A client that is still sending when the answer comes and the connection closes sees a reset, not the answer: so the
answer goes first, and the rest of the body is read and thrown away, within bounds
(docs/decisions/0005-answer-first.md). How slowly it may come is the affair of `lazu.server.connection`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import gunicorn
from flask import Response, request
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import ParseException

from lazu import clock
from lazu.errors import InvalidRequest, RequestTimeout, UnsupportedEncoding

#: How much of a refused body is read before the connection is let go: more than the largest file.
DRAIN_BYTES = 640 * 2**20
DRAIN_SECONDS = 60

#: Bytes of one read from the socket: what stays in the processor's cache until it is hashed and written.
PIECE_BYTES = 512 * 1024


class Body:
    """The body of the current request; raises `UnsupportedEncoding` for one that is compressed."""

    def __init__(self) -> None:
        if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise UnsupportedEncoding
        self._take = _reader(request.environ)
        self._length = request.content_length
        self._received = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, empty at the end.

        Raises `RequestTimeout` for a client that is too slow, `InvalidRequest` when the body is shorter than its
        Content-Length or its chunks are malformed.
        """
        try:
            chunk = self._take(size)
        except TimeoutError as e:
            raise RequestTimeout("The request body stopped arriving, or came too slowly.") from e
        except (OSError, ParseException) as e:
            raise InvalidRequest("The request body ended early, or its chunks are malformed.") from e
        self._received += len(chunk)
        if not chunk and self._length is not None and self._received < self._length:
            raise InvalidRequest(f"The request body ended after {self._received} of {self._length} bytes.")
        return chunk


def _reader(environ: dict[str, Any]) -> Callable[[int], bytes]:
    """What reads up to so many bytes of the body: past gunicorn's buffers where they are as we know them."""
    stream = environ["wsgi.input"]
    reader = getattr(stream, "reader", None)
    if gunicorn.version_info[0] != 27 or not isinstance(reader, LengthReader):
        read: Callable[[int], bytes] = stream.read
        return read
    connection = environ["gunicorn.socket"]

    def straight(size: int) -> bytes:
        """What gunicorn holds already, then what the socket has; `reader.length` stays true, for draining."""
        held = reader.unreader.take_buffered()
        most = min(size, PIECE_BYTES, reader.length)
        if held:
            reader.unreader.unread(held[most:])
        chunk: bytes = held[:most] if held else connection.recv(most) if most else b""
        reader.length -= len(chunk)
        return chunk

    return straight


def drain(response: Response) -> None:
    """Have what is left of the request's body thrown away after `response` was sent."""
    if request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ:
        response.response = _then_drain(response.iter_encoded(), request.environ["wsgi.input"])


def _then_drain(answer: Iterable[bytes], stream: BinaryIO) -> Iterator[bytes]:
    yield from answer
    deadline = clock.monotonic() + DRAIN_SECONDS
    left = DRAIN_BYTES
    try:
        while left > 0 and clock.monotonic() < deadline and (chunk := stream.read(2**20)):
            left -= len(chunk)
    except (OSError, ParseException):
        return
