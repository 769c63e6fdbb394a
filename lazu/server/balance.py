"""A new client goes to the process that has the fewest.

The kernel wakes all processes for each client, and the first to wake would take it, even if it is busy and its
neighbour idle (docs/decisions/0063-balance.md).
"""

import select
import socket
from contextlib import suppress

from lazu import clock
from lazu.errors import Overloaded
from lazu.ledger import Ledger

#: Seconds for which a process leaves a new client to one with fewer, and between two looks whether it is gone.
WAIT_SECONDS, LOOK_SECONDS = 0.005, 0.0005

#: Seconds without such a wait after one in vain: the other process is stopped or busy, and this one's own clients wait
#: meanwhile.
PAUSE = 0.02

#: Records for each process that is wanted: after a reload those that end count beside the new ones. Without a record
#: a process takes clients as they come.
_GENERATIONS = 8


class Balance:
    """The load of this process, any number that grows with its clients, beside that of the other `processes`."""

    def __init__(self, processes: int) -> None:
        self._ledger = Ledger("clients", _GENERATIONS * processes)
        self._place: int | None = None
        self._again = 0.0

    def join(self) -> None:
        """Begin to take clients."""
        with suppress(Overloaded):
            self._place = self._ledger.take(0, 0, lambda _: True)

    def tell(self, load: int) -> None:
        """Have the others know the load of this process."""
        if self._place is not None:
            self._ledger.set(self._place, load)

    def leave(self) -> None:
        """Take no more clients: nobody has to wait for this process."""
        if self._place is not None:
            self._ledger.give_back(self._place)
            self._place = None

    def let_others(self, listener: socket.socket, load: int) -> None:
        """Let a process with less than `load` take the client that waits at `listener`; wait `WAIT_SECONDS` at most."""
        now = clock.monotonic()
        if now < self._again:
            return
        poll, end = select.poll(), now + WAIT_SECONDS
        poll.register(listener, select.POLLIN)
        while self._is_ahead(load) and poll.poll(0):
            if clock.monotonic() > end:
                self._again = end + PAUSE
                return
            clock.sleep(LOOK_SECONDS)

    def _is_ahead(self, load: int) -> bool:
        return self._place is not None and load > min(self._ledger.taken().amounts)
