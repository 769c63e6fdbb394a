"""The connections to PostgreSQL: its pool, and statements on them.

Taking a connection costs no round trip (docs/decisions/0076-connections.md).
"""

import heapq
import re
import select
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import lru_cache
from typing import Any

import peewee
import psycopg
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase
from psycopg import generators
from psycopg.pq import TransactionStatus

from lazu import clock
from lazu.errors import Busy, Failed, Unfit
from lazu.store import cluster_schema, prepared
from lazu.store.postgresql_errors import translated, translating

#: Connections of a process, seconds that a thread waits for one, and after which it is replaced.
POOL, POOL_SECONDS, _OLD = 10, 10, 600
#: A connection that took longer to fail is not tried again by other threads for that long.
_PAUSE = 1
#: After these milliseconds the database frees what a box without power held. And a page is read in the order of an
#: index: in a table that is not counted yet PostgreSQL would gather all rows of the key by a bitmap, and sort them. A
#: backend whose client has given up ends, from PostgreSQL 14 on; not by `statement_timeout`, which behind a pooler
#: would end the long statements of a purge.
_LIMITS = """SELECT pg_is_in_recovery(), (SELECT set_config('client_connection_check_interval', '2000', FALSE)
        WHERE current_setting('server_version_num')::int >= 140000 AND version() ~ 'linux');
    SET idle_in_transaction_session_timeout = 30000; SET lock_timeout = 10000; SET enable_bitmapscan = off;
    SET default_transaction_isolation = 'read committed'"""
#: Writes to PostgreSQL's log alone. On a standby the call by itself would be an internal error (XX000).
_MESSAGE = "SELECT pg_logical_emit_message(TRUE, 'lazu', '') WHERE NOT pg_is_in_recovery()"


@lru_cache(256)
def _own(sql: str) -> str:
    """A text of SQL that was written for both engines, with `?` and `:name` for its values, as psycopg wants it."""
    return re.sub(r"\?|(?<![:\w]):(\w+)", lambda match: f"%({match[1]})s" if match[1] else "%s", sql)


class _Connection(psycopg.Connection[Any]):
    """A connection that ends when a statement was not answered within `seconds`, if there are any.

    PostgreSQL may be there and say nothing: its disk hangs, its machine is paused, its synchronous standby is away.
    """

    seconds: float | None = None
    #: What PostgreSQL has warned of last.
    warned = ""

    def hear(self, told: Any) -> None:
        """Take a notice that came with an answer."""
        if told.severity_nonlocalized == "WARNING":
            self.warned = told.message_primary

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """What psycopg waits for; raises `psycopg.OperationalError`."""
        try:
            return super().wait(gen, interval, timeout or self.seconds)
        except psycopg.OperationalError as e:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError("the database does not answer") from e

    def ask(self, send: Callable[..., None], *about: Any) -> Any:
        """The answer to what `send`, of libpq, sends."""
        send(*about)
        return self.wait(generators.execute(self.pgconn))[-1]


class _Adapter(peewee.Psycopg3Adapter):
    """Connects to the first server of the URL that can be had; a silent one takes seconds, so it comes last."""

    def connect(self, db: Any, **params: Any) -> Any:
        told = []
        for server in [*db.servers]:
            try:
                connection = _Connection.connect(db.database, **params, **server)
            except psycopg.OperationalError as e:
                told.append(str(e))
            else:
                db.servers.sort(key=lambda each: each is not server)
                return connection
        raise psycopg.OperationalError("; ".join(told))


_Peewees: Any = peewee.PostgresqlDatabase  # it is typed in part


class _Connecting(_Peewees):
    """Set up each new connection; the first one of a process brings the tables up to date.

    PostgreSQL may start after Lazu. Threads connect one after the other: when one has waited in vain, the next ones
    give up at once.
    """

    psycopg3_adapter = _Adapter
    ready = False
    #: Where each is, the one that answered last first.
    servers: list[dict[str, str]]
    _in_vain = 0.0

    def _connect(self) -> Any:
        """What Peewee calls with all its locks held: a connection may take seconds, so `connect` makes it before."""
        raise MaxConnectionsExceeded("no connection is idle")

    def _new(self) -> Any:
        began = clock.monotonic()
        if began < self._in_vain:
            raise psycopg.OperationalError("the database did not answer just now")
        try:
            connection = super()._connect()
            connection.since = began
            with ExitStack() as undo:
                undo.callback(connection.close)
                self._prepare(connection)
                undo.pop_all()
        except psycopg.Error as e:
            if clock.monotonic() - began > _PAUSE:
                self._in_vain = clock.monotonic() + _PAUSE
            if isinstance(told := translated(e), Failed):
                raise Unfit(str(told)) from e
            raise
        return connection

    def _prepare(self, connection: Any) -> None:
        connection.prepared = set()
        connection.add_notice_handler(connection.hear)
        standby, _ = connection.execute(_LIMITS).fetchone()
        if standby:  # it may not have yet what was acknowledged
            raise psycopg.OperationalError("this server is a standby")
        if not self.ready:
            cluster_schema.migrate(connection)
            self.ready = True


