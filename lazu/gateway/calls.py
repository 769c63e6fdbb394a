"""How many calls of the upstream run on this box, all workers together, and for which keys."""

import logging
from functools import partial
from typing import NoReturn

from lazu.errors import Overloaded
from lazu.ledger import Ledger, Taken

#: One part in so many of the limit: what keys with few calls may have above it together, and what counts as few.
_ABOVE, _FEW = 8, 16

log = logging.getLogger(__name__)


class Calls:
    """The calls of one `kind`: at most `limit`, and above it some room for keys that have few.

    Keys with fewer calls than a sixteenth of the limit (at least one) may exceed it, together by an eighth (at least
    one). So a key may use the whole limit while it is alone, and never shuts the others out. The error of a call that
    gets no place begins with `limit` and goes on with `running`: what runs, and why no more may.
    """

    def __init__(self, kind: str, limit: int, running: str) -> None:
        self.limit = limit
        self._full = f"{limit} {running}"
        self._few = max(1, limit // _FEW)
        self._most = limit + max(1, limit // _ABOVE)
        self._ledger = Ledger(f"{kind}-calls", self._most)

    def take(self, key: int) -> int:
        """A place for a call of `key`, to be given back. Raises `Overloaded`, also if all are taken."""
        place = self._ledger.take(key, 1, partial(self._fits, key))
        if place is None:
            self._refuse()
        return place

    def give_back(self, place: int) -> None:
        """The call in `place` has ended."""
        self._ledger.give_back(place)

    def require(self, key: int) -> None:
        """Raise `Overloaded` if `take` would now."""
        if not self._fits(key, self._ledger.taken()):
            self._refuse()

    def running(self) -> int:
        """How many calls run."""
        return len(self._ledger.taken().owners)

    def _fits(self, key: int, taken: Taken) -> bool:
        most = self._most if taken.owners.count(key) < self._few else self.limit
        return len(taken.owners) < most

    def _refuse(self) -> NoReturn:
        log.warning("answered by 503: %s", self._full)
        raise Overloaded(f"{self._full}; repeat the request in a few seconds.")
