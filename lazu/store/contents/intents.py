"""PostgreSQL and S3: contents as objects whose names are used once (docs/decisions/0074-cluster.md).

    blob   an object of this name is there, whole and durable
    loose  an object of this name may be there; nobody refers to it
    a name's life:  nothing → loose → blob → loose and doomed → nothing      only forward, never again

The foreign key from `file` to `blob` is the lock: no other one, no lease and no clock takes part in safety, and none is
held over a call of S3, which may be carried out at any time after its caller gave up. `tests/model_cluster.py` walks
every order of these steps.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, TypeVar

from lazu import clock, logs
from lazu.errors import ApiError, Doubt, NotReady, StoreError
from lazu.metrics import Figure
from lazu.store import derived, object_rows, rows, shortage
from lazu.store.bucket import Bucket
from lazu.store.contents import STEPS, Copied, Problem, Removed, Tick, Wanted, census, no_tick, object_names, transfer
from lazu.store.contents.objects import Objects, Spool, surplus
from lazu.store.contents.pairing import Pairing
from lazu.store.object_rows import Loose, Stored
from lazu.store.postgresql import facts
from lazu.store.postgresql.engine import Postgresql
from lazu.store.postgresql.errors import Absent, Present
from lazu.store.rows import Gone
from lazu.store.staged import Staged

Result = TypeVar("Result")

#: Seconds after which a sweep takes an upload for dead and revokes its intent. It decides when, not whether that is
#: safe: an upload whose intent is gone can't land.
INTENT_SECONDS = 3600

log = logging.getLogger(__name__)


class Intents:
    """The contents in `bucket`, with their rows in `engine` (`Contents`); `spool` is this box's disk."""

    failed = False

    def __init__(self, spool: Spool, bucket: Bucket, engine: Postgresql, kept_bytes: int) -> None:
        self.spool = spool
        self._kept_bytes = kept_bytes  # of all derived objects, after a sweep
        self.bucket = bucket
        self.engine = engine
        self.objects = Objects(bucket, engine, spool)
        self.pairing = Pairing(bucket, engine)

    def require(self, size: int, beside: int = 0) -> None:  # noqa: ARG002 - that is in the bucket
        """See `Contents`: the floor of this box's disk, through which the bytes pass."""
        self.spool.require(size)

    def check(self) -> None:
        """See `Contents`: also whether the database takes writes, and the bucket answers and is of the same store."""
        if not facts.takes_writes():
            raise NotReady("The database takes no writes.")
        self.spool.check()
        self.pairing.look()

    def free(self) -> int:
        """See `Contents`."""
        return self.spool.free()

    def stage(self, max_bytes: int, expected: int = 0) -> Staged:
        """See `Contents`."""
        return self.spool.stage(max_bytes, expected)

    def add(self, staged: Staged, identity: str, insert: Callable[[], None]) -> None:
        """Commit the row beside the object that is there, or put one and commit both."""
        stored = object_rows.stored(staged.sha256)
        lost = stored.name if stored and self.objects.is_lost(stored) else None
        if stored is None or lost or not self._hit(identity, insert):
            self._upload(staged, identity, insert, lost)

    def _hit(self, identity: str, insert: Callable[[], None]) -> bool:
        """Insert the row of a content that was there; the foreign key refuses when it goes at that moment."""
        try:
            self._certainly(insert, identity)
        except Absent:
            return False
        return True

    def _upload(self, staged: Staged, identity: str, insert: Callable[[], None], lost: str | None) -> None:
        self.pairing.require(anew=lost is not None)  # in another bucket everything is lost
        staged.seal()  # here it only gives back room that was taken and not filled
        new = Stored(staged.sha256, object_names.new(staged.sha256), staged.size)
        object_rows.intend(new.name, staged.size, clock.now())
        with ExitStack() as undo:
            undo.callback(self._give_up, Loose(new.name, staged.size, derived=False))
            with shortage.watched(self.spool.root):
                self.bucket.put(new.name, staged.fd, staged.size, staged.sha256)
            try:
                gone = self._certainly(lambda: self._land(new, lost, insert), identity)
            except Doubt:
                undo.pop_all()  # it may have landed: the sweep finds out
                raise
            undo.pop_all()
        self.objects.erase(gone or [])

    @staticmethod
    def _land(new: Stored, lost: str | None, insert: Callable[[], None]) -> list[Loose]:
        """One transaction: the intent goes, the blob and the row come. Retried, it finds itself done."""
        try:
            gone = object_rows.land(new, clock.now(), lost)
        except object_rows.Revoked:
            if object_rows.landed(new.name):
                return []
            raise
        insert()
        return gone

    def _certainly(self, work: Callable[[], Result], identity: str = "") -> Result | None:
        """What `work` gives, committed; None when its row turned out to be there after an answer was lost.

        The second transaction waits for the fate of the first at the row that both write, and finds it done or not.
        Before that it may refuse for what the first has done, a quota that is full now: then the row of `identity`
        tells. Raises `Doubt` when its own answer is lost too.
        """
        with suppress(Doubt):
            return self.engine.write(work)
        try:
            return self.engine.surely(work)
        except (ApiError, Present):
            if not self.engine.surely(lambda: rows.has_row(identity)):
                raise
            return None

    def _give_up(self, loose: Loose) -> None:
        """Delete an object that nobody will refer to; what can't be done now the next sweep does.

        Not when its intent is gone: it may have landed, whatever its upload was told.
        """
        try:
            doomed = self.engine.write(lambda: object_rows.doom_one(loose.name))
        except StoreError:
            log.warning("an upload failed and its intent could not be revoked; the next purge does it")
        else:
            self.objects.erase([loose] if doomed else [])

    def drop(self, delete: Callable[[], list[Gone]], event: str | None, later: bool = False) -> list[Gone]:
        """See `Contents`. In one transaction: the rows, and the contents that no row refers to any more."""
        seen: dict[str, Gone] = {}

        def work() -> list[Loose]:
            gone = delete()
            seen.update((row.id, row) for row in gone)  # also what a transaction deleted whose answer was lost
            hashes = sorted({row.sha256 for row in gone})
            return object_rows.release(hashes, clock.now()) if hashes and not later else []

        loose = self._certainly(work) or []
        if event:
            for row in seen.values():
                logs.audit(event, key=row.owner, **{row.kind: row.id})
        self.objects.erase(loose)
        return list(seen.values())

    def open(self, sha256: str, kind: str = "", start: int = 0, end: int | None = None) -> BinaryIO:
        """See `Contents`. The first bytes are here when this returns."""
        return self.objects.open(sha256, kind, start, end)

    def location(self, sha256: str, size: int) -> str | None:  # noqa: ARG002 - a HEAD is dear, docs/cluster.md
        """See `Contents`: the path and the query of a URL that opens this one object for a minute."""
        stored = object_rows.stored(sha256)
        return stored and self.bucket.presigned(stored.name, 60).split("/", 3)[3]

    def keep(self, staged: Staged, sha256: str, kind: str) -> bool:
        """See `Contents`. Nobody refers to the object but by its name; it goes with the one it was made from."""
        stored = object_rows.stored(sha256) if staged.size <= self._kept_bytes else None
        if stored is None or not self.engine.write(lambda: object_rows.derive(stored)):
            return False
        name = derived.name(stored.name, kind)
        if self.bucket.size(name) is None:
            self.bucket.put(name, staged.fd, staged.size, staged.sha256)
        if object_rows.stored(sha256) == stored:
            return True
        self.bucket.delete(name)
        return False

    def alone(self) -> AbstractContextManager[Callable[[], bool]]:
        """See `Contents`. Two sweeps at once would be safe: this only saves their work."""
        return self.engine.alone()

    def require_own(self, adopt: bool = False) -> None:
        """See `Contents`: the bucket says which copy of the database that is."""
        self.pairing.require_own(adopt)

    def sweep(self, tick: Tick) -> Removed:
        """See `Contents`. Works on any box, also on several at once."""
        self.pairing.look()
        self.engine.write(lambda: object_rows.doom(clock.now() - INTENT_SECONDS))
        removed = self.objects.clear(chain(self._released(), self._doomed(), self._strays(tick)))
        self.objects.erase(surplus(self.bucket.pages(), self._kept_bytes), each_one=True)
        return removed

    def _released(self) -> Iterator[list[Loose]]:
        """Let go of contents without a row."""
        found = object_rows.unreferred()
        while hashes := [stored.sha256 for stored in islice(found, 1000)]:
            yield self.objects.release(hashes)

    def _doomed(self) -> Iterator[list[Loose]]:
        """What could not be deleted before, with the bytes that are there: of a refused upload there may be none."""
        after = ""
        while found := object_rows.doomed(after):
            yield [each._replace(bytes=self.objects.bytes(each.name)) for each in found]
            after = found[-1].name

    def _strays(self, tick: Tick = no_tick) -> Iterator[list[Loose]]:
        """Objects of which the database knows nothing, page by page, each asked about after it was listed."""
        told = 0
        for page in self.bucket.pages():
            ours = [entry for entry in page if object_names.is_ours(entry.name)]
            known = object_rows.known([object_names.stem(entry.name) for entry in ours])
            strays = [entry for entry in ours if object_names.stem(entry.name) not in known]
            yield [Loose(entry.name, entry.bytes, derived=False) for entry in strays]
            shard = int(ours[-1].name[:2], 16) if ours else told
            for _ in range(told, shard):
                tick()
            told = max(told, shard)
        for _ in range(told, STEPS):
            tick()

    def unreferred(self, since: int) -> Removed:
        """See `Contents`."""
        removed = Removed()
        for stored in object_rows.unreferred(since):
            removed.add_blob(stored.bytes)
        for loose in chain(self._doomed(), self._strays()):
            for each in loose:
                removed.add_blob(each.bytes)
        return removed

    def look(self, rehash: bool = False, tick: Tick = no_tick) -> Iterator[Problem]:
        """See `Contents`."""
        self.pairing.look()
        for problem in census.look(self.bucket, rehash, tick):
            if problem.of_row:
                self.objects.mark_suspect(Stored(problem.sha256, problem.name, 0))
            yield problem

    def repair(self, problem: Problem) -> str:
        """See `Contents`. The quarantine is in the bucket; what the store can't read now may be whole, and stays."""
        if problem.found and problem.found.actual == census.UNREADABLE:
            return ""
        if problem.of_row:
            return self._bury(problem)
        return census.remove(self.objects, problem)

    def _bury(self, problem: Problem) -> str:
        """Put what is left of a content away, then delete all its files, and with them the object."""
        left = problem.found is not None and self.objects.put_away(problem.name)
        if not left and not census.is_lost(self.bucket, problem):
            return ""

        def delete() -> list[Gone]:
            """Of this object: another one may be there by now, and be whole."""
            return rows.delete_all_with(problem.sha256) if object_rows.hold(problem.sha256, problem.name) else []

        if not self.drop(delete, "lost"):
            return "gone meanwhile, or deleted with another file of the same bytes"
        return "deleted" + (", its bytes moved to quarantine" if left else ", its bytes are lost")

    def figures(self) -> list[Figure]:
        """See `Contents`."""
        coming, going = object_rows.count_loose()
        return [
            Figure("lazu_intents", "Uploads whose object is on its way, dead ones too.", coming),
            Figure("lazu_doomed_objects", "Objects that are to be deleted.", going),
        ]

    def recover(self) -> None:
        """Nothing: no disk of this box holds what was promised."""

    def copy_out(self, target: Path, wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[str]]:
        """See `Contents`."""
        self.pairing.require()  # told at once when the store refuses: each content would wait for it
        return transfer.copy_out(self.objects, target, wanted, tick)

    def copy_in(self, source: Path, wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[str]]:
        """See `Contents`."""
        self.pairing.require()
        return transfer.copy_in(self.objects, source, wanted, tick)

    def close(self) -> None:
        """See `Contents`: nothing is left on this box."""
