"""Do the database and the bucket belong together? A wrong setting must not let one store sweep another one's objects.

The database has an identity, and the bucket one object, which is named after it. The first box that meets a bucket
without one puts it there, once; from then on both are of one store, wherever they are copied to. A copy of the database
alone is of the same store too, and would sweep what came to the original since: so that object says where the database
is that sweeps.
"""

from lazu.errors import StorageMoved
from lazu.store import object_rows
from lazu.store.contents import object_names
from lazu.store.contents.objects import Objects

_WHY = "Lazu's database and object store are of different stores; nothing is stored until its operator corrects that."

_COPY = (
    "The purge before, of this object store, was of another copy of this database, whose newer files would be lost. "
    "If this one was moved, and the other is gone for good, run 'flask purge --adopt'."
)


class Pairing:
    """The database and the bucket of `objects`."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._sure = False

    def require(self) -> None:
        """Raise `StorageMoved` unless both are of one store; asks them once a process. Raises `StoreError`."""
        if not self._sure:
            self.look()
        self._sure = True

    def look(self) -> None:
        """Ask them now; raises as `require` does."""
        identity, bound = object_rows.identity()
        mine = object_names.of_store(identity)
        beside = self._objects.bucket.pages(below=object_names.STORE)
        found = {entry.name for page in beside for entry in page if object_names.is_of_store(entry.name)}
        if not found and not bound:
            # Another box may do so too: it is the same object.
            self._objects.put(mine, len(identity), [identity.encode()])
        elif found != {mine}:
            raise StorageMoved(_WHY)
        if not bound:
            self._objects.engine.write(object_rows.bind)

    def require_own(self, adopt: bool = False) -> None:
        """Raise `StorageMoved` if this is not the copy of the database that swept the bucket before; or `adopt` it."""
        self.look()
        identity, _ = object_rows.identity()
        name, here = object_names.of_store(identity), object_rows.place()
        before = self._said(name).removeprefix(identity).strip()
        if here is None or here == before:
            return
        if before and not adopt:
            raise StorageMoved(_COPY)
        text = f"{identity} {here}".encode()
        self._objects.put(name, len(text), [text])

    def _said(self, name: str) -> str:
        with self._objects.bucket.open(name, self._objects.bucket.size(name) or 0) as reader:
            return reader.read().decode()
