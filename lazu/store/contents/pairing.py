"""Do the database and the bucket belong together? A wrong setting must not let one store sweep another one's objects.

The database has an identity, and the bucket an object that is named after it. The first box that meets a bucket without
one puts it there, once; from then on both are of one store, wherever they are copied to. A copy of the database alone
is of the same store too, and would sweep what came to the original since: so another name says where the database is
that sweeps. A listing tells all that; nobody has to read an object, which the store may have lost.
"""

from lazu.errors import StorageMoved, StoreError
from lazu.store import object_rows
from lazu.store.bucket import Bucket
from lazu.store.bucket_errors import NoSuchObject
from lazu.store.contents import object_names
from lazu.store.contents.object_names import Mark
from lazu.store.postgresql.engine import Postgresql

_WHY = "Lazu's database and object store are of different stores; nothing is stored until its operator corrects that."

_COPY = (
    "This object store is that of another copy of this database, whose newer files would be lost. "
    "If this one was moved, and the other is gone for good, run 'flask purge --adopt'."
)
_NOBODYS = (
    "This object store says of no copy of this database that it is the one in use, and newer files of another would be "
    "lost. If this one is, run 'flask purge --adopt', once."
)


class Pairing:
    """The database in `engine` and the bucket."""

    def __init__(self, bucket: Bucket, engine: Postgresql) -> None:
        self._bucket = bucket
        self._engine = engine
        self._sure = False

    def require(self, anew: bool = False) -> None:
        """Raise `StorageMoved` unless both are of one store; asks them once a process, or `anew`.

        Raises `StoreError`.
        """
        if anew or not self._sure:
            self.look()
        self._sure = True

    def look(self) -> None:
        """Ask them now; raises as `require` does."""
        identity, bound = object_rows.identity()
        marks = self._marks()
        if not marks and not bound:
            # Another box may do so too: they are the same objects.
            self._put(identity, marks)
        elif {mark.identity for mark in marks} != {identity}:
            raise StorageMoved(_WHY)
        if not bound:
            self._engine.write(object_rows.bind)

    def require_own(self, adopt: bool = False) -> None:
        """Raise `StorageMoved` unless the bucket says that this copy of the database sweeps it; or `adopt` it."""
        self.look()
        identity, _ = object_rows.identity()
        if adopt:
            self._put(identity, self._marks())
        here = object_rows.place()
        before = max(self._marks(), default=Mark(identity)).place or self._said(identity)
        if here not in (None, before):
            raise StorageMoved(_COPY if before else _NOBODYS)

    def _marks(self) -> set[Mark]:
        beside = self._bucket.pages(below=object_names.STORE)
        return {mark for page in beside for entry in page if (mark := object_names.mark(entry.name))}

    def _put(self, identity: str, marks: set[Mark]) -> None:
        """Claim the bucket; what is there is put anew, since the store may not give it.

        A claim is never deleted, that with the highest number counts: a DELETE that comes late could take a later one.
        """
        here = object_rows.place()
        last = max(marks, default=Mark(identity))
        names = {object_names.of_store(mark) for mark in {*marks, Mark(identity)}}
        if here:
            names.add(object_names.of_store(Mark(identity, last.number + (last.place != here), here)))
        for name in sorted(names, reverse=True):  # the claim first: whoever finds the other one finds it too
            self._bucket.put_bytes(name, f"{identity} {(here or '').replace('-', '/')}".encode())  # for an older Lazu

    def _said(self, identity: str) -> str:
        """The place in the object's bytes, where an older Lazu wrote it; "" if none is there, or can be read."""
        name = object_names.of_store(Mark(identity))
        try:
            with self._bucket.open(name, self._bucket.size(name) or 0) as reader:
                return reader.read().decode(errors="replace").removeprefix(identity).strip().replace("/", "-")
        except (StoreError, NoSuchObject):
            return ""
