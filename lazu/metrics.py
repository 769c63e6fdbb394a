"""The door to Prometheus: what is counted, summed over all workers, and how it is shown.

Each worker counts in a file of its own in LAZU_COUNTERS, which gunicorn.conf.py sets before anything here is imported;
a scrape sums the files. Without it (a `flask` command, a test) one process counts in memory, wherever an operator has
others count: nobody would read what a command left there, nor remove it.
No label has a value that a client chose: neither names nor ids can be read here, nor can anybody fill the memory.
"""

import fcntl
import logging
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

CONTENT_TYPE = CONTENT_TYPE_LATEST

#: Seconds: metadata takes milliseconds, an upload of 512 MB minutes.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600)

#: Bytes of a value in a file beside its name, at most: its length, the value, its time, and what fills a word.
_BESIDE = 28

METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())

log = logging.getLogger(__name__)


class _Counts(MmapedDict):
    """What this process counts, in a file that has room before it is mapped: a write to a page without is a SIGBUS.

    A value that finds no room stays in memory until there is some.
    """

    #: Those of this process, and whether it is time to look where they are.
    _all: ClassVar[list["_Counts"]] = []
    due: ClassVar[bool] = False
    _m: Any = None

    def __init__(self, path: str) -> None:
        self._path, self._room = path, mmap.PAGESIZE
        self._all.append(self)
        #: What is in no file yet, for want of room or because something took that away.
        self._left: dict[str, list[float]] = {}
        self.close()

    def close(self) -> None:
        """Leave the file."""
        if self._m:
            MmapedDict.close(self)
        self._positions: dict[str, int] = {}
        self._used = self._capacity = 0

    def read_value(self, key: str) -> Any:
        """The value and its time."""
        return MmapedDict.read_value(self, key) if self._has(key) else (0.0, 0.0)

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Keep a value. Prometheus has one lock for all files of a process, which is held here."""
        if _Counts.due:
            _Counts.due = False
            for each in self._all:
                each._stay()  # noqa: SLF001  of another one of this class
        if self._has(key):
            MmapedDict.write_value(self, key, value, timestamp)
        else:
            self._left[key] = [value, timestamp]

    def _stay(self) -> None:
        """Go on in a new file, with what is in the old one, if something took that away."""
        with suppress(OSError):
            if not self._left and (not self._m or os.path.samestat(os.stat(self._path), os.fstat(self._f.fileno()))):
                return
        self._open()

    def _has(self, key: str) -> bool:
        """Whether `key` is in the file, or finds room there."""
        while key not in self._positions and (not self._m or self._used + len(key.encode()) + _BESIDE > self._capacity):
            if self._m:
                self._room = 2 * self._capacity
            if not self._open():
                return False
        return True

    def _open(self) -> bool:
        """Have a file that has room, and all that was counted; gives whether there is one."""
        try:
            _reserve(self._path, self._room)
            if self._m:
                counts = self.read_all_values()  # type: ignore[no-untyped-call]  # Prometheus has no types
                self._left.update((key, last) for key, *last in counts)
                self.close()
            MmapedDict.__init__(self, self._path)
        except OSError as e:
            _tell(e.strerror)
            return False
        for key in self._left.keys() - self._positions.keys():
            MmapedDict.write_value(self, key, *self._left[key])
        self._left = {}
        return True


@cache
def _tell(why: str) -> None:
    """Say it once."""
    log.error("counts can't be shared, and are missing from /metrics until they can: %s", why)


def _have(shared: str) -> None:
    """Have the directory, and in it the lock by which the next start of a server sees that it is in use."""
    os.makedirs(shared, mode=0o700, exist_ok=True)
    with suppress(FileExistsError, BlockingIOError):
        used = os.open(os.path.join(shared, "used.lock"), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(used, fcntl.LOCK_SH | fcntl.LOCK_NB)
        log.error("something took files away from %s: counts go on in new ones, without those of ended workers", shared)


def _reserve(path: str, size: int) -> None:
    """Have room for `size` bytes in the file at `path`, and for the holes of what is there."""
    _have(os.path.dirname(path))
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as file:
        os.posix_fallocate(file.fileno(), 0, max(size, os.fstat(file.fileno()).st_size))


def folder() -> str | None:
    """Where the processes of one server count together, None if this one is alone."""
    return os.environ.get("LAZU_COUNTERS")


values.MmapedDict = _Counts  # type: ignore[assignment,attr-defined]  # before the first metric is made
if not folder():
    values.ValueClass = values.MutexValue

_memory = CollectorRegistry()

_requests = Counter("lazu_requests", "Requests answered.", ["method", "route", "status"], registry=_memory)
_seconds = Histogram(
    "lazu_request_seconds", "Seconds from a request's header to the end of its answer.", ["method", "route"],
    buckets=BUCKETS, registry=_memory,
)  # fmt: skip
_received = Counter("lazu_received_bytes", "Bytes that clients sent, headers included.", registry=_memory)
_sent = Counter("lazu_sent_bytes", "Bytes of bodies sent to clients, without what nginx sent.", registry=_memory)
_uploading = Gauge("lazu_uploads_in_flight", "Uploads being received.", registry=_memory, multiprocess_mode="livesum")
_fsyncs = Counter("lazu_fsync_failures", "Calls of fsync that failed, since the start.", registry=_memory)
_upstream = Counter("lazu_upstream_calls", "Calls of the upstream.", ["outcome"], registry=_memory)
_repeated = Counter("lazu_transactions_repeated", "Transactions that were said again.", registry=_memory)
_objects = Counter("lazu_object_calls", "Calls of the object store.", ["verb", "outcome"], registry=_memory)
_object_seconds = Histogram(
    "lazu_object_call_seconds", "Seconds of a call of the object store, its repeats included.", ["verb"],
    buckets=BUCKETS, registry=_memory,
)  # fmt: skip


class Answered(NamedTuple):
    """One answered request: `seconds` it took, bytes of the whole request and of the answer's body."""

    method: str
    route: str
    status: int
    seconds: float
    received: int
    sent: int


