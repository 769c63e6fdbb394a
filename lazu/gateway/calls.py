"""How many calls of the upstream run on this box, all workers together, and for which keys.

A table in a file that the workers share, beside their counters: a record for each call that runs, with the process that
makes it and the key it is for. What a worker held when it died is given back by `forget`. Where nothing is shared (a
`flask` command, a test in one process) the table is this process's own.
"""

import fcntl
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lazu import metrics

#: Bytes of a record: the process (0: free) and the key, four each.
_RECORD = 8

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
        self._kind = kind
        self._threads = threading.Lock()
        self._table: _Table | None = None

    def take(self, key: int) -> int | None:
        """A place for a call of `key`, to be given back; None if all are taken."""
        with self._locked() as table:
            owners, keys = table.columns()
            if not self._has_room(owners, keys, key):
                return None
            place = owners.index(0)
            table.write(place, os.getpid(), key)
            return place

    def give_back(self, place: int) -> None:
        """The call in `place` has ended."""
        with self._locked() as table:
            table.write(place, 0, 0)

    def has_room(self, key: int) -> bool:
        """Whether `take` would give a place now."""
        with self._locked() as table:
            return self._has_room(*table.columns(), key)

    def running(self) -> int:
        """How many calls run."""
        with self._locked() as table:
            owners, _ = table.columns()
            return len(owners) - owners.count(0)

    def _has_room(self, owners: list[int], keys: list[int], key: int) -> bool:
        # A free record has key 0, which is nobody's.
        most = self._most if keys.count(key) < self._few else self.limit
        return len(owners) - owners.count(0) < most

    @contextmanager
    def _locked(self) -> Iterator["_Table"]:
        with self._threads:
            if self._table is None:  # not before the first call: the process that forks the workers has none
                self._table = _Table(_path(self._kind), self._most)
            with self._table.locked():
                yield self._table


class _Table:
    """The records, in the file at `path` or in memory; at least `size`, more if other processes want more."""

    def __init__(self, path: str | None, size: int) -> None:
        self._fd = -1
        if path is not None:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # what cleans /tmp may have taken it
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        length = max(1, size) * _RECORD
        if self._fd >= 0:
            with self.locked():
                length = max(length, os.fstat(self._fd).st_size)
                os.ftruncate(self._fd, length)
        self._numbers = memoryview(mmap.mmap(self._fd, length)).cast("I")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; the kernel lets them in when this one dies."""
        if self._fd < 0:
            yield
            return
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def columns(self) -> tuple[list[int], list[int]]:
        """The processes and the keys of all records, 0 in free ones."""
        return self._numbers[::2].tolist(), self._numbers[1::2].tolist()

    def write(self, place: int, owner: int, key: int) -> None:
        """Fill a record, or free it."""
        self._numbers[2 * place], self._numbers[2 * place + 1] = owner, key

    def close(self) -> None:
        """Leave the table to others."""
        os.close(self._fd)


def _path(kind: str) -> str | None:
    folder = metrics.folder()
    return os.path.join(folder, f"{kind}.calls") if folder else None


def forget(pid: int) -> None:
    """The worker `pid` has ended: give back what it held."""
    folder = metrics.folder() or ""
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if name.endswith(".calls"):
            _forget(_Table(os.path.join(folder, name), 0), pid)


def _forget(table: _Table, pid: int) -> None:
    with table.locked():
        owners, _ = table.columns()
        for place in (place for place, owner in enumerate(owners) if owner == pid):
            table.write(place, 0, 0)
    table.close()
