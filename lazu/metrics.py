"""The door to Prometheus: what is counted, summed over all workers, and how it is shown.

Each process counts by itself; where a scrape finds what the others counted is the business of `countfiles`.
No label has a value that a client chose: neither names nor ids can be read here, nor can anybody fill the memory.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from lazu import countfiles  # before the first metric is made

CONTENT_TYPE = CONTENT_TYPE_LATEST

#: Seconds: metadata takes milliseconds, an upload of 512 MB minutes.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600)

METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())

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
_repeated = Counter("lazu_transactions_repeated", "Transactions that were retried.", registry=_memory)
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
        """The metric, as a Prometheus registry asks each collector."""
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
    """Count a transaction that is retried: PostgreSQL was away, or others held what it wanted."""
    _repeated.inc()


def object_called(verb: str, outcome: str) -> None:
    """Count a call of the object store: its `verb` as botocore names it, its `outcome` a status or a fixed word."""
    _objects.labels(verb, outcome).inc()


def object_seconds(verb: str) -> AbstractContextManager[object]:
    """Measure, in a `with`, what a call of the object store takes."""
    timer: AbstractContextManager[object] = _object_seconds.labels(verb).time()
    return timer


def look() -> None:
    """Have the counts of this process where a scrape finds them; also now and then, for something may clean there."""
    countfiles.Counts.due = True
    _received.inc(0)  # within Prometheus' lock


def render(figures: list[Figure]) -> bytes:
    """Everything counted, and `figures`, in Prometheus' text format (`CONTENT_TYPE`)."""
    registry = CollectorRegistry()
    for figure in figures:
        registry.register(figure)
    shared = countfiles.folder()
    with countfiles.summed(shared) if shared else nullcontext(_memory) as source:
        counted = generate_latest(source)
    return counted + generate_latest(registry)
