"""Whether the rows and the objects of the bucket agree: `blob` against a listing, both from name to name.

Safe while serving: the rows of a page are read after the page, and what is found wrong is looked at again.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial

from lazu import clock
from lazu.store import object_rows, rows
from lazu.store.bucket import Bucket, Entry
from lazu.store.bucket_errors import NoSuchObject
from lazu.store.contents import STEPS, Found, Problem, Tick, object_names
from lazu.store.contents.objects import Objects
from lazu.store.contents.retrying import Retrying, Unreadable
from lazu.store.object_rows import Loose, Stored
from lazu.store.rows import Referrer

#: In the place of the hash of an object that the store does not give: nobody knows whether it is lost.
UNREADABLE = "unreadable"
#: Gives the hash of a content's object; see `_hash`.
Read = Callable[[Stored], str]


def look(bucket: Bucket, rehash: bool, tick: Tick) -> Iterator[Problem]:
    """Every disagreement; with `rehash` every object is read."""
    if not object_rows.is_counted():
        yield Problem("total", "the totals that /metrics shows", "are not those of the rows")
    read = partial(_hash, Retrying(bucket), bucket) if rehash else None
    yield from (problem for problem in _suspects(bucket, read) if _stands(bucket, problem))
    yield from _unread(bucket, read) if read else ()
    for name in object_rows.loose_since(clock.now() - clock.DAY):
        yield Problem("leftover", name, "an upload or a deletion that did not end; the purge removes it", name=name)
    for _ in range(STEPS):
        tick()


def remove(objects: Objects, problem: Problem) -> str:
    """Remove what nothing refers to, quarantine what Lazu does not know, count anew; gives what was done."""
    if problem.kind == "total":
        objects.engine.write(object_rows.recount)
        return "counted anew"
    if not object_names.is_ours(problem.name):
        if not object_names.is_in_shard(problem.name):
            return ""  # another store's, perhaps: one in the bucket, the other below a prefix
        put_away = objects.put_away(problem.name)
        objects.bucket.delete(problem.name)
        return "moved to quarantine" if put_away else "gone meanwhile"
    if object_names.is_derived(problem.name):
        gone = [Loose(problem.name, 0, derived=False)]
    elif problem.kind == "leftover":
        doomed = objects.engine.write(lambda: object_rows.doom_one(problem.name))
        gone = [Loose(problem.name, 0, derived=True)] if doomed else []  # else it landed since
    else:
        gone = objects.release([problem.sha256])
        gone += objects.unneeded([] if _known(problem) else [Loose(problem.name, 0, derived=False)])
    return "removed" if objects.erase(gone) else ""


def is_lost(bucket: Bucket, problem: Problem) -> bool:
    """Whether an object that was missing, or listed only, is still missing while the store gives other objects."""
    return (problem.found is not None or bucket.size(problem.name) is None) and Retrying(bucket).gives()


def _known(problem: Problem) -> set[str]:
    return object_rows.known([object_names.stem(problem.name)])


def _unread(bucket: Bucket, read: Read) -> Iterator[Problem]:
    """The unreadable ones of the marks that say whose the bucket is; only a copy of the bucket needs to read them."""
    for page in bucket.pages(below=object_names.STORE):
        for name, size in ((each.name, each.bytes) for each in page if object_names.mark(each.name)):
            if read(Stored("", name, size)) in ("", UNREADABLE):
                told = "the store can't read it, and need not; 'flask purge --adopt' puts it anew"
                yield Problem("damaged", name, told, found=Found(size, (0, 0), UNREADABLE), name=name)


def _suspects(bucket: Bucket, read: Read | None) -> Iterator[Problem]:
    after = ""
    for page in bucket.pages():
        if page:
            found = {each.name: Found(each.bytes, (0, 0)) for each in page if not _is_aside(each)}
            last = max(after, *(each.name for each in page))
            yield from _compare(bucket, read, found, object_rows.stored_between(after, last))
            after = last
    yield from _compare(bucket, read, {}, object_rows.stored_between(after, None))


def _is_aside(entry: Entry) -> bool:
    return object_names.is_aside(entry.name) or object_names.is_folder(entry.name, entry.bytes)


def _compare(bucket: Bucket, read: Read | None, found: dict[str, Found], stored: list[Stored]) -> Iterator[Problem]:
    """The suspects among the objects of one page and the contents of one stretch of names; `read` gives the hash.

    Whatever the order of the listing: a content whose object is on another page is asked about. SeaweedFS lists a
    folder before all names that begin so, `de/1` before `de-logs/1`.
    """
    referring: dict[str, list[Referrer]] = {}
    if stored:
        for row in rows.referrers_between(stored[0].sha256, stored[-1].sha256):
            referring.setdefault(row.sha256, []).append(row)
    for each in stored:
        there = found.pop(each.name, None) or _unlisted(bucket, each.name)
        if read and there and there.size == each.bytes:
            there = Found(there.size, there.identity, read(each))
        yield from _of_content(each, there, referring.get(each.sha256, []))
    known = object_rows.known(sorted({object_names.stem(name) for name in found}))
    for name, there in sorted(found.items()):
        if object_names.stem(name) in known:
            yield from _of_derived(read, name, there) if read and object_names.is_derived(name) else ()
        else:
            ours = object_names.is_ours(name)
            sha256 = object_names.sha256(name) if ours else ""
            detail = f"{there.size} bytes" + (", not Lazu's" if not object_names.is_in_shard(name) else "")
            yield Problem("stray" if ours else "leftover", sha256 or name, detail, sha256, there, name)


def _unlisted(bucket: Bucket, name: str) -> Found | None:
    size = bucket.size(name)
    return None if size is None else Found(size, (0, 0))


def _of_derived(read: Read, name: str, there: Found) -> Iterator[Problem]:
    """A derived object, if it can't be read: it has no hash to compare."""
    if read(Stored(object_names.sha256(name), name, there.size)) == UNREADABLE:
        yield Problem("leftover", name, f"{there.size} bytes, made of a content; the store can't read it", name=name)


