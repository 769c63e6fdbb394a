"""Queries of lists: a piece of the files of a key, which the database writes as JSON (docs/decisions/0133-lists.md)."""

from dataclasses import dataclass
from typing import NamedTuple, Self

from lazu.store.rows import Named
from lazu.store.tables import OBJECT_JSON, OBJECT_START, Key, columns, database

# "+ 0" keeps SQLite from the index by expiry: it would read all files of the key there, and sort them.
_LISTED = "{of_key} AND expires_at + 0 > ?"
_OF_KEY = "key_id = {key}"
# For PostgreSQL: with "=" the index of the ids would give the order, too, and a page of a key with few files might read
# those of all others there (docs/decisions/0133-lists.md).
_OF_ONE_KEY = "key_id = ANY(ARRAY[{key}::bigint])"
_PIECE = f"""SELECT string_agg(object, ',') FROM (
    SELECT {OBJECT_JSON.replace("{", "{{").replace("}", "}}")} AS object FROM file
    WHERE {{listed}} ORDER BY key_id {{order}}, id {{order}} LIMIT ?) AS listed"""  # noqa: S608 - our own text
_WITH_PIECE = f"SELECT {columns(Key)}, ({{piece}}) FROM key WHERE {{key}}"  # noqa: S608 - our own text

#: The most files of one page.
MAX_LIMIT = 10_000


@dataclass(frozen=True)
class Paging:
    """Which files a list shows: at most `limit`, by id, after the id `after`, of one purpose if given."""

    limit: int = MAX_LIMIT
    descending: bool = True
    after: str | None = None
    purpose: str | None = None


class Piece(NamedTuple):
    """Neighbours in a list: their objects in JSON, divided by commas, their count, and whether others follow."""

    objects: str
    files: int
    more: bool

    @classmethod
    def of(cls, objects: str | None, limit: int) -> Self:
        """The first `limit` of `objects`: one more is there if others follow. None stands for no objects."""
        count = objects.count(OBJECT_START) if objects else 0
        if objects is None or count <= limit:
            return cls(objects or "", count, more=False)
        return cls(objects[: objects.rindex(f",{OBJECT_START}")], limit, more=True)

    @property
    def ends(self) -> tuple[str, str]:
        """The ids of the first and the last; raises `ValueError` if there is none."""
        starts = 0, self.objects.rindex(OBJECT_START)
        first, last = (self.objects[start + len(OBJECT_START) :].partition('"')[0] for start in starts)
        return first, last


def piece(key: Key, paging: Paging, now: int) -> Piece:
    """Files of `key` that have not expired at `now`, by id: the database writes them, without Python's lock.

    One more than asked for is read: it tells whether others follow, without another query.
    """
    text, values = _asked("?", paging, now)
    [(objects,)] = database.look_up(text, (key.id, *values))
    return Piece.of(objects, paging.limit)


def key_and_piece(named: Named, paging: Paging, now: int) -> tuple[Key, Piece] | None:
    """A key, and that `piece` of its files, by one question."""
    text, values = _asked("key.id", paging, now)
    found = database.look_up(_WITH_PIECE.format(piece=text, key=named.condition), (*values, named.value))
    if not found:
        return None
    [(*key, objects)] = found
    return Key.of(key), Piece.of(objects, paging.limit)


def _asked(key: str, paging: Paging, now: int) -> tuple[str, list[object]]:
    of_key = (_OF_ONE_KEY if database.for_update else _OF_KEY).format(key=key)
    listed = _LISTED.format(of_key=of_key)
    values: list[object] = [now]
    if paging.purpose is not None:
        listed, values = f"{listed} AND purpose = ?", [*values, paging.purpose]
    if paging.after is not None:
        listed, values = f"{listed} AND id {'<' if paging.descending else '>'} ?", [*values, paging.after]
    return _PIECE.format(listed=listed, order="DESC" if paging.descending else "ASC"), [*values, paging.limit + 1]
