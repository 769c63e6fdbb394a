"""Files of counts: each process of a server counts in its memory, and in a file of its own for whoever scrapes.

They stand in LAZU_COUNTERS, which gunicorn.conf.py sets before anything here is imported. Without it (a `flask`
command, a test) one process counts in memory, wherever an operator has others count: nobody would read what a command
left there, nor remove it.
"""

import fcntl
import json
import logging
import mmap
import os
import struct
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from typing import Any, ClassVar

from prometheus_client import CollectorRegistry, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

#: What Prometheus' code raises where a file was cut, or has lost what was in it.
_DAMAGED = (struct.error, RuntimeError, ValueError)

log = logging.getLogger(__name__)


def folder() -> str | None:
    """The directory where the processes of one server count together, None if this process is alone."""
    return os.environ.get("LAZU_COUNTERS")


class Counts(MmapedDict):
    """What this process counts: in its memory, as the bytes of Prometheus' file, and in that file for whoever scrapes.

    The file follows as soon as it can: it may find no room, and something may take it away.
    """

    #: All counts of this process; and whether its next count is to look whether their files are still there.
    _all: ClassVar[set["Counts"]] = set()
    due: ClassVar[bool] = False
    _m: Any

    def __init__(self, path: str) -> None:
        self._path = path
        #: Prometheus' code asks for no file while there is capacity, and a bytearray grows.
        self._m, self._used, self._capacity = bytearray(8), 8, sys.maxsize
        self._positions: dict[str, int] = {}
        self._told: Any = b""
        with suppress(OSError):
            for counted in _read(path):  # by an ended process that had the same id
                MmapedDict.write_value(self, *counted)
        self._all.add(self)

    def close(self) -> None:
        """Leave the file as it is."""
        self._all.discard(self)
        self._told = b""

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Keep a value. Prometheus has one lock for all files of a process, which is held here."""
        MmapedDict.write_value(self, key, value, timestamp)
        if Counts.due:
            Counts.due = False
            for each in self._all:
                each._try()  # noqa: SLF001  of another one of this class
        place = self._positions[key]
        if place < len(self._told):
            self._told[place : place + 16] = self._m[place : place + 16]
        else:
            self._try()

    def _try(self) -> None:
        try:
            self.tell()
        except OSError as e:
            _complain(e.strerror)

    def tell(self) -> None:
        """Have all of it in the file; raises OSError, and changes nothing there, if it finds no room."""
        _have(os.path.dirname(self._path))
        with suppress(FileNotFoundError):
            if len(self._told) == len(self._m) <= os.stat(self._path).st_size:
                return
        with open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as file:
            os.posix_fallocate(file.fileno(), 0, len(self._m))  # a write to a mapped page without room is a SIGBUS
            self._told = mmap.mmap(file.fileno(), len(self._m))
        self._told[4:] = self._m[4:]
        self._told[:4] = self._m[:4]  # how much of it is to be read


@cache
def _complain(why: str | None) -> None:
    """Say it once."""
    log.error("counts can't be shared, and are missing from /metrics until they can: %s", why)


#: The file by whose lock this process says that the counts of its server are in use.
_used: list[int] = []


def _have(shared: str) -> None:
    """Make the directory, and hold a shared lock in it: the next start of a server sees that it is in use.

    Each process holds one: the process that made the directory again may be the first to end.
    """
    lock = os.path.join(shared, "used.lock")
    with suppress(FileNotFoundError):
        if _used and os.path.samestat(os.stat(lock), os.fstat(_used[0])):
            return
    os.makedirs(shared, mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
        log.error("something took files away from %s: counts go on in new ones, without those of ended workers", shared)
    with open(lock, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        while _used:
            os.close(_used.pop())
        _used.append(os.dup(file.fileno()))  # it has the same lock


def _read(path: str) -> list[tuple[str, float, float]]:
    """What stands in a file of counts: names, values and times; nothing if it is not there, just made, or damaged."""
    if not _size(path):
        return []
    try:
        found = [(key, *last) for key, *last, _ in MmapedDict.read_all_values_from_file(path)]
        for key, *_ in found:
            json.loads(key)  # as a scrape will
    except _DAMAGED as e:
        _tell(path, str(e))
        return []
    return found


@cache
def _tell(path: str, why: str) -> None:
    """Say it once."""
    log.error("counts can't be read, and are missing from /metrics: %s: %s", path, why)


def _size(path: str) -> int:
    """Bytes of a file of counts that are in use, which are its first word; 0 if it is not there."""
    with suppress(FileNotFoundError), open(path, "rb") as file:
        return int.from_bytes(file.read(4), sys.byteorder)
    return 0


@contextmanager
def summed(shared: str) -> Iterator[Any]:
    """What all processes that share this directory counted, for a `with`: no file moves meanwhile."""
    with _still(shared, fcntl.LOCK_SH):
        yield _Shared(CollectorRegistry(), shared)  # type: ignore[no-untyped-call]  # Prometheus has no types


def forget(pid: int) -> None:
    """Drop the gauges of a worker that died, and add its counts to those of all dead workers: a scrape reads each file.

    While a scrape reads, or without room, its file stays, for good. Called by the parent of the workers, which nothing
    here may end.
    """
    shared = folder()
    if shared is None:
        return
    with suppress(OSError):
        mark_process_dead(pid, shared)
        _have(shared)
        with _still(shared, fcntl.LOCK_EX | fcntl.LOCK_NB):
            for kind in ("counter", "histogram"):
                _bury(os.path.join(shared, f"{kind}_{pid}.db"), os.path.join(shared, f"{kind}_dead.db"))


@contextmanager
def _still(shared: str, how: int) -> Iterator[None]:
    """Hold the lock under which counts move from file to file, as flock(2) is told by `how`."""
    os.makedirs(shared, mode=0o700, exist_ok=True)
    with open(os.path.join(shared, "moving.lock"), "ab") as file:
        fcntl.flock(file, how)
        yield


def _bury(own: str, dead: str) -> None:
    """Add the counts in the file `own` to those in `dead`, all at once, and remove it."""
    if counts := _read(own):
        sums: dict[str, float] = defaultdict(float)
        for key, value, _ in _read(dead) + counts:
            sums[key] += value
        with closing(Counts(dead)) as total:
            for key, value in sums.items():
                MmapedDict.write_value(total, key, value, 0.0)
            total.tell()
        os.remove(own)


class _Shared(MultiProcessCollector):
    """What all workers counted, but for files in which nothing can be read: one is empty while it is being made."""

    def collect(self) -> Any:
        """The metrics, as a Prometheus registry asks each collector."""
        files = [entry.path for entry in os.scandir(self._path) if entry.name.endswith(".db") and _size(entry.path)]
        try:
            return self.merge(files)  # type: ignore[no-untyped-call]  # as above
        except _DAMAGED:
            return self.merge([path for path in files if _read(path)])  # type: ignore[no-untyped-call]  # as above


values.MmapedDict = Counts  # type: ignore[assignment,attr-defined]  # before the first metric is made
if not folder():
    values.ValueClass = values.MutexValue
