"""Clients that leave: a request is not worked on for somebody who has hung up.

A client that closes only its sending half counts as gone, as it does for nginx.
"""

import select
from contextlib import AbstractContextManager
from typing import Protocol


class Client(Protocol):
    """The connection of a client, as far as a call of the upstream needs it (`lazu.server.connection`)."""

    def fileno(self) -> int:
        """Its descriptor, which never blocks."""

    def resting(self) -> AbstractContextManager[None]:
        """Let others work while this request waits."""


class Left(Exception):
    """The client has hung up: nobody waits for an answer."""


def require(client: Client) -> None:
    """Raise `Left` if `client` has hung up."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    if poll.poll(0):
        raise Left


def wait(fd: int, event: int, client: Client, seconds: float) -> None:
    """Wait until the poll(2) `event` of `fd` happens; raises `Left`, and `TimeoutError` after so many seconds."""
    poll = select.poll()
    poll.register(fd, event)
    poll.register(client, select.POLLRDHUP)
    with client.resting():
        ready = [ready for ready, _ in poll.poll(seconds * 1000)]
    if client.fileno() in ready:
        raise Left
    if not ready:
        raise TimeoutError
