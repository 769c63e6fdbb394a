"""The door to the network: the upstream, the model server that answers. No other room opens a socket to anybody.

Every call has a connection of its own, closed at its end: what a call costs hides it, and a kept one may be closed by
the upstream at the moment it is used again (docs/decisions/0041-upstream.md). Where a call goes is settled by
LAZU_UPSTREAM_URL alone; nothing that a request says can change it.
"""

import errno
import http.client
import logging
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from lazu import metrics
from lazu.config import Settings
from lazu.errors import Overloaded, UpstreamError, UpstreamNotConfigured, UpstreamTimeout
from lazu.gateway.hangup import Watch

#: Seconds to reach the upstream; from then on LAZU_UPSTREAM_TIMEOUT counts.
CONNECT_SECONDS = 10
READ_BYTES = 64 * 1024

#: What of the client's headers goes on. Keys, cookies, addresses and the names of accounts stay behind.
SENT = re.compile(r"accept|accept-encoding|accept-language|idempotency-key|openai-beta|user-agent|x-stainless-.*")

#: What of the upstream's headers comes back: all but those of its connection (RFC 9110 §7.6.1), those by which a
#: server before Lazu would serve a file of this host, and those that speak for the upstream's host or account.
DROPPED = re.compile(
    r"connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|x-accel-.*|x-sendfile.*|x-lighttpd-.*"
    r"|set-cookie.*|server|date|strict-transport-security|alt-svc|openai-organization|openai-project|x-lazu-.*"
)

log = logging.getLogger(__name__)


class Sendable(Protocol):
    """A request body: its pieces, and its length in bytes."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes | memoryview]: ...


@dataclass(frozen=True)
class Call:
    """What is asked of the upstream: `target` is below its base URL, percent-encoded, with the query string.

    `headers` are the client's; what of them is sent is decided here. `client` is the client's socket, if known: when
    it closes, the call ends.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Sendable | None = None
    client: socket.socket | None = None


