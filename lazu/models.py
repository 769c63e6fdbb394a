"""The door to SQLite: the tables, the one database of this process, and how it is opened.

Each thread keeps one connection (Peewee's, thread-local); none crosses a fork, because `prepare` closes the one it
used. Nothing here or elsewhere may `open()` the database's files: closing such a descriptor drops SQLite's locks
(https://www.sqlite.org/howtocorrupt.html §2.2).
"""

from pathlib import Path
from typing import Any, Self

import peewee

from lazu.errors import CannotStart

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
)

BUSY_SECONDS = 10

DatabaseError = peewee.DatabaseError

# A deferred transaction that reads and then writes fails at once when another wrote in between, whatever the
# timeout: every transaction takes the write lock at its beginning (https://www.sqlite.org/isolation.html).
database = peewee.SqliteDatabase(
    None, pragmas={"journal_mode": "wal", "synchronous": "full", "foreign_keys": "on"}, lock_type="IMMEDIATE"
)


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


def sound(version: tuple[int, ...]) -> bool:
    """Whether an SQLite of this version keeps what it committed in WAL mode with several writers.

    3.7.0 to 3.51.2 can lose commits (the WAL-reset bug, fixed in 3.51.3 and taken back to 3.50.7 and 3.44.6).
    """
    return version >= (3, 51, 3) or version in ((3, 50, 7), (3, 44, 6))


def prepare(path: Path) -> None:
    """Open the database at `path`, make it or bring it up to date, and close it again.

    Raises `CannotStart` when this SQLite has the WAL-reset bug or the database was made by a newer Lazu.
    """
    if not sound(peewee.SqliteDatabase.server_version):
        version = ".".join(map(str, peewee.SqliteDatabase.server_version))
        raise CannotStart(
            f"SQLite {version} can lose commits (the WAL-reset bug); "
            "install pysqlite3, which brings a sound one, or SQLite 3.51.3 or newer"
        )
    if not database.is_closed():
        database.close()
    database.init(str(path), timeout=BUSY_SECONDS)
    with database:
        path.chmod(0o600)  # before the first row; SQLite gives -wal and -shm the mode of the database
        _migrate()


def connect() -> None:
    """Have this thread's connection open; cheap when it is."""
    database.connect(reuse_if_open=True)


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
