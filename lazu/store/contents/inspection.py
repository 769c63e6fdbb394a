"""Whether the rows and the blobs of the shards agree.

Safe while serving: what a first look without locks finds wrong is looked at again under the shard's lock.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from lazu import clock, cpus
from lazu.store import derived, rows
from lazu.store.blobs import NEW, SHARDS, Blobs, is_blob
from lazu.store.contents import Found, Problem, Tick

#: Seconds that a deletion has from its row to its bytes, before what it leaves counts as stray.
SETTLE = 0.5


@dataclass(frozen=True)
class _Shard:
    name: str
    blobs: dict[str, Found]
    others: list[str]


def look(blobs: Blobs, rehash: bool, tick: Tick) -> Iterator[Problem]:
    """Every disagreement; with `rehash` every byte is read, on all cores.

    A sweep that is running is waited for, if there is anything to ask it.
    """
    suspects: list[Problem] = []
    with ThreadPoolExecutor(cpus.count()) as pool:
        for shard in pool.map(partial(_read, blobs, rehash), SHARDS):
            suspects += _compare(shard)
            tick()
    yield from (problem for problem in suspects if problem.of_row and _stands(blobs, problem))
    rest = [problem for problem in suspects if not problem.of_row]
    if rest:
        with blobs.alone(wait=True):
            clock.sleep(SETTLE)
            yield from [problem for problem in rest if _stands(blobs, problem)]


def is_same(blobs: Blobs, problem: Problem) -> bool:
    """Whether the blob is still the one that was looked at, or is still not there."""
    found = _blob(blobs, problem.sha256, rehash=False)
    return (found and found.identity) == (problem.found and problem.found.identity)


def set_aside(blobs: Blobs, problem: Problem) -> bool:
    """Quarantine a blob of which the disk can't read the bytes (EIO); false where it stays, as they may be whole.

    Call it before its rows go. A file system that has gone away says EIO of every blob, but can't move one either; a
    blob that Lazu may not open, or that fsck(8) of the file system may bring back, is not lost. The caller holds the
    shard's lock.
    """
    if problem.found is None or problem.found.fault != errno.EIO:
        return False
    try:
        blobs.quarantine(problem.sha256, problem.sha256)
    except OSError:
        return False
    return True


def put_away(blobs: Blobs, problem: Problem) -> str:
    """Remove a leftover of Lazu's own, and quarantine what it does not know; gives what was done."""
    name = os.path.basename(problem.about)
    with blobs.lock(problem.sha256) as shard:
        if name.endswith(NEW) or derived.owner(name):
            with suppress(FileNotFoundError):  # an upload of the same bytes came in between
                os.unlink(name, dir_fd=shard)
            return "removed"
        blobs.quarantine(problem.sha256, name)
    return "moved to quarantine"


def _read(blobs: Blobs, rehash: bool, name: str) -> _Shard:
    """List a shard; runs in a thread, without the database."""
    shard = _Shard(name, {}, [])
    entries = set(blobs.entries(name))
    for entry in entries:
        found = _blob(blobs, entry, rehash) if is_blob(name, entry) else None
        if found:
            shard.blobs[entry] = found
        elif derived.owner(entry) not in entries:
            shard.others.append(entry)
    return shard


def _blob(blobs: Blobs, sha256: str, rehash: bool) -> Found | None:
    """A blob as it is; None if it is gone, or no file. One that can't be opened has no size and no identity."""
    found = Found(0, (0, 0))
    try:
        with blobs.open(sha256) as file:
            stat = os.fstat(file.fileno())
            found = Found(stat.st_size, (stat.st_ino, stat.st_mtime_ns))
            return replace(found, actual=hashlib.file_digest(file, "sha256").hexdigest()) if rehash else found
    except FileNotFoundError:
        return None
    except OSError as e:
        return replace(found, fault=e.errno or errno.EIO)


def _compare(shard: _Shard) -> Iterator[Problem]:
    """The suspects of a shard. Its rows are read after its blobs, so no upload is suspected for arriving."""
    strays = set(shard.blobs)
    for row in rows.referrers_between(shard.name, shard.name + "g"):
        found = shard.blobs.get(row.sha256)
        strays.discard(row.sha256)
        detail = f"{row.told}, {row.bytes} bytes"
        if found is None:
            yield Problem("missing", row.id, detail, row.sha256)
        elif found.fault:
            yield Problem("damaged", row.id, f"{detail}, {_unread(found)}", row.sha256, found)
        elif found.size != row.bytes or found.actual not in (None, row.sha256):
            yield Problem("damaged", row.id, detail, row.sha256, found)
    for sha256 in sorted(strays):
        found = shard.blobs[sha256]
        kind = "stray" if found.actual in (None, sha256) else "misnamed"
        yield Problem(kind, sha256, _unread(found) or f"{found.size} bytes", sha256, found)
    for other in sorted(shard.others):
        yield Problem("leftover", f"{shard.name}/{other}", sha256=shard.name)


def _unread(found: Found) -> str:
    return f"can't be read: {os.strerror(found.fault)}" if found.fault else ""


def _stands(blobs: Blobs, problem: Problem) -> bool:
    """Whether a suspicion holds under the lock, when nobody is halfway."""
    with blobs.lock(problem.sha256):
        if problem.kind == "leftover":
            name = os.path.basename(problem.about)
            owner = derived.owner(name)
            return name in blobs.entries(problem.sha256) and not (owner and blobs.size(owner))
        if problem.kind in ("stray", "misnamed"):
            return is_same(blobs, problem) and not rows.is_referred(problem.sha256)
        return is_same(blobs, problem) and rows.has_row(problem.about)