class Answer:
    """The upstream's answer. Iterate over it once for the body, as it arrives; close it in any case."""

    def __init__(self, line: "_Line", response: http.client.HTTPResponse) -> None:
        self._line = line
        self._response = response
        self.status = response.status
        self.headers = list(_headers(response))

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces, none waiting for the next; raises ConnectionResetError when it breaks off."""
        try:
            while piece := self._response.read1(READ_BYTES):
                yield piece
            if self._response.length:  # what Content-Length promised and did not come
                raise http.client.IncompleteRead(b"", self._response.length)
        except (OSError, http.client.HTTPException) as e:
            metrics.upstream_called("broke_off")
            log.warning("the upstream broke off its answer: %s", type(e).__name__)
            # What gunicorn takes for a broken client: it ends the connection without the end of the body.
            raise ConnectionResetError(errno.ECONNRESET, "the upstream broke off") from e

    def close(self) -> None:
        """End the call, also before its end; safe to repeat."""
        self._line.close()
        self._response.close()


class Upstream:
    """The model server of the settings."""

    def __init__(self, settings: Settings) -> None:
        self.files = settings.upstream_files
        self._url = urlsplit(settings.upstream_url or "")
        self._key = settings.upstream_api_key
        self._timeout = settings.upstream_timeout
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None
        # A call holds a thread until the model is done; some stay free for files.
        self._slots = threading.BoundedSemaphore(max(1, settings.threads * 3 // 4))
        self._watch = Watch()

    def require(self) -> None:
        """Raise `UpstreamNotConfigured` if there is none."""
        if not self._url.hostname:
            raise UpstreamNotConfigured

    def send(self, call: Call) -> Answer:
        """Send `call`; gives the answer when its headers are there, whatever its status says.

        Raises `UpstreamNotConfigured`, `Overloaded`, `UpstreamError`, `UpstreamTimeout`, and what reading
        `call.body` raises.
        """
        self.require()
        try:
            answer = self._call(call)
        except (Overloaded, UpstreamError, UpstreamTimeout) as e:
            metrics.upstream_called(e.code)
            raise
        metrics.upstream_called("answered")
        return answer

    def reach(self) -> None:
        """Connect and leave; raises `UpstreamNotConfigured`, `UpstreamError`, `UpstreamTimeout`."""
        self.require()
        with closing(self._connection()) as connection:
            _connect(connection)

    def _call(self, call: Call) -> Answer:
        if not self._slots.acquire(blocking=False):
            raise Overloaded
        with ExitStack() as stack:
            line = _Line(self._connection(), self._slots, self._watch)
            stack.callback(line.close)
            line.open(self._timeout, call.client)
            line.send(call.method, f"{self._url.path}{call.target}", dict(self._sent(call)))
            if call.body is not None:
                line.pour(call.body)
            response = line.answer()
            _refuse(response)
            stack.pop_all()  # the answer closes the line
        return Answer(line, response)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)

    def _sent(self, call: Call) -> Iterator[tuple[str, str]]:
        yield from ((name, value) for name, value in call.headers.items() if SENT.fullmatch(name.lower()))
        yield "Connection", "close"
        if self._key:
            yield "Authorization", f"Bearer {self._key}"
        if call.body is not None:
            yield "Content-Type", "application/json"
            yield "Content-Length", str(len(call.body))
        elif call.method == "POST":
            yield "Content-Length", "0"


class _Line:
    """The connection of one call, and what it holds meanwhile: a slot, the watch over its client."""

    def __init__(
        self, connection: http.client.HTTPConnection, slots: threading.BoundedSemaphore, watch: Watch
    ) -> None:
        self._connection = connection
        self._slots = slots
        self._watch = watch
        self._client: socket.socket | None = None
        self._open = True

    def open(self, timeout: int, client: socket.socket | None) -> None:
        """Connect; from here on every wait for the upstream takes `timeout` seconds at most."""
        _connect(self._connection)
        self._connection.sock.settimeout(timeout)
        if client is not None:
            self._watch.add(client, self._connection.sock)
            self._client = client

    def send(self, method: str, target: str, headers: dict[str, str]) -> None:
        """Send all but the body."""
        self._connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            self._connection.putheader(name, value)
        with _blamed(), suppress(BrokenPipeError, ConnectionResetError):
            self._connection.endheaders()

    def pour(self, body: Sendable) -> None:
        """Send the body, or what the upstream takes of it: it may answer before it has all."""
        for piece in body:  # what goes wrong in here is the disk's affair
            with _blamed():
                try:
                    self._connection.send(piece)
                except (BrokenPipeError, ConnectionResetError):
                    return

    def answer(self) -> http.client.HTTPResponse:
        """Wait for the headers of the answer."""
        with _blamed():
            return self._connection.getresponse()

    def close(self) -> None:
        """End the call; safe to repeat."""
        if not self._open:
            return
        self._open = False
        if self._client is not None:
            self._watch.remove(self._client)
        self._connection.close()
        self._slots.release()


def _connect(connection: http.client.HTTPConnection) -> None:
    try:
        connection.connect()
    except TimeoutError as e:
        raise UpstreamTimeout(f"The model server did not take the call within {CONNECT_SECONDS} seconds.") from e
    except OSError as e:
        log.warning("the upstream can't be reached: %s", e)
        raise UpstreamError("The model server can't be reached.") from e


@contextmanager
def _blamed() -> Iterator[None]:
    """What goes wrong on the network, as an answer."""
    try:
        yield
    except TimeoutError as e:
        raise UpstreamTimeout("The model server sent and took nothing for too long.") from e
    except (http.client.HTTPException, OSError) as e:
        log.warning("the upstream broke off: %s", type(e).__name__)
        raise UpstreamError("The model server broke off the connection, or its answer is no HTTP.") from e


def _refuse(response: http.client.HTTPResponse) -> None:
    """Raise `UpstreamError` for answers that concern Lazu, not its client: a redirect, a refused key."""
    if 300 <= response.status < 400:
        message = "The model server answered with a redirect; the operator corrects LAZU_UPSTREAM_URL."
    elif response.status in (401, 407):
        message = "The model server refused Lazu's own key; the operator corrects LAZU_UPSTREAM_API_KEY."
    elif response.status < 200:
        message = "The model server wants to switch protocols."
    else:
        return
    raise UpstreamError(message, headers={"x-should-retry": "false"})


def _headers(response: http.client.HTTPResponse) -> Iterator[tuple[str, str]]:
    """What goes back to the client; an id of the upstream's gets a name of its own beside Lazu's."""
    named = {name.strip().lower() for name in (response.getheader("Connection") or "").split(",")}
    for name, value in response.getheaders():
        lower = name.lower()
        if lower == "x-request-id":
            yield "x-upstream-request-id", value
        elif lower not in named and not DROPPED.fullmatch(lower):
            # A folded line (RFC 9112 §5.2) is one line from here on.
            yield name, " ".join(value.split())
