"""What is taken, of things that all processes of a server share: calls, clients, memory for bodies, room for uploads.

Each taking is a record in a file that the processes map, beside their counters: who has it, for which owner, how
much. What a process held when it died is given back by `forget`. Where nothing is shared (a `flask` command, a test in
one process) the ledger is this process's own.

Only taking needs the lock, and a change that must fit beside the others; it is waited for a bounded time. A record is
freed by the one word that says whose it is, so giving back never waits and never fails.
"""

import fcntl
import logging
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from lazu import clock, metrics, slots
from lazu.errors import Overloaded

#: Words of a record: the process (0: free), the owner, the amount; bytes of a word.
_WORDS, _WORD = 3, 8

#: Seconds to wait for whoever writes, which takes microseconds: longer only if it was stopped in the midst of that.
LOCK_SECONDS = 10.0
_LOOK_SECONDS = 0.001

_SUFFIX = ".ledger"

log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """All records that are taken: the owner and the amount of each."""

    owners: list[int]
    amounts: list[int]

    def of(self, owner: int) -> int:
        """The amounts of `owner` together."""
        return sum(amount for each, amount in zip(self.owners, self.amounts, strict=True) if each == owner)


Fits = Callable[[Taken], bool]


class Ledger:
    """At most `size` records, in the file called `name`; each verb but `give_back` may raise `Overloaded`."""

    def __init__(self, name: str, size: int) -> None:
        self._name, self._size = name, size
        self._threads = threading.Lock()
        self._opening = threading.Lock()
        self._table: _Table | None = None

    def take(self, owner: int, amount: int, fits: Fits) -> int | None:
        """The place of a new record, or None if `fits` says no of those there are.

        Raises `Overloaded` if no record is free, or the lock or the file can't be had.
        """
        with self._locked() as table:
            if not fits(table.taken()):
                return None
            place = table.free()
            table.write(place, owner, amount)
            return place

    def change(self, place: int, amount: int, fits: Fits) -> bool:
        """Let the record at `place`, which this process took, have another amount, if that `fits` the other records.

        Raises `Overloaded` if the lock can't be had.
        """
        with self._locked() as table:
            if not fits(table.taken(but=place)):
                return False
            table.change(place, amount)
            return True

    def set(self, place: int, amount: int) -> None:
        """Let the record at `place`, which this process took, have another amount, whatever the others have."""
        self._open().change(place, amount)

    def give_back(self, place: int) -> None:
        """Free a record that this process took."""
        self._open().forget(place)

    def taken(self) -> Taken:
        """All that is taken now; it may change at any moment."""
        return self._open().taken()

    def _open(self) -> "_Table":
        with self._opening:
            if self._table is None:  # not before it is needed: the process that forks the workers has none
                with _reached():
                    self._table = _Table(_path(self._name), self._size)
            return self._table

    @contextmanager
    def _locked(self) -> Iterator["_Table"]:
        table = self._open()
        with ExitStack() as held:
            if not self._lock(table):
                held.enter_context(slots.waiting())  # until the lock is given back: its holder must wait for no slot
                self._await(table)
            held.callback(self._threads.release)
            held.callback(table.unlock)
            yield table

    def _await(self, table: "_Table") -> None:
        end = clock.monotonic() + LOCK_SECONDS
        while not self._lock(table):
            if clock.monotonic() > end:
                raise Overloaded
            clock.sleep(_LOOK_SECONDS)

    def _lock(self, table: "_Table") -> bool:
        if not self._threads.acquire(blocking=False):
            return False
        with ExitStack() as undo:
            undo.callback(self._threads.release)
            with _reached():
                locked = table.lock()
            if locked:
                undo.pop_all()
        return locked


@contextmanager
def _reached() -> Iterator[None]:
    """Raise `Overloaded` where the system has no descriptor, memory or room for the records: a repeat may find it."""
    try:
        yield
    except OSError as e:
        log.error("what the processes share can't be reached: %s", e)  # noqa: TRY400 - its one line says it all
        raise Overloaded from e


class _Table:
    """The records, in the file at `path` or in memory; at least `size`, more if other processes want more."""

    def __init__(self, path: str | None, size: int) -> None:
        self._fd, length = -1, max(1, size) * _WORDS * _WORD
        with ExitStack() as undo:
            if path is not None:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # what cleans /tmp may have taken it
                self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                undo.callback(os.close, self._fd)
                os.posix_fallocate(self._fd, 0, length)  # never makes it shorter
                length = os.fstat(self._fd).st_size
            self._words = memoryview(mmap.mmap(self._fd, length)).cast("Q")
            undo.pop_all()

    def lock(self) -> bool:
        """Keep other processes out, if none is in; the kernel lets them in when this one dies."""
        try:
            if self._fd >= 0:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Let other processes in."""
        if self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def free(self) -> int:
        """A place without a record; raises `Overloaded` if there is none."""
        try:
            return self.processes().index(0)
        except ValueError:
            raise Overloaded from None

    def processes(self) -> list[int]:
        """The process of each record, 0 of a free one."""
        return self._words[::_WORDS].tolist()

    def taken(self, but: int = -1) -> Taken:
        """The records that are taken, but for one."""
        places = [place for place, process in enumerate(self.processes()) if process and place != but]
        words = self._words
        return Taken([words[_WORDS * place + 1] for place in places], [words[_WORDS * place + 2] for place in places])

    def write(self, place: int, owner: int, amount: int) -> None:
        """Fill a record of this process."""
        start = _WORDS * place
        self._words[start + 1], self._words[start + 2] = owner, amount
        self._words[start] = os.getpid()

    def change(self, place: int, amount: int) -> None:
        """Let a record have another amount."""
        self._words[_WORDS * place + 2] = amount

    def forget(self, place: int) -> None:
        """Free a record."""
        self._words[_WORDS * place] = 0

    def close(self) -> None:
        """Leave the table to others."""
        os.close(self._fd)


def _path(name: str) -> str | None:
    folder = metrics.folder()
    return os.path.join(folder, name + _SUFFIX) if folder else None


def forget(pid: int) -> None:
    """Give back what the worker `pid` held, which has ended. Never raises an `OSError`: it would end gunicorn."""
    folder = metrics.folder() or ""
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        with suppress(OSError):
            if name.endswith(_SUFFIX) and os.path.getsize(path):  # empty where there was no room for its records
                _forget(_Table(path, 0), pid)


def _forget(table: _Table, pid: int) -> None:
    for place in (place for place, process in enumerate(table.processes()) if process == pid):
        table.forget(place)
    table.close()
