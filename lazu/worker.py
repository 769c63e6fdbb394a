"""The door to gunicorn: its threaded worker, with connections that never wait for ever.

gunicorn's own has no limit on how slowly a client may send: a header or a body that drips holds a thread for good
(its `timeout` watches the worker, not the request; docs/decisions/0006-worker.md).
"""

import errno
import socket
import time
from typing import Any, Self

from gunicorn.util import close_graceful
from gunicorn.workers.gthread import TConn, ThreadWorker

from lazu import clock

#: Seconds before a worker without a free file descriptor tries again to take a client.
FULL_PAUSE = 0.1


class Connection(socket.socket):
    """A client's connection; every request on it has to arrive at a pace.

    Reading raises TimeoutError when no byte came for `timeout` seconds, or when after `timeout` seconds the request
    came slower than `min_rate` bytes a second on average. From then on nothing is read from it any more.
    """

    timeout = 0
    min_rate = 0
    #: Bytes of the current request so far, header included, and of its answer as far as a file was sent by sendfile.
    received = 0
    sent = 0
    _began = 0.0
    _given_up = False

    @classmethod
    def adopt(cls, plain: socket.socket, timeout: int, min_rate: int) -> Self:
        """`plain` as a paced connection; `plain` itself can't be used any more."""
        paced = cls(plain.family, plain.type, plain.proto, plain.detach())
        paced.timeout, paced.min_rate = timeout, min_rate
        return paced

    def setblocking(self, flag: bool) -> None:
        """What gunicorn calls with True before each request, and before it closes a connection."""
        if self.fileno() < 0:
            return
        super().setblocking(flag)
        if flag:
            self.settimeout(self.timeout)
            self._began, self.received, self.sent = clock.monotonic(), 0, 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Up to `size` bytes, empty when the client has ended; raises TimeoutError as the class says."""
        if self._given_up:
            raise TimeoutError
        try:
            chunk = super().recv(size, flags)
        except TimeoutError:
            self._given_up = True
            raise
        self.received += len(chunk)
        waited = clock.monotonic() - self._began
        if waited > self.timeout and self.received < waited * self.min_rate:
            self._given_up = True
            raise TimeoutError
        return chunk

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send `file` from `offset`, and know how far it came also when the client left."""
        try:
            return super().sendfile(file, offset, count)
        finally:
            self.sent = max(0, file.tell() - offset)  # where `socket.sendfile` leaves the file, done or not


class Worker(ThreadWorker):
    """gunicorn's threaded worker on `Connection`s."""

    def handle(self, conn: TConn) -> Any:
        """Serve one request of `conn`, in a thread of the pool."""
        if not conn.initialized and not isinstance(conn.sock, Connection):
            settings = self.wsgi.extensions["lazu"].settings
            conn.sock = Connection.adopt(conn.sock, settings.body_timeout, settings.body_min_rate)
        kept = super().handle(conn)
        if kept is False:
            # gunicorn waits up to 2 s for the client's end, in the thread that accepts everybody else; wait here.
            close_graceful(conn.sock)
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
