"""Queries of keys and files, as verbs.

Lists have theirs in `list_rows`, uploads in `upload_rows`, counts in `counts`, a cluster's own tables in `object_rows`.
What writes is called within the engine's `write` and by nobody else: there it is committed, durably, or not at all.
Times are integer UTC seconds; hashes are SHA-256 in hex. Every verb may raise `StoreError`.
"""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from peewee import Expression

from lazu import clock
from lazu.errors import Failed
from lazu.store.tables import (
    File,
    Key,
    Upload,
    UploadPart,
    columns,
    database,
    names,
    tuples,
)

_KEY_BY_NAME = "name = ? AND revoked_at IS NULL"
_KEY_BY_HASH = "secret_sha256 = ? AND revoked_at IS NULL"
_RETIRE = """INSERT INTO retired SELECT secret_sha256 FROM key
    WHERE id = ? AND secret_sha256 IS NOT NULL AND revoked_at IS NULL"""
_KNOWN = "SELECT 1 FROM key WHERE secret_sha256 = ? UNION ALL SELECT 1 FROM retired WHERE secret_sha256 = ?"
#: Any number; with that of a key it is the lock for which those queue who hold or change it, in the order they came.
_TURNS = 0x4C617A77
_IN_TURN = f" AND pg_advisory_xact_lock_shared({_TURNS}, id::int) IS NOT NULL"
# "+ 0" keeps a database that has planned this when the table was empty from every index but that of the ids.
_FILE = "id = ? AND key_id + 0 = ? AND expires_at + 0 > ?"
_WITH_FILE = f"""SELECT {columns(Key)}, {columns(File)} FROM key
    LEFT JOIN file ON file.id = ? AND file.key_id + 0 = key.id AND file.expires_at + 0 > ? WHERE """  # noqa: S608 - our own text
_ADD = """INSERT INTO file (id, key_id, sha256, bytes, filename, purpose, content_type, created_at, expires_at)
    VALUES (:id, :key, :sha256, :bytes, :filename, :purpose, :content_type, :created_at, :expires_at)"""
_HAVING = """SELECT sha256 FROM file WHERE sha256 IN ({places})
    UNION ALL SELECT sha256 FROM upload_part WHERE sha256 IN ({places})"""
_REFERRED = """SELECT sha256 FROM file WHERE sha256 BETWEEN ? AND ? AND expires_at + 0 > ?
    UNION ALL SELECT part.sha256 FROM upload_part AS part JOIN upload ON upload.id = part.upload_id
    WHERE part.sha256 BETWEEN ? AND ? AND upload.expires_at > ?"""
_REFERRERS = """SELECT file.id, sha256, bytes, filename, NULL, key.name FROM file JOIN key ON key.id = key_id
    WHERE sha256 BETWEEN ? AND ?
    UNION ALL SELECT part.id, sha256, part.bytes, NULL, upload_id, key.name FROM upload_part AS part
    JOIN upload ON upload.id = upload_id JOIN key ON key.id = upload.key_id WHERE sha256 BETWEEN ? AND ?"""


# Keys


class Named(NamedTuple):
    """How an active key is called: a condition of SQL, and the value for it."""

    condition: str
    value: str


def by_name(name: str) -> Named:
    """The key called `name`, unless it is revoked."""
    return Named(_KEY_BY_NAME, name)


def by_secret(secret_sha256: str) -> Named:
    """The key whose secret has this hash, unless it is revoked."""
    return Named(_KEY_BY_HASH, secret_sha256)


def key_of(named: Named) -> Key | None:
    """The key that is called so, if there is one."""
    return Key.one(*named)


def hold_key(key: Key, alone: bool) -> Key | None:
    """`key` as it is now, unless it was revoked or renewed since it was read; so it stays until the transaction ends.

    With `alone` nobody else holds it meanwhile, so that a quota is not filled twice. Who comes while somebody waits to
    change the key waits behind: PostgreSQL lets who shares a row pass such a one, again and again.
    """
    lock = ""
    if database.for_update:  # SQLite has one writer at a time anyway
        lock = _IN_TURN + (" FOR NO KEY UPDATE" if alone else " FOR SHARE")
    now = Key.one(_KEY_BY_NAME + lock, key.name)
    return now if now is not None and (now.id, now.secret_sha256) == (key.id, key.secret_sha256) else None


def was_secret(secret_sha256: str) -> bool:
    """Whether a key, active or revoked, has a secret of this hash, or had it."""
    return bool(database.execute_sql(_KNOWN, (secret_sha256,) * 2).fetchall())


def key_and_file(named: Named, file_id: str, now: int) -> tuple[Key, File | None] | None:
    """A key and its file `file_id`, None for a file that has expired at `now` or is not there; in one query."""
    found = database.look_up(_WITH_FILE + named.condition, (file_id, now, named.value))
    if not found:
        return None
    [values], width = found, len(names(Key))
    file = values[width:]
    return Key.of(values[:width]), File.of(file) if file[0] is not None else None


def find_key(name: str) -> Key | None:
    """The key called `name`, active or revoked."""
    found: Key | None = Key.get_or_none(Key.name == name)
    return found


def all_keys() -> list[Key]:
    """Every key, by name."""
    return list(Key.select().order_by(Key.name))


def add_key(name: str, secret_sha256: str | None, quota_bytes: int | None = None) -> bool:
    """Add a key; False if there is one of that name."""
    added = Key.insert(name=name, secret_sha256=secret_sha256, created_at=clock.now(), quota_bytes=quota_bytes)
    return bool(added.on_conflict_ignore().as_rowcount().execute())