class _Database(PooledPostgresqlDatabase, _Connecting):
    """Peewee's, with PostgreSQL's errors as ours, and a connection for a query outside of a transaction."""

    _making = threading.Lock()
    #: No connection of before is used again.
    _over = 0.0

    def init(self, database: str | None, servers: Iterable[dict[str, str]] = (), **how: Any) -> None:
        """Be of another database, once nobody connects to the one before; all its connections are closed."""
        with self._making:
            if not getattr(self, "deferred", True):
                self.close_all()
            self.ready, self.servers, self._in_vain = False, [*servers], 0.0
            super().init(database, **how)

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Take an idle connection, or a new one; one thread at a time makes it, while others take and give back."""
        until = clock.monotonic() + POOL_SECONDS
        while True:
            with suppress(MaxConnectionsExceeded):
                return bool(super().connect(reuse_if_open))
            if clock.monotonic() > until:
                raise MaxConnectionsExceeded("no connection was to be had in time")
            if self._may_make():
                self._make()

    def _may_make(self) -> bool:
        """Whether this thread is the one to make a connection; if not, it has waited for what others do."""
        with self._pool_available:
            if len(self._connections) + len(self._in_use) < POOL and self._making.acquire(blocking=False):
                return True
            if not self._connections:
                self._pool_available.wait(1)
            return False

    def _make(self) -> None:
        """Add an idle connection; raises if that fails and no other one has come back meanwhile."""
        try:
            made = self._new()
            with self._pool_lock:  # as Peewee has them: the oldest first, by a number that no other has
                heapq.heappush(self._connections, (made.since, id(made), made))
        except psycopg.OperationalError:
            if not self._connections:
                raise
        finally:
            self._making.release()
            with self._pool_available:
                self._pool_available.notify_all()

    def close_all(self) -> None:
        """Close all connections, those that other threads use when they come back.

        Psycopg keeps libpq's pointer while it waits for an answer, and would go on in the memory of a closed one.
        """
        self.close()
        with self._pool_lock:
            self._over = clock.monotonic()
            self.close_idle()

    def commit(self) -> None:
        """Commit; raises if PostgreSQL warns: its wait for the standby was cancelled, and it commits all the same."""
        connection = self.connection()
        connection.warned = ""
        super().commit()
        if connection.warned:
            raise psycopg.OperationalError(connection.warned)

    def write_a_message(self) -> None:
        """Write something, so that this transaction's commit waits for the standby; raises `Busy` on a standby."""
        if not self.execute_sql(_MESSAGE).fetchone():
            raise Busy("25006 this server is a standby")  # the code by which it refuses to write

    def _can_reuse(self, conn: Any) -> bool:
        return bool(conn.since > self._over and super()._can_reuse(conn))

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Run a statement; raises `StoreError`. All its rows are here when this returns."""
        return self._say(self._run, sql, params)

    def look_up(self, sql: str, params: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """The rows of a question that every request asks, about texts and whole numbers; raises `StoreError`."""
        found: list[tuple[Any, ...]] = self._say(self._ask, sql, params)
        return found

    def _say(self, how: Callable[[str, Any], Any], sql: str, params: Any) -> Any:
        with translating():
            if not self.is_closed():
                return how(sql, params)
            try:
                return self._by_itself(how, sql, params)
            except _Lost:
                self.close_idle()  # they may be lost too, and not know it yet
                return self._by_itself(how, sql, params)

    def _by_itself(self, how: Callable[[str, Any], Any], sql: str, params: Any) -> Any:
        with self.connection_context():
            try:
                return how(sql, params)
            except (peewee.PeeweeException, psycopg.Error) as e:
                # A question may be put again, on a new connection.
                if sql.startswith("SELECT") and isinstance(translated(e), Busy):
                    raise _Lost(str(e)) from e
                raise

    def _run(self, sql: str, params: Any) -> Any:
        return super().execute_sql(_own(sql), params)

    def _ask(self, sql: str, params: tuple[object, ...]) -> list[tuple[Any, ...]]:
        return prepared.rows(self.connection(), sql, params)

    def _is_closed(self, conn: Any) -> bool:
        """Whether an idle connection was ended, or is old; Peewee asks by a statement, a round trip each time.

        A server says nothing unasked, but when it ends the connection.
        """
        if not conn.closed:
            heard = select.poll()  # select(2) knows no descriptor above 1023
            heard.register(conn, select.POLLIN)
            if heard.poll(0) or clock.monotonic() - conn.since > _OLD:
                conn.close()
        return bool(conn.closed)


def limit_waits(seconds: float | None) -> None:
    """Have no statement of this process wait longer for its answer."""
    _Connection.seconds = seconds


class _Lost(peewee.OperationalError):
    """The connection broke under a query."""


database: Any = _Database(None, max_connections=POOL)