def _of_content(stored: Stored, there: Found | None, referring: list[Referrer]) -> Iterator[Problem]:
    if not referring:
        yield Problem("stray", stored.sha256, f"{stored.bytes} bytes", stored.sha256, there, stored.name)
    for row in referring:
        detail = f"{row.told}, {row.bytes} bytes"
        if there is None:
            yield Problem("missing", row.id, detail, stored.sha256, None, stored.name)
        elif there.actual == UNREADABLE:
            told = f"{detail}, the store can't read {stored.name}"
            yield Problem("damaged", row.id, told, stored.sha256, there, stored.name)
        elif there.size != row.bytes or there.actual not in (None, stored.sha256):
            yield Problem("damaged", row.id, detail, stored.sha256, there, stored.name)


def _stands(bucket: Bucket, problem: Problem) -> bool:
    """Whether a problem is still there, now that uploads and deletions that were halfway have gone on."""
    stored = object_rows.stored(problem.sha256)
    if problem.of_row:
        return stored is not None and stored.name == problem.name and rows.has_row(problem.about)
    if stored is not None and stored.name == problem.name:
        return not rows.is_referred(stored.sha256)
    told = not _known(problem) or object_names.is_derived(problem.name)
    return told and bucket.size(problem.name) is not None


def _hash(retrying: Retrying, bucket: Bucket, stored: Stored) -> str:
    """Of an object's bytes; "" if it went meanwhile, `UNREADABLE`; raises `StoreError`."""
    try:
        return retrying.call(stored.name, lambda: _hash_once(bucket, stored))
    except NoSuchObject:
        return ""
    except Unreadable:
        return UNREADABLE


def _hash_once(bucket: Bucket, stored: Stored) -> str:
    with bucket.open(stored.name, stored.bytes) as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()
