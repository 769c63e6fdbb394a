"""The tables of the SQLite engine, as numbered steps from nothing to now."""

from typing import Any

from lazu.errors import CannotStart

#: The rows of `holding` and of `total`, counted from the rows of files and parts: what made them, and what `flask fsck`
#: compares them with. Never change these texts.
COUNTED = {
    "holding": "SELECT key_id, count(*), sum(bytes) FROM file GROUP BY key_id",
    "total": """SELECT count(size), coalesce(sum(size), 0), (SELECT coalesce(sum(bytes), 0) FROM upload_part)
        FROM (SELECT max(bytes) AS size FROM file GROUP BY sha256
            UNION ALL SELECT max(bytes) FROM upload_part AS part
            WHERE NOT EXISTS (SELECT 1 FROM file WHERE file.sha256 = part.sha256) GROUP BY sha256) AS content""",
}

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
    # Uploads in parts. A row of `upload_part` refers to a blob, as one of `file` does.
    (
        """CREATE TABLE upload (
            id TEXT PRIMARY KEY,
            key_id INTEGER NOT NULL REFERENCES key (id),
            bytes INTEGER NOT NULL,
            filename TEXT NOT NULL,
            purpose TEXT NOT NULL,
            lifetime INTEGER,
            created_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            cancelled_at INTEGER,
            file_id TEXT,
            completion TEXT
        ) STRICT""",
        "CREATE INDEX upload_by_key ON upload (key_id, expires_at)",
        "CREATE INDEX upload_by_expiry ON upload (expires_at)",
        """CREATE TABLE upload_part (
            id TEXT PRIMARY KEY,
            upload_id TEXT NOT NULL REFERENCES upload (id),
            sha256 TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            created_at INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX upload_part_by_upload ON upload_part (upload_id, sha256, bytes)",
        "CREATE INDEX upload_part_by_sha256 ON upload_part (sha256, upload_id)",
    ),
    # What keys and the store hold is counted as an index is kept: by SQLite, in the transaction that changes a row
    # (docs/decisions/0131-totals.md). What the purge asks stands in its index, without the rows.
    (
        "DROP INDEX file_by_sha256",
        "CREATE INDEX file_by_sha256 ON file (sha256, bytes, expires_at)",
        "DROP INDEX file_by_expiry",
        "CREATE INDEX file_by_expiry ON file (expires_at, bytes)",
        """CREATE TABLE holding (
            key_id INTEGER PRIMARY KEY,
            files INTEGER NOT NULL,
            bytes INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE total (
            blobs INTEGER NOT NULL,
            blob_bytes INTEGER NOT NULL,
            part_bytes INTEGER NOT NULL
        ) STRICT""",
        f"INSERT INTO holding {COUNTED['holding']}",
        f"INSERT INTO total {COUNTED['total']}",
        """CREATE TRIGGER file_added AFTER INSERT ON file BEGIN
            INSERT INTO holding VALUES (NEW.key_id, 1, NEW.bytes)
                ON CONFLICT (key_id) DO UPDATE SET files = files + 1, bytes = bytes + NEW.bytes;
            UPDATE total SET blobs = blobs + 1, blob_bytes = blob_bytes + NEW.bytes
                WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = NEW.sha256 AND rowid <> NEW.rowid)
                AND NOT EXISTS (SELECT 1 FROM upload_part WHERE sha256 = NEW.sha256);
        END""",
        """CREATE TRIGGER file_removed AFTER DELETE ON file BEGIN
            UPDATE holding SET files = files - 1, bytes = bytes - OLD.bytes WHERE key_id = OLD.key_id;
            DELETE FROM holding WHERE key_id = OLD.key_id AND files = 0;
            UPDATE total SET blobs = blobs - 1, blob_bytes = blob_bytes - OLD.bytes
                WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = OLD.sha256)
                AND NOT EXISTS (SELECT 1 FROM upload_part WHERE sha256 = OLD.sha256);
        END""",
        """CREATE TRIGGER part_added AFTER INSERT ON upload_part BEGIN
            UPDATE total SET part_bytes = part_bytes + NEW.bytes;
            UPDATE total SET blobs = blobs + 1, blob_bytes = blob_bytes + NEW.bytes
                WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = NEW.sha256)
                AND NOT EXISTS (SELECT 1 FROM upload_part WHERE sha256 = NEW.sha256 AND rowid <> NEW.rowid);
        END""",
        """CREATE TRIGGER part_removed AFTER DELETE ON upload_part BEGIN
            UPDATE total SET part_bytes = part_bytes - OLD.bytes;
            UPDATE total SET blobs = blobs - 1, blob_bytes = blob_bytes - OLD.bytes
                WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = OLD.sha256)
                AND NOT EXISTS (SELECT 1 FROM upload_part WHERE sha256 = OLD.sha256);
        END""",
        """CREATE TRIGGER file_changed BEFORE UPDATE OF sha256, bytes ON file BEGIN
            SELECT RAISE(ABORT, 'the bytes of a file never change');
        END""",
        """CREATE TRIGGER part_changed BEFORE UPDATE OF sha256, bytes ON upload_part BEGIN
            SELECT RAISE(ABORT, 'the bytes of a part never change');
        END""",
    ),
    # The bytes of small uploads until their blobs are durable (docs/decisions/0136-journal.md). An id is used once: a
    # checkpoint removes all up to one, while others add. It may be there: an older Lazu that went on beside a newer one
    # wrote its own number of steps.
    (
        """CREATE TABLE IF NOT EXISTS journal (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            sha256 TEXT NOT NULL,
            bytes BLOB NOT NULL
        ) STRICT""",
    ),
    # Hashes of secrets that were renewed: no setting may bring one back.
    ("CREATE TABLE IF NOT EXISTS retired (secret_sha256 TEXT PRIMARY KEY) STRICT",),
)


def migrate(database: Any) -> None:
    """Take the steps that are missing; raises `CannotStart`, `StoreError`.

    Where none is missing nothing is locked: another program may be writing for long, and reads go on beside it.
    """
    if _taken(database) == len(STEPS):
        return
    with database.atomic():
        for step in STEPS[_taken(database) :]:
            for statement in step:
                database.execute_sql(statement)
        database.execute_sql(f"PRAGMA user_version = {len(STEPS)}")


def _taken(database: Any) -> int:
    """How many steps were taken; raises `CannotStart`."""
    taken = int(database.user_version)
    if taken > len(STEPS):
        raise CannotStart("the database was made by a newer Lazu; update Lazu, or restore a backup from before")
    return taken


def is_counted(database: Any) -> bool:
    """Whether the tables of `COUNTED` say what counting the rows anew says; reads an index of each."""
    # One statement a table, so that both sides are of one moment.
    return not any(database.execute_sql(differing(*each)).fetchall() for each in COUNTED.items())


def differing(table: str, counted: str) -> str:
    """A question for the rows in which a table is not what is `counted`."""
    kept = f"SELECT * FROM {table}"  # noqa: S608 - our own text
    more, less = f"({kept} EXCEPT {counted}) AS more", f"({counted} EXCEPT {kept}) AS less"
    return f"SELECT * FROM {more} UNION ALL SELECT * FROM {less}"  # noqa: S608


def recount(database: Any) -> None:
    """Count the rows anew, within a transaction."""
    for table, counted in COUNTED.items():
        database.execute_sql(f"DELETE FROM {table}")  # noqa: S608 - our own text
        database.execute_sql(f"INSERT INTO {table} {counted}")
