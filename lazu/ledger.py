"""Ledgers of limited things that all processes of a server share: calls, clients, memory for bodies, room for uploads.

A record says which process holds how much for which owner. The records are in a file that all processes map. It is made
in memory and without a name by the process that forks them: no full disk and no cleaner of a directory affects it. The
records of a process that died are freed by `forget`. Where nothing is shared (a `flask` command, a test in one process)
the ledger is this process's own.

Only taking, and a change that must fit beside the others, need the lock, which is waited for a bounded time. Freeing a
record writes one word of it, so giving back never waits and never fails.
"""

import fcntl
import logging
import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from lazu import clock, slots
from lazu.errors import Overloaded

#: Words of a record: the process (0: free), the owner, the amount; bytes of a word.
_WORDS, _WORD = 3, 8

#: Seconds to wait for whoever writes, which takes microseconds: longer only if it was stopped in the midst of that.
LOCK_SECONDS = 10.0
_LOOK_SECONDS = 0.001

#: What the ledgers of a server are called.
NAMES = ("clients", "bodies", "model-calls", "lookup-calls", "arriving-files", "arriving-parts")

#: The file of each, where processes share them.
_files: dict[str, int] = {}

#: MFD_NOEXEC_SEAL of memfd_create(2), without which a hardened kernel (vm.memfd_noexec) refuses; Linux before 6.3 knows
#: neither.
_NO_PROGRAM = 8

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
    """At most `size` records, in the ledger called `name`; each verb but `give_back` may raise `Overloaded`."""

    def __init__(self, name: str, size: int) -> None:
        self._name, self._size = name, size
        self._threads = threading.Lock()
        self._opening = threading.Lock()
        self._table: _Table | None = None

    def take(self, owner: int, amount: int, fits: Fits) -> int | None:
        """The place of a new record, None if it does not fit beside the others, as `fits` judges.

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
                    self._table = _Table(_files[self._name] if _files else -1, self._size)
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
    """At least `size` records, more if other processes want more; in the file `fd`, or in memory if it is negative."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd, length = fd, max(1, size) * _WORDS * _WORD
        if fd >= 0:
            os.posix_fallocate(fd, 0, length)  # never makes it shorter
            length = os.fstat(fd).st_size
        self._words = memoryview(mmap.mmap(fd, length)).cast("Q")

    def lock(self) -> bool:
        """Keep other processes out, if none is in; the kernel lets them in when this one dies."""
        try:
            if self._fd >= 0:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock(2): a fork would share it
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Let other processes in."""
        if self._fd >= 0:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

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


def nameless(name: str) -> int:
    """The descriptor of a new file in memory, for this process and its forks; `name` shows in `/proc` only."""
    try:
        return os.memfd_create(name, os.MFD_CLOEXEC | _NO_PROGRAM)
    except OSError:
        return os.memfd_create(name)


def share(names: Iterable[str] = NAMES) -> None:
    """Let the processes that this one forks from now on hold the ledgers together."""
    _files.update((name, nameless(name)) for name in names)


def forget(pid: int) -> None:
    """Give back what the worker `pid` held, which has ended. Never raises an `OSError`: it would end gunicorn."""
    for fd in _files.values():
        with suppress(OSError):
            table = _Table(fd, 0)
            for place in (place for place, process in enumerate(table.processes()) if process == pid):
                table.forget(place)
