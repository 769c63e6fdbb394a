"""Statements to PostgreSQL: Peewee's database, on connections that the threads of this process share."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import peewee
import psycopg

from lazu.errors import Busy
from lazu.store.postgresql import prepared
from lazu.store.postgresql.connections import Connecting, Connection
from lazu.store.postgresql.errors import Standby, translated, translating
from lazu.store.postgresql.lending import Lending

Result = TypeVar("Result")

#: Connections of a process, and seconds that a thread waits for one.
POOL, POOL_SECONDS = 10, 10
#: Writes to PostgreSQL's log alone. On a standby the call by itself would be an internal error (XX000).
_MESSAGE = "SELECT pg_logical_emit_message(TRUE, 'lazu', '') WHERE NOT pg_is_in_recovery()"

_Peewees: Any = peewee.PostgresqlDatabase  # it is typed in part


@lru_cache(256)
def _own(sql: str) -> str:
    """A text of SQL that was written for both engines, with `?` and `:name` for its values, as psycopg wants it."""
    return re.sub(r"\?|(?<![:\w]):(\w+)", lambda match: f"%({match[1]})s" if match[1] else "%s", sql)


class _Database(_Peewees):
    """Peewee's, with PostgreSQL's errors as ours, and a connection for a query outside of a transaction."""

    #: How connections are made; none before `init`.
    connecting: Connecting

    def __init__(self) -> None:
        self._lending = Lending(lambda: self.connecting.connect(), POOL)  # noqa: PLW0108 - it is set later
        self.deferred = True
        super().__init__(None, prefer_psycopg3=True, isolation_level="READ COMMITTED")  # in each BEGIN, for a pooler

    def be(self, connecting: Connecting) -> None:
        """Be of the database that `connecting` reaches; no connection of the one before is used again."""
        with self._lending.making:
            if not self.deferred:
                self.close_all()
            self.connecting = connecting
            self.deferred = False

    def connect(self, reuse_if_open: bool = False) -> bool:  # noqa: ARG002 - Peewee's
        """Take a connection for this thread; raises `Busy` when none is to be had.

        Peewee's own holds its lock meanwhile, for seconds perhaps, which who gives one back needs.
        """
        self._state.set_connection(self._lending.take(POOL_SECONDS))
        return True

    def _close(self, conn: Connection) -> None:
        self._lending.give_back(conn)

    def close_idle(self) -> None:
        """Close the connections that no thread has."""
        self._lending.close_idle()

    def close_all(self) -> None:
        """Close all connections, those that other threads have when they come back."""
        self.close()
        self._lending.close_all()

    def commit(self) -> None:
        """Commit; raises if PostgreSQL warns: its wait for the standby was cancelled, and it commits all the same."""
        connection = self.connection()
        connection.warned = ""
        super().commit()
        if connection.warned:
            raise psycopg.OperationalError(connection.warned)

    def rollback(self) -> None:
        """Roll back, unless the connection has ended: a second error would hide why."""
        if not self.connection().closed:
            super().rollback()

    def write_a_message(self) -> None:
        """Write something, so that this transaction's commit waits for the standby; raises `Standby`."""
        if not self.execute_sql(_MESSAGE).fetchone():
            raise Standby("this server is a standby")

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Run a statement; raises `StoreError`. All its rows are here when this returns."""
        with translating():
            if not self.is_closed():
                return super().execute_sql(_own(sql), params)
            return self._by_itself(sql, lambda connection: self._run_on(connection, sql, params))

    def look_up(self, sql: str, params: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """The rows of a question that every request asks, about texts and whole numbers; raises `StoreError`.

        Not by Peewee, which takes half as much CPU as the question.
        """
        with translating():
            if not self.is_closed():
                return prepared.rows(self.connection(), sql, params)
            return self._by_itself(sql, lambda connection: prepared.rows(connection, sql, params))

    def _by_itself(self, sql: str, ask: Callable[[Connection], Result]) -> Result:
        """What `ask` gives for a connection of its own; a question is put again when that broke."""
        again = sql.startswith("SELECT")
        while True:
            connection = self._lending.take(POOL_SECONDS)
            try:
                return ask(connection)
            except (peewee.PeeweeException, psycopg.Error) as e:
                if not again or not isinstance(translated(e), Busy):
                    raise
            finally:
                self._lending.give_back(connection)
            again = False
            self.close_idle()  # they may be lost too, and not know it yet

    def _run_on(self, connection: Connection, sql: str, params: Any) -> Any:
        self._state.set_connection(connection)
        try:
            return super().execute_sql(_own(sql), params)
        finally:
            self._state.reset()


database: Any = _Database()
