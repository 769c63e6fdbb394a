"""Who has left: a thread that waits on sockets of clients, and ends what is done for those that close.

A thread that waits for the model can't see its client go; without this a call that nobody will read would run on.
"""

import select
import socket
import threading
from contextlib import suppress


class Watch:
    """Pairs of sockets: when a client closes its end, the other one is shut down. One thread for all of them.

    A client that closes only its sending half counts as gone, as it does for nginx.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._poll: select.epoll | None = None
        self._pairs: dict[int, socket.socket] = {}

    def add(self, client: socket.socket, other: socket.socket) -> None:
        """Shut `other` down when `client` closes, until `remove` is called, which must be before either is closed."""
        with self._lock:
            self._pairs[client.fileno()] = other
            self._started().register(client.fileno(), select.EPOLLRDHUP | select.EPOLLONESHOT)

    def remove(self, client: socket.socket) -> None:
        """Forget `client`."""
        with self._lock:
            self._pairs.pop(client.fileno(), None)
            with suppress(OSError):  # gone
                self._started().unregister(client.fileno())

    def _started(self) -> select.epoll:
        # Not before the first call: threads and epoll do not survive gunicorn's fork.
        if self._poll is None:
            self._poll = select.epoll()
            threading.Thread(target=self._run, args=(self._poll,), name="lazu-watch", daemon=True).start()
        return self._poll

    def _run(self, poll: select.epoll) -> None:
        while True:
            for fd, _ in poll.poll():
                with self._lock:
                    self._end(fd)

    def _end(self, fd: int) -> None:
        other = self._pairs.pop(fd, None)
        if other is not None:
            with suppress(OSError):
                # Of the plain socket, also under TLS: it wakes whoever reads, and says no word to the other side.
                socket.socket.shutdown(other, socket.SHUT_RDWR)
