"""What a Flask tutorial does with an upload: `request.files`, save, hash what was saved. Not durable.

With BENCH_ROW=1 it also keeps a row in SQLite: one connection a request, WAL and synchronous=NORMAL.
"""

import fcntl
import hashlib
import os
import sqlite3
import uuid
from pathlib import Path

from flask import Flask, request

FILES = Path(os.environ["BENCH_FILES"])
ROW = os.environ.get("BENCH_ROW") == "1"

app = Flask(__name__)


def connect() -> sqlite3.Connection:
    db = sqlite3.connect(FILES / "rows.sqlite3", timeout=10)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("CREATE TABLE IF NOT EXISTS file (id TEXT PRIMARY KEY, name TEXT, digest TEXT, bytes INT)")
    return db


if ROW:
    # SQLite waits for nobody at the first change to WAL, in which its two workers meet.
    with (FILES / "rows.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connect().close()


def remember(*row: object) -> None:
    db = connect()
    with db:
        db.execute("INSERT INTO file VALUES (?, ?, ?, ?)", row)
    db.close()


@app.post("/v1/files")
def upload() -> dict[str, object]:
    sent = request.files["file"]
    name = uuid.uuid4().hex
    path = FILES / name
    sent.save(path)
    with path.open("rb") as saved:
        digest = hashlib.file_digest(saved, "sha256").hexdigest()
    if ROW:
        remember(name, sent.filename, digest, path.stat().st_size)
    return {"id": name, "purpose": request.form["purpose"], "bytes": path.stat().st_size, "sha256": digest}
