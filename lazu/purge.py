"""The purge: what has expired goes, rows first, bytes second; then whatever bytes nothing refers to.

Safe while serving: rows go in short transactions, bytes only through `Files.reap`, which looks again under the lock.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from lazu import clock
from lazu.files import Files
from lazu.models import File, Purge, database

#: Rows a transaction: holds the write lock for some 10 ms, so that uploads hardly wait.
BATCH = 500
#: Seconds between two transactions: SQLite's waiting writers poll, and must find the lock free.
PAUSE = 0.01


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


def purge(files: Files) -> Removed | None:
    """Remove what has expired and what nothing refers to; None if another purge is at it."""
    with files.blobs.alone() as alone:
        if not alone:
            return None
        started = clock.now()
        removed = Removed()
        for batch in _expired(started):
            removed.files += len(batch)
            for sha256 in set(batch):
                removed.add_blob(files.reap(sha256))
        _sweep(files, removed)
        with database.atomic():
            Purge.create(started_at=started, finished_at=clock.now(), **asdict(removed))
        return removed


def preview(files: Files) -> Removed:
    """What a purge would remove now."""
    now = clock.now()
    removed = Removed(files=File.select().where(File.expires_at <= now).count())
    for names in files.blobs.names():
        for sha256 in files.unreferred(names, since=now):
            removed.add_blob(files.blobs.size(sha256))
    return removed


def _expired(now: int) -> Iterator[list[str]]:
    """Delete expired rows, batch by batch; gives the hashes they referred to."""
    batch = File.select(File.id).where(File.expires_at <= now).order_by(File.expires_at).limit(BATCH)
    while True:
        with database.atomic():
            gone = [row.sha256 for row in File.delete().where(File.id.in_(batch)).returning(File.sha256).execute()]
        if not gone:
            return
        yield gone
        time.sleep(PAUSE)


def _sweep(files: Files, removed: Removed) -> None:
    for names in files.blobs.names():
        for sha256 in files.unreferred(names):
            removed.add_blob(files.reap(sha256))
