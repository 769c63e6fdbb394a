"""The tables that only a cluster has, as verbs: what writes is called within the engine's `write`, as that of `rows`.

`blob` has the object of each content; `loose` names objects that may be there though no content has them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from lazu.errors import Overloaded
from lazu.store.sqlite import schema
from lazu.store.tables import database

#: Contents, at most, that one look for those without a row gives: some 20 MB.
_LOOK = 50_000
#: That no row refers to a blob.
_UNREFERRED = """NOT EXISTS (SELECT 1 FROM file WHERE file.sha256 = blob.sha256)
    AND NOT EXISTS (SELECT 1 FROM upload_part WHERE upload_part.sha256 = blob.sha256)"""


class Stored(NamedTuple):
    """A content: its hash, the name of its object, its bytes, and whether that object is perhaps lost (`suspect`)."""

    sha256: str
    name: str
    bytes: int
    suspect: bool = False


class Loose(NamedTuple):
    """An object that may be there: its name, its bytes, and whether objects derived from it may be there too."""

    name: str
    bytes: int
    derived: bool


def identity() -> tuple[str, bool]:
    """The identity of this database, and whether a bucket was found to be of the same store."""
    [(name, bound)] = _fetch("SELECT identity, bound FROM store")
    return name, bound


def bind() -> None:
    """Write down that the bucket has this database's identity."""
    database.execute_sql("UPDATE store SET bound = TRUE")


def place() -> str | None:
    """Where this database is: the number of its PostgreSQL, and its own there. None where this role may not ask.

    A dump, or a database made of another as template, has the identity of the first and another place; a standby, and
    what was recovered from a base backup, have the same.
    """
    if not _fetch("SELECT 1 WHERE has_function_privilege('pg_control_system()', 'EXECUTE')"):
        return None
    text = "SELECT system_identifier, oid FROM pg_control_system(), pg_database WHERE datname = current_database()"
    [(system, oid)] = _fetch(text)
    return f"{system}-{oid}"


def hold(sha256: str, name: str) -> bool:
    """Whether this is the object of a content; it stays so, and no file comes, until the end of the transaction."""
    return bool(_fetch("SELECT 1 FROM blob WHERE sha256 = ? AND name = ? FOR UPDATE", sha256, name))


def stored(sha256: str) -> Stored | None:
    """The object of a content."""
    found = database.look_up("SELECT sha256, name, bytes, suspect FROM blob WHERE sha256 = ?", (sha256,))
    return Stored(*found[0]) if found else None


def mark_suspect(sha256: str, name: str, suspect: bool = True) -> None:
    """Mark the object `name` of a content as perhaps lost, or take the mark away; not within `write`.

    Does nothing if the content has another object by now. The mark is only a hint, so this is tried once: it has the
    object looked at when the same bytes come again.
    """
    database.execute_sql("UPDATE blob SET suspect = ? WHERE sha256 = ? AND name = ?", (suspect, sha256, name))


def intend(name: str, size: int, now: int) -> None:
    """Write down that an object of this name will come; not within `write`.

    In a transaction of its own that is not flushed: if a crash loses it, `land` refuses. Raises `Busy` when the answer
    is lost, and then the name must not be used: it may be revoked and forgotten already.
    """
    text = "SET LOCAL synchronous_commit = off; INSERT INTO loose (name, bytes, since, doomed) VALUES (?, ?, ?, FALSE)"
    database.execute_sql(text, (name, size, now))


class Revoked(Overloaded):
    """A purge took the upload for dead, so it can't land any more: a retry would not help."""


def land(new: Stored, now: int, lost: str | None = None) -> list[Loose]:
    """Make the intended object the one of its content; the content stays until the end of the transaction.

    It replaces the object named `lost`, if the content still has that one, and the content's files are whole again. If
    another upload of the same bytes came first, the content keeps that upload's object. The object that is not needed
    is made loose and doomed, and given back. Raises `Revoked`.
    """
    if not _fetch("DELETE FROM loose WHERE name = ? AND NOT doomed RETURNING name", new.name):
        raise Revoked
    if lost and hold(new.sha256, lost):
        return _exchange(new, now)
    while not _fetch(_KEEP, new.sha256, new.name, new.bytes):
        if _fetch("SELECT 1 FROM blob WHERE sha256 = ? FOR KEY SHARE", new.sha256):
            text = "INSERT INTO loose (name, bytes, since, doomed, landed) VALUES (?, ?, ?, TRUE, TRUE)"
            database.execute_sql(text, (new.name, new.bytes, now))
            return [Loose(new.name, new.bytes, derived=False)]
    return []


def _exchange(new: Stored, now: int) -> list[Loose]:
    text = """INSERT INTO loose (name, bytes, since, doomed, derived) SELECT name, bytes, ?, TRUE, derived FROM blob
        WHERE sha256 = ? RETURNING name, bytes, derived"""
    gone = [Loose(*each) for each in _fetch(text, now, new.sha256)]
    text = "UPDATE blob SET name = ?, derived = FALSE, suspect = FALSE WHERE sha256 = ?"
    database.execute_sql(text, (new.name, new.sha256))
    return gone


_KEEP = "INSERT INTO blob (sha256, name, bytes) VALUES (?, ?, ?) ON CONFLICT (sha256) DO NOTHING RETURNING name"


def landed(name: str) -> bool:
    """Whether `land` has been committed for this name."""
    text = "SELECT 1 FROM blob WHERE name = ? UNION ALL SELECT 1 FROM loose WHERE name = ? AND landed"
    return bool(_fetch(text, name, name))


