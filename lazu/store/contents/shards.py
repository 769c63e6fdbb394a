"""SQLite and the disk: contents under the locks of their shards (docs/decisions/0003-publish-and-reap.md).

The lock of a blob's shard is held from naming the blob to committing its row, and from looking for its rows to removing
it. It comes before the database's write lock, and who holds one waits for no other; neither is held while bytes arrive
or are hashed.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from lazu import clock, logs, slots
from lazu.errors import ApiError, Busy, StorageFailed, StorageMoved, StoreError
from lazu.metrics import Figure
from lazu.store import derived, disk, rows
from lazu.store.blobs import SHARDS, Blobs, is_blob
from lazu.store.contents import Copied, Problem, Removed, Tick, Wanted, copies, inspection, no_tick
from lazu.store.contents.journal import Journal
from lazu.store.contents.shelf import Shelf
from lazu.store.rows import Gone
from lazu.store.sqlite.engine import BUSY_SECONDS, Sqlite
from lazu.store.staged import Staged

#: Blobs, and bytes of blobs, removed at a time: some 10 ms, on ext4 a tenth of a second at most.
PORTION, PORTION_BYTES = 100, 512 * 2**20

log = logging.getLogger(__name__)


class Shards:
    """The contents in `blobs`, with their rows in `engine`, and what is kept of them on `shelf` (`Contents`)."""

    def __init__(self, blobs: Blobs, engine: Sqlite, shelf: Shelf) -> None:
        self.blobs = blobs
        self.engine = engine
        self.shelf = shelf
        self.journal = Journal(blobs, engine)

    def prepare(self) -> None:
        """Make the shards that are not there yet, durably, before the rows are opened; raises as `Blobs.prepare`."""
        self.blobs.prepare()

    def replay(self) -> None:
        """Have all bytes that rows refer to, whatever ended the last server. Raises `StoreError`, OSError."""
        self.journal.open()

    def close(self) -> None:
        """See `Contents`."""
        self.journal.close()

    @property
    def failed(self) -> bool:
        """See `Contents`."""
        return self.blobs.failed

    def require(self, size: int, beside: int = 0) -> None:
        """See `Contents`."""
        self.engine.require_same()
        self.blobs.require(size + beside)

    def check(self) -> None:
        """See `Contents`."""
        self.engine.require_same()
        self.blobs.check()

    def free(self) -> int:
        """See `Contents`."""
        return self.blobs.free()

    def stage(self, max_bytes: int, expected: int = 0) -> Staged:
        """See `Contents`."""
        return self.blobs.stage(max_bytes, expected)

    def add(self, staged: Staged, identity: str, insert: Callable[[], None]) -> None:  # noqa: ARG002 - for a cluster
        """Seal the bytes, name them, sync the directory, commit the row; take the name back if no row comes.

        Few bytes are named, and committed with the row.
        """
        self.engine.require_same()
        with slots.waiting():  # once for all of it: each time a slot is taken again a thread waits and is woken
            if staged.few is None:
                staged.seal()
            until = clock.monotonic() + BUSY_SECONDS  # who has the lock of the shard may wait for SQLite's, too
            with self.blobs.lock(staged.sha256) as shard, ExitStack() as undo:
                undo.push(partial(self._take_back, staged.sha256, shard))
                few = self.blobs.publish(staged, shard)
                self.engine.write(insert if few is None else Journal.taking(staged.sha256, few, insert), until=until)
        if few is not None:
            self.journal.note()

    def _take_back(self, sha256: str, shard: int, why: type[BaseException] | None, *_: object) -> None:
        """A full disk must not fill with what it refused. What can't be removed now the next sweep removes.

        So it does after `Busy`: whoever waited for SQLite's lock is told so, and does not wait for it again.
        """
        if why and not issubclass(why, Busy):
            with suppress(StoreError, OSError, StorageMoved):
                self._reap([sha256], {self.blobs.shard(sha256): shard})

    def drop(self, delete: Callable[[], list[Gone]], event: str | None, later: bool = False) -> list[Gone]:
        """See `Contents`."""
        gone = self.engine.write(delete, frees=True)
        if event:
            for row in gone:
                logs.audit(event, key=row.owner, **{row.kind: row.id})
        if gone and not later:
            self._reap_dropped(sorted({row.sha256 for row in gone}))
        return gone

    def _reap_dropped(self, hashes: list[str]) -> None:
        try:
            for portion in self._portions(hashes):
                self.reap(portion)
            self.engine.refill()
        except (ApiError, OSError, StoreError):
            # The files are gone, durably. A 500 now would be repeated, and meet 404.
            log.exception("the bytes of a deleted file could not be removed; the next purge removes them")

    def reap(self, hashes: list[str]) -> list[int]:
        """Remove those blobs that no row refers to: the only way bytes leave the store.

        `hashes` are in order. Call it when the deletion of the rows is committed. Gives the bytes of each that was
        removed. Costs one commit (`Sqlite.commit_a_page`) if any goes, and more only if others hold locks of shards.
        """
        sizes: list[int] = []
        while hashes:
            with ExitStack() as locks:
                shards = self._lock(hashes, locks)
                these = [sha256 for sha256 in hashes if self.blobs.shard(sha256) in shards]
                sizes += self._reap(these, shards)
            hashes = hashes[len(these) :]
        return sizes

    def _lock(self, hashes: list[str], locks: ExitStack) -> dict[str, int]:
        """Lock the first of the shards, and the following ones that are free: a holder must not wait for another."""
        held: dict[str, int] = {}
        with suppress(disk.LockHeld):
            for sha256 in hashes:
                if self.blobs.shard(sha256) not in held:
                    fd = locks.enter_context(self.blobs.lock(sha256, wait=not held))
                    held[self.blobs.shard(sha256)] = fd
        return held

    def _reap(self, hashes: list[str], shards: dict[str, int]) -> list[int]:
        free = self.engine.write(lambda: self._free(hashes), frees=True)
        return [size for sha256 in free if (size := self.blobs.unlink(sha256, shards[self.blobs.shard(sha256)]))]

    def _free(self, hashes: list[str]) -> set[str]:
        """Those of `hashes` that may go."""
        # After a commit in doubt a row may come back: then nothing goes, until fsck has settled it.
        free = set() if self.blobs.failed else rows.unreferred(hashes)
        if free:
            self.engine.commit_a_page()
        return free

    def open(self, sha256: str, kind: str = "", start: int = 0, end: int | None = None) -> BinaryIO:  # noqa: ARG002
        """See `Contents`: nothing has to be fetched."""
        content = self.shelf.open(sha256, kind) if kind else self.blobs.open(sha256)
        content.seek(start)
        return content

    def location(self, sha256: str, size: int) -> str | None:
        """See `Contents`: nginx would send a file that has lost its end as if it were whole."""
        return self.blobs.path(sha256) if self.blobs.size(sha256) == size else None

    def keep(self, staged: Staged, sha256: str, kind: str) -> bool:
        """See `Contents`."""
        return self.shelf.keep(staged, sha256, kind)

    @contextmanager
    def alone(self) -> Iterator[Callable[[], bool]]:
        """See `Contents`."""
        with self.blobs.alone() as alone:
            yield lambda: alone

    def require_own(self, adopt: bool = False) -> None:
        """Nothing: rows and bytes of one directory are copied together."""

    def sweep(self, tick: Tick) -> Removed:
        """See `Contents`."""
        if self.blobs.failed:
            raise StorageFailed
        removed, pace, leftovers = Removed(), clock.Pace(), list[tuple[str, str]]()
        for portion in self._portions(self._loose(tick, leftovers)):
            with pace:
                sizes = self.reap(portion)
            for size in sizes:
                removed.add_blob(size)
        for leftover in leftovers:
            self.blobs.discard(*leftover)
        self.journal.checkpoint(frees=True)
        self.engine.refill()
        return removed

    def _loose(self, tick: Tick, leftovers: list[tuple[str, str]]) -> Iterator[str]:
        """Blobs without a row, in order; each name is read once. What else crashes left goes to `leftovers`."""
        for shard in SHARDS:
            names = set(self.blobs.entries(shard))
            loose = names - rows.referred(shard)
            names -= loose
            leftovers += [(shard, name) for name in loose if self.blobs.is_left(name, names)]
            yield from sorted(name for name in loose if is_blob(shard, name))
            tick()

    def _portions(self, hashes: Iterable[str]) -> Iterator[list[str]]:
        """The blobs to remove at a time, while uploads to their shards wait."""
        portion, size = [], 0
        for sha256 in hashes:
            portion.append(sha256)
            size += self.blobs.size(sha256)
            if len(portion) == PORTION or size > PORTION_BYTES:
                yield portion
                portion, size = [], 0
        if portion:
            yield portion

    def unreferred(self, since: int) -> Removed:
        """See `Contents`."""
        removed = Removed()
        for shard in SHARDS:
            for name in filter(partial(is_blob, shard), set(self.blobs.entries(shard)) - rows.referred(shard, since)):
                removed.add_blob(self.blobs.size(name))
        return removed

    def look(self, rehash: bool = False, tick: Tick = no_tick) -> Iterator[Problem]:
        """See `Contents`."""
        damage = [Problem("database", text) for text in self.engine.problems()]
        yield from damage
        if damage:
            return  # what else it is asked may be wrong, or be an error in the place of all that was found
        if not self.engine.is_counted():
            yield Problem("total", "the totals that /metrics shows", "are not those of the rows")
        yield from inspection.look(self.blobs, rehash, tick)

    def repair(self, problem: Problem) -> str:
        """See `Contents`."""
        if problem.kind == "database":
            return ""
        if problem.kind == "total":
            self.engine.recount()
            return "counted anew"
        if problem.kind == "stray":
            self.reap([problem.sha256])
            return "removed"
        return self._bury(problem) if problem.of_row else inspection.put_away(self.blobs, problem)

    def _bury(self, problem: Problem) -> str:
        """Delete all files of a lost blob, then put away the bytes that are left: row first, bytes second.

        A blob that can't be read goes the other way round (`inspection.set_aside`).
        """
        aside = bool(problem.found and problem.found.fault)
        with self.blobs.lock(problem.sha256) as shard:
            if not inspection.is_same(self.blobs, problem):
                return "healed meanwhile, or deleted with another file of the same bytes"
            if aside and not inspection.set_aside(self.blobs, problem):
                return ""
            self.drop(lambda: rows.delete_all_with(problem.sha256), "lost", later=True)
            derived.drop(problem.sha256, shard)
            if problem.found and not aside:
                self.blobs.quarantine(problem.sha256, problem.sha256)
        return "deleted" + (", its bytes moved to quarantine" if problem.found else ", its bytes are lost")

    def figures(self) -> list[Figure]:
        """See `Contents`: nothing, the disk is watched for all."""
        return []

    def recover(self) -> None:
        """See `Contents`."""
        if self.blobs.failed:
            self.engine.settle()
            self.blobs.forget()
            self.journal.replay(trusted=False)
            self.blobs.recover()
            self.journal.checkpoint()

    def copy_out(self, target: Path, wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[str]]:
        """See `Contents`."""
        copied, lost = copies.copy_all(self.blobs.root, target, wanted, tick)
        absent = []
        for blob in lost:
            with self.blobs.lock(blob[0]):
                how = copies.copy_again(self.blobs.root, target, blob) if rows.is_referred(blob[0]) else "gone"
            copied[how] += 1
            absent += [blob[0]] if how in ("gone", "damaged") else []
        # The links, also of a backup that was broken off, are as durable as these blobs: some are in the journal still.
        if copied["linked"] or copied["present"]:
            self.blobs.sync_all()
            if self.blobs.failed:
                raise StorageFailed
        return copied, absent

    def copy_in(self, source: Path, wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[str]]:
        """See `Contents`."""
        copied, lost = copies.copy_all(source, self.blobs.root, wanted, tick)
        return copied, [sha256 for sha256, _ in lost]
