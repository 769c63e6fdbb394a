"""Which process takes a new client: one that has no more of them than another.

The kernel wakes all processes for each client, and the first one takes it, though it has others to serve and its
neighbour none (docs/decisions/0063-balance.md).
"""

import select
import socket
from contextlib import suppress

from lazu import clock
from lazu.errors import Overloaded
from lazu.ledger import Ledger

#: Seconds that a process leaves a new client to one with fewer, which may be stopped or dead; and between two looks.
PATIENCE, LOOK_SECONDS = 0.005, 0.0005

#: Records for each process that is wanted: after a reload those that end count beside the new ones. Without a record
#: a process takes clients as they come.
_GENERATIONS = 8


class Balance:
    """The clients of this process beside those of the other `processes`."""

    def __init__(self, processes: int) -> None:
        self._ledger = Ledger("clients", _GENERATIONS * processes)
        self._place: int | None = None

    def tell(self, clients: int) -> None:
        """Have the others know how many clients this process has."""
        if self._place is not None:
            self._ledger.tell(self._place, clients)
            return
        with suppress(Overloaded):  # next time, then
            self._place = self._ledger.take(0, clients, lambda _: True)

    def leave(self) -> None:
        """Take no more clients: nobody has to wait for this process."""
        if self._place is not None:
            self._ledger.give_back(self._place)
            self._place = None

    def let_others(self, listener: socket.socket, clients: int) -> None:
        """Let a process with fewer than `clients` take the one that waits at `listener`; wait `PATIENCE` at most."""
        poll, end = select.poll(), clock.monotonic() + PATIENCE
        poll.register(listener, select.POLLIN)
        while self._is_ahead(clients) and poll.poll(0) and clock.monotonic() < end:
            clock.sleep(LOOK_SECONDS)

    def _is_ahead(self, clients: int) -> bool:
        return self._place is not None and clients > min(self._ledger.taken().amounts)
