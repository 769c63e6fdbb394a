"""The heads of requests: waited for in whole, in bounded memory, and then read once.

gunicorn's parser looks through all it has at each piece that comes, so a head that comes byte by byte, or never ends,
would cost the square of its length. Here it gets a head when that is complete; receiving and reading heads has slots of
its own, given to one address after the other, so that a flood of them can't take the processor from everybody else.
"""

from typing import Any

from gunicorn.http import message
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import (
    ConfigurationProblem,
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.http.parser import RequestParser

from lazu import logs
from lazu.errors import ApiError, InternalError, InvalidRequest
from lazu.gateway import answer
from lazu.metrics import METHODS
from lazu.server.connection import Connection
from lazu.slots import Slots, Turn, stays

#: A head may have as much: what nginx takes (large_client_header_buffers).
HEAD_BYTES = 64 * 1024

_END = b"\r\n\r\n"

#: Where nginx speaks from: by a Unix socket, or on this host.
_HERE = ("", "127.0.0.1", "::1")


#: What is wrong with what the parser refuses, and its status. Its own words have in them what the client sent.
_WRONG = {
    LimitRequestLine: (414, "The URL is too long."),
    ExpectationFailed: (417, "Expect may say 100-continue only; leave it out."),
    LimitRequestHeaders: (431, "The request's headers are too long."),
    UnsupportedTransferCoding: (501, "The method or transfer encoding is not supported."),
}

#: Of gunicorn's errors those that are no client's fault.
_OURS = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)


def refusal(problem: Exception) -> ApiError:
    """What to tell the client of `problem`: gunicorn's, or a bug."""
    if isinstance(problem, _OURS) or not isinstance(problem, ParseException):
        return InternalError()
    status, told = _WRONG.get(type(problem), (400, "The request is malformed."))
    error = InvalidRequest(told)
    error.status = status
    return error


def refuse(connection: Connection, error: ApiError) -> int:
    """Answer `error` where no view can; how many bytes of body went out, 0 when the client has left."""
    fields = [("Cache-Control", "no-store"), ("x-request-id", str(logs.request_id.get()))]
    if error.status == 501:  # the SDKs repeat every 5xx
        fields.append(("x-should-retry", "false"))
    asked = answer.Asked(connection.method, old=False, fields=fields)
    headers, body = answer.error(error, asked)
    try:
        connection.sendall(answer.text(error.status, headers, asked, keeps=False) + body)
    except OSError:
        return 0
    return len(body)


def address_of(client: Any) -> str:
    """The address of `client`, as accept(2) gives it; all of a Unix socket have one."""
    return str(client[0]) if isinstance(client, tuple) else ""


def asker(request: Any, address: str) -> str:
    """Who asks, for shares of the server and nothing else: whom nginx on this host tells of, else `address`."""
    told = [value for name, value in request.headers if name == "X-FORWARDED-FOR"] if address in _HERE else []
    return str(told[-1]).rpartition(",")[2].strip() if told else address


class Request(message.Request):
    """gunicorn's, which takes Connection for one word; it is a list, and may come in several lines."""

    def should_close(self) -> bool:
        """Whether the connection ends with this request (RFC 9112 §9.3); after CONNECT no other could begin."""
        lines = [value.lower() for name, value in self.headers if name == "CONNECTION"]
        options = [option.strip(" \t") for line in lines for option in line.split(",")]
        kept = "close" not in options and (self.version > (1, 0) or "keep-alive" in options)
        return self.must_close or self.method == "CONNECT" or not kept


class Parser(RequestParser):
    """gunicorn's, for a `Connection`: a head is received and read on one of `slots`, shared by address."""

    mesg_class = Request

    def __init__(self, cfg: Any, connection: Any, client: Any, slots: Slots) -> None:
        super().__init__(cfg, connection, client)
        self._connection = connection
        self._slots = slots
        self.address = address_of(client)

    def __next__(self) -> Any:
        """The next request; raises StopIteration at the end, what gunicorn's parser does, and `TooSlow`."""
        with Turn(self._slots, self.address, stays):
            head = self._head()
            if not head:
                raise StopIteration
            self.unreader.unread(head)
            return super().__next__()

    def finish_body(self, *args: Any, **kwargs: Any) -> bool:
        """Throw away what is left of a body, as gunicorn does; most were read to their end."""
        reader = self.mesg and self.mesg.body.reader
        return (isinstance(reader, LengthReader) and not reader.length) or bool(super().finish_body(*args, **kwargs))

    @property
    def read_all(self) -> bool:
        """Whether the body of the request was read to its end."""
        reader = self.mesg.body.reader
        return reader.parser is None if isinstance(reader, ChunkedReader) else not reader.length

    @property
    def follows(self) -> bool:
        """Whether something of the next request came with this one."""
        return bool(self.unreader.buf.getvalue())

    def _head(self) -> bytes:
        """All that has come of the next request once its head has ended, or can't end well any more."""
        head = bytearray(self.unreader.take_buffered())
        seen = 0
        while not (whole := _over(head, seen)) and len(head) <= HEAD_BYTES:
            seen = len(head)
            piece = self._connection.recv(HEAD_BYTES)
            if not piece:
                break
            head += piece
        self._connection.method = _method(head)
        if not whole and len(head) > HEAD_BYTES:
            raise LimitRequestHeaders(f"more than {HEAD_BYTES} bytes")
        return bytes(head)


def _method(head: bytearray) -> str:
    """The method of a head that may be malformed behind it, "-" unless Lazu knows it: it goes into the log."""
    word = head[:16].removeprefix(b"\r\n").partition(b" ")[0].decode("latin-1")
    return word if word in METHODS else "-"


def _over(head: bytearray, seen: int) -> bool:
    """Whether the parser can judge `head`, whose first `seen` bytes were not enough: its end is there, or a bare LF."""
    start = max(0, seen - len(_END))
    return head.find(_END, start) >= 0 or head.count(b"\n", start) != head.count(b"\r\n", max(0, start - 1))
