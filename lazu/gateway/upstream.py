"""The door to the upstream, the model server that answers. On one box no other room speaks to anybody.

Every call has a connection of its own, closed at its end: what a call costs hides it, and a kept one may be closed by
the upstream at the moment it is used again (docs/decisions/0041-upstream.md). Where a call goes is settled by
LAZU_UPSTREAM_URL alone; nothing that a request says can change it.
"""

import logging
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from lazu import clock, slots
from lazu.config import Settings
from lazu.errors import (
    Busy,
    InternalError,
    Overloaded,
    StoreError,
    UpstreamError,
    UpstreamNotConfigured,
    UpstreamTimeout,
)
from lazu.gateway import budget, framing
from lazu.gateway.calls import Calls
from lazu.gateway.line import Attempts, Client, Line, shake_hands
from lazu.gateway.relay import Relay
from lazu.metrics import Figure
from lazu.store import disk

#: Seconds to reach the upstream, at all of its addresses; from then on LAZU_UPSTREAM_TIMEOUT counts.
CONNECT_SECONDS = 10
#: And to say which models it has, where only that is asked.
REACH_SECONDS = 5

#: Look-ups that may run at once, however few calls may: a model server that answers one call at a time still says at
#: once which models it has, and the programs of a whole team may ask at the same moment. It is no more than a process
#: bears that may open 1,024 files, where LAZU_UPSTREAM_CALLS is 80.
LOOKUPS = 64

_CALLS = "calls of the model server are running, as many as LAZU_UPSTREAM_CALLS allows"
_LOOKUPS = (
    "look-ups of models and stored responses are running, as many as may at once: "
    f"the larger of {LOOKUPS} and LAZU_UPSTREAM_CALLS"
)

#: What of the client's headers goes on. Keys, cookies, addresses and the names of accounts stay behind; so does a wish
#: for compression, in which nobody would see a stream's last event (`ending`).
SENT = re.compile(r"accept|accept-language|idempotency-key|openai-beta|user-agent|x-stainless-.*")

#: What a request line can't hold, as a header or a target that a client sent may.
_UNFIT = re.compile(r"[^!-~]")

log = logging.getLogger(__name__)


