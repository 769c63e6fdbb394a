"""The files of all keys: their ids, expiry, quota, pages and audit lines. Bytes and rows come and go by `contents`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from lazu import clock, filetypes, ids, logs, slots
from lazu.errors import FileNotFound, InsufficientStorage, InvalidApiKey
from lazu.store import counts, list_rows, rows, upload_rows
from lazu.store.arriving import UNCOUNTED, Arrival, Arriving
from lazu.store.contents import Contents, Engine
from lazu.store.list_rows import Paging, Piece
from lazu.store.staged import Staged
from lazu.store.tables import File, Key
from lazu.store.upload_rows import Pending

#: Files that are listed at a time (half a millisecond's work, 130 KB), and deleted in one transaction.
PIECE = 500


@dataclass(frozen=True)
class NewFile:
    """Everything that makes a file: staged bytes, a clean name, a checked type; `lifetime` in seconds, if asked for."""

    staged: Staged
    filename: str
    content_type: str
    purpose: str
    lifetime: int | None


class Page:
    """One page of the unexpired files of `key`, read as it is given away: no more than a piece of it is in memory.

    Iterating gives file objects in JSON, divided by commas, a piece at a time; between two others may go first. Then
    `first_id`, `last_id` and `has_more` are those of the whole page. The first piece, which `first` asks for, is there.
    """

    def __init__(self, key: Key, paging: Paging, piece: Piece | None) -> None:
        self._key, self._paging = key, paging
        self._left = paging.limit if piece else 0
        self.first_id: str | None = None
        self.last_id: str | None = None
        self.has_more = False
        self._objects = ""
        if piece:
            self._take(piece)

    @staticmethod
    def first(paging: Paging) -> Paging | None:
        """What asks for the first piece of a page; None where there can't be any files."""
        return _next(paging, paging.limit) if paging.purpose in (None, *filetypes.PURPOSES) else None

    @property
    def is_short(self) -> bool:
        """Whether it is read whole already."""
        return not self._left

    def __iter__(self) -> Iterator[str]:
        while self._objects:
            objects, self._objects = self._objects, ""
            yield objects
            del objects  # who reads slowly keeps one piece, not two
            slots.give_way()
            if self._left:
                self._read()

    def _read(self) -> None:
        wanted = _next(replace(self._paging, after=self.last_id), self._left)
        self._take(list_rows.piece(self._key, wanted, clock.now()))  # a slow reader's list ends hours later

    def _take(self, piece: Piece) -> None:
        self._objects = piece.objects
        if piece.files:
            first_id, self.last_id = piece.ends
            self.first_id = self.first_id or first_id
        self._left = self._left - piece.files if piece.more else 0
        self.has_more = piece.more


def _next(paging: Paging, left: int) -> Paging:
    return replace(paging, limit=min(left, PIECE))


