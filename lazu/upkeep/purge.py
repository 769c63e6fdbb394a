"""The purge: what has expired goes, rows first, bytes second; then whatever bytes nothing refers to.

Safe while serving: rows go in short transactions, bytes only through `Files.reap`, which looks again under the lock.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from lazu import clock
from lazu.errors import StorageFailed
from lazu.store import rows
from lazu.store.blobs import SHARDS
from lazu.store.files import Files
from lazu.store.rows import File, Purge

#: Rows a transaction: holds the write lock for some 10 ms, so that uploads hardly wait.
BATCH = 500
#: Blobs, and bytes of blobs, removed under one lock of a shard: some 10 ms, on ext4 a tenth of a second at most.
PORTION, PORTION_BYTES = 100, 512 * 2**20
#: Seconds between two transactions: SQLite's waiting writers poll, and must find the lock free.
PAUSE = 0.01
#: A clock is suspected of a jump when no purge ran and no file came for that many seconds (the purge runs daily) …
GAP = 3 * clock.DAY
#: … and so many files, and more than half of all, would go.
MANY = 10


class ClockJump(Exception):
    """The clock seems to have jumped ahead; the message says what was seen and what to do."""


@dataclass
class Removed:
    """What a purge removed, or would: files (rows), blobs, and bytes of blobs."""

    files: int = 0
    blobs: int = 0
    bytes: int = 0

    def add_blob(self, size: int) -> None:
        """Count a blob of `size` bytes; none was there if that is 0, because no stored file is empty."""
        self.blobs += size > 0
        self.bytes += size


def steps() -> int:
    """How often a purge that began now would call its `tick`, about."""
    expired = File.select().where(File.expires_at <= clock.now()).count()
    return len(SHARDS) + (expired + BATCH - 1) // BATCH


def purge(files: Files, force: bool = False, tick: Callable[[], object] = lambda: None) -> Removed | None:
    """Remove what has expired and what nothing refers to; None if another purge is at it.

    Raises `StorageFailed`, and `ClockJump` unless `force` is set, with nothing removed.
    """
    if files.blobs.failed:
        raise StorageFailed
    with files.blobs.alone() as alone:
        if not alone:
            return None
        started = clock.now()
        if not force:
            _doubt(started)
        removed = _remove(files, started, tick)
        _record(files, Purge(started_at=started, finished_at=clock.now(), **asdict(removed)))
        files.ballast.fill()
        return removed


def preview(files: Files) -> Removed:
    """What a purge would remove now."""
    now = clock.now()
    removed = Removed(files=File.select().where(File.expires_at <= now).count())
    for names in files.blobs.names():
        for sha256 in files.unreferred(names, since=now):
            removed.add_blob(files.blobs.size(sha256))
    return removed


def _doubt(now: int) -> None:
    """Raise `ClockJump` if most files would go and the store's own history has a hole: what the clock says is new."""
    last = Purge.select(Purge.finished_at).order_by(Purge.id.desc()).limit(1).scalar()
    total, expired = File.select().count(), File.select().where(File.expires_at <= now).count()
    if last is None or expired < MANY or expired * 2 <= total or _hole(last, now) < GAP:
        return
    raise ClockJump(
        f"{expired} of {total} files would go, but the purge last ran at {clock.shanghai(last)} and now it is "
        f"{clock.shanghai(now)}: did the clock jump? If it is right, run 'flask purge --force'"
    )


def _hole(last: int, now: int) -> int:
    """The longest time, in seconds, between `last` and `now` in which no file came."""
    since = File.select(File.created_at).where(File.created_at.between(last, now)).order_by(File.created_at)
    longest = 0
    for (moment,) in since.tuples().iterator():
        longest, last = max(longest, moment - last), moment
    return max(longest, now - last)


def _remove(files: Files, now: int, tick: Callable[[], object]) -> Removed:
    removed = Removed()
    for count in _expire(files, now):
        removed.files += count
        tick()
    _sweep(files, removed, tick)
    files.blobs.tidy()
    return removed


def _expire(files: Files, now: int) -> Iterator[int]:
    """Delete expired rows, batch by batch; gives how many each time."""
    batch = File.select(File.id).where(File.expires_at <= now).order_by(File.expires_at).limit(BATCH)
    while gone := files.drop(File.id.in_(batch), "expiry"):
        yield len(gone)
        time.sleep(PAUSE)


def _sweep(files: Files, removed: Removed, tick: Callable[[], object]) -> None:
    """Remove the bytes that nothing refers to, shard by shard."""
    for names in files.blobs.names():
        for portion in _portions(files, files.unreferred(names)):
            for size in files.reap_all(portion):
                removed.add_blob(size)
            time.sleep(PAUSE)
        tick()


def _portions(files: Files, hashes: set[str]) -> Iterator[list[str]]:
    """The blobs to remove under one lock, which uploads to their shard wait for."""
    portion, size = [], 0
    for sha256 in hashes:
        portion.append(sha256)
        size += files.blobs.size(sha256)
        if len(portion) == PORTION or size > PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _record(files: Files, run: Purge) -> None:
    try:
        with rows.transaction():
            run.save(force_insert=True)
    except rows.DatabaseError as e:
        if not rows.full(e):
            raise
        files.ballast.spend()
        with rows.transaction():
            run.save(force_insert=True)
