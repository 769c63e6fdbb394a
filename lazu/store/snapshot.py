"""A copy of the rows in an SQLite database of its own, and the way back: the part of a backup that is the rows'."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from lazu.errors import Failed
from lazu.store import disk, rows
from lazu.store.contents import Engine, Wanted
from lazu.store.sqlite.connections import Database, database, translating
from lazu.store.sqlite.engine import Sqlite
from lazu.store.sqlite.schema import COUNTED, STEPS


def take(path: Path, engine: Engine) -> None:
    """Write all rows, as of now, to a new database at `path`, durably; nobody waits meanwhile.

    It is one file without a log beside it; only its owner may read it, as it has hashes of keys.
    """
    for left in (journal(path), path):  # by a backup that was killed
        left.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if isinstance(engine, Sqlite):
        database.execute_sql("VACUUM INTO ?", (str(path),))
        with _opened(path) as copy:  # the blobs of a backup are durable
            copy.execute_sql("PRAGMA secure_delete = ON")
            # Some at a time: until a transaction ends, memory holds what it changes.
            while copy.execute_sql("DELETE FROM journal WHERE id IN (SELECT id FROM journal LIMIT 500)").rowcount:
                pass
    else:
        with _opened(path) as copy:
            _crossing().take(copy)
    disk.sync(path)


def journal(path: Path) -> Path:
    """What SQLite keeps beside the database at `path` while it is written."""
    return path.with_name(f"{path.name}-journal")


def _crossing() -> Any:
    """The room of the other engine; imported here, because a store on one box has not its libraries."""
    from lazu.store import crossing

    return crossing


def wanted(path: Path) -> list[Wanted]:
    """The hash and size of every blob that the snapshot at `path` refers to, by hash.

    Raises `Failed` when it is no snapshot, or of a newer Lazu.
    """
    with _opened(path) as copy:
        if not 0 < copy.user_version <= len(STEPS):
            raise Failed("it was made by a newer Lazu, or is none; update Lazu first")
        each = " UNION ".join(f"SELECT sha256, bytes FROM {table}" for table in _referring(copy))  # noqa: S608 - our own
        return list(copy.execute_sql(f"{each} ORDER BY sha256"))


def keys(path: Path) -> set[tuple[str, int]]:
    """Name and time of creation of each key in the snapshot at `path`, none if there is no file; raises `Failed`."""
    if not path.exists():
        return set()
    with _opened(path) as copy:
        return set(copy.execute_sql("SELECT name, created_at FROM key"))


def forget(path: Path, hashes: Iterable[str]) -> None:
    """Delete from the snapshot at `path` the files and parts with these hashes, durably."""
    with _opened(path) as copy, copy.atomic():
        for table, sha256 in product(_referring(copy), hashes):
            copy.execute_sql(f"DELETE FROM {table} WHERE sha256 = ?", (sha256,))  # noqa: S608 - a table of our own
    disk.sync(path)


def ids(path: Path, hashes: Iterable[str]) -> list[str]:
    """The ids of files in the snapshot at `path` that have these hashes, then of parts; the oldest first."""
    with _opened(path) as copy:
        return sorted(
            identity
            for table, sha256 in product(_referring(copy), hashes)
            for (identity,) in copy.execute_sql(f"SELECT id FROM {table} WHERE sha256 = ?", (sha256,))  # noqa: S608
        )


def _referring(copy: Database) -> list[str]:
    """The tables whose rows refer to bytes; an older Lazu had no parts."""
    return [table for table in ("file", "upload_part") if copy.table_exists(table)]


def absorb(path: Path, engine: Engine) -> None:
    """Take all rows of the snapshot at `path` into the open, empty store, in one transaction.

    The snapshot may be of an older Lazu; `wanted` has looked at it.
    """
    if not isinstance(engine, Sqlite):
        with _opened(path) as copy:
            _crossing().absorb(copy, engine)
        return
    database.execute_sql("ATTACH ? AS copy", (str(path),))
    try:
        engine.write(_absorb_tables)
    finally:
        database.execute_sql("DETACH copy")


def _absorb_tables() -> None:
    rows.require_empty()  # looked at again where nobody can come between
    database.execute_sql("PRAGMA defer_foreign_keys = ON")
    for table in database.get_tables():
        if not table.startswith("sqlite_") and table not in COUNTED:  # these count what comes
            _absorb_table(table)


def _absorb_table(table: str) -> None:
    """Columns that one side does not know are left to their defaults."""
    there = {name for (name,) in database.execute_sql("SELECT name FROM pragma_table_info(?, 'copy')", (table,))}
    columns = ", ".join(column.name for column in database.get_columns(table) if column.name in there)
    if columns:
        database.execute_sql(f"DELETE FROM main.{table}")  # noqa: S608 - names of our own tables and columns
        database.execute_sql(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM copy.{table}")  # noqa: S608


@contextmanager
def _opened(path: Path) -> Iterator[Database]:
    """Have the snapshot at `path` open; raises `StoreError`, also within the `with`."""
    copy = Database(str(path), pragmas={"journal_mode": "memory", "synchronous": "full"})
    with translating(), copy.connection_context():
        yield copy
