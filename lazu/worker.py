"""The door to gunicorn: its threaded worker, with connections that never wait for ever.

gunicorn's own has no limit on how slowly a client may send: a header or a body that drips holds a thread for good
(its `timeout` watches the worker, not the request; docs/decisions/0006-worker.md).
"""

import socket
from typing import Any, Self

from gunicorn.util import close_graceful
from gunicorn.workers.gthread import TConn, ThreadWorker

from lazu import clock


class Connection(socket.socket):
    """A client's connection; every request on it has to arrive at a pace.

    Reading raises TimeoutError when no byte came for `timeout` seconds, or when after `timeout` seconds the request
    came slower than `min_rate` bytes a second on average. From then on nothing is read from it any more.
    """

    timeout = 0
    min_rate = 0
    _began = 0.0
    _received = 0
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
            self._began, self._received = clock.monotonic(), 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Up to `size` bytes, empty when the client has ended; raises TimeoutError as the class says."""
        if self._given_up:
            raise TimeoutError
        try:
            chunk = super().recv(size, flags)
        except TimeoutError:
            self._given_up = True
            raise
        self._received += len(chunk)
        waited = clock.monotonic() - self._began
        if waited > self.timeout and self._received < waited * self.min_rate:
            self._given_up = True
            raise TimeoutError
        return chunk


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
