"""The memory that JSON request bodies take, counted for all processes of the box."""

import logging
from collections.abc import Callable
from functools import partial

from lazu import clock, slots
from lazu.errors import Overloaded
from lazu.ledger import Ledger, Taken
from lazu.sizes import JSON_BODY

#: In which steps bodies are counted.
STEP = 4 * 2**20

#: What bodies may take together, of all processes of the box, while they come and until they are sent on. Each of them
#: takes up to four times as much for the moment in which it is parsed.
BOX_BYTES = 512 * 2**20

#: How long a body waits for that memory: many calls that begin at once, each with pictures, take turns. nginx gives up
#: after 60 s in which we read nothing.
TURN_SECONDS, _LOOK_SECONDS = 30.0, 0.2

#: What a body may still want is counted in its record too, above the bytes that it holds.
_REST = 2**32

#: Bytes of strings with letters beyond ASCII that a larger body may have: Python takes up to four bytes for each letter
#: of such a string. As much text as a reader gives, more than any model takes; files as base64 have no such letters.
WIDE_BYTES = 8 * 2**20

#: How much more than four times its size a body takes whose long strings have a wide letter each, up to `WIDE_BYTES`.
WIDENED = 3

#: What bodies on their way leave free, so that one that is whole finds what its letters widen by.
_LEFT_FREE = WIDENED * WIDE_BYTES

_FULL = "Request bodies have no memory left"

log = logging.getLogger(__name__)


class Budget:
    """Memory for bodies, in bytes, for all processes of the box; what is held longer than a moment counts.

    A key always leaves room for one body of another key. A body that finds no room waits for it, `seconds` at most. Of
    the bodies that have arrived in part, one always finds room for the rest. A whole body may also take the room that
    these leave free, so that whole bodies are served one after the other.
    """

    def __init__(self, size: int, seconds: float = 0) -> None:
        self._size, self._seconds, self._left_free = size, seconds, min(_LEFT_FREE, size // 8)
        self._ledger = Ledger("bodies", 2 + size // STEP)

    def hold(self, key: int, place: int | None, size: int, rest: int | None) -> int:
        """Hold `size` bytes for `key`, anew or in `place` instead of those there; raises `Overloaded`, `ClientLeft`.

        The body may want `rest` bytes more before it is whole; None if it is.
        """
        amount = size + _REST * (rest or 0)
        fits = partial(self._fits, key, amount, 0 if rest is None else self._left_free)
        end = clock.monotonic() + self._seconds
        if (found := self._try(key, place, amount, fits)) is not None:
            return found
        with slots.waiting():
            while clock.monotonic() < end:
                clock.sleep(_LOOK_SECONDS)
                slots.require_client()
                if (found := self._try(key, place, amount, fits)) is not None:
                    return found
        log.warning("answered by 503: %s", _FULL)
        raise Overloaded(f"{_FULL}; repeat the request in a few seconds.")

    def _try(self, key: int, place: int | None, amount: int, fits: Callable[[Taken], bool]) -> int | None:
        if place is None:
            return self._ledger.take(key, amount, fits)
        return place if self._ledger.change(place, amount, fits) else None

    def _fits(self, key: int, amount: int, free: int, taken: Taken) -> bool:
        own = [each for owner, each in zip(*taken, strict=True) if owner == key]
        most = max(self._size - JSON_BODY - self._left_free, self._size // 2)
        return _can_end([amount, *taken.amounts], self._size - free) and _can_end([amount, *own], most - free)

    def give_back(self, place: int) -> None:
        """Free what is held in `place`."""
        self._ledger.give_back(place)


def _can_end(amounts: list[int], limit: int) -> bool:
    """Whether bodies get what they may still want within `limit` bytes, one after the other: Dijkstra's banker."""
    room = limit - sum(amount % _REST for amount in amounts)
    for amount in sorted(amounts):  # who wants least ends first
        if amount // _REST > room:
            return False
        room += amount % _REST
    return True
