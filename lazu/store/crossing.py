"""Rows between PostgreSQL and a snapshot, which is an SQLite database: how a store moves to several boxes, and back.

A snapshot has the tables of the SQLite engine; columns that one side does not know are left to their defaults.
"""

from typing import Any

from lazu.errors import Busy
from lazu.store import rows
from lazu.store.postgresql.database import database
from lazu.store.postgresql.engine import Postgresql
from lazu.store.postgresql.errors import Absent, translating
from lazu.store.sqlite import schema
from lazu.store.sqlite.connections import Database

#: Tables that only SQLite has.
_OWN = {*schema.COUNTED, "journal"}


def take(copy: Database) -> None:
    """Make the tables of a snapshot in `copy`, and write all rows of the open store into them, as of one moment.

    Raises `StoreError`.
    """
    for step in schema.STEPS:
        for statement in step:
            copy.execute_sql(statement)
    copy.execute_sql(f"PRAGMA user_version = {len(schema.STEPS)}")
    reading = database.transaction("REPEATABLE READ")
    with copy.atomic(), translating(), database.connection_context(), reading:
        for table, columns in _shared(copy):
            places = ", ".join("?" * len(columns))
            text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - our own names
            # On the server's side, so that the rows come a few thousand at a time.
            with database.connection().cursor(name="snapshot") as cursor:
                cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608
                copy.connection().executemany(text, cursor)


def absorb(copy: Database, engine: Postgresql) -> None:
    """Take all rows of a snapshot into the open, empty store, in one transaction; raises `StoreError`."""
    try:
        engine.write(lambda: _absorb(copy))
    except Absent as e:  # `alone` keeps purges off only while its connection lasts
        raise Busy("a purge of another box removed what was there already") from e


def _absorb(copy: Database) -> None:
    # Another box may serve. What it has stored stays, and it stores nothing more until the end of this transaction.
    database.execute_sql("LOCK TABLE key, upload, file IN SHARE ROW EXCLUSIVE MODE")
    rows.require_empty()
    tables = _shared(copy)
    for table, _ in reversed(tables):
        database.execute_sql(f"DELETE FROM {table}")  # noqa: S608
    for table, columns in tables:
        names = ", ".join(columns)
        with database.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as target:
            for row in copy.execute_sql(f"SELECT {names} FROM {table}"):  # noqa: S608
                target.write_row(row)
        database.execute_sql(f"ANALYZE {table}")  # at once: boxes that have a plan for an empty table make a new one
        if table in _NUMBERED:
            database.execute_sql(_COUNT_ON.format(table=table))


#: Numbers that the database gives go on after those that came.
_COUNT_ON = (
    "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {table}), FALSE)"
)
#: Tables of which the database numbers the rows.
_NUMBERED = {"key", "purge"}


def _shared(copy: Database) -> list[tuple[str, list[str]]]:
    """Tables of a snapshot, owners before what they own, and the columns that both sides know."""
    tables = {table for table in copy.get_tables() if not table.startswith("sqlite_")} - _OWN
    return [(table, _columns(copy, table)) for table in sorted(tables, key=lambda table: (table != "key", table))]


def _columns(copy: Any, table: str) -> list[str]:
    # Found as all queries find it: along the search path, not in its first schema. PostgreSQL raises if it is nowhere.
    text = "SELECT attname FROM pg_attribute WHERE attrelid = CAST(? AS regclass) AND attnum > 0 AND NOT attisdropped"
    known = {name for (name,) in database.execute_sql(text, (table,)).fetchall()}
    return [column.name for column in copy.get_columns(table) if column.name in known]
