"""The connections to SQLite: what each is told, and its errors as ours.

A thread has one at a time, Peewee's and thread-local; a request gives it back at its end, for the next one. A process
that serves has one more, on which its threads write by turns. None crosses a fork.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import peewee

from lazu import clock, metrics
from lazu.errors import Busy, Failed, Full, StoreError

Database = peewee.SqliteDatabase

#: Seconds without use after which a connection is one too many.
IDLE_SECONDS = 5.0

_Peewees: Any = peewee.SqliteDatabase  # it is typed in part


def _translated(error: Exception) -> StoreError:
    """Translate an error of SQLite, by its English."""
    text = str(error)
    if "is full" in text:
        return Full(text)
    if "lock" in text or "busy" in text:
        return Busy(text)
    if "I/O" in text:
        metrics.fsync_failed()
    return Failed(text)


class _Cursor(peewee.sqlite3.Cursor):  # type: ignore[name-defined]  # of the SQLite that Peewee took
    """SQLite's cursor: reading a row raises `StoreError`. Not by `translating`, which costs 2 µs a row."""

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except peewee.sqlite3.Error as e:  # type: ignore[attr-defined]  # as above
            raise _translated(e) from e

    def fetchone(self) -> Any:
        """The next row, None at the end."""
        return next(self, None)

    def fetchall(self) -> Any:
        """All rows that are left."""
        try:
            return super().fetchall()
        except peewee.sqlite3.Error as e:  # type: ignore[attr-defined]  # as above
            raise _translated(e) from e


class _Database(_Peewees):
    """Peewee's, with SQLite's errors as ours, and connections that threads take and give back."""

    def __init__(self, *args: Any, **how: Any) -> None:
        #: Those that no thread has, each with the moment it came back, the latest at the end.
        self._idle: deque[tuple[float, Any]] = deque()
        super().__init__(*args, **how)

    def init(self, database: str | None, **how: Any) -> None:
        """Be of another database; those of the one before that no thread has are closed."""
        while self._idle:
            self._idle.popleft()[1].close()
        super().init(database, **how)

    def take(self) -> bool:
        """Have this thread use the connection that came back last; gives whether there was one."""
        with suppress(IndexError):
            self._state.set_connection(self._idle.pop()[1])
            return True
        return False

    def give_back(self) -> None:
        """Leave this thread's connection to others; the one that has rested longest is closed if that was for long."""
        if self.is_closed():
            return
        connection, now = self.connection(), clock.monotonic()
        self._state.reset()
        if connection.in_transaction:  # whatever kept it from its end
            connection.close()
        else:
            self._idle.append((now, connection))
        with suppress(IndexError):
            if now - self._idle[0][0] > IDLE_SECONDS:
                self._idle.popleft()[1].close()

    def another(self) -> Any:
        """A connection that belongs to no thread."""
        return self._connect()

    @contextmanager
    def lent(self, connection: Any) -> Iterator[None]:
        """Have this thread use `connection` in place of its own."""
        state = self._state.__dict__  # of this thread alone
        own = dict(state)
        self._state.set_connection(connection)
        try:
            yield
        finally:
            state.update(own)

    def cursor(self, *_: object) -> Any:
        """A cursor of this thread's connection."""
        return self.connection().cursor(_Cursor)

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Run a statement; raises `StoreError`."""
        try:
            return super().execute_sql(sql, params)
        except peewee.DatabaseError as e:
            raise _translated(e) from e

    def look_up(self, sql: str, params: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """The rows of a question that every request asks; raises `StoreError`."""
        found: list[tuple[Any, ...]] = self.execute_sql(sql, params).fetchall()
        return found

    def rollback(self) -> None:
        """Roll back, unless SQLite has done so itself, as on a full disk: a second time would hide the first error."""
        if peewee.SqliteDatabase.connection(self).in_transaction:
            super().rollback()


# Each request has a connection, also while it waits for a slow reader: SQLite's own 2 MB each add up, 256 KiB do not.
# What another one commits empties them all anyway. And whoever commits copies the log into the database, with
# two syncs, when it has 2,000 pages; at SQLite's 1,000 each fifth commit did (docs/decisions/0137-checkpoints.md).
_SIZES = {"cache_size": -256, "wal_autocheckpoint": 2000}

database: Any = _Database(
    None,
    pragmas={"journal_mode": "wal", "synchronous": "full", "foreign_keys": "on", **_SIZES},
    # A deferred transaction that reads and then writes fails at once when another wrote in between, whatever the
    # timeout: every transaction takes the write lock at its beginning (https://www.sqlite.org/isolation.html).
    lock_type="IMMEDIATE",
)


@contextmanager
def translating() -> Iterator[None]:
    """SQLite's errors at BEGIN, COMMIT and connecting, and of its own cursors, as ours."""
    try:
        yield
    except (peewee.DatabaseError, peewee.sqlite3.Error) as e:  # type: ignore[attr-defined]  # the one that Peewee took
        raise _translated(e) from e
