"""The floor of a durable small upload: one thread, no network. `python floor_small.py FOLDER COUNT SIZE`.

Each time: an unnamed file, written, fsynced, linked into its shard, the shard's directory fsynced, one row committed in
WAL mode with synchronous=FULL. Prints JSON: wall and CPU seconds for all.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pysqlite3

TABLE = "CREATE TABLE file (id TEXT PRIMARY KEY, owner TEXT, name TEXT, digest TEXT, bytes INT, expires INT) STRICT"


def main(folder: Path, count: int, size: int) -> None:
    for shard in range(256):
        (folder / f"{shard:02x}").mkdir()
    db = pysqlite3.connect(folder / "rows.sqlite3", isolation_level=None)
    for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", TABLE):
        db.execute(line)
    contents = [os.urandom(size) for _ in range(count)]
    os.sync()
    start, cpu = time.monotonic(), time.process_time()
    for content in contents:
        keep(folder, db, content)
    print(json.dumps({"seconds": time.monotonic() - start, "cpu": time.process_time() - cpu}))


def keep(folder: Path, db: Any, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    shard = folder / digest[:2]
    file = os.open(shard, os.O_TMPFILE | os.O_WRONLY, 0o640)
    os.write(file, content)
    os.fsync(file)
    os.link(f"/proc/self/fd/{file}", shard / digest, src_dir_fd=file)  # a src_dir_fd makes it linkat, which follows
    os.close(file)
    directory = os.open(shard, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO file VALUES (?, 'bench', 'data.dat', ?, ?, 0)", (digest, digest, len(content)))
    db.execute("COMMIT")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
