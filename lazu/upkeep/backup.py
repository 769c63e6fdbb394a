"""A whole copy of the store, taken while it serves, and the way back.

Rows first, bytes second: the rows of one moment are copied, then the bytes they refer to. Nothing is held up
meanwhile; a file that is deleted before its bytes were copied is left out of the copy, as if the copy had been taken
after the deletion. So every row of a backup has its blob. The directory has the layout of a store.
"""

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO

from lazu.store import disk, kept, snapshot
from lazu.store.blobs import NEW, SHARDS, is_blob
from lazu.store.files import Files
from lazu.store.rows import File
from lazu.upkeep import fsck

NAME = "lazu.sqlite3"
#: What was done, by word: blobs that were `present` already, `linked`, `cloned` or `copied`, and those `gone` because
#: they were deleted meanwhile; and `bytes` of those that are new.
Copied = Counter[str]

_CHUNK = 2**20


class BackupProblem(Exception):
    """The backup or the restoration can't be made or is not whole; the message says why."""


def backup(files: Files, target: Path, tick: Callable[[], object] = lambda: None) -> Copied:
    """Make `target` a whole copy of the store, durably; what an earlier backup put there is used again.

    Until the last step the earlier backup stays whole. Raises `BackupProblem`, also when a blob of the store turns out
    damaged or lost: the copy is then whole but for the files named. Calls `tick` 256 times.
    """
    _prepare(target, files.blobs.root.parent)
    try:
        with disk.lock(target, wait=False):
            copied = _take(files, target, tick)
    except disk.Taken as e:
        raise BackupProblem("another backup into that directory is running") from e
    if copied["damaged"]:
        raise BackupProblem(
            f"{copied['damaged']} blobs are missing or damaged, so not in the backup; 'flask fsck --rehash' names them"
        )
    return copied


def restore(files: Files, source: Path, tick: Callable[[], object] = lambda: None) -> Copied:
    """Take the backup in `source` into the open store, which must be empty, and verify every byte.

    Bytes first, rows second, the rows in one transaction. Raises `BackupProblem`.
    """
    if not (source / NAME).is_file():
        raise BackupProblem("there is no backup in that directory")
    with files.blobs.alone() as alone:
        if not alone:
            raise BackupProblem("a purge is running; try again when it is done")
        if not snapshot.empty():
            raise BackupProblem("the store is not empty; restore into a new LAZU_STORAGE_DIR")
        copied, lost = _copy_all(source / "blobs", files.blobs.root, snapshot.wanted(source / NAME), tick)
        if lost:
            raise BackupProblem(f"{len(lost)} blobs of the backup are missing or damaged; nothing was restored")
        snapshot.absorb(source / NAME)
    if problems := list(fsck.check(files, rehash=True)):
        raise BackupProblem(f"the restored store has {len(problems)} problems; 'flask fsck --rehash' shows them")
    return copied


def _take(files: Files, target: Path, tick: Callable[[], object]) -> Copied:
    """Rows, bytes, then the new rows in the place of the old; gives what was done, also what was `damaged`."""
    rows = target / (NAME + NEW)
    snapshot.take(rows)
    copied, lost = _copy_all(files.blobs.root, target / "blobs", snapshot.wanted(rows), tick)
    left_out = []
    for blob in lost:
        how = _look_again(files, target / "blobs", blob)
        copied[how] += 1
        left_out += [blob[0]] if how in ("gone", "damaged") else []
    snapshot.forget(rows, left_out)
    os.replace(rows, target / NAME)
    disk.sync(target)
    _prune(target)
    return copied


def _look_again(files: Files, target: Path, blob: tuple[str, int]) -> str:
    """What of a blob that could not be had: under its lock it is there, or `gone` with its rows, or `damaged`."""
    shard = blob[0][:2]
    with files.blobs.lock(blob[0]):
        if not File.select().where(File.sha256 == blob[0]).exists():
            return "gone"
        how = _copy(files.blobs.root / shard, target / shard, blob) or "damaged"
    disk.sync(target / shard)
    return how


def _prepare(target: Path, store: Path) -> None:
    """Have the directory; refuse the store itself, and one that holds something else."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.samefile(store):
        raise BackupProblem("that is the store itself; name another directory")
    if not {entry.name for entry in target.iterdir()} <= {NAME, NAME + NEW, "blobs"}:
        raise BackupProblem("the directory holds something else than a backup; name an empty one")
    (target / "blobs").mkdir(mode=0o700, exist_ok=True)
    for shard in SHARDS:
        (target / "blobs" / shard).mkdir(mode=0o700, exist_ok=True)
    disk.sync(target / "blobs")


def _copy_all(
    source: Path, target: Path, wanted: list[tuple[str, int]], tick: Callable[[], object] = lambda: None
) -> tuple[Copied, list[tuple[str, int]]]:
    """Have every wanted blob in `target`, durably; gives what was done, and those that could not be had."""
    copied, lost = Copied(), []
    shards: dict[str, list[tuple[str, int]]] = {shard: [] for shard in SHARDS}
    for blob in wanted:
        shards[blob[0][:2]].append(blob)
    for shard, blobs in shards.items():
        for blob in blobs:
            how = _copy(source / shard, target / shard, blob)
            copied.update({how: 1, "bytes": 0 if how == "present" else blob[1]} if how else {})
            lost += [] if how else [blob]
        if blobs:
            disk.sync(target / shard)
        tick()
    return copied, lost


def _copy(source: Path, target: Path, blob: tuple[str, int]) -> str | None:
    """Have one blob in the directory `target`; gives how, None if it is gone, unreadable or not what it should be."""
    sha256, size = blob
    place, part = target / sha256, target / (sha256 + NEW)
    if place.exists() and place.stat().st_size == size:
        return "present"
    part.unlink(missing_ok=True)
    try:
        how = _link(source / sha256, part) or _write(source / sha256, part, sha256)
    except OSError as e:
        if e.errno not in (errno.ENOENT, errno.EIO):
            raise
        how = None
    if how is None or part.stat().st_size != size:
        part.unlink(missing_ok=True)
        return None
    os.replace(part, place)
    return how


def _link(source: Path, target: Path) -> str | None:
    """A hard link, where that can be: it costs nothing, and shares whatever befalls the disk."""
    try:
        os.link(source, target)
    except OSError as e:
        if e.errno in disk.UNLINKABLE:
            return None
        raise
    return "linked"


def _write(source: Path, target: Path, sha256: str) -> str | None:
    """A file of its own, verified if its bytes had to be read; None if they are not those of `sha256`."""
    with open(source, "rb") as old, open(target, "xb") as new:
        os.fchmod(new.fileno(), 0o640)
        cloned = disk.clone(old.fileno(), new.fileno())
        whole = cloned or _pour(old, new) == sha256
        new.flush()
        os.fsync(new.fileno())
    return ("cloned" if cloned else "copied") if whole else None


def _pour(old: IO[bytes], new: IO[bytes]) -> str:
    """Copy; gives the hash of what was copied."""
    digest = hashlib.sha256()
    while chunk := old.read(_CHUNK):
        digest.update(chunk)
        new.write(chunk)
    return digest.hexdigest()


def _prune(target: Path) -> None:
    """Remove the blobs that only earlier backups referred to."""
    wanted = {sha256 for sha256, _ in snapshot.wanted(target / NAME)}
    for shard in SHARDS:
        for name in os.listdir(target / "blobs" / shard):
            if name not in wanted and (is_blob(shard, name) or name.endswith(NEW) or kept.owner(name)):
                os.unlink(target / "blobs" / shard / name)
