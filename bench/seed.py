"""Rows by the hundred thousand, put straight into Lazu's database: only a benchmark may do that."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysqlite3

from lazu import ids

DAY = 86400
COLUMNS = "id, key_id, sha256, bytes, filename, purpose, content_type, created_at, expires_at"


def connect(storage: Path) -> Any:
    return pysqlite3.connect(storage / "lazu.sqlite3", isolation_level=None, timeout=10)


def rows(count: int, start: int, lifetime: int) -> Iterator[tuple[object, ...]]:
    """File rows of the key 1, ten a second from `start` (Unix seconds) on, each of other bytes."""
    for number in range(count):
        created = start + number // 10
        digest = hashlib.sha256(b"%d %d" % (start, number)).hexdigest()
        file_id = ids.new_file_id(created * 1000 + number % 10)
        yield file_id, 1, digest, 1, f"file-{number}.txt", "user_data", "text/plain", created, created + lifetime


def fill(storage: Path, made: list[tuple[object, ...]]) -> None:
    """Insert rows in one transaction; the write-ahead log is empty again afterwards."""
    db = connect(storage)
    db.execute("BEGIN IMMEDIATE")
    db.executemany(f"INSERT INTO file ({COLUMNS}) VALUES ({', '.join('?' * 9)})", made)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def live(storage: Path, count: int, blobs: bool = False) -> list[str]:
    """`count` files that live for weeks, each with a blob of one byte if asked for; gives their ids, oldest first."""
    made = list(rows(count, int(time.time()) - count // 10 - DAY, 30 * DAY))
    if blobs:
        place(storage, made, b"1")
    fill(storage, made)
    return [str(row[0]) for row in made]


def expired(storage: Path, count: int) -> None:
    """`count` files that expired a day ago, each with a blob (empty, which costs the purge the same)."""
    made = list(rows(count, int(time.time()) - count // 10 - 2 * DAY, DAY // 2))
    place(storage, made, b"")
    fill(storage, made)


def place(storage: Path, made: list[tuple[object, ...]], content: bytes) -> None:
    """The blobs of rows, each with `content`: their names are no hashes of it, which only `fsck --rehash` looks at."""
    for digest in sorted(str(row[2]) for row in made):
        blob = os.open(storage / "blobs" / digest[:2] / digest, os.O_CREAT | os.O_WRONLY, 0o640)
        os.write(blob, content)
        os.close(blob)
