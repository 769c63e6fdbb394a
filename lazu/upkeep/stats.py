"""Counts and sizes of the store, asked anew each time: for `flask stats`, `flask keys list` and `/metrics`."""

from dataclasses import dataclass

from lazu import clock
from lazu.metrics import Figure
from lazu.store import counts, rows, upload_rows
from lazu.store.counts import Count
from lazu.store.opening import Store
from lazu.store.tables import Key

#: Files that expired longer ago than this should be gone: the purge runs once a day.
LATE_SECONDS = 26 * 3600


@dataclass(frozen=True)
class Totals:
    """Counts and bytes of the whole store at `at` (seconds since 1970).

    `files` have not expired; `expired` ones wait for the next purge, and those that should have gone already are
    `overdue`. `uploads` are pending and declare `upload_bytes`; `part_bytes` are of the parts that came. `blobs` are
    what files of both kinds and parts refer to. `oldest_expiry` is None when nothing waits.
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
    uploads: int
    upload_bytes: int
    part_bytes: int

    @property
    def saved_bytes(self) -> int:
        """Bytes not stored because other files or parts had them already."""
        return self.bytes + self.expired_bytes + self.part_bytes - self.blob_bytes


@dataclass(frozen=True)
class Usage:
    """One key: the files it sees and their bytes, its pending uploads and the bytes that these declare."""

    key: Key
    files: int
    bytes: int
    uploads: int
    upload_bytes: int


def totals() -> Totals:
    """The whole store. Costs what has expired and waits for the purge, however many files there are."""
    now = clock.now()
    uploads, declared = upload_rows.declared(now)
    total = counts.total(now)
    return Totals(
        at=now,
        overdue=counts.expired(now - LATE_SECONDS).files,
        oldest_expiry=counts.first_expiry() if total.expired else None,
        uploads=uploads,
        upload_bytes=declared,
        **total._asdict(),
    )


def usage() -> list[Usage]:
    """Every key, by name."""
    now = clock.now()
    files, uploads = counts.by_key(now), upload_rows.declared_by_key(now)
    return [Usage(key, *files.get(key.id, (0, 0)), *uploads.get(key.id, (0, 0))) for key in rows.all_keys()]


def by_day(days: int) -> list[tuple[str, int, int]]:
    """The last `days` days in Shanghai, oldest first: day, files uploaded then that are still there, their bytes."""
    now = clock.now()
    today = clock.midnight(now)
    found = counts.by_age(today, days, now)
    return [(clock.day(today - age * clock.DAY), *found.get(age, Count(0, 0))) for age in range(days - 1, -1, -1)]


def figures(store: Store) -> list[Figure]:
    """The store for Prometheus, as its database tells; raises `StoreError`."""
    now = totals()
    purge = counts.last_purge()
    ended = purge.finished_at if purge else 0
    late = now.at - now.oldest_expiry if now.oldest_expiry is not None else 0
    return [
        Figure("lazu_files", "Files that have not expired.", now.files),
        Figure("lazu_file_bytes", "Their sizes, added up.", now.bytes),
        Figure("lazu_blobs", "Different contents that are stored.", now.blobs),
        Figure("lazu_blob_bytes", "Bytes of these.", now.blob_bytes),
        Figure("lazu_saved_bytes", "Bytes not stored because another file had them.", now.saved_bytes),
        Figure("lazu_pending_uploads", "Uploads in parts that are not over.", now.uploads),
        Figure("lazu_pending_upload_bytes", "Bytes that these declare, for which room is held.", now.upload_bytes),
        Figure("lazu_part_bytes", "Bytes of the parts that came.", now.part_bytes),
        Figure("lazu_expired_files", "Expired files that wait for the next purge.", now.expired),
        Figure("lazu_overdue_files", "Expired files that the last purge should have removed.", now.overdue),
        Figure("lazu_overdue_seconds", "How long ago the oldest of the expired files expired.", late),
        Figure("lazu_last_purge_timestamp_seconds", "End of the last purge, 0 for never.", ended),
        *store.contents.figures(),
    ]


def of_box(store: Store) -> list[Figure]:
    """What a box knows by itself, for Prometheus."""
    return [
        Figure("lazu_stopped", "1 after a disk error, until flask fsck finds the store sound.", store.contents.failed),
        Figure("lazu_free_bytes", "Free space of the disk with LAZU_STORAGE_DIR.", store.contents.free()),
        Figure("lazu_min_free_bytes", "Uploads that would leave less are refused.", store.settings.min_free_bytes),
    ]