class Sendable(Protocol):
    """A request body: its pieces, and its length in bytes."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes | memoryview]: ...


@dataclass(frozen=True)
class Call:
    """One request to the upstream, for the key with the id `key`.

    `target` is below the base URL, percent-encoded, with the query string. `headers` are the client's; what of them is
    sent is decided here. One that does not `last` only looks something up, and counts among the look-ups.
    """

    key: int
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Sendable | None = None
    lasts: bool = True


class Upstream:
    """The model server of the settings."""

    def __init__(self, settings: Settings) -> None:
        self.files = settings.upstream_files
        self.timeout = settings.upstream_timeout
        self.relay = Relay()
        self.bodies = budget.Budget(budget.BOX_BYTES, budget.TURN_SECONDS)
        self._url = urlsplit(settings.upstream_url or "")
        self._key = settings.upstream_api_key
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None
        self._calls = Calls("model", settings.upstream_calls, _CALLS)
        # Apart, so that asking which models there are never waits for them to answer.
        self._lookups = Calls("lookup", max(settings.upstream_calls, LOOKUPS), _LOOKUPS)

    def require(self, key: int) -> None:
        """Raise `UpstreamNotConfigured` if there is none, `Overloaded` if it has no room for a call of `key` now."""
        if not self._url.hostname:
            raise UpstreamNotConfigured
        self._calls.require(key)

    def ask(self, call: Call, client: Client) -> Line:
        """Send `call`; its answer comes on the line.

        Raises `ClientLeft` if the client does not wait for it, `UpstreamNotConfigured`, `UpstreamError`,
        `UpstreamTimeout`, `Overloaded`, also when the store is, `InternalError` when a file of the body can't be read.
        Then nothing is held.
        """
        slots.require_client()
        with ExitStack() as held:
            calls = self._calls if call.lasts else self._lookups
            held.callback(calls.give_back, calls.take(call.key))
            with slots.waiting():
                connection = self._connect(client, held)
            line = Line(connection)
            line.send(self._pieces(call), client, self.timeout)
            line.hold(held.pop_all())
            return line

    def reach(self) -> int:
        """Ask for /models, give the status. Raises `UpstreamNotConfigured`, `UpstreamError`, `UpstreamTimeout`."""
        until = clock.monotonic() + REACH_SECONDS
        with ExitStack() as held, _answered():
            connection = self._connect(None, held)
            connection.settimeout(REACH_SECONDS)
            connection.sendall(self._head(Call(0, "GET", "/models")))
            reader = framing.HeadReader()
            while data := connection.recv(4096):
                if found := reader.feed(data):
                    return found[0].status
                connection.settimeout(max(0.001, until - clock.monotonic()))
            raise framing.Malformed("it ended early")

    def _connect(self, client: Client | None, held: ExitStack) -> socket.socket:
        """Give a connection that does not block, and is closed when `held` is."""
        if not self._url.hostname:
            raise UpstreamNotConfigured
        host, port = self._url.hostname, self._url.port or (443 if self._tls else 80)
        with _reached():
            # This blocks for as long as the resolver takes; a client that left meanwhile is seen right after it.
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            until = clock.monotonic() + CONNECT_SECONDS
            connection = held.enter_context(Attempts(client).connect(addresses, until))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                secure = self._tls.wrap_socket(
                    connection, server_hostname=host, suppress_ragged_eofs=False, do_handshake_on_connect=False
                )
                connection = held.enter_context(secure)
                shake_hands(secure, client, until)
        return connection

    def figures(self) -> list[Figure]:
        """The calls and look-ups that run, for Prometheus."""
        most = "What LAZU_UPSTREAM_CALLS allows of them."
        more = f"The larger of {LOOKUPS} and LAZU_UPSTREAM_CALLS: how many may run."
        looking = "Look-ups of models and stored responses that run, on the box."
        return [
            Figure("lazu_upstream_calls_running", "Calls of the upstream that run, on the box.", self._calls.running()),
            Figure("lazu_upstream_calls_limit", most, self._calls.limit),
            Figure("lazu_upstream_lookups_running", looking, self._lookups.running()),
            Figure("lazu_upstream_lookups_limit", more, self._lookups.limit),
        ]

    def _pieces(self, call: Call) -> Iterator[bytes | memoryview]:
        try:
            yield self._head(call)  # with the body's length, for which files may have to be read
            yield from call.body or ()
        except Busy as e:
            log.warning("answered by 503: %s", e)
            raise Overloaded from e
        except (StoreError, OSError) as e:  # the disk's affair
            _require_descriptors(e)
            log.exception("a file can't be read for the model server")
            raise InternalError from e

    def _head(self, call: Call) -> bytes:
        lines = [f"{call.method} {self._url.path}{_UNFIT.sub(_encoded, call.target)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self._sent(call)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _sent(self, call: Call) -> Iterator[tuple[str, str]]:
        yield "Host", self._url.netloc
        yield from ((name, value) for name, value in call.headers.items() if SENT.fullmatch(name.lower()))
        yield "Accept-Encoding", "identity"
        yield "Connection", "close"
        if self._key:
            yield "Authorization", f"Bearer {self._key}"
        if call.body is not None:
            yield "Content-Type", "application/json"
            yield "Content-Length", str(len(call.body))
        elif call.method == "POST":
            yield "Content-Length", "0"


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except TimeoutError as e:
        raise UpstreamTimeout(f"The model server did not take the call within {CONNECT_SECONDS} seconds.") from e
    except OSError as e:
        _require_descriptors(e)
        log.warning("the upstream can't be reached: %s", e)
        raise UpstreamError("The model server can't be reached.") from e


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except TimeoutError as e:
        raise UpstreamTimeout(
            f"The model server did not say within {REACH_SECONDS} seconds which models it has."
        ) from e
    except (framing.Malformed, OSError) as e:
        raise UpstreamError("The model server broke off the connection, or its answer is no HTTP.") from e


def _require_descriptors(error: Exception) -> None:
    """Raise `Overloaded` if `error` is for want of file descriptors: no fault of the upstream or the disk."""
    if isinstance(error, OSError) and error.errno in disk.NO_DESCRIPTOR:
        log.error(disk.MORE_DESCRIPTORS)
        raise Overloaded from error


def _encoded(unfit: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in unfit[0].encode("latin-1", "replace"))
