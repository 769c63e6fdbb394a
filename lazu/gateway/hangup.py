"""Clients that leave: a request is not worked on for somebody who has hung up.

A client that closes only its sending half counts as gone, as it does for nginx.
"""

import select
from typing import Protocol

from lazu import slots
from lazu.errors import ClientLeft


class Client(Protocol):
    """The connection of a client, as far as a call of the upstream needs it (`lazu.server.connection`)."""

    def fileno(self) -> int:
        """Its descriptor, which never blocks."""


def wait(fd: int, event: int, client: Client, seconds: float) -> None:
    """Wait until the poll(2) `event` of `fd` happens; raises `ClientLeft`, and `TimeoutError` after so many seconds."""
    poll = select.poll()
    poll.register(fd, event)
    poll.register(client, select.POLLRDHUP)
    with slots.waiting():
        ready = [ready for ready, _ in poll.poll(seconds * 1000)]
    if client.fileno() in ready:
        raise ClientLeft
    if not ready:
        raise TimeoutError
