"""The queries of uploads in parts, as verbs; what `rows` says of its verbs holds for these.

An upload is live while it is pending and has not expired. The rows of its parts refer to bytes, so they go only within
`Contents.drop`. Parts of an upload that is not live any more are dead: the purge removes what a crash left of them.
"""

from typing import NamedTuple

from peewee import Expression, ModelSelect, fn

from lazu.store import rows
from lazu.store.rows import Gone
from lazu.store.tables import Key, Upload, UploadPart, database, tuples

# "+ 0": as in `rows`.
_UPLOAD = """id = ? AND key_id + 0 = ?
    AND (expires_at > ? OR file_id IS NOT NULL OR cancelled_at IS NOT NULL)"""
#: `_live` as text, for what each part and upload asks: Peewee writes a query down longer than SQLite answers it.
_LIVE = "expires_at > ? AND file_id IS NULL AND cancelled_at IS NULL"
#: Different contents of the parts of one upload: they take room once.
_ROOM = """SELECT coalesce(sum(bytes), 0)
    FROM (SELECT DISTINCT sha256, bytes FROM upload_part WHERE upload_id = {}) AS different"""
#: One statement for all uploads of a key: it is asked within the transaction of each upload, for which all others wait.
_SIZES = f"SELECT bytes, ({_ROOM.format('upload.id')}) FROM upload WHERE key_id = ? AND {_LIVE}"  # noqa: S608 - ours


class Pending(NamedTuple):
    """Live uploads of a key: how many, and the bytes that they will still write, hold of its quota, have in parts."""

    uploads: int
    coming: int
    held: int
    there: int


def add_upload(upload: Upload) -> None:
    """Insert a row."""
    upload.save(force_insert=True)


def upload_of(key: Key, upload_id: str, now: int) -> Upload | None:
    """An upload of `key` that is live, completed or cancelled at `now`."""
    return Upload.one(_UPLOAD, upload_id, key.id, now)


def settle(upload: Upload, now: int, **values: str | int) -> bool:
    """Complete or cancel an upload by setting `values`; gives whether it was live, else nothing is written."""
    return bool(Upload.update(**values).where((Upload.id == upload.id) & _live(now)).execute())


def hold(upload: Upload, now: int) -> bool:
    """Whether parts can be added to an upload; it stays so, and nobody else adds any, until the transaction ends."""
    lock = " FOR NO KEY UPDATE" if database.for_update else ""  # SQLite has one writer at a time anyway
    return Upload.one(f"id = ? AND {_LIVE}{lock}", upload.id, now) is not None


def add_part(part: UploadPart) -> None:
    """Insert a row."""
    part.save(force_insert=True)


def parts_of(upload: Upload) -> list[UploadPart]:
    """The parts of an upload, in no order."""
    return list(UploadPart.select().where(UploadPart.upload == upload.id))


def count_parts(upload: Upload) -> int:
    """How many parts came for an upload, equal ones too."""
    return int(UploadPart.select().where(UploadPart.upload == upload.id).count())


def count_parts_of_key(now: int, key: Key) -> int:
    """How many parts came for all live uploads of `key`."""
    return int(UploadPart.select().join(Upload).where(_live(now), Upload.key == key.id).count())


def has_part(upload: Upload, sha256: str) -> bool:
    """Whether a part of an upload has these bytes."""
    return bool(UploadPart.select().where(UploadPart.upload == upload.id, UploadPart.sha256 == sha256).exists())


def room(upload: Upload) -> int:
    """Bytes of the parts of an upload; equal parts count once."""
    [(size,)] = database.execute_sql(_ROOM.format("?"), (upload.id,)).fetchall()
    return int(size)


def pending(now: int, key: Key) -> Pending:
    """The live uploads of `key`. An upload holds the bytes that it declares, whatever its parts have.

    It will still write the parts that have not come, and the file.
    """
    sizes = [(size, int(there)) for size, there in database.execute_sql(_SIZES, (key.id, now)).fetchall()]
    coming = sum(declared + max(0, declared - there) for declared, there in sizes)
    return Pending(len(sizes), coming, sum(declared for declared, _ in sizes), sum(there for _, there in sizes))


