"""The connection of one call of the upstream: it is made, the request goes out on it, then the answer comes in.

It never blocks, and who waits for it hears of the client that leaves.
"""

import errno
import logging
import os
import re
import select
import socket
import ssl
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, Protocol

from lazu import clock, slots
from lazu.errors import ClientLeft, UpstreamError, UpstreamTimeout

#: Seconds that an address has for itself before the next one is tried beside it (RFC 8305 recommends them).
NEXT_SECONDS = 0.25

#: The beginning of an answer that is no success: a server may send it before it has the request, and then read no more.
_REFUSAL, _STATUS_BYTES = re.compile(rb"HTTP/1\.[01] [345]"), 10

log = logging.getLogger(__name__)


class Client(Protocol):
    """The connection of a client, as far as a call of the upstream needs it (`lazu.server.connection`)."""

    def fileno(self) -> int:
        """Its descriptor, which never blocks."""


class Line:
    """A `connection` that does not block, plain or of TLS."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = ExitStack()
        #: What came while the request was sent, and whether its status may still be to come. Taken, not looked at:
        #: TLS can't show a byte without giving it.
        self._early, self._awaits_status = b"", True

    def fileno(self) -> int:
        """Its descriptor."""
        return self._connection.fileno()

    def send(self, pieces: Iterable[bytes | memoryview], client: Client, seconds: float) -> None:
        """Send `pieces`, or what the upstream takes of them: it may answer before it has everything.

        Raises `ClientLeft`, `UpstreamError`, and `UpstreamTimeout` when it takes nothing for so many seconds.
        """
        try:
            for piece in pieces:
                self._push(piece, client, seconds)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):  # TLS has names of its own for these two
            return  # the answer may be there; whoever reads it finds out
        except TimeoutError as e:
            raise UpstreamTimeout("The model server took nothing for too long.") from e
        except OSError as e:
            log.warning("the upstream broke off: %s", type(e).__name__)
            raise UpstreamError("The model server broke off the connection.") from e

    def receive(self, size: int) -> bytes | None:
        """The bytes that have come, empty at the end, None if there are none yet; raises `OSError`."""
        if self._early:
            early, self._early = self._early, b""
            return early
        try:
            return self._connection.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def pending(self) -> bool:
        """Whether bytes have been read from the socket and not received: no event tells of them."""
        return bool(self._early) or (isinstance(self._connection, ssl.SSLSocket) and self._connection.pending() > 0)

    def hold(self, held: ExitStack) -> None:
        """Let `close` give back what is `held`."""
        self._held = held

    def close(self) -> None:
        """End the call, also before its end."""
        self._held.close()

    def _push(self, data: bytes | memoryview, client: Client, seconds: float) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[self._connection.send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._await_room(client, seconds)
            except ssl.SSLWantReadError:
                _wait([self.fileno()], select.POLLIN, client, seconds)

    def _await_room(self, client: Client, seconds: float) -> None:
        """Wait until more may fit; raises `BrokenPipeError` if the upstream has refused the request already.

        Where an interim answer (100, 103) came before it, the refusal is not seen.
        """
        also = select.POLLIN if self._awaits_status else 0
        _wait([self.fileno()], select.POLLOUT | also, client, seconds)
        if self._awaits_status:
            self._take_status()
            if _REFUSAL.match(self._early):
                raise BrokenPipeError

    def _take_status(self) -> None:
        early, self._early = self._early, b""
        came = self.receive(_STATUS_BYTES - len(early))
        self._early = early + (came or b"")
        self._awaits_status = came != b"" and len(self._early) < _STATUS_BYTES


class Attempts:
    """Connections that are being made to one host, for `client`, if there is one; the first that stands is taken.

    Each of its addresses is tried a moment after the one before, and beside it: one that is silent costs that moment
    alone, and one that is slow is not given up.
    """

    def __init__(self, client: Client | None) -> None:
        self._client = client
        self._begun: dict[int, socket.socket] = {}
        self._why: OSError = TimeoutError()

    def connect(self, addresses: list[Any], until: float) -> socket.socket:
        """Connect to one of `addresses`, of `socket.getaddrinfo`; call it once.

        Raises `ClientLeft`, `TimeoutError` if none has answered by `until`, else the last one's `OSError`.
        """
        try:
            for address in addresses:
                self._begin(*address)
                if found := self._first(min(until, clock.monotonic() + NEXT_SECONDS)):
                    return found
            if found := self._first(until):
                return found
        finally:
            for each in self._begun.values():
                each.close()
        try:
            raise self._why
        finally:
            del self._why  # its trace has this frame: what the callers hold would stay until a collection

    def _begin(self, family: int, kind: int, protocol: int, _: str, address: Any) -> None:
        try:
            each = socket.socket(family, kind, protocol)
        except OSError as e:
            self._why = e
            return
        each.setblocking(False)
        if (code := each.connect_ex(address)) in (0, errno.EINPROGRESS):
            self._begun[each.fileno()] = each
        else:
            self._fail(each, code)

    def _fail(self, each: socket.socket, code: int) -> None:
        each.close()
        self._why = OSError(code, os.strerror(code))

    def _first(self, until: float) -> socket.socket | None:
        """Wait for the first that stands, while one may; None if there is none by `until`."""
        while self._begun:
            try:
                ready = _wait(self._begun, select.POLLOUT, self._client, until - clock.monotonic())
            except TimeoutError as e:
                self._why = e
                return None
            for fd in ready:
                each = self._begun.pop(fd)
                code = each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return each
                self._fail(each, code)
        return None


def shake_hands(connection: ssl.SSLSocket, client: Client | None, until: float) -> None:
    """Begin TLS on `connection`; raises `ClientLeft`, `OSError`, and `TimeoutError` if it has not begun by `until`."""
    while True:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            event = select.POLLIN
        except ssl.SSLWantWriteError:
            event = select.POLLOUT
        else:
            return
        _wait([connection.fileno()], event, client, until - clock.monotonic())


def _wait(fds: Iterable[int], event: int, client: Client | None, seconds: float) -> list[int]:
    """Wait until the poll(2) `event` of one of `fds` happens, and give those of which it has.

    Raises `TimeoutError` after so many seconds, and `ClientLeft`. A client that closes only its sending half counts as
    gone, as it does for nginx.
    """
    poll = select.poll()
    for fd in fds:
        poll.register(fd, event)
    if client is not None:
        poll.register(client, select.POLLRDHUP)
    with slots.waiting():
        ready = [fd for fd, _ in poll.poll(max(0, seconds) * 1000)]
    if client is not None and client.fileno() in ready:
        raise ClientLeft
    if not ready:
        raise TimeoutError
    return ready
