"""Who works now: the slots of a process, shared among those who ask, and given back while one waits.

An owner is a key, or None for all who have none; where nobody knows the key yet, an address. However many requests an
owner sends, and however fast, it has at most its share of the slots, and after a bounded time at work it lets others go
first. So somebody else's request finds a slot free or soon free (docs/decisions/0100-shares.md).

A thread has at most one turn. What waits for a lock, a disk, a child process or another machine does so within
`waiting`; what takes long calls `step` or `give_way` now and then. All do nothing in a thread without a turn, as in
a command.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lazu import clock, cpus
from lazu.errors import Busy, ClientLeft

Owner = int | str | None

#: Seconds at work after which a turn lets others go first, if somebody waits.
QUANTUM = 0.005

#: Seconds after which an owner may take more than its share for long work, when no other one has asked meanwhile.
ALONE_SECONDS = 1.0

#: Seconds between two looks whether the client of something that waits is still there.
LOOK_SECONDS = 0.25

_mine = threading.local()


class _Gate:
    """A place in a queue, for `long` work or not: whoever acquires `lock` has the slot."""

    def __init__(self, long: bool) -> None:
        self.long = long
        self.lock = threading.Lock()
        self.lock.acquire()


class _Line:
    """The requests of one owner that wait for a slot: one that has begun and one that is new are served by turns.

    So requests end; and uploads in small pieces, which wait again and again, keep no new request from beginning.
    """

    def __init__(self) -> None:
        self._gates = deque[_Gate](), deque[_Gate]()  # of who is new, and who has begun
        self._begun = True

    def add(self, gate: _Gate, begun: bool) -> None:
        self._gates[begun].append(gate)

    def first(self) -> _Gate:
        return self._gates[self._whose()][0]

    def serve(self) -> _Gate:
        whose = self._whose()
        self._begun = not whose
        return self._gates[whose].popleft()

    def remove(self, gate: _Gate) -> None:
        self._gates[gate in self._gates[True]].remove(gate)

    def _whose(self) -> bool:
        return self._begun if self._gates[self._begun] else not self._begun

    def __len__(self) -> int:
        return sum(map(len, self._gates))


class Slots:
    """`count` slots, of which each owner has `share` at most. Those who wait are served by turns, owner by owner.

    Where no other one has asked for `ALONE_SECONDS`, an owner may have up to `alone`, of them `share` for short work.
    So what is short does not wait for what is long.
    """

    def __init__(self, count: int, share: int, alone: int = 0) -> None:
        self._lock = threading.Lock()
        self._free = count
        self._share, self._alone = share, max(share, alone)
        self._latest: Owner = None
        self._shared_until = 0.0
        self._held: Counter[Owner] = Counter()
        #: Of those held, the ones for short work.
        self._short: Counter[Owner] = Counter()
        self._waiting: dict[Owner, _Line] = {}

    def resize(self, count: int, share: int) -> None:
        """Be `count` slots, of which each owner has `share` at most; nobody may wait yet."""
        with self._lock:
            self._free = count - self._held.total()
            self._share = self._alone = share

    @property
    def wanted(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def is_due(self, owner: Owner) -> bool:
        """Whether long work of `owner` should let others go first: somebody waits, or it has too many slots by now."""
        return self.wanted or self._held[owner] > self._most()

    def _most(self) -> int:
        return self._share if clock.monotonic() < self._shared_until else self._alone

    def _fits(self, owner: Owner, long: bool) -> bool:
        return self._held[owner] < self._most() and (long or self._short[owner] < self._share)

    def take(self, owner: Owner, begun: bool = False, long: bool = False) -> None:
        """Wait for a slot, for `long` work or not; requests that have `begun`, and their owner's new ones, by turns."""
        gate = self._ask(owner, begun, long)
        if gate:
            gate.lock.acquire()

    @contextmanager
    def one(self, seconds: float) -> Iterator[None]:
        """A slot for long work of this thread's owner, also within `waiting`; raises `Busy` after `seconds`."""
        owner: Owner = getattr(_mine, "owner", None)
        gate = self._ask(owner, long=True)
        if gate and not gate.lock.acquire(timeout=seconds) and not self._turn_away(owner, gate):
            raise Busy("others were not done in time")
        try:
            yield
        finally:
            self.give(owner, long=True)

    def take_now(self, owner: Owner) -> bool:
        """Take a slot if one is free for `owner`; gives whether."""
        gate = self._ask(owner)
        return gate is None or self._turn_away(owner, gate)

    def take_within(self, owner: Owner, seconds: float) -> bool:
        """Wait for a slot so long at most; gives whether there was one. Raises `ClientLeft` (`require_client`)."""
        gate, end = self._ask(owner), clock.monotonic() + seconds
        try:
            while gate and not gate.lock.acquire(timeout=LOOK_SECONDS):
                require_client()
                if clock.monotonic() > end:
                    return self._turn_away(owner, gate)
        except ClientLeft:
            if gate and self._turn_away(owner, gate):
                self.give(owner)
            raise
        return True

    def _ask(self, owner: Owner, begun: bool = False, long: bool = False) -> _Gate | None:
        """Take a slot that is free; else a gate that is released when the slot is there."""
        with self._lock:
            if owner != self._latest:
                self._latest, self._shared_until = owner, clock.monotonic() + ALONE_SECONDS
            if self._free and self._fits(owner, long):
                self._hand_to(owner, long)
                return None
            gate = _Gate(long)
            self._waiting.setdefault(owner, _Line()).add(gate, begun)
            return gate

    def _turn_away(self, owner: Owner, gate: _Gate) -> bool:
        """Wait no more; gives whether the slot came at the last moment."""
        with self._lock:
            if gate.lock.acquire(blocking=False):
                return True
            self._waiting[owner].remove(gate)
            if not self._waiting[owner]:
                del self._waiting[owner]
            return False

    def give(self, owner: Owner, long: bool = False) -> None:
        """Give back a slot, of `long` work or not: to whoever waits and holds the fewest, if its first one fits."""
        with self._lock:
            self._free += 1
            self._held[owner] -= 1
            self._short[owner] -= not long
            if not self._held[owner]:
                del self._held[owner], self._short[owner]
            if owner in self._waiting:
                self._waiting[owner] = self._waiting.pop(owner)  # it had its turn
            fitting = [each for each, line in self._waiting.items() if self._fits(each, line.first().long)]
            if fitting:
                self._serve(min(fitting, key=self._held.__getitem__))

    def _serve(self, owner: Owner) -> None:
        line = self._waiting.pop(owner)
        gate = line.serve()
        self._hand_to(owner, gate.long)
        gate.lock.release()
        if line:
            self._waiting[owner] = line  # behind the other owners now

    def _hand_to(self, owner: Owner, long: bool) -> None:
        self._free -= 1
        self._held[owner] += 1
        self._short[owner] += not long


