"""The door to SQLite: the tables, the one database of this process, and how it is opened.

Each thread keeps one connection (Peewee's, thread-local); none crosses a fork, because `prepare` closes the one it
used. Nothing here or elsewhere may `open()` the database's files: closing such a descriptor drops SQLite's locks
(https://www.sqlite.org/howtocorrupt.html §2.2).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import peewee

from lazu.errors import CannotStart
from lazu.store import disk

#: Numbered steps of the schema; `PRAGMA user_version` counts those that were taken. Only ever append.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE key (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            secret_sha256 TEXT UNIQUE,
            created_at INTEGER NOT NULL,
            revoked_at INTEGER,
            last_used_at INTEGER,
            quota_bytes INTEGER
        ) STRICT""",
        """CREATE TABLE file (
            id TEXT PRIMARY KEY,
            key_id INTEGER NOT NULL REFERENCES key (id),
            sha256 TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            filename TEXT NOT NULL,
            purpose TEXT NOT NULL,
            content_type TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX file_by_key ON file (key_id, id)",
        "CREATE INDEX file_by_purpose ON file (key_id, purpose, id)",
        "CREATE INDEX file_by_sha256 ON file (sha256)",
        "CREATE INDEX file_by_expiry ON file (expires_at)",
        """CREATE TABLE purge (
            id INTEGER PRIMARY KEY,
            started_at INTEGER NOT NULL,
            finished_at INTEGER NOT NULL,
            files INTEGER NOT NULL,
            blobs INTEGER NOT NULL,
            bytes INTEGER NOT NULL
        ) STRICT""",
    ),
    # What a key holds is summed at every upload with a quota, within the transaction, and what the store holds at every
    # scrape of /metrics: from an index alone, without its rows.
    (
        "CREATE INDEX file_by_size ON file (key_id, expires_at, bytes)",
        "DROP INDEX file_by_sha256",
        "CREATE INDEX file_by_sha256 ON file (sha256, bytes)",
    ),
)

BUSY_SECONDS = 10

#: SQL's functions, for rooms that add things up.
fn = peewee.fn

DatabaseError = peewee.DatabaseError
Expression = peewee.Expression
Database = peewee.SqliteDatabase


class _Sqlite(peewee.SqliteDatabase):
    """Peewee's, with errors that stay what they were."""

    def rollback(self) -> None:
        """Roll back, unless SQLite has done so itself, as on a full disk: a second time would hide the first error."""
        if peewee.SqliteDatabase.connection(self).in_transaction:
            super().rollback()


# A deferred transaction that reads and then writes fails at once when another wrote in between, whatever the
# timeout: every transaction takes the write lock at its beginning (https://www.sqlite.org/isolation.html).
database: peewee.SqliteDatabase = _Sqlite(
    None, pragmas={"journal_mode": "wal", "synchronous": "full", "foreign_keys": "on"}, lock_type="IMMEDIATE"
)


class Doubt(peewee.OperationalError):
    """A commit failed, and nobody knows whether it comes back after a crash."""


class _Row(peewee.Model):
    class Meta:
        database = database
        legacy_table_names = False

    @classmethod
    def one(cls, query: str, *values: object) -> Self | None:
        """The first row that `query`, an SQL text selecting whole rows of this table, finds with `values`; or None.

        For the lookups of every request: Peewee takes 160 µs to build such a text each time, SQLite 5 to answer it.
        """
        cursor = database.execute_sql(query, values)
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
        return cls(**dict(zip(names, rows[0], strict=True))) if rows else None


class Key(_Row):
    """An API key: the owner of files. `secret_sha256` is None when only LAZU_API_KEY opens it."""

    id = peewee.AutoField()
    name = peewee.TextField(unique=True)
    secret_sha256 = peewee.TextField(null=True, unique=True)
    created_at = peewee.IntegerField()
    revoked_at = peewee.IntegerField(null=True)
    last_used_at = peewee.IntegerField(null=True)
    quota_bytes = peewee.IntegerField(null=True)


_ADD = """INSERT INTO file (id, key_id, sha256, bytes, filename, purpose, content_type, created_at, expires_at)
    VALUES (:id, :key, :sha256, :bytes, :filename, :purpose, :content_type, :created_at, :expires_at)"""


class File(_Row):
    """What a key owns: a name for the bytes of one blob, until `expires_at`."""

    id = peewee.TextField(primary_key=True)
    key = peewee.ForeignKeyField(Key)
    sha256 = peewee.TextField()
    bytes = peewee.IntegerField()
    filename = peewee.TextField()
    purpose = peewee.TextField()
    content_type = peewee.TextField()
    created_at = peewee.IntegerField()
    expires_at = peewee.IntegerField()

    def add(self) -> None:
        """Insert this row; the caller is in a transaction. By a text of SQL, for the reason of `one`: 40 µs for 290."""
        database.execute_sql(_ADD, self.__data__)

    def as_json(self) -> dict[str, Any]:
        """The file object of the API."""
        return file_object(self.id, self.bytes, self.created_at, self.expires_at, self.filename, self.purpose)

    @classmethod
    def objects(cls, where: peewee.Expression, order: peewee.Ordering, limit: int) -> list[dict[str, Any]]:
        """The file objects of the first `limit` rows.

        Without a model for each row: 10,000 take a third of the time.
        """
        columns = (cls.id, cls.bytes, cls.created_at, cls.expires_at, cls.filename, cls.purpose)
        rows = database.execute(cls.select(*columns).where(where).order_by(order).limit(limit)).fetchall()
        return [file_object(*row) for row in rows]