def release(hashes: list[str], now: int) -> list[Loose]:
    """Let go of those contents that no row refers to any more: their objects are loose and doomed from now on.

    The locks come first, in order, in a statement of their own: who locks last sees all the others' deletions. They
    let uploads of the same bytes pass. A content that such an upload has at this moment stays: if that fails, the next
    purge lets go of it.
    """
    found = database.execute_sql(_LOCK, (hashes, hashes))
    found.nextset()
    free = [sha256 for (sha256,) in found.fetchall()]
    return [Loose(*each) for each in _fetch(_RELEASE, free, now)] if free else []


# Two statements, one round trip. Waiting for the second lock would be waiting for a moment without such an upload:
# PostgreSQL lets who shares a row pass who waits to have it alone. What came before that lock `_RELEASE` sees.
_LOCK = f"""SELECT 1 FROM blob WHERE sha256 = ANY(?) ORDER BY sha256 FOR NO KEY UPDATE;
    SELECT sha256 FROM blob WHERE sha256 = ANY(?) AND {_UNREFERRED} FOR UPDATE SKIP LOCKED"""  # noqa: S608 - our own text
_RELEASE = f"""WITH gone AS (DELETE FROM blob WHERE sha256 = ANY(?) AND {_UNREFERRED} RETURNING name, bytes, derived)
    INSERT INTO loose (name, bytes, since, doomed, derived) SELECT name, bytes, ?, TRUE, derived FROM gone
    RETURNING name, bytes, derived"""  # noqa: S608 - our own text


def unreferred(since: int = 0) -> Iterator[Stored]:
    """Contents to which no file refers that expires after `since`, and no part of such an upload.

    Each look reads all rows, or the rest of them, so there is one for very many of such contents.
    """
    text = """SELECT sha256, name, bytes FROM blob WHERE sha256 > ?
        AND NOT EXISTS (SELECT 1 FROM file WHERE file.sha256 = blob.sha256 AND expires_at > ?)
        AND NOT EXISTS (SELECT 1 FROM upload_part JOIN upload ON upload.id = upload_id
            WHERE upload_part.sha256 = blob.sha256 AND expires_at > ?) ORDER BY sha256 LIMIT ?"""
    after, more = "", True
    while more:
        found = [Stored(*each) for each in _fetch(text, after, since, since, _LOOK)]
        yield from found
        more = len(found) == _LOOK
        after = found[-1].sha256 if more else ""


def doom(before: int) -> None:
    """Revoke the intents that are older: their uploads can't land any more."""
    database.execute_sql("UPDATE loose SET doomed = TRUE WHERE NOT doomed AND since < ?", (before,))


def doom_one(name: str) -> bool:
    """Revoke one intent; False if it has landed, or was forgotten. Only what is doomed may be deleted."""
    return bool(_fetch("UPDATE loose SET doomed = TRUE WHERE name = ? RETURNING 1", name))


def doomed(after: str) -> list[Loose]:
    """Objects that are to be deleted, the next 1,000 by name after `after`."""
    text = "SELECT name, bytes, derived FROM loose WHERE doomed AND name > ? ORDER BY name LIMIT 1000"
    return [Loose(*each) for each in _fetch(text, after)]


def count_loose() -> tuple[int, int]:
    """How many objects are on their way, and how many are to be deleted."""
    text = "SELECT count(*) FILTER (WHERE NOT doomed), count(*) FILTER (WHERE doomed) FROM loose"
    [(coming, going)] = _fetch(text)
    return coming, going


def forget(names: list[str]) -> None:
    """Forget objects that were deleted."""
    database.execute_sql("DELETE FROM loose WHERE name = ANY(?)", (names,))


def known(names: list[str]) -> set[str]:
    """Those of `names` that a content has, or that are written down as loose."""
    text = "SELECT name FROM blob WHERE name = ANY(?) UNION ALL SELECT name FROM loose WHERE name = ANY(?)"
    return {name for (name,) in _fetch(text, names, names)}


def needed(names: list[str]) -> set[str]:
    """Those of `names` whose objects must stay: a content has them, or an upload is putting them."""
    text = """SELECT name FROM blob WHERE name = ANY(?)
        UNION ALL SELECT name FROM loose WHERE name = ANY(?) AND NOT doomed"""
    return {name for (name,) in _fetch(text, names, names)}


def stored_between(after: str, last: str | None) -> list[Stored]:
    """Contents whose object's name comes after `after`, up to `last`, or to the end."""
    text = "SELECT sha256, name, bytes FROM blob WHERE name > ? AND (? OR name <= ?) ORDER BY name"
    return [Stored(*each) for each in _fetch(text, after, last is None, last)]


def loose_since(before: int) -> list[str]:
    """Names of loose objects that were written down before that time."""
    return [name for (name,) in _fetch("SELECT name FROM loose WHERE since < ? ORDER BY name", before)]


def derive(stored: Stored) -> bool:
    """Write down that objects derived from a content may be there; False if the content is gone."""
    text = "UPDATE blob SET derived = TRUE WHERE sha256 = ? AND name = ? RETURNING 1"
    return bool(_fetch(text, stored.sha256, stored.name))


def is_counted() -> bool:
    """Whether what the keys hold is what counting their files anew says."""
    text = schema.differing("holding", schema.COUNTED["holding"])
    return not _fetch(text)


def recount() -> None:
    """Count the files of all keys anew; who adds or deletes some waits meanwhile."""
    database.execute_sql("LOCK TABLE held IN SHARE ROW EXCLUSIVE MODE")
    database.execute_sql("DELETE FROM held")
    database.execute_sql(f"INSERT INTO held {schema.COUNTED['holding']}")


def _fetch(text: str, *values: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = database.execute_sql(text, values).fetchall()
    return found