def update_key(key: Key, **values: Any) -> None:
    """Set columns of a key."""
    _wait_turn(key)
    Key.update(**values).where(Key.id == key.id).execute()


def update_active_key(key: Key, **values: Any) -> bool:
    """Set columns of a key unless it is revoked; gives whether it was not."""
    _wait_turn(key)
    return bool(Key.update(**values).where(Key.id == key.id, Key.revoked_at.is_null()).execute())


def renew_key(key: Key, secret_sha256: str) -> bool:
    """Give a key another secret unless it is revoked, and keep the hash of the one before; gives whether it was not."""
    _wait_turn(key)  # as another may have renewed it since it was read
    database.execute_sql(_RETIRE, (key.id,))
    return update_active_key(key, secret_sha256=secret_sha256)


def _wait_turn(key: Key) -> None:
    """Have nobody come and hold the key, and wait for those who do (`_IN_TURN`)."""
    if database.for_update:
        database.execute_sql("SELECT pg_advisory_xact_lock(?, ?)", (_TURNS, key.id))


# Files


class Gone(NamedTuple):
    """A row that was deleted, of a `file` or a `part` of an upload; `owner` is the name of its key."""

    id: str
    sha256: str
    owner: str
    kind: str = "file"


class Referrer(NamedTuple):
    """A row that refers to bytes: of a file, or of a part of an upload; `told` says which, to an operator."""

    id: str
    sha256: str
    bytes: int
    told: str


def add_file(file: File) -> None:
    """Insert a row. By a text of SQL, for the reason of `Key.one`: 40 µs for 290."""
    database.execute_sql(_ADD, file.__data__)


def file_of(key: Key, file_id: str, now: int) -> File | None:
    """A file of `key` that has not expired at `now`."""
    return File.one(_FILE, file_id, key.id, now)


def delete_file(key: Key, file_id: str, now: int) -> list[Gone]:
    """Delete a file of `key` that has not expired at `now`, if there is one."""
    return _delete((File.id == file_id) & (File.key == key.id) & (File.expires_at > now))


def delete_files_of(key: Key, count: int) -> list[Gone]:
    """Delete up to `count` files of `key`."""
    return _delete(File.id.in_(File.select(File.id).where(File.key == key.id).limit(count)))


def has_files(key: Key, now: int) -> bool:
    """Whether `key` has a file that has not expired at `now`."""
    return bool(File.select().where(File.key == key.id, File.expires_at > now).exists())


def delete_all_with(sha256: str) -> list[Gone]:
    """Delete every file and every part of these bytes."""
    return _delete(File.sha256 == sha256) + delete_parts(UploadPart.sha256 == sha256)


def delete_expired(now: int, count: int) -> list[Gone]:
    """Delete the `count` files that expired first, of those that have at `now`."""
    first = File.select(File.id).where(File.expires_at <= now).order_by(File.expires_at).limit(count)
    return _delete(File.id.in_(first))


def _delete(which: Expression) -> list[Gone]:
    owner = Key.select(Key.name).where(Key.id == File.key)
    return [Gone(*row) for row in tuples(File.delete().where(which).returning(File.id, File.sha256, owner))]


def delete_parts(which: Expression) -> list[Gone]:
    """Delete parts of uploads, chosen by an expression over `UploadPart`."""
    owner = Key.select(Key.name).join(Upload).where(Upload.id == UploadPart.upload)
    gone = UploadPart.delete().where(which).returning(UploadPart.id, UploadPart.sha256, owner)
    return [Gone(part_id, sha256, name, "part") for part_id, sha256, name in tuples(gone)]


def is_referred(sha256: str) -> bool:
    """Whether a file or a part of an upload has these bytes."""
    return any(table.select().where(table.sha256 == sha256).exists() for table in (File, UploadPart))


def unreferred(hashes: Collection[str]) -> set[str]:
    """Those of some hundred `hashes` that no file and no part of an upload has. Outside of `write` it may be stale."""
    text = _HAVING.format(places=", ".join("?" * len(hashes)))
    return set(hashes) - {sha256 for (sha256,) in database.execute_sql(text, (*hashes, *hashes)).fetchall()}


def referred(start: str, since: int = 0) -> set[str]:
    """All hashes with this `start` that a file has which expires after `since`, or a part of such an upload."""
    near = (start, start + "g", since)  # "g" comes after every digit of a hash
    return {sha256 for (sha256,) in database.execute_sql(_REFERRED, near + near).fetchall()}


def referrers_between(first: str, last: str) -> Iterator[Referrer]:
    """Each file and each part of an upload whose hash lies between `first` and `last`."""
    found = database.execute_sql(_REFERRERS, (first, last) * 2).fetchall()
    for row_id, sha256, size, filename, upload_id, owner in found:
        what = f"part of {upload_id}" if upload_id else f"'{filename}'"
        yield Referrer(row_id, sha256, size, f"{what} of {owner}")


def is_empty() -> bool:
    """Whether there are no files, no uploads and no keys that somebody was given."""
    given = Key.select().where(Key.secret_sha256.is_null(False))
    return not any(query.exists() for query in (File.select(), Upload.select(), given))


def require_empty() -> None:
    """Raise `StoreError` unless `is_empty`: for a restore, within `write`."""
    if not is_empty():
        raise Failed("the store is not empty; nothing was restored")


def has_row(identity: str) -> bool:
    """Whether a file or a part of an upload, of any key, has this id."""
    return any(table.select().where(table.id == identity).exists() for table in (File, UploadPart))