@dataclass(frozen=True)
class Figure:
    """A value that is asked for at each scrape: its name, what it means, its value."""

    name: str
    meaning: str
    value: float

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the metric, as a Prometheus registry asks each collector."""
        yield GaugeMetricFamily(self.name, self.meaning, self.value)


def answered(answer: Answered) -> None:
    """Count a request."""
    method = answer.method if answer.method in METHODS else "other"
    _requests.labels(method, answer.route, str(answer.status)).inc()
    _seconds.labels(method, answer.route).observe(answer.seconds)
    _received.inc(answer.received)
    _sent.inc(answer.sent)


def uploading() -> AbstractContextManager[object]:
    """Count an upload as in flight, in a `with`."""
    tracker: AbstractContextManager[object] = _uploading.track_inprogress()
    return tracker


def fsync_failed() -> None:
    """Count a failed fsync."""
    _fsyncs.inc()


def upstream_called(outcome: str) -> None:
    """Count a call of the upstream, whose `outcome` is one of a few fixed words."""
    _upstream.labels(outcome).inc()


def transaction_repeated() -> None:
    """Count a transaction that is said again: PostgreSQL was away, or others held what it wanted."""
    _repeated.inc()


def object_called(verb: str, outcome: str) -> None:
    """Count a call of the object store: its `verb` as botocore names it, its `outcome` a status or a fixed word."""
    _objects.labels(verb, outcome).inc()


def object_seconds(verb: str) -> AbstractContextManager[object]:
    """Measure, in a `with`, what a call of the object store takes."""
    timer: AbstractContextManager[object] = _object_seconds.labels(verb).time()
    return timer


def look() -> None:
    """Have the counts of this process where a scrape finds them; called now and then, for something may clean there."""
    _Counts.due = True
    _received.inc(0)


def render(figures: list[Figure]) -> bytes:
    """Everything counted, and `figures`, in Prometheus' text format (`CONTENT_TYPE`)."""
    registry = CollectorRegistry()
    for figure in figures:
        registry.register(figure)
    shared = folder()
    with _still(shared, fcntl.LOCK_SH) if shared else nullcontext():
        source = _Shared(CollectorRegistry(), shared) if shared else _memory  # type: ignore[no-untyped-call]  # as below
        counted = generate_latest(source)
    return counted + generate_latest(registry)


def forget(pid: int) -> None:
    """Drop the gauges of a worker that died, and add its counts to those of all that did: a scrape reads each file.

    While a scrape reads, or without room, they stay where they are, for good. Called by the process that has the
    workers, which nothing here may end.
    """
    shared = folder()
    if shared is None:
        return
    with suppress(OSError, RuntimeError, ValueError):
        mark_process_dead(pid, shared)
        with _still(shared, fcntl.LOCK_EX | fcntl.LOCK_NB):
            for kind in ("counter", "histogram"):
                _bury(os.path.join(shared, f"{kind}_{pid}.db"), os.path.join(shared, f"{kind}_dead.db"))


@contextmanager
def _still(shared: str, how: int) -> Iterator[None]:
    """Hold the lock under which counts move from file to file, as flock(2) is told by `how`."""
    _have(shared)
    with open(os.path.join(shared, "moving.lock"), "ab") as file:
        fcntl.flock(file, how)
        yield


def _bury(own: str, dead: str) -> None:
    """Add the counts in the file `own` to those in `dead`, and remove it."""
    if _used(own):
        counts = list(MmapedDict.read_all_values_from_file(own))
        _reserve(dead, _used(own) + _used(dead))  # all of it now
        total = MmapedDict(dead)
        for key, value, _, _ in counts:
            total.write_value(key, total.read_value(key)[0] + value, 0.0)
        total.close()
        os.remove(own)


def _used(path: str) -> int:
    """Bytes of a file of counts that are in use, which are its first word; 0 if it is not there."""
    with suppress(FileNotFoundError), open(path, "rb") as file:
        return int.from_bytes(file.read(4), sys.byteorder)
    return 0


class _Shared(MultiProcessCollector):
    """What all workers counted, but for a file that is just being made: it is empty for a moment."""

    def collect(self) -> Any:
        """Give the metrics, as a Prometheus registry asks each collector."""
        files = [entry.path for entry in os.scandir(self._path) if entry.name.endswith(".db") and _used(entry.path)]
        return self.merge(files)  # type: ignore[no-untyped-call]  # Prometheus has no types
