"""Contents from the bucket to a backup in the layout of `copies`, and back."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from lazu import clock
from lazu.store import disk, object_rows, rows
from lazu.store.blobs import NEW, SHARDS
from lazu.store.bucket_errors import NoSuchObject, ObjectOfOtherSize
from lazu.store.contents import STEPS, Copied, Tick, Wanted, copies, object_names
from lazu.store.contents.objects import Objects
from lazu.store.contents.retrying import Retrying, Unreadable
from lazu.store.object_rows import Stored

#: Contents that travel at the same time: as many as a process has places for transactions (`postgresql`).
_AT_ONCE = 8


def copy_out(objects: Objects, target: Path, wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[str]]:
    """See `Contents`."""
    retrying = Retrying(objects.bucket)
    done = _all(lambda blob: _retried_out(retrying, objects, target, blob), wanted, tick)
    for shard in SHARDS:
        disk.sync(target / shard)
    return done


def copy_in(objects: Objects, source: Path, wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[str]]:
    """See `Contents`."""
    retrying = Retrying(None)
    return _all(lambda blob: retrying.call(blob[0], lambda: _in(objects, source, blob)), wanted, tick)


def _all(copy: Callable[[Wanted], str], wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[str]]:
    copied: Copied = Counter()
    lost = []
    told = 0
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        done = zip(pool.map(copy, wanted), wanted, strict=True)
        for number, (how, (sha256, size)) in enumerate(done, 1):
            copied[how] += 1
            copied["bytes"] += size if how == "copied" else 0
            lost += [sha256] if how in ("gone", "damaged") else []
            while told < number * STEPS // len(wanted):
                tick()
                told += 1
    finally:
        pool.shutdown(cancel_futures=True)  # at once when `tick` ends it
    for _ in range(told, STEPS):
        tick()
    return copied, lost


def _retried_out(retrying: Retrying, objects: Objects, target: Path, blob: Wanted) -> str:
    try:
        return retrying.call(blob[0], lambda: _out(objects, target, blob))
    except Unreadable:
        return "damaged"


def _out(objects: Objects, target: Path, blob: Wanted) -> str:
    sha256, size = blob
    place = target / sha256[:2] / sha256
    part = place.with_name(sha256 + NEW)
    if place.exists() and place.stat().st_size == size:
        return "present"
    # What is referred to may have been deleted and uploaded again meanwhile: then the second time finds it.
    for _ in range(2):
        if _fetch(objects, sha256, part):
            os.replace(part, place)
            return "copied"
        if not rows.is_referred(sha256):
            return "gone"
    return "damaged"


def _fetch(objects: Objects, sha256: str, part: Path) -> bool:
    """Have a content at `part`, durably; False if it is not there, or other bytes are."""
    part.unlink(missing_ok=True)
    right = False
    with suppress(NoSuchObject, ObjectOfOtherSize), objects.open(sha256) as source, open(part, "xb") as new:
        os.fchmod(new.fileno(), 0o640)
        right = copies.pour(source, new) == sha256
        new.flush()
        os.fsync(new.fileno())
    if not right:
        part.unlink(missing_ok=True)
    return right


def _in(objects: Objects, source: Path, blob: Wanted) -> str:
    sha256, size = blob
    stored = object_rows.stored(sha256)
    if stored is not None:
        if objects.bucket.size(stored.name) == size:
            return "present"
        # An earlier restore put it there, and the store has lost it: else its name would stay that of the content.
        objects.erase(objects.release([sha256]))
    try:
        with open(source / sha256[:2] / sha256, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return "damaged"
            _put(objects, file.fileno(), blob)
    except FileNotFoundError:
        return "gone"
    return "copied"


def _put(objects: Objects, fd: int, blob: Wanted) -> None:
    """As an upload, but the rows come later; the caller is `alone`, so no sweep takes the content meanwhile."""
    sha256, size = blob
    name = object_names.new(sha256)
    object_rows.intend(name, size, clock.now())
    objects.bucket.put(name, fd, size, sha256)
    objects.erase(objects.engine.write(lambda: object_rows.land(Stored(sha256, name, size), clock.now())))
