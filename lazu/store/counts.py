"""Every count there is: how many, how large, since when. Asked anew each time, for a counter kept beside can lie.

Verbs as those of `rows`, and with the same rules.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from peewee import Expression, fn

from lazu import clock
from lazu.store.tables import File, Purge, UploadPart, tuples


class Count(NamedTuple):
    """How many files, and their bytes."""

    files: int
    bytes: int


def count() -> int:
    """How many files there are, expired ones too."""
    return int(File.select().count())


def unexpired(now: int) -> Count:
    """Files that have not expired at `now`."""
    return of(File.expires_at > now)


def expired(now: int) -> Count:
    """Files that have."""
    return of(File.expires_at <= now)


def of(which: Expression) -> Count:
    """Files of which `which` holds."""
    [(files, size)] = tuples(File.select(fn.COUNT(File.id), fn.SUM(File.bytes)).where(which))
    return Count(files, int(size or 0))


def contents() -> Count:
    """Different contents that files and parts have, expired ones too, and the bytes of these."""
    of_files = File.select(fn.MAX(File.bytes).alias("size")).group_by(File.sha256)
    of_a_file = File.select().where(File.sha256 == UploadPart.sha256)
    of_parts = UploadPart.select(fn.MAX(UploadPart.bytes).alias("size")).where(~fn.EXISTS(of_a_file))
    counts = [_sum_of(of_files), _sum_of(of_parts.group_by(UploadPart.sha256))]
    return Count(sum(each.files for each in counts), sum(each.bytes for each in counts))


def _sum_of(each: Any) -> Count:
    [(blobs, size)] = tuples(File.select(fn.COUNT(each.c.size), fn.SUM(each.c.size)).from_(each))
    return Count(blobs, int(size or 0))


def first_expiry() -> int | None:
    """When the first of all files expires, or expired."""
    found: int | None = File.select(fn.MIN(File.expires_at)).scalar()
    return found


def newest() -> int | None:
    """When the latest file was made."""
    found: int | None = File.select(fn.MAX(File.created_at)).scalar()
    return found


def creations(first: int, last: int) -> Iterator[int]:
    """When files were made between `first` and `last`, in order."""
    query = File.select(File.created_at).where(File.created_at.between(first, last)).order_by(File.created_at)
    return (moment for (moment,) in query.tuples().iterator())


def by_key(now: int) -> dict[int, Count]:
    """Unexpired files of each key at `now`, by the key's number."""
    sums = File.select(File.key, fn.COUNT(File.id), fn.SUM(File.bytes)).where(File.expires_at > now).group_by(File.key)
    return {key: Count(files, int(size)) for key, files, size in tuples(sums)}


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
