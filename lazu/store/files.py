"""Where rows and blobs meet: what a key owns, and the one place where bytes come and go.

The invariant: a row never points at nothing; what nothing refers to goes away. The lock of a blob's shard is held from
naming the blob to committing its row, and from looking for its rows to removing it; the rows are the only count
(docs/architecture.md, docs/decisions/0003-publish-and-reap.md).
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from lazu import clock, ids, logs
from lazu.errors import FileNotFound, InsufficientStorage, InvalidRequest
from lazu.store import group_commit, rows
from lazu.store.blobs import Blobs, Staged
from lazu.store.disk import Ballast
from lazu.store.rows import File, Key

MAX_LIMIT = 10_000
#: Characters of a purpose in a list's query; one that is unknown has no files.
MAX_PURPOSE = 64

_BY_ID = "SELECT * FROM file WHERE id = ? AND key_id = ? AND expires_at > ?"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upload:
    """A complete upload: bytes sealed, type and name settled; `lifetime` in seconds, if one was asked for."""

    staged: Staged
    filename: str
    content_type: str
    purpose: str
    lifetime: int | None


@dataclass(frozen=True)
class Paging:
    """Which files a list shows: at most `limit`, by id, after the id `after`, of one purpose if given."""

    limit: int = MAX_LIMIT
    descending: bool = True
    after: str | None = None
    purpose: str | None = None


@dataclass(frozen=True)
class Page:
    """One page of file objects; `has_more` says whether another one follows."""

    files: list[dict[str, Any]]
    has_more: bool


class Files:
    """The files of all keys.

    `retention` is the longest lifetime of a file, in seconds; `quota` the bytes that a key without its own may hold, 0
    for no limit.
    """

    def __init__(self, blobs: Blobs, retention: int, ballast: Ballast, quota: int = 0) -> None:
        self.blobs = blobs
        self.retention = retention
        self.ballast = ballast
        self.quota = quota

    def create(self, key: Key, upload: Upload) -> File:
        """Make `upload` a file of `key`; when this returns, bytes, name and row are durable.

        Raises `InsufficientStorage` (the key's quota), `StorageFailed`, OSError or a Peewee error, with nothing left
        but, when the disk fails, bytes that the next purge sweeps.
        """
        now = clock.milliseconds()
        created_at = now // 1000
        file = File(
            id=ids.new_file_id(now),
            key=key.id,
            sha256=upload.staged.sha256,
            bytes=upload.staged.size,
            filename=upload.filename,
            purpose=upload.purpose,
            content_type=upload.content_type,
            created_at=created_at,
            expires_at=created_at + min(self.retention, upload.lifetime or self.retention),
        )
        with self.blobs.lock(file.sha256) as shard, self._undone(file.sha256, shard):
            self.blobs.publish(upload.staged, shard)
            group_commit.commit(lambda: self._add(key, file))
        logs.audit("upload", key=key.name, file=file.id, bytes=file.bytes)
        return file

    def _add(self, key: Key, file: File) -> None:
        self.require(key, file.bytes)  # in the transaction, where no other upload of the key can come between
        file.add()

    def limit(self, key: Key) -> int:
        """Bytes that `key` may hold, 0 for no limit: its own quota, or that of every key."""
        return self.quota if key.quota_bytes is None else int(key.quota_bytes)

    def require(self, key: Key, size: int) -> None:
        """Raise `InsufficientStorage` if `size` more bytes would cross the quota of `key`.

        What counts is what the key sees: the sizes of its unexpired files, whether or not others share their bytes.
        """
        limit = self.limit(key)
        if limit and rows.held(key, clock.now()) + size > limit:
            raise InsufficientStorage(f"This key may hold {limit} bytes; delete files, or wait until some expire.")

    def get(self, key: Key, file_id: str) -> File:
        """An unexpired file of `key`; raises `FileNotFound` for every other id, whatever string it is."""
        file = File.one(_BY_ID, file_id, key.id, clock.now()) if ids.is_file_id(file_id) else None
        if file is None:
            raise FileNotFound(file_id)
        return file

    def page(self, key: Key, paging: Paging) -> Page:
        """One page of the unexpired files of `key`."""
        # "+ 0" keeps SQLite from the index by expiry: it would read all files of the key there, and sort them.
        where = (File.key == key.id) & (File.expires_at + 0 > clock.now())
        if paging.purpose is not None:
            where &= File.purpose == paging.purpose
        if paging.after is not None:
            where &= File.id < paging.after if paging.descending else File.id > paging.after
        order = File.id.desc() if paging.descending else File.id.asc()
        files = File.objects(where, order, paging.limit + 1)
        return Page(files[: paging.limit], len(files) > paging.limit)

    def delete(self, key: Key, file_id: str) -> None:
        """Remove an unexpired file of `key`, and its bytes if no other file has them; raises `FileNotFound`."""
        mine = (File.id == file_id) & (File.key == key.id) & (File.expires_at > clock.now())
        gone = self.drop(mine, "delete") if ids.is_file_id(file_id) else []
        if not gone:
            raise FileNotFound(file_id)
        try:
            self.reap(gone[0])
            self.ballast.fill()
        except (OSError, rows.DatabaseError):
            # The file is gone, durably; the next purge sweeps its bytes. A 500 now would be repeated, and meet 404.
            log.exception("the bytes of a deleted file could not be removed; the next purge removes them")

    def delete_all(self, key: Key) -> int:
        """Remove every file of `key`; gives how many."""
        gone = self.drop(File.key == key.id, "delete")
        for sha256 in set(gone):
            self.reap(sha256)
        return len(gone)

    def drop(self, which: rows.Expression, event: str) -> list[str]:
        """Delete rows, durably; gives the hashes they referred to, for `reap`. Works on a full disk.

        Each is an `event` of the audit log: `delete`, `expiry`, or `lost` when its bytes were.
        """
        try:
            gone = _drop(which)
        except rows.DatabaseError as e:
            if not rows.full(e):
                raise
            self.ballast.spend()
            gone = _drop(which)
        for file in gone:
            logs.audit(event, key=file.owner, file=file.id)
        return [file.sha256 for file in gone]

    def reap(self, sha256: str) -> int:
        """Remove a blob that no row refers to: the only way bytes leave the store. Gives the bytes freed.

        Call it when the deletion of the row is committed, never within a transaction. Costs one commit for a blob that
        goes: see `rows.write_over`.
        """
        return sum(self.reap_all([sha256]))

    def reap_all(self, hashes: list[str]) -> list[int]:
        """What `reap` does, for several blobs of one shard under one lock; gives the bytes of each that was removed."""
        with self.blobs.lock(hashes[0]) as shard:
            return self._reap(hashes, shard)

    def _reap(self, hashes: list[str], shard: int) -> list[int]:
        free = group_commit.commit(lambda: self._free(hashes))
        return [size for sha256 in free if (size := self.blobs.unlink(sha256, shard))]

    def _free(self, hashes: list[str]) -> set[str]:
        """Those of `hashes` that may go."""
        # After a commit in doubt a row may come back: then nothing goes, until fsck has settled it.
        free = set() if self.blobs.failed else self.unreferred(hashes)
        if free:
            rows.write_over()
        return free

    @contextmanager
    def _undone(self, sha256: str, shard: int) -> Iterator[None]:
        """Take the blob's name back when its row does not come: a full disk must not fill with what it refused."""
        try:
            yield
        except rows.Doubt as e:
            self.blobs.fail(f"a commit is in doubt: {e}")
            raise
        except (rows.DatabaseError, OSError, InsufficientStorage) as e:
            with suppress(rows.DatabaseError, OSError):
                if rows.full(e):
                    self.ballast.spend()
                self._reap([sha256], shard)
            raise

    def unreferred(self, names: Iterable[str], since: int = 0) -> set[str]:
        """Those of `names`, all of one shard, that no row refers to which expires after `since`.

        Without a lock it is only a look: `reap` looks again.
        """
        names = set(names)
        if not names:
            return names
        near = File.sha256.between(min(names), max(names)) & (File.expires_at > since)
        return names - {file.sha256 for file in File.select(File.sha256).where(near).distinct()}


def _drop(which: rows.Expression) -> list[rows.Gone]:
    return group_commit.commit(lambda: rows.delete(which))


def paging(query: dict[str, str]) -> Paging:
    """The `Paging` of a query string; raises `InvalidRequest` that names the parameter."""
    limit, order, after = query.get("limit", str(MAX_LIMIT)), query.get("order", "desc"), query.get("after")
    purpose = query.get("purpose")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MAX_LIMIT):
        raise InvalidRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}.", "limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("order must be 'asc' or 'desc'.", "order")
    if after is not None and not ids.is_file_id(after):
        raise InvalidRequest("after must be a file id, as last_id of the page before.", "after")
    if purpose is not None and not 1 <= len(purpose) <= MAX_PURPOSE:
        raise InvalidRequest(f"purpose must have 1 to {MAX_PURPOSE} characters.", "purpose")
    return Paging(int(limit), order == "desc", after, purpose)
