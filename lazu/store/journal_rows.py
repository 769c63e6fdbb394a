"""The queries of the journal, as verbs; what `rows` says of its verbs holds for these. The engine is SQLite."""

from collections.abc import Iterator

from lazu.store.sqlite.connections import database

#: Entries that are read at a time: a megabyte at most.
_PIECE = 64


def add(sha256: str, data: bytes) -> None:
    """Insert an entry: the bytes of a blob."""
    database.execute_sql("INSERT INTO journal (sha256, bytes) VALUES (?, ?)", (sha256, data))


def newest() -> int:
    """The id of the newest entry, 0 if there is none; those that come later have higher ones."""
    [(last,)] = database.execute_sql("SELECT coalesce(max(id), 0) FROM journal").fetchall()
    return int(last)


def entries() -> Iterator[tuple[str, bytes]]:
    """The hash and the bytes of each entry, in the order in which they came."""
    text, after = f"SELECT id, sha256, bytes FROM journal WHERE id > ? ORDER BY id LIMIT {_PIECE}", 0  # noqa: S608 - ours
    while piece := database.execute_sql(text, (after,)).fetchall():
        yield from ((sha256, data) for _, sha256, data in piece)
        after = piece[-1][0]


def remove(last: int, limit: int) -> int:
    """Delete the `limit` oldest entries up to the id `last`; gives how many there were."""
    these = "SELECT id FROM journal WHERE id <= ? ORDER BY id LIMIT ?"
    return int(database.execute_sql(f"DELETE FROM journal WHERE id IN ({these})", (last, limit)).rowcount)  # noqa: S608 - ours
