"""Bytes that are on their way in: of each key, in all processes of this box, while their requests last.

Rows count what has come. Without this count a key could send many uploads at once that each would fit alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from lazu.errors import ApiError
from lazu.ledger import Ledger, Taken

#: Uploads at once that can be counted.
_MOST = 2048


class Arriving:
    """What arrives of one `kind`; `refusal` makes the error for what is too much."""

    def __init__(self, kind: str, refusal: Callable[[], ApiError]) -> None:
        self._refusal = refusal
        self._ledger = Ledger(f"arriving-{kind}", _MOST)

    @contextmanager
    def hold(self, key: int, size: int, room: int) -> Iterator["Arrival"]:
        """Count `size` bytes for `key` until the end of the `with`, where all of the key may have `room` together.

        Raises the refusal, here and when the arrival grows; `Overloaded` if too many uploads arrive to count one more.
        """
        place = self._ledger.take(key, size, partial(_fits, key, size, room))
        if place is None:
            raise self._refusal()

        def grow(more: int) -> None:
            if not self._ledger.change(place, more, partial(_fits, key, more, room)):
                raise self._refusal()

        arrival = Arrival(size, grow, partial(self._ledger.give_back, place))
        try:
            yield arrival
        finally:
            arrival.end()


def _fits(key: int, size: int, room: int, taken: Taken) -> bool:
    return taken.of(key) + size <= room


def _nothing(_: int = 0) -> None:
    """Nobody counts."""


class Arrival:
    """One upload that arrives, of `size` bytes or more."""

    def __init__(
        self, size: int = 0, grow: Callable[[int], None] = _nothing, end: Callable[[], None] = _nothing
    ) -> None:
        self._size, self._grow, self._end = size, grow, end

    def grow(self, size: int) -> None:
        """Let it have `size` bytes, if those are more than before; raises as `Arriving.hold`."""
        if size > self._size:
            self._grow(size)
            self._size = size

    def end(self) -> None:
        """Count it no more: it has come, or never will."""
        self._end()
        self._grow = self._end = _nothing


#: An upload of a key without a quota.
UNCOUNTED = Arrival()
