"""Many clients with small requests, in one process by epoll.

A process for each client, as in `bench.client`, takes from a server on the same two cores what it costs to change
between 32 or 64 of them.
"""

import selectors
import time
from collections.abc import Sequence

from bench.client import Load, Request, connect


class Visitor:
    """A client with one kept connection, that sends its next request as soon as it has an answer."""

    def __init__(self, port: int, plan: Sequence[Request]):
        self.connection, self.waiting = connect(port), list(reversed(plan))
        self.latencies: list[float] = []
        self.bodies: list[bytes] = []

    def ask(self) -> None:
        self.data, self.start = b"", time.monotonic()
        self.connection.sendall(self.waiting.pop().head)

    def hear(self) -> bool:
        """Read what came; whether the answer is whole. Raises RuntimeError on any that is no 2xx with a length."""
        piece = self.connection.recv(1 << 16)
        self.data += piece
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not piece or (end and not head.startswith(b"HTTP/1.1 2")):
            raise RuntimeError(f"the server closed, or answered {self.data[:500]!r}")
        if not end or len(body) < int(head.lower().partition(b"content-length:")[2].split()[0]):
            return False
        self.latencies.append(time.monotonic() - self.start)
        self.bodies.append(body)
        return True


def load(port: int, plans: Sequence[Sequence[Request]]) -> Load:
    """As `client.load`, for requests that are all in their head and connections that the server keeps."""
    visitors = [Visitor(port, plan) for plan in plans]
    start = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for visitor in visitors:
            selector.register(visitor.connection, selectors.EVENT_READ, visitor)
            visitor.ask()
        while selector.get_map():
            for key, _ in selector.select(120) or nobody():
                serve(key.data, selector)
    seconds = time.monotonic() - start
    return Load(seconds, tuple(x for v in visitors for x in v.latencies), tuple(x for v in visitors for x in v.bodies))


def serve(visitor: Visitor, selector: selectors.BaseSelector) -> None:
    """Read for a client whose answer came, and let it go on, or leave."""
    if not visitor.hear():
        return
    if visitor.waiting:
        visitor.ask()
    else:
        selector.unregister(visitor.connection)
        visitor.connection.close()


def nobody() -> list[tuple[selectors.SelectorKey, int]]:
    raise RuntimeError("the server answered nobody for two minutes")
