"""Counts of files, keys and purges: how many, how large, since when.

Nothing here keeps a counter, which could lie: `holding` and `total` are views, or rows that the database keeps as it
keeps an index (docs/decisions/0131-totals.md). Verbs as those of `rows`, and with the same rules.
"""

from collections.abc import Iterator
from typing import NamedTuple

from peewee import fn

from lazu import clock
from lazu.store.tables import File, Purge, database, tuples

_TOTAL = """SELECT held.files - expired.files, held.bytes - expired.bytes, expired.files, expired.bytes,
    total.blobs, total.blob_bytes, total.part_bytes
    FROM total, (SELECT coalesce(sum(files), 0) AS files, coalesce(sum(bytes), 0) AS bytes FROM holding) AS held,
        (SELECT count(*) AS files, coalesce(sum(bytes), 0) AS bytes FROM file WHERE expires_at <= ?) AS expired"""
# "+ 0" keeps SQLite from the indexes by key: it would read all files there, in their order.
_BY_KEY = """SELECT held.key_id, held.files - coalesce(expired.files, 0), held.bytes - coalesce(expired.bytes, 0)
    FROM holding AS held LEFT JOIN (
        SELECT key_id + 0 AS key_id, count(*) AS files, sum(bytes) AS bytes FROM file WHERE expires_at <= ? GROUP BY 1
    ) AS expired ON expired.key_id = held.key_id"""
_HELD = """SELECT coalesce((SELECT bytes FROM holding WHERE key_id = ?), 0)
    - coalesce((SELECT sum(bytes) FROM file WHERE key_id = ? AND expires_at <= ?), 0)"""


class Count(NamedTuple):
    """How many files, and their bytes."""

    files: int
    bytes: int


class Total(NamedTuple):
    """All that the store holds: files, expired files, and the blobs of both and of parts of uploads."""

    files: int
    bytes: int
    expired: int
    expired_bytes: int
    blobs: int
    blob_bytes: int
    part_bytes: int


def total(now: int) -> Total:
    """Everything at `now`, as of one moment. Reads the rows that have expired in their index, and no others."""
    [found] = database.execute_sql(_TOTAL, (now,)).fetchall()
    return Total(*map(int, found))


def held(key_id: int, now: int) -> int:
    """Bytes of the files of a key that have not expired at `now`. Reads those that have, in their index, alone."""
    [(size,)] = database.execute_sql(_HELD, (key_id, key_id, now)).fetchall()
    return int(size)


def count() -> int:
    """How many files there are, expired ones too."""
    return int(File.select().count())


def expired(now: int) -> Count:
    """Files that have expired at `now`."""
    [(files, size)] = tuples(File.select(fn.COUNT(File.id), fn.SUM(File.bytes)).where(File.expires_at <= now))
    return Count(files, int(size or 0))


def first_expiry() -> int | None:
    """When the first of all files expires, or expired."""
    found: int | None = File.select(fn.MIN(File.expires_at)).scalar()
    return found


def newest() -> int | None:
    """When the latest file was made."""
    found: int | None = File.select(File.created_at).order_by(File.id.desc()).limit(1).scalar()
    return found


def creations(first: int, last: int) -> Iterator[int]:
    """When files were made between `first` and `last`, in order."""
    query = File.select(File.created_at).where(File.created_at.between(first, last)).order_by(File.created_at)
    return (moment for (moment,) in query.tuples().iterator())


def by_key(now: int) -> dict[int, Count]:
    """Unexpired files of each key at `now`, by the key's number."""
    found = database.execute_sql(_BY_KEY, (now,)).fetchall()
    return {key: Count(files, int(size)) for key, files, size in found}


def by_age(today: int, days: int, now: int) -> dict[int, Count]:
    """Unexpired files made in each of the last `days` days, by the day's age.

    `today` is when the day of age 0 began.
    """
    number = (today + clock.DAY - 1 - File.created_at) / clock.DAY
    recent = (File.created_at >= today - (days - 1) * clock.DAY) & (File.expires_at > now)
    sums = File.select(number, fn.COUNT(File.id), fn.SUM(File.bytes)).where(recent).group_by(number)
    return {age: Count(files, int(size)) for age, files, size in tuples(sums)}


def add_purge(run: Purge) -> None:
    """Write down a purge."""
    run.save(force_insert=True)


def last_purge() -> Purge | None:
    """The latest complete purge."""
    found: Purge | None = Purge.select().order_by(Purge.id.desc()).first()
    return found
