"""Blobs in another place on a disk: a backup has the layout of a store, 256 shards of blobs under their hashes."""

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from lazu.store import derived, disk
from lazu.store.blobs import NEW, SHARDS, is_blob
from lazu.store.contents import Copied, Tick, Wanted

_CHUNK = 2**20


def prepare(target: Path) -> None:
    """Have the shards of a backup, durably."""
    for shard in ("", *SHARDS):
        (target / shard).mkdir(mode=0o700, exist_ok=True)
    disk.sync(target)


def copy_all(source: Path, target: Path, wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[Wanted]]:
    """Have every wanted blob in `target`, durably; gives what was done, and those that could not be had."""
    copied, lost = Copied(), []
    shards: dict[str, list[Wanted]] = {shard: [] for shard in SHARDS}
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


def absent(source: Path, wanted: list[Wanted]) -> list[str]:
    """The hashes of what `source` does not have in its size: cheap to know before anything is copied."""
    return [sha256 for sha256, size in wanted if _size(source / sha256[:2] / sha256) != size]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def copy_again(source: Path, target: Path, blob: Wanted) -> str:
    """Have one blob that should be there in `target`, durably; gives how, or `damaged`."""
    shard = blob[0][:2]
    how = _copy(source / shard, target / shard, blob) or "damaged"
    disk.sync(target / shard)
    return how


def prune(target: Path, wanted: list[Wanted]) -> None:
    """Remove the blobs that only earlier backups referred to."""
    hashes = {sha256 for sha256, _ in wanted}
    for shard in SHARDS:
        for name in os.listdir(target / shard):
            if name not in hashes and (is_blob(shard, name) or name.endswith(NEW) or derived.owner(name)):
                os.unlink(target / shard / name)


def _copy(source: Path, target: Path, blob: Wanted) -> str | None:
    """Have one blob in the directory `target`; gives how, None for a blob that is gone, unreadable or damaged."""
    sha256, size = blob
    place, part = target / sha256, target / (sha256 + NEW)
    part.unlink(missing_ok=True)
    if place.exists() and place.stat().st_size == size:
        return _renew(source / sha256, place, part)
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


def _renew(source: Path, place: Path, part: Path) -> str:
    """Link again to a blob that an upload of the same bytes has replaced: what the disk had changed would stay here."""
    with suppress(FileNotFoundError):
        ours, theirs = place.stat(), source.stat()
        if ours.st_dev == theirs.st_dev and ours.st_ino != theirs.st_ino and _link(source, part):
            os.replace(part, place)
            return "linked"
    return "present"


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
        right = cloned or pour(old, new) == sha256
        new.flush()
        os.fsync(new.fileno())
    return ("cloned" if cloned else "copied") if right else None


def pour(old: IO[bytes], new: IO[bytes]) -> str:
    """Copy; gives the hash of what was copied."""
    digest = hashlib.sha256()
    while chunk := old.read(_CHUNK):
        digest.update(chunk)
        new.write(chunk)
    return digest.hexdigest()