def declared(now: int, key: Key | None = None) -> tuple[int, int]:
    """How many live uploads `key` has, or all have together, and the bytes that they declare."""
    live = _live(now) if key is None else _live(now) & (Upload.key == key.id)
    uploads, size = Upload.select(fn.COUNT(Upload.id), fn.SUM(Upload.bytes)).where(live).scalar(as_tuple=True)
    return uploads, int(size or 0)


def declared_by_key(now: int) -> dict[int, tuple[int, int]]:
    """The same of each key that has live uploads, by the key's number."""
    sums = Upload.select(Upload.key, fn.COUNT(Upload.id), fn.SUM(Upload.bytes)).where(_live(now)).group_by(Upload.key)
    return {key: (uploads, int(size)) for key, uploads, size in tuples(sums)}


def delete_parts_of(upload: Upload, count: int) -> list[Gone]:
    """Delete up to `count` parts of an upload."""
    return _delete_parts(UploadPart.select(UploadPart.id).where(UploadPart.upload == upload.id), count)


def delete_dead_parts(now: int, count: int, key: Key | None = None) -> list[Gone]:
    """Delete up to `count` parts of uploads, of `key` or of all, that are not live at `now`."""
    dead = UploadPart.select(UploadPart.id).join(Upload).where(~_live(now))
    if key is not None:
        dead = dead.where(Upload.key == key.id)
    return _delete_parts(dead, count)


def delete_uploads(now: int, settled: int, key: Key | None = None) -> list[tuple[str, str]]:
    """Delete uploads without parts, of `key` or of all: pending ones expired at `now`, settled ones at `settled`.

    Gives id and name of the key of those that were pending.
    """
    ended = (Upload.expires_at <= settled) | ((Upload.expires_at <= now) & _unsettled())
    if key is not None:
        ended &= Upload.key == key.id
    without = ~fn.EXISTS(UploadPart.select().where(UploadPart.upload == Upload.id))
    owner = Key.select(Key.name).where(Key.id == Upload.key)
    gone = Upload.delete().where(ended & without).returning(Upload.id, owner, Upload.file_id, Upload.cancelled_at)
    return [(upload_id, name) for upload_id, name, *settling in gone.tuples() if settling == [None, None]]


def delete_settled(key: Key, keep: int) -> None:
    """Delete settled uploads of `key` that have no parts any more, but for the newest `keep`."""
    settled = ~_unsettled() & (Upload.key == key.id)
    newest = Upload.select(Upload.id).where(settled).order_by(Upload.id.desc()).limit(keep)
    without = ~fn.EXISTS(UploadPart.select().where(UploadPart.upload == Upload.id))
    Upload.delete().where(settled & without & Upload.id.not_in(newest)).execute()


def delete_uploads_of(key: Key, count: int) -> tuple[list[Gone], list[str]]:
    """Delete up to `count` parts of the uploads of `key`, and all these uploads where those were the last.

    Gives the parts, and the ids of the uploads that were pending.
    """
    mine = Upload.key == key.id
    gone = _delete_parts(UploadPart.select(UploadPart.id).join(Upload).where(mine), count)
    if len(gone) == count:
        return gone, []
    pending = [upload.id for upload in Upload.select(Upload.id).where(mine & _unsettled())]
    Upload.delete().where(mine).execute()
    return gone, pending


def _delete_parts(which: "ModelSelect[UploadPart]", count: int) -> list[Gone]:
    return rows.delete_parts(UploadPart.id.in_(which.limit(count)))


def _live(now: int) -> Expression:
    return _unsettled() & (Upload.expires_at > now)


def _unsettled() -> Expression:
    return Upload.file_id.is_null() & Upload.cancelled_at.is_null()