class Files:
    """The files in `contents`.

    `retention` is the longest lifetime of a file, in seconds; `quota` the bytes that a key without its own may hold, 0
    for no limit.
    """

    def __init__(self, contents: Contents, engine: Engine, retention: int, quota: int = 0) -> None:
        self._contents = contents
        self._engine = engine
        self._retention = retention
        self._quota = quota
        self._arriving = Arriving("files", _too_much)

    def arriving(self, key: Key, size: int) -> AbstractContextManager[Arrival]:
        """Count an upload of at least `size` bytes for the quota of `key`, within the `with`.

        Raises `InsufficientStorage`, also when it grows, if what the key holds and what arrives cross its quota.
        """
        self.require(key, size)
        limit = self.limit(key)
        return self._arriving.hold(key.id, size, limit - self._held(key)) if limit else nullcontext(UNCOUNTED)

    def create(self, key: Key, new: NewFile, arrival: Arrival = UNCOUNTED) -> File:
        """Make `new`, which was the `arrival`, a file of `key`; when this returns, bytes and row are durable.

        Raises `InsufficientStorage` (the key's quota), `StorageFailed`, `StoreError` or OSError, with nothing left but,
        when the disk fails, bytes that the next purge sweeps.
        """
        file = self.draft(key, new)
        self._contents.add(new.staged, file.id, lambda: self._insert(key, file, arrival))
        logs.audit("upload", key=key.name, file=file.id, bytes=file.bytes)
        return file

    def draft(self, key: Key, new: NewFile) -> File:
        """The file of `key` that `new` becomes, made now, with id and expiry; not kept yet."""
        now = clock.milliseconds()
        created_at = now // 1000
        return File(
            id=ids.new_file_id(now),
            key=key.id,
            sha256=new.staged.sha256,
            bytes=new.staged.size,
            filename=new.filename,
            purpose=new.purpose,
            content_type=new.content_type,
            created_at=created_at,
            expires_at=created_at + min(self._retention, new.lifetime or self._retention),
        )

    def _insert(self, key: Key, file: File, arrival: Arrival) -> None:
        self.hold(key)
        arrival.end()  # before its row counts: no other upload may be refused because this one counts twice
        self.require(key, file.bytes)  # in the transaction, where no other upload of the key can come between
        rows.add_file(file)

    def hold(self, key: Key, alone: bool = False) -> None:
        """Raise `InvalidApiKey` if `key` was revoked or renewed since it was read; else have it stay as it is.

        Call it first in each transaction that adds: a key with a limit is held against all others, as with `alone`. The
        quota is read anew: the request may have begun long before it.
        """
        alone = alone or self.limit(key) > 0
        now = rows.hold_key(key, alone)
        if now is None:
            raise InvalidApiKey
        key.quota_bytes = now.quota_bytes
        if not alone and self.limit(key):
            self.hold(key)  # of two who do so at once PostgreSQL ends one, which begins again

    def limit(self, key: Key) -> int:
        """Bytes that `key` may hold, 0 for no limit: its own quota, or that of every key."""
        return self._quota if key.quota_bytes is None else int(key.quota_bytes)

    def require(self, key: Key, size: int, pending: Pending | None = None) -> None:
        """Raise `InsufficientStorage` if `size` more bytes would cross the quota of `key`.

        What counts is what the key sees: the sizes of its unexpired files, whether or not others share their bytes; and
        what its pending uploads are to become (`pending`, if the caller has asked for them already).
        """
        limit = self.limit(key)
        if limit and self._held(key, pending) + size > limit:
            text = f"This key may hold {limit} bytes; delete files, cancel uploads in parts, or wait until some expire."
            raise InsufficientStorage(text)

    @staticmethod
    def _held(key: Key, pending: Pending | None = None) -> int:
        now = clock.now()
        return counts.held(key.id, now) + (pending or upload_rows.pending(now, key)).held

    def get(self, key: Key, file_id: str) -> File:
        """An unexpired file of `key`; raises `FileNotFound` for every other id, whatever string it is."""
        file = rows.file_of(key, file_id, clock.now()) if ids.is_file_id(file_id) else None
        if file is None:
            raise FileNotFound(file_id)
        return file

    def delete(self, key: Key, file_id: str) -> None:
        """Remove an unexpired file of `key`, and its bytes if no other file has them; raises `FileNotFound`."""
        if not ids.is_file_id(file_id):
            raise FileNotFound(file_id)
        if not self._contents.drop(lambda: rows.delete_file(key, file_id, clock.now()), "delete"):
            self._engine.confirm(lambda: rows.file_of(key, file_id, clock.now()) is None)  # it may be a repeat
            raise FileNotFound(file_id)

    def delete_all(self, key: Key) -> int:
        """Remove every file of `key`, a portion at a time so that uploads go on; gives how many."""
        count, pace, more = 0, clock.Pace(), True
        while more:
            with pace:
                gone = self._contents.drop(lambda: rows.delete_files_of(key, PIECE), "delete")
            # That none went does not mean that none is left: a purge may have just taken the same ones. What has
            # expired is left to it. Not by the totals: wrong ones would keep this going for ever.
            count, more = count + len(gone), bool(gone) or rows.has_files(key, clock.now())
        self._engine.confirm(lambda: not rows.has_files(key, clock.now()))
        return count


def _too_much() -> InsufficientStorage:
    return InsufficientStorage("This key's quota has no room beside what is arriving; wait for that, or delete files.")
