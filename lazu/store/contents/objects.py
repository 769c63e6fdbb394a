"""Objects of contents: found by the rows, opened, let go and deleted. What `intents`, `census` and `transfer` share."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, cast

from lazu import clock, slots
from lazu.errors import StoreError
from lazu.store import derived, disk, object_rows
from lazu.store.bucket import Bucket, Entry, Reader
from lazu.store.bucket_errors import NoSuchObject, ObjectOfOtherSize, ObjectStoreAiling, ObjectStoreFailed
from lazu.store.contents import Removed, object_names
from lazu.store.object_rows import Loose, Stored
from lazu.store.postgresql.engine import Postgresql
from lazu.store.staged import Staging

_CHUNK = 2**20
#: Objects that are deleted at the same time.
_DELETERS = 8

log = logging.getLogger(__name__)


class Spool(Staging):
    """Where bytes wait on this box until they are in the bucket: files without a name, gone with the process.

    None is synced here: durable they become in the bucket.
    """

    def prepare(self) -> None:
        """Make the directory; raises `CannotStart` or OSError. A full disk stops no box: all but uploads go on."""
        self.root.mkdir(mode=0o750, parents=True, exist_ok=True)
        try:
            self.try_out()
        except OSError as e:
            if e.errno not in disk.FULL:
                raise


class _Derived(Reader):
    """An object that was derived from a content: if the store can't read it, it is deleted and derived anew.

    Not for a store that is busy or away: to make all texts again would help it little.
    """

    def _fill(self, buffer: Any) -> int:
        try:
            return super()._fill(buffer)
        except (ObjectStoreAiling, ObjectOfOtherSize) as e:
            self._bucket.delete(self._name)
            if self._begun:
                raise
            raise NoSuchObject(self._name) from e


class Objects:
    """The objects in `bucket` of the contents in `engine`; `spool` is where bytes wait on this box."""

    def __init__(self, bucket: Bucket, engine: Postgresql, spool: Spool) -> None:
        self.bucket = bucket
        self.engine = engine
        self.spool = spool

    def bytes(self, name: str) -> int:
        """How many bytes an object that goes has; 0 if the store does not say, which must stop no purge."""
        try:
            return self.bucket.size(name) or 0
        except ObjectStoreFailed:
            return 0

    def put_away(self, name: str) -> bool:
        """Copy an object to the quarantine, where nobody is served from, however it is damaged.

        False if the store does not give it, even though it may list it.
        """
        size = self.bucket.size(name)
        if size is None:
            return False
        try:
            with self.bucket.open(name, size) as reader, self.spool.stage(size, size) as staged:
                for piece in iter(partial(reader.read, _CHUNK), b""):
                    staged.write(piece)
                self.bucket.put(object_names.in_quarantine(name), staged.fd, staged.size, staged.sha256)
        except NoSuchObject:
            return False
        return True

    def open(self, sha256: str, kind: str = "", start: int = 0, end: int | None = None) -> BinaryIO:
        """A content, or what was derived from it, for reading from `start` up to `end`.

        Its first bytes are here when this returns. Raises NoSuchObject, `StoreError`.
        """
        stored = self.stored(sha256)
        while True:
            try:
                return self._opened(stored, kind, start, end)
            except (NoSuchObject, ObjectOfOtherSize):
                again = self.stored(sha256)
                if again.name == stored.name:
                    self._missed(again, kind)
                    raise
                stored = again  # deleted and uploaded again between the look at the row and the GET

    def _missed(self, stored: Stored, kind: str) -> None:
        if not kind:  # what was derived may go at any time
            self.mark_suspect(stored)

    def mark_suspect(self, stored: Stored) -> None:
        """Have the next upload of the same bytes see whether this object is lost."""
        if not stored.suspect:
            with suppress(StoreError):  # who takes no writes still answers who reads
                object_rows.mark_suspect(stored.sha256, stored.name)

    def is_lost(self, stored: Stored) -> bool:
        """Whether the object of a content is not there as it was stored, or the store can't read it.

        Reads only an object that is marked suspect, and takes the mark away if it is whole. Raises `StoreError`.
        """
        if not stored.suspect:
            return False
        try:
            with self.bucket.open(stored.name, stored.bytes) as reader:
                lost = hashlib.file_digest(reader, "sha256").hexdigest() != stored.sha256
        except (NoSuchObject, ObjectOfOtherSize, ObjectStoreAiling):
            return True
        if not lost:
            object_rows.mark_suspect(stored.sha256, stored.name, suspect=False)
        return lost

    def _opened(self, stored: Stored, kind: str, start: int, end: int | None) -> BinaryIO:
        if not kind:
            return cast("BinaryIO", self.bucket.open(stored.name, stored.bytes, start, end).begin())
        name = derived.name(stored.name, kind)
        size = self.bucket.size(name)
        if size is None:
            raise NoSuchObject(name)
        return cast("BinaryIO", _Derived(self.bucket, name, size, range(start, size if end is None else end)).begin())

    @staticmethod
    def stored(sha256: str) -> Stored:
        """The object of a content; raises NoSuchObject."""
        stored = object_rows.stored(sha256)
        if stored is None:
            raise NoSuchObject(sha256)
        return stored

    def release(self, hashes: list[str]) -> list[Loose]:
        """Let go of those contents that no row refers to; gives what is to be erased."""
        return self.engine.write(lambda: object_rows.release(hashes, clock.now()))

    def erase(self, loose: Iterable[Loose], each_one: bool = False) -> list[Loose]:
        """Delete objects that are doomed, then forget them; gives those that are gone. Never raises a `StoreError`.

        The first one that can't be deleted ends it, unless `each_one` is to be tried: a client waits, and the store may
        be silent for each of a thousand. The next purge takes the rest.
        """
        todo = list(loose)
        if not todo:
            return []
        with slots.waiting():  # here, for the threads that delete have no turn
            tried = list(self._tried(todo, each_one))
        gone = [each for each, error in tried if error is None]
        if len(gone) < len(todo):
            why = next(error for _, error in tried if error is not None)
            log.warning("%d objects could not be deleted; the next purge does it: %s", len(todo) - len(gone), why)
        if gone:
            try:
                self.engine.write(lambda: object_rows.forget([each.name for each in gone]))
            except StoreError as e:
                log.warning("deleted objects could not be forgotten; the next purge does it: %s", e)
        return gone

    def unneeded(self, loose: list[Loose]) -> list[Loose]:
        """Those of `loose` that may be deleted; raises `StoreError` unless the standby knows that too.

        What was read is not enough: a failover may bring back what this server alone has let go, or has had already.
        """
        stems = {each: object_names.stem(each.name) for each in loose}
        needed = self.engine.surely(lambda: object_rows.needed([*stems.values()])) if loose else set()
        return [each for each in loose if stems[each] not in needed]

    def clear(self, found: Iterable[list[Loose]]) -> Removed:
        """Erase what a sweep has `found`, however often; gives the counts."""
        removed, left = Removed(), set[str]()
        for loose in map(self.unneeded, found):
            gone = self.erase(loose, each_one=True)
            for each in gone:
                removed.add_blob(each.bytes)
            left |= {each.name for each in loose} - {each.name for each in gone}
        removed.left = len(left)
        return removed

    def _tried(self, todo: list[Loose], each_one: bool) -> Iterator[tuple[Loose, StoreError | None]]:
        """Delete objects; gives each with the error if it could not be deleted."""
        if len(todo) == 1:
            yield todo[0], self._delete(todo[0])
            return
        with ThreadPoolExecutor(_DELETERS) as pool:
            for each, error in zip(todo, pool.map(self._delete, todo), strict=True):
                yield each, error
                if error and not each_one:
                    pool.shutdown(wait=False, cancel_futures=True)
                    return

    def _delete(self, loose: Loose) -> StoreError | None:
        try:
            for page in self.bucket.pages(below=f"{loose.name}.") if loose.derived else ():
                for entry in page:
                    self.bucket.delete(entry.name)
            self.bucket.delete(loose.name)
        except StoreError as e:
            return e
        return None


def surplus(pages: Iterable[list[Entry]], limit: int) -> Iterator[Loose]:
    """The derived objects to delete, oldest first, so that the others have at most `limit` bytes.

    Derived objects may go at any time, since they can be made again. So nothing counts them: the purge asks the bucket.
    """
    found = [entry for page in pages for entry in page if object_names.is_derived(entry.name)]
    excess = sum(entry.bytes for entry in found) - limit
    for entry in sorted(found, key=lambda entry: entry.came):
        if excess <= 0:
            return
        excess -= entry.bytes
        yield Loose(entry.name, entry.bytes, derived=False)