def file_object(*row: Any) -> dict[str, Any]:
    """The file object of the API: of id, bytes, created_at, expires_at, filename and purpose."""
    file_id, size, created_at, expires_at, filename, purpose = row
    return {
        "id": file_id,
        "object": "file",
        "bytes": size,
        "created_at": created_at,
        "expires_at": expires_at,
        "filename": filename,
        "purpose": purpose,
        "status": "processed",
    }


class Purge(_Row):
    """One run of the purge: when, and how many files, blobs and bytes it removed."""

    id = peewee.AutoField()
    started_at = peewee.IntegerField()
    finished_at = peewee.IntegerField()
    files = peewee.IntegerField()
    blobs = peewee.IntegerField()
    bytes = peewee.IntegerField()


def rows(query: Any) -> list[tuple[Any, ...]]:
    """The result of a `select` as plain tuples."""
    return list(query.tuples())


class Gone(NamedTuple):
    """A file whose row was deleted; `owner` is the name of its key."""

    id: str
    sha256: str
    owner: str


def delete(which: peewee.Expression) -> list[Gone]:
    """Delete the files of which `which` is true; the caller is in a transaction."""
    owner = Key.select(Key.name).where(Key.id == File.key)
    query = File.delete().where(which).returning(File.id, File.sha256, owner)
    return [Gone(*row) for row in rows(query)]


def held(key: Key, now: int) -> int:
    """Bytes of the files of `key` that have not expired at `now`."""
    total = File.select(fn.SUM(File.bytes)).where(File.key == key.id, File.expires_at > now).scalar()
    return int(total or 0)


def version() -> tuple[int, ...]:
    """Of the SQLite in use."""
    found: tuple[int, ...] = peewee.SqliteDatabase.server_version
    return found


def sound(version: tuple[int, ...]) -> bool:
    """Whether an SQLite of this version keeps what it committed in WAL mode with several writers.

    3.7.0 to 3.51.2 can lose commits (the WAL-reset bug, fixed in 3.51.3 and taken back to 3.50.7 and 3.44.6).
    """
    return version >= (3, 51, 3) or version in ((3, 50, 7), (3, 44, 6))


def prepare(path: Path) -> None:
    """Open the database at `path`, make it or bring it up to date, and close it again.

    Raises `CannotStart` when this SQLite has the WAL-reset bug or the database was made by a newer Lazu.
    """
    if not sound(version()):
        found = f"SQLite {'.'.join(map(str, version()))} can lose commits (the WAL-reset bug)"
        raise CannotStart(f"{found}; install pysqlite3, which brings a sound one, or SQLite 3.51.3 or newer")
    if not database.is_closed():
        database.close()
    database.init(str(path), timeout=BUSY_SECONDS)
    with database:
        path.chmod(0o600)  # before the first row; SQLite gives -wal and -shm the mode of the database
        _migrate()


def connect() -> None:
    """Have this thread's connection open; cheap when it is."""
    database.connect(reuse_if_open=True)


@contextmanager
def transaction() -> Iterator[None]:
    """A transaction that is committed or certainly not. It must not hold another one.

    The processes queue for it at a lock: SQLite would let each sleep up to 100 ms, and then whoever looks first go on.
    After an I/O error at COMMIT its pages may be in the log all the same, and a crash would bring them back. A small
    write takes their place there. Raises `Doubt` when that fails too, otherwise what Peewee raises.
    """
    try:
        with disk.lock(Path(database.database).parent), database.atomic():
            yield
    except peewee.OperationalError as e:
        if "I/O" in str(e):
            _settle(e)
        raise


def full(error: Exception) -> bool:
    """Whether `error` says that the database's disk is full."""
    return "is full" in str(error)


def settle() -> None:
    """A small write, durable when this returns: it takes the place of any commit in doubt."""
    with database.atomic():
        write_over()


def _settle(error: peewee.OperationalError) -> None:
    try:
        settle()
    except peewee.OperationalError as e:
        raise Doubt(str(e)) from error


def write_over() -> None:
    """Write, within the transaction that is open, a page that changes nothing.

    A process that dies in its COMMIT may leave its frames whole in the write-ahead log. Nobody sees them, yet recovery
    brings them back when all processes are gone, unless a later commit was written over them. Whoever acts for good
    on what it read there must therefore commit something first (docs/durability.md).
    """
    database.execute_sql(f"PRAGMA user_version = {len(STEPS)}")


def _migrate() -> None:
    with database.atomic():
        version = database.user_version
        if version > len(STEPS):
            raise CannotStart("the database was made by a newer Lazu; update Lazu, or restore a backup from before")
        for step in STEPS[version:]:
            for statement in step:
                database.execute_sql(statement)
        if version < len(STEPS):
            database.execute_sql(f"PRAGMA user_version = {len(STEPS)}")
