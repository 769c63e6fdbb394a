"""Where rows and blobs meet: what a key owns, and the one place where bytes come and go.

The invariant: a row never points at nothing; what nothing refers to goes away. The lock of a blob's shard is held from
naming the blob to committing its row, and from looking for its rows to removing it; the rows are the only count
(docs/architecture.md, docs/decisions/0003-publish-and-reap.md).
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lazu import clock, ids
from lazu.blobs import Blobs
from lazu.errors import FileNotFound, InvalidRequest
from lazu.models import File, Key, database
from lazu.uploads import Upload

MAX_LIMIT = 10_000

_BY_ID = "SELECT * FROM file WHERE id = ? AND key_id = ? AND expires_at > ?"

log = logging.getLogger(__name__)


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
    """The files of all keys. `retention` is the longest lifetime of a file, in seconds."""

    def __init__(self, blobs: Blobs, retention: int) -> None:
        self.blobs = blobs
        self.retention = retention

    def create(self, key: Key, upload: Upload) -> File:
        """Make `upload` a file of `key`; when this returns, bytes, name and row are durable.

        Raises OSError or a Peewee error with nothing but bytes left that the next purge sweeps.
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
        with self.blobs.lock(file.sha256) as shard:
            self.blobs.publish(upload.staged, shard)
            with database.atomic():
                file.save(force_insert=True)
        return file

    def get(self, key: Key, file_id: str) -> File:
        """An unexpired file of `key`; raises `FileNotFound` for every other id."""
        file = File.one(_BY_ID, file_id, key.id, clock.now())
        if file is None:
            raise FileNotFound(file_id)
        return file

    def page(self, key: Key, paging: Paging) -> Page:
        """One page of the unexpired files of `key`."""
        where = (File.key == key.id) & (File.expires_at > clock.now())
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
        with database.atomic():
            gone = list(File.delete().where(mine).returning(File.sha256).execute())
        if not gone:
            raise FileNotFound(file_id)
        try:
            self.reap(gone[0].sha256)
        except OSError:
            # The file is gone, durably; the next purge sweeps its bytes. A 500 now would be repeated, and meet 404.
            log.exception("the bytes of a deleted file could not be removed; the next purge removes them")

    def delete_all(self, key: Key) -> int:
        """Remove every file of `key`; gives how many."""
        with database.atomic():
            gone = [row.sha256 for row in File.delete().where(File.key == key.id).returning(File.sha256).execute()]
        for sha256 in set(gone):
            self.reap(sha256)
        return len(gone)

    def reap(self, sha256: str) -> int:
        """Remove a blob that no row refers to: the only way bytes leave the store. Gives the bytes freed.

        Call it when the deletion of the row is committed, never within a transaction.
        """
        with self.blobs.lock(sha256) as shard:
            if File.select().where(File.sha256 == sha256).exists():
                return 0
            return self.blobs.unlink(sha256, shard)

    def unreferred(self, names: Iterable[str], since: int = 0) -> set[str]:
        """Those of `names`, all of one shard, that no row refers to which expires after `since`.

        A look without a lock: `reap` looks again.
        """
        names = set(names)
        if not names:
            return names
        near = File.sha256.between(min(names), max(names)) & (File.expires_at > since)
        return names - {file.sha256 for file in File.select(File.sha256).where(near).distinct()}


def paging(query: dict[str, str]) -> Paging:
    """The `Paging` of a query string; raises `InvalidRequest` that names the parameter."""
    limit, order, after = query.get("limit", str(MAX_LIMIT)), query.get("order", "desc"), query.get("after")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MAX_LIMIT):
        raise InvalidRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}.", "limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("order must be 'asc' or 'desc'.", "order")
    if after is not None and not ids.is_file_id(after):
        raise InvalidRequest("after must be a file id, as last_id of the page before.", "after")
    return Paging(int(limit), order == "desc", after, query.get("purpose"))
