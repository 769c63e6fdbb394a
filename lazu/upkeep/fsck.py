"""Do rows and blobs agree: the one function that says so, for `flask fsck` and after every test; and the repair.

Safe while serving: what a first look without locks finds wrong is looked at again under the shard's lock.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from lazu.store import kept, rows
from lazu.store.blobs import NEW, SHARDS, Blobs, is_blob
from lazu.store.files import Files
from lazu.store.rows import File, Key, database

#: Seconds that a deletion has from its row to its bytes, before what it leaves counts as stray.
SETTLE = 0.5


@dataclass(frozen=True)
class Blob:
    """A blob as it was found: `actual` is the hash of its bytes, if they were read."""

    size: int
    identity: tuple[int, int]
    actual: str | None = None


@dataclass(frozen=True)
class Problem:
    """One disagreement: its `kind`, and the file id, hash, path or table it is about.

    `missing`: a row whose blob is not there; `damaged`: a blob of another size, or with `rehash` of other bytes, than
    its row says; `stray`: a blob that no row refers to; `misnamed`: a stray one whose bytes are not those of its
    name, so that an upload would meet it (found with `rehash`); `leftover`: anything else in a shard; `database`:
    what SQLite says of its own file.
    """

    kind: str
    about: str
    detail: str = field(default="", compare=False)
    sha256: str = field(default="", compare=False, repr=False)
    blob: Blob | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class _Shard:
    name: str
    blobs: dict[str, Blob]
    others: list[str]


def check(files: Files, rehash: bool = False, tick: Callable[[], object] = lambda: None) -> Iterator[Problem]:
    """Every disagreement in the store, also while it serves; with `rehash` every byte is read, on all cores.

    Calls `tick` 256 times. A purge that is running is waited for, if there is anything to ask it.
    """
    yield from _database()
    suspects: list[Problem] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for shard in pool.map(partial(_look, files.blobs, rehash), SHARDS):
            suspects += _compare(shard)
            tick()
    of_rows = [problem for problem in suspects if problem.kind in ("missing", "damaged")]
    yield from (problem for problem in of_rows if _stands(files, problem))
    rest = [problem for problem in suspects if problem not in of_rows]
    if rest:
        with files.blobs.alone(wait=True):
            time.sleep(SETTLE)
            yield from [problem for problem in rest if _stands(files, problem)]


def repair(files: Files, problem: Problem) -> str:
    """Put one problem of `check` right; gives what was done, or "" if nothing could be.

    A file whose bytes are lost is deleted: its id answers 404 from then on. Damaged bytes go to `quarantine`, and so
    does whatever Lazu does not know; only a whole blob that nothing refers to is removed.
    """
    if problem.kind == "database":
        return ""
    if problem.kind == "stray":
        files.reap(problem.sha256)
        return "removed"
    if problem.kind in ("missing", "damaged"):
        return _bury(files, problem)
    with files.blobs.lock(problem.sha256) as shard:
        if problem.about.endswith(NEW) or kept.owner(os.path.basename(problem.about)):
            os.unlink(os.path.basename(problem.about), dir_fd=shard)
            return "removed"
        files.blobs.quarantine(f"{problem.sha256[:2]}/{os.path.basename(problem.about)}")
    return "moved to quarantine"


def recover(files: Files) -> None:
    """Let a store that a disk error stopped go on; raises OSError or a Peewee error if the disk still fails."""
    if files.blobs.failed:
        rows.settle()
        files.blobs.recover()


def _database() -> Iterator[Problem]:
    for (text,) in database.execute_sql("PRAGMA integrity_check"):
        if text != "ok":
            yield Problem("database", text)
    for table, row, parent, _ in database.execute_sql("PRAGMA foreign_key_check"):
        yield Problem("database", f"row {row} of {table} belongs to no {parent}")


def _look(blobs: Blobs, rehash: bool, name: str) -> _Shard:
    """What is in a shard; runs in a thread, without the database."""
    shard = _Shard(name, {}, [])
    entries = set(os.listdir(blobs.root / name))
    for entry in entries:
        found = _blob(blobs, entry, rehash) if is_blob(name, entry) else None
        if found:
            shard.blobs[entry] = found
        elif kept.owner(entry) not in entries:
            shard.others.append(entry)
    return shard


def _blob(blobs: Blobs, sha256: str, rehash: bool) -> Blob | None:
    """A blob as it is; None if it is gone, or no file."""
    try:
        with blobs.open(sha256) as file:
            stat = os.fstat(file.fileno())
            actual = hashlib.file_digest(file, "sha256").hexdigest() if rehash else None
    except OSError:
        return None
    return Blob(stat.st_size, (stat.st_ino, stat.st_mtime_ns), actual)


def _compare(shard: _Shard) -> Iterator[Problem]:
    """What is suspicious in a shard. Its rows are read after its blobs, so nobody is suspected for arriving."""
    strays = set(shard.blobs)
    rows = File.select(File, Key.name).join(Key).where(File.sha256.between(shard.name, shard.name + "g"))
    for row in rows.iterator():
        blob = shard.blobs.get(row.sha256)
        strays.discard(row.sha256)
        detail = f"'{row.filename}' of {row.key.name}, {row.bytes} bytes"
        if blob is None:
            yield Problem("missing", row.id, detail, row.sha256)
        elif blob.size != row.bytes or blob.actual not in (None, row.sha256):
            yield Problem("damaged", row.id, detail, row.sha256, blob)
    for sha256 in sorted(strays):
        blob = shard.blobs[sha256]
        kind = "stray" if blob.actual in (None, sha256) else "misnamed"
        yield Problem(kind, sha256, f"{blob.size} bytes", sha256, blob)
    for other in sorted(shard.others):
        yield Problem("leftover", f"{shard.name}/{other}", sha256=shard.name)


def _stands(files: Files, problem: Problem) -> bool:
    """Whether a suspicion holds under the lock, when nobody is halfway."""
    with files.blobs.lock(problem.sha256):
        if problem.kind == "leftover":
            owner = kept.owner(os.path.basename(problem.about))
            return os.path.lexists(files.blobs.root / problem.about) and not (owner and files.blobs.size(owner))
        if problem.kind in ("stray", "misnamed"):
            return _same(files, problem) and not File.select().where(File.sha256 == problem.sha256).exists()
        return _same(files, problem) and File.select().where(File.id == problem.about).exists()


def _same(files: Files, problem: Problem) -> bool:
    """Whether the blob is still the one that was looked at, or is still not there."""
    blob = _blob(files.blobs, problem.sha256, rehash=False)
    return (blob and blob.identity) == (problem.blob and problem.blob.identity)


def _bury(files: Files, problem: Problem) -> str:
    """Delete all files of a blob that is lost, then put what is left of it away: row first, bytes second."""
    with files.blobs.lock(problem.sha256) as lock:
        if not _same(files, problem):
            return "healed meanwhile, or deleted with another file of the same bytes"
        files.drop(File.sha256 == problem.sha256, "lost")
        kept.drop(problem.sha256, lock)
        if problem.blob:
            files.blobs.quarantine(f"{problem.sha256[:2]}/{problem.sha256}")
    return "file deleted" + (", its bytes moved to quarantine" if problem.blob else ", its bytes are lost")
