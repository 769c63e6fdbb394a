"""A client's connection with a pace to keep: how slowly a request may arrive, and how slowly an answer may be taken.

gunicorn's own has no limit on either, and a thread of its pool waits with each slow client. Here a request takes one of
the `LAZU_THREADS` slots only while it is worked on, not while it waits for its client (docs/decisions/0030-slots.md).
"""

import errno
import os
import select
import socket
import struct
import termios
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import ioctl
from io import FileIO

from lazu import clock, slots
from lazu.config import Settings

#: Seconds between two looks at how much a reader has taken.
TICK = 1.0

#: What a fast beginning counts for at most, in bytes.
CREDIT_BYTES = 2**20

#: Bytes that the kernel holds at most for a client that does not take them, beside those on their way to it: else
#: megabytes for each. Those of files it does not copy, and sending them in small pieces takes twice the CPU time.
UNSENT_BYTES, _OF_FILES = 256 * 1024, 2**31 - 1

#: Bytes handed to the kernel at a time.
_STEP = 2**20

#: How long, and for how many bytes, a connection that ends waits for its client's end (RFC 9112 §9.6).
LINGER_SECONDS, LINGER_BYTES = 2.0, 64 * 1024


class TooSlow(TimeoutError):
    """A client does not keep the pace. gunicorn takes it, by its errno, for a reset, and logs no trace."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client is too slow")


class Connection(socket.socket):
    """A client's connection: each request has to arrive, and each answer to be taken, at a pace.

    Receiving raises `TooSlow` when no byte came for `timeout` seconds, or when after `timeout` seconds the request came
    slower than `min_rate` bytes a second on average, a fast beginning counting for 1 MB at most; sending likewise,
    counting the bytes that the client has acknowledged. Only time spent waiting for the client counts. After that
    nothing is received any more.
    """

    def __init__(self, plain: socket.socket, settings: Settings) -> None:
        """Take over `plain`, which can't be used any more."""
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        super().setblocking(False)
        self._let_wait(UNSENT_BYTES)
        self._timeout, self._min_rate = settings.body_timeout, settings.body_min_rate
        self._limit: float = self._timeout
        #: Bytes by which a client may be ahead of its pace: who was fast at first must not be slow for hours.
        self._most: float = max(CREDIT_BYTES, self._timeout * self._min_rate)
        self._given_up = False
        #: What to call, while a request is answered, when nothing more comes from its client.
        self._at_end: Callable[[], None] | None = None
        #: The head of the answer while it waits for the body; None when nothing is held.
        self._head: bytes | None = None
        self._restart()

    def _restart(self) -> None:
        self.began, self._sent, self._blocked = clock.monotonic(), 0, 0.0
        #: Bytes of the current request so far, header included, and of its answer as far as sendfile(2) sent it.
        self.received = self.sent = 0
        #: The method of the current request once its head was read (`heads`).
        self.method = "-"
        self._credit = self._most
        #: Seconds spent waiting for the client's bytes: what Lazu takes for itself is no fault of the client.
        self._lost = 0.0
        self._awaited: Callable[[], None] | None = None

    def _let_wait(self, size: int) -> None:
        """Let the kernel hold so many bytes that can't be sent yet."""
        if self.family in (socket.AF_INET, socket.AF_INET6):
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)

    def await_go_on(self, went_on: Callable[[], None]) -> None:
        """Note that the client sends no body before it was told to; `went_on` is called when it is."""
        self._awaited = went_on

    def go_on(self) -> None:
        """Have a client that waits for it send its body (RFC 9110 §10.1.1); call it before that is read."""
        if self._awaited:
            self._awaited()
            self._awaited = None
            self._sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def setblocking(self, flag: bool) -> None:
        """Begin anew: gunicorn calls this with True before each request. The descriptor itself never blocks."""
        if flag:
            self._restart()

    def settimeout(self, value: float | None) -> None:
        """Wait for a byte at most so long, as gunicorn wants when it throws the rest of a body away; 0: as ever."""
        self._limit = min(value or self._timeout, self._timeout)

    @contextmanager
    def answering(self, at_end: Callable[[], None]) -> Iterator[None]:
        """Hold what is sent first, an answer's head, until its body comes: its client wakes for both at once.

        `at_end` is called when nothing more comes from the client, so that the head can say that this is the end.
        """
        self._head, self._at_end = b"", at_end
        try:
            yield
            self._sendall(self._take_head())
        finally:
            self._head = self._at_end = None

    def _take_head(self) -> bytes:
        head, self._head = self._head, None
        return head or b""

    def left(self) -> bool:
        """Whether the client has hung up, or has at least ended its sending, which nginx takes for the same."""
        poll = select.poll()
        poll.register(self, select.POLLRDHUP)
        return bool(poll.poll(0))

    def follows(self, seconds: float) -> bool:
        """Whether something comes from the client within so many seconds: a request, or its end."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _ready(self, event: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self, event)
        with slots.waiting():
            began = clock.monotonic()
            ready = bool(poll.poll(seconds * 1000))
            self._waited = clock.monotonic() - began
            return ready

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Up to `size` bytes, empty when the client has ended; raises `TooSlow`."""
        if self._given_up:
            raise TooSlow
        chunk = self._receive(size, flags)
        slow = self._lost > self._timeout and self.received < self._lost * self._min_rate
        if self._at_end and (slow or not chunk):
            self._at_end()
        if slow or chunk is None:
            self._given_up = True
            raise TooSlow
        return chunk

    def _receive(self, size: int, flags: int) -> bytes | None:
        while True:
            try:
                chunk = super().recv(size, flags)
            except BlockingIOError:
                if not self._ready(select.POLLIN, self._limit):
                    return None
                self._lost += self._waited
                self._credit -= self._waited * self._min_rate
                if self._credit < 0:
                    return None
            else:
                self.received += len(chunk)
                self._credit = min(self._credit + len(chunk), self._most)
                slots.give_way()
                return chunk

    def sendall(self, data: bytes) -> None:  # type: ignore[override]  # all that gunicorn asks for
        """Send all of `data`, or hold it when it is a head (`answering`); raises `TooSlow`."""
        if self._head == b"":
            self._head = data
        else:
            self._sendall(self._take_head() + data)

    def _sendall(self, data: bytes, flags: int = 0) -> None:
        view = memoryview(data)
        self._push(lambda done: self.send(view[done : done + _STEP], flags), len(view))

    def sendfile(self, file: FileIO, offset: int = 0, count: int | None = None) -> int:  # type: ignore[override]  # files
        """Send `count` bytes of `file` (by default the rest) from `offset` on; raises `TooSlow`."""
        self._sendall(self._take_head(), socket.MSG_MORE)
        size = os.fstat(file.fileno()).st_size - offset if count is None else count

        def push(done: int) -> int:
            return os.sendfile(self.fileno(), file.fileno(), offset + done, min(_STEP, size - done))

        before = self._sent
        self._let_wait(_OF_FILES)
        try:
            self._push(push, size)
        finally:
            self.sent = self._sent - before
            self._let_wait(UNSENT_BYTES)
        return size

    def _push(self, push: Callable[[int], int], size: int) -> None:
        done = 0
        while done < size:
            try:
                count = push(done)
            except BlockingIOError:
                self._await_reader()
            else:
                if count == 0:
                    raise OSError(errno.EIO, "the file is shorter than announced")
                done += count
                self._sent += count
                slots.give_way()

    def _await_reader(self) -> None:
        """Wait until the kernel takes more bytes for the client; raises `TooSlow`."""
        reader = self.slow_reader()
        while not self._ready(select.POLLOUT, min(TICK, self._timeout)):
            reader.check()
        reader.end()

    def offer(self, data: bytes) -> int:
        """Send what the kernel takes of `data` at once: how many bytes."""
        try:
            count = self.send(data)
        except BlockingIOError:
            return 0
        self._sent += count
        return count

    def slow_reader(self) -> "SlowReader":
        """Begin to wait for a client that reads slowly."""
        return SlowReader(self)

    def require_pace(self, silent: float, waited: float) -> None:
        """Raise `TooSlow` if the client took nothing for `silent` seconds, or too little in `waited` and before."""
        blocked = self._blocked + waited
        if silent > self._timeout or (blocked > self._timeout and self.taken() < blocked * self._min_rate):
            raise TooSlow

    def add_wait(self, seconds: float) -> None:
        """So long this answer has waited for the client."""
        self._blocked += seconds

    def brittle(self, on: bool) -> None:
        """Have the connection end in a reset, or not, for whatever reason it ends."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))

    def taken(self) -> int:
        """Bytes of this answer that the client has acknowledged: sent, less what the kernel still holds (tcp(7))."""
        held = array("i", [0])
        ioctl(self, termios.TIOCOUTQ, held)
        return self._sent - held[0]

    def linger(self, seconds: float = LINGER_SECONDS, left: int = LINGER_BYTES) -> None:
        """End the connection so that the client sees the whole answer, also when it is still sending.

        It is waited for so many seconds and bytes; one from which nothing comes at all, for `LINGER_SECONDS` at most.
        """
        try:
            self.shutdown(socket.SHUT_WR)
            deadline, silence = clock.monotonic() + seconds, LINGER_SECONDS
            while left > 0 and self._ready(select.POLLIN, max(0.0, min(silence, deadline - clock.monotonic()))):
                received = len(super().recv(LINGER_BYTES))
                left -= received or left
                silence = self._timeout
        except OSError:
            pass
        self.close()


class SlowReader:
    """A wait for a client that does not read: `check` it now and then, `end` it when the client reads on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._began = self._since = clock.monotonic()
        self._taken = connection.taken()

    def check(self) -> None:
        """Raise `TooSlow` when the client takes too little."""
        now, taken = clock.monotonic(), self._connection.taken()
        if taken > self._taken:
            self._taken, self._since = taken, now
        self._connection.require_pace(now - self._since, now - self._began)

    def end(self) -> None:
        """The client reads on."""
        self._connection.add_wait(clock.monotonic() - self._began)
