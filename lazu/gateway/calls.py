"""How many calls of the upstream run on this box, all workers together, and for which keys."""

from functools import partial

from lazu.ledger import Ledger, Taken

#: One part in so many of the limit: what keys with few calls may have above it together, and what counts as few.
_ABOVE, _FEW = 8, 16


class Calls:
    """The calls of one `kind`: at most `limit`, and above it some room for keys that have few.

    Keys with fewer than a sixteenth of the limit (at least one) may go above it, all of them together by an eighth (at
    least one). So a key may have everything while it is alone, and never shuts the others out.
    """

    def __init__(self, kind: str, limit: int) -> None:
        self.limit = limit
        self._few = max(1, limit // _FEW)
        self._most = limit + max(1, limit // _ABOVE)
        self._ledger = Ledger(f"{kind}-calls", self._most)

    def take(self, key: int) -> int | None:
        """A place for a call of `key`, to be given back; None if all are taken. Raises `Overloaded`."""
        return self._ledger.take(key, 1, partial(self._fits, key))

    def give_back(self, place: int) -> None:
        """The call in `place` has ended."""
        self._ledger.give_back(place)

    def has_room(self, key: int) -> bool:
        """Whether `take` would give a place now."""
        return self._fits(key, self._ledger.taken())

    def running(self) -> int:
        """How many calls run."""
        return len(self._ledger.taken().owners)

    def _fits(self, key: int, taken: Taken) -> bool:
        most = self._most if taken.owners.count(key) < self._few else self.limit
        return len(taken.owners) < most