def stays() -> bool:
    """Nobody is taken for gone: for a `Turn`, or a wait, that goes on without its client."""
    return False


class Turn:
    """A request of `owner` that works on one of `slots`; `left` says whether its client has hung up.

    It counts as `long` work from the beginning, or when it has been at work for a `QUANTUM` without a wait.

    A context manager: entering waits for a slot and raises `ClientLeft` if nobody waits for the answer any more.
    """

    def __init__(self, slots: Slots, owner: Owner, left: Callable[[], bool], long: bool = False) -> None:
        self._slots, self._owner, self._left, self._long = slots, owner, left, long
        self._roams = False

    def __enter__(self) -> None:
        self.resume(begun=False)
        _mine.turn, _mine.left, _mine.owner = self, self._left, self._owner
        if self._left():
            self.__exit__()
            raise ClientLeft

    def __exit__(self, *_: object) -> None:
        _mine.turn = _mine.left = _mine.owner = None
        self.pause()
        if self._roams:
            cpus.settle()

    def pause(self) -> None:
        """Give the slot back."""
        self._slots.give(self._owner, self._long)

    def resume(self, begun: bool = True) -> None:
        """Wait for a slot."""
        self._slots.take(self._owner, begun, self._long)
        self._until = clock.monotonic() + QUANTUM

    def give_way(self) -> bool:
        """Let others go first if this has been at work for long; whether it has been."""
        if clock.monotonic() < self._until:
            return False
        self._roams = True
        cpus.roam()
        if not self._long or self._slots.is_due(self._owner):
            self.pause()
            self._long = True
            self.resume(begun=False)
        else:
            self._until = clock.monotonic() + QUANTUM
        return True

    def step(self) -> None:
        """Let others go first after long work; raises `ClientLeft` if nobody waits for the answer any more."""
        if self.give_way() and self._left():
            raise ClientLeft


def require_client() -> None:
    """Raise `ClientLeft` if nobody waits for the answer any more, also within `waiting`."""
    left: Callable[[], bool] | None = getattr(_mine, "left", None)
    if left is not None and left():
        raise ClientLeft


@contextmanager
def waiting() -> Iterator[None]:
    """Let others work while this thread waits for something that costs nothing here."""
    turn: Turn | None = getattr(_mine, "turn", None)
    if turn is None:
        yield
        return
    _mine.turn = None
    turn.pause()
    try:
        yield
    finally:
        turn.resume()
        _mine.turn = turn


def give_way() -> None:
    """Between two pieces of long work: let others go first after a while. Hold no lock that others need."""
    turn: Turn | None = getattr(_mine, "turn", None)
    if turn is not None:
        turn.give_way()


def step() -> None:
    """As `give_way`; raises `ClientLeft` if nobody waits for the answer any more."""
    turn: Turn | None = getattr(_mine, "turn", None)
    if turn is not None:
        turn.step()
