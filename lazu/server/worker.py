"""The door to gunicorn: its threaded worker, where a client that is slow keeps nobody else waiting.

gunicorn's own has no limit on how slowly a client may send or read, and a thread of its pool waits with each of them
(its `timeout` watches the worker, not the request). Here every connection has a pace to keep, and a request takes one
of the `LAZU_THREADS` slots only while it is worked on, not while it waits for its client
(docs/decisions/0030-slots.md).
"""

import errno
import os
import select
import signal
import socket
import termios
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fcntl import ioctl
from io import FileIO
from queue import SimpleQueue
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from lazu import clock
from lazu.config import Settings

#: Seconds between two looks at how much a reader has taken.
TICK = 1.0

#: Seconds before a worker without a free file descriptor tries again to take a client.
FULL_PAUSE = 0.1

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
    slower than `min_rate` bytes a second on average; sending likewise, counting only the time spent waiting for the
    client and the bytes that it has acknowledged. After that nothing is received any more.
    """

    def __init__(self, plain: socket.socket, settings: Settings, slots: threading.Semaphore) -> None:
        """Take over `plain`, which can't be used any more."""
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        super().setblocking(False)
        self._timeout, self._min_rate = settings.body_timeout, settings.body_min_rate
        self._slots = slots
        self._working = False
        self._given_up = False
        self._restart()

    def _restart(self) -> None:
        self._began, self._sent, self._blocked = clock.monotonic(), 0, 0.0
        #: Bytes of the current request so far, header included, and of its answer as far as sendfile(2) sent it.
        self.received = self.sent = 0

    def setblocking(self, flag: bool) -> None:
        """What gunicorn calls with True before each request; the descriptor itself never blocks."""
        if flag:
            self._restart()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold a slot, except while waiting for the client and in `resting`."""
        with self._slots:
            self._working = True
            try:
                yield
            finally:
                self._working = False

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Give the slot to others while this request waits for something that costs nothing here."""
        if not self._working:
            yield
            return
        self._working = False
        self._slots.release()
        try:
            yield
        finally:
            self._slots.acquire()
            self._working = True

    def _ready(self, event: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self, event)
        with self.resting():
            return bool(poll.poll(seconds * 1000))

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Up to `size` bytes, empty when the client has ended; raises `TooSlow`."""
        if self._given_up:
            raise TooSlow
        chunk = self._receive(size, flags)
        waited = clock.monotonic() - self._began
        if chunk is None or (waited > self._timeout and self.received < waited * self._min_rate):
            self._given_up = True
            raise TooSlow
        return chunk

    def _receive(self, size: int, flags: int) -> bytes | None:
        while True:
            try:
                chunk = super().recv(size, flags)
            except BlockingIOError:
                if not self._ready(select.POLLIN, self._timeout):
                    return None
            else:
                self.received += len(chunk)
                return chunk

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of `data`; raises `TooSlow`."""
        view = memoryview(data).cast("B")
        self._push(lambda done: self.send(view[done : done + _STEP], flags), len(view))

    def sendfile(self, file: FileIO, offset: int = 0, count: int | None = None) -> int:  # type: ignore[override]  # files
        """Send `count` bytes of `file` (by default the rest) from `offset` on; raises `TooSlow`."""
        size = os.fstat(file.fileno()).st_size - offset if count is None else count

        def push(done: int) -> int:
            return os.sendfile(self.fileno(), file.fileno(), offset + done, min(_STEP, size - done))

        before = self._sent
        try:
            self._push(push, size)
        finally:
            self.sent = self._sent - before
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

    def _await_reader(self) -> None:
        """Wait until the kernel takes more bytes for the client; raises `TooSlow`."""
        began, taken, since = clock.monotonic(), self._taken(), clock.monotonic()
        while not self._ready(select.POLLOUT, min(TICK, self._timeout)):
            now = clock.monotonic()
            if self._taken() > taken:
                taken, since = self._taken(), now
            blocked = self._blocked + now - began
            if now - since > self._timeout or (blocked > self._timeout and taken < blocked * self._min_rate):
                raise TooSlow
        self._blocked += clock.monotonic() - began

    def _taken(self) -> int:
        """Bytes of this answer that the client has acknowledged: sent, less what the kernel still holds (tcp(7))."""
        held = array("i", [0])
        ioctl(self, termios.TIOCOUTQ, held)
        return self._sent - held[0]

    def linger(self) -> None:
        """End the connection so that the client sees the whole answer, also when it is still sending."""
        try:
            self.shutdown(socket.SHUT_WR)
            deadline, left = clock.monotonic() + LINGER_SECONDS, LINGER_BYTES
            while left > 0 and self._ready(select.POLLIN, max(0.0, deadline - clock.monotonic())):
                received = len(super().recv(4096))
                left -= received or left
        except OSError:
            pass
        self.close()


class Worker(ThreadWorker):
    """gunicorn's threaded worker on `Connection`s: a thread for each connection that has a request, on `slots`."""

    #: Signals that came between the fork and `init_signals` (gunicorn.conf.py).
    missed: SimpleQueue[int]

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Threads are made when needed, up to one a connection: those that only wait must not be the scarce thing."""
        self.slots = threading.Semaphore(self.cfg.threads)
        return ThreadPoolExecutor(max_workers=self.cfg.worker_connections)

    def init_signals(self) -> None:
        """Listen to signals. A TERM that came before counts too, or the master would wait `graceful_timeout` for us."""
        super().init_signals()
        while not self.missed.empty():
            if self.missed.get() == signal.SIGTERM:
                self.alive = False

    def handle(self, conn: TConn) -> Any:
        """Serve one request of `conn`, in a thread of the pool."""
        if not isinstance(conn.sock, Connection):
            conn.sock = Connection(conn.sock, self.wsgi.extensions["lazu"].settings, self.slots)
        kept = super().handle(conn)
        if kept is False:
            # gunicorn does this in the thread that accepts everybody else, for up to 2 s a client.
            conn.sock.linger()
        return kept

    def accept(self, listener: socket.socket) -> None:
        """Take a new client; without a free file descriptor it waits in the kernel's queue, and nobody is lost."""
        try:
            super().accept(listener)
        except OSError as e:
            if e.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.log.warning("no file descriptor left for a new client; raise the limit (ulimit -n)")
            time.sleep(FULL_PAUSE)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request whose head has arrived."""
        with conn.sock.working():
            return super().handle_request(req, conn)
