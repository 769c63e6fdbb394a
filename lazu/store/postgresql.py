"""The door to PostgreSQL: the engine of a store on several boxes. Its tables, its connections, the one way to write.

A transaction takes a connection from the pool of this process and gives it back; a query outside of one does so too. So
an upload holds none while its bytes travel, and 16 threads share 8. READ COMMITTED, PostgreSQL's default, is needed:
who waits for a row must then see what the others did (docs/decisions/0074-cluster.md).
"""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVar

import peewee
import psycopg
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

from lazu import clock, metrics
from lazu.errors import Busy, CannotStart, Doubt, Failed, Full, StoreError
from lazu.store import tables
from lazu.store.cluster_schema import STEPS

Result = TypeVar("Result")

#: Connections of a process, and seconds that a thread waits for one.
POOL, POOL_SECONDS = 8, 10
#: Seconds for which a transaction is said again that was not committed.
PATIENCE = 10
#: Seconds between its first two tries; each pause is twice the one before, up to a second.
_PAUSE = 0.05
#: What a box that lost its power held is free after that, in milliseconds.
_LIMITS = "SET idle_in_transaction_session_timeout = 30000; SET lock_timeout = 10000"
#: Any number, the same for every Lazu: who brings the tables up to date holds it.
_MIGRATION, _PURGE = 0x4C617A75, 0x4C617A76

log = logging.getLogger(__name__)


class Absent(Failed):
    """A row refers to one that is not there (a foreign key)."""


class Newer(Failed):
    """The tables were made by a newer Lazu."""


class Present(Failed):
    """There is a row with this key already."""


#: What PostgreSQL's codes mean (its manual, appendix A): the first that a code begins with. Nobody else reads them.
_CODES: tuple[tuple[str, type[StoreError]], ...] = (
    ("23503", Absent),
    ("23505", Present),
    ("53100", Full),
    ("53", Busy),  # too many connections, out of memory
    ("57", Busy),  # shutting down, starting up, a backend terminated
    ("40", Busy),  # deadlock, serialization
    ("55P03", Busy),  # lock_timeout
    ("25P03", Busy),  # idle_in_transaction_session_timeout
    ("08", Busy),  # the connection
)


def _translated(error: Exception) -> StoreError:
    """PostgreSQL's and Peewee's errors as ours; without a code it is the connection that failed."""
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "sqlstate", None)
    # Not its detail, which quotes values.
    text = f"{code} {origin.diag.message_primary}" if isinstance(origin, psycopg.Error) and code else str(origin)
    if code is None and isinstance(error, peewee.OperationalError | peewee.InterfaceError | MaxConnectionsExceeded):
        return Busy(text)
    return next((kind(text) for start, kind in _CODES if (code or "").startswith(start)), Failed(text))


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except (peewee.PeeweeException, psycopg.Error, MaxConnectionsExceeded) as e:
        raise _translated(e) from e


@lru_cache(256)
def _own(sql: str) -> str:
    """A text of SQL that was written for both engines, with `?` and `:name` for its values, as psycopg wants it."""
    return re.sub(r"\?|(?<![:\w]):(\w+)", lambda match: f"%({match[1]})s" if match[1] else "%s", sql)


class _Database(PooledPostgresqlDatabase):
    """Peewee's, with PostgreSQL's errors as ours, and a connection for a query outside of a transaction.

    The first connection brings the tables up to date: PostgreSQL may come after Lazu.
    """

    ready = False

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Run a statement; raises `StoreError`. All its rows are here when this returns."""
        with _translating():
            if not self.is_closed():
                return super().execute_sql(_own(sql), params)
            with self.connection_context():
                return super().execute_sql(_own(sql), params)

    def _initialize_connection(self, conn: Any) -> None:
        super()._initialize_connection(conn)
        conn.execute(_LIMITS)
        if not self.ready:
            _migrate(conn)
            self.ready = True


database: Any = _Database(None, max_connections=POOL, stale_timeout=600, timeout=POOL_SECONDS)


class Postgresql:
    """The engine on the database at `url`, a URL of libpq; one a process is open.

    Passwords come by the URL or as for every client of PostgreSQL: PGPASSWORD, PGPASSFILE, `~/.pgpass`.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def open(self) -> None:
        """Make the tables or bring them up to date, and close the connection again, so that none crosses a fork.

        A PostgreSQL that can't be reached is waited for by nobody here: each query asks for it again, and raises
        `Busy` meanwhile. Raises `CannotStart` when a newer Lazu made the tables.
        """
        if not database.deferred:
            database.close_all()
        database.ready = False
        database.init(
            self._url,
            prefer_psycopg3=True,
            connect_timeout=5,
            tcp_user_timeout=15_000,
            keepalives_idle=30,
            application_name="lazu",
            # Values are put into the text here: GROUP BY an expression with values is refused otherwise.
            cursor_factory=psycopg.ClientCursor,
        )
        tables.database.initialize(database)
        try:
            with _translating(), database.connection_context():
                pass
        except Busy as e:
            log.warning("PostgreSQL can't be reached yet: %s", e)
        except Newer as e:
            raise CannotStart("the database was made by a newer Lazu; update Lazu, or restore a backup") from e
        database.close_idle()

    def connect(self) -> None:
        """Nothing: each transaction takes a connection of its own."""

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Nothing, as `connect`; but the pool is empty at the end, so that none of it crosses a fork."""
        try:
            yield
        finally:
            database.close_idle()

    def write(self, work: Callable[[], Result], frees: bool = False) -> Result:  # noqa: ARG002 - frees: SQLite's
        """Call `work` in a transaction and give its result; the commit is durable when this returns.

        The only way to write. A transaction that was not committed (a deadlock, a lost connection) is said again for
        some seconds, so `work` may be called several times. It may refuse by an `ApiError`. Raises `Busy` and other
        `StoreError`, and then nothing of it is there; `Doubt` when the answer to COMMIT was lost: nobody knows.
        """
        until, pause = clock.monotonic() + PATIENCE, _PAUSE
        while True:
            try:
                return _once(work)
            except Busy:
                if clock.monotonic() > until:
                    raise
            metrics.transaction_repeated()
            time.sleep(pause)
            pause = min(1, 2 * pause)

    @contextmanager
    def alone(self, wait: bool = False) -> Iterator[bool]:
        """Whether nobody else holds this lock of the whole store until the end of the `with`; may wait for it.

        It is on a connection of its own, and goes with it, perhaps unnoticed: for politeness, not for safety.
        """
        verb = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
        with _translating(), psycopg.connect(self._url, autocommit=True, application_name="lazu purge") as connection:
            found = connection.execute(f"SELECT {verb}({_PURGE})").fetchone()
            try:
                yield found is not None and found[0] is not False
            finally:
                with suppress(psycopg.Error):  # a closed connection lets go too, but not at once
                    connection.execute(f"SELECT pg_advisory_unlock({_PURGE})")

    def problems(self) -> Iterator[str]:
        """Give no faults of the engine's own files: it tells of them itself, in its log."""
        return iter(())


def facts() -> dict[str, str]:
    """Facts of the server: its version, its settings for flushing, and its time in seconds since 1970."""
    names = "'server_version', 'fsync', 'full_page_writes', 'synchronous_commit'"
    text = f"""SELECT name, setting FROM pg_settings WHERE name IN ({names})
        UNION ALL SELECT 'now', extract(epoch FROM clock_timestamp())::text"""  # noqa: S608 - our own text
    return dict(database.execute_sql(text).fetchall())


def _once(work: Callable[[], Result]) -> Result:
    """Do `work` in a transaction; raises `Doubt` if COMMIT was sent and not answered."""
    said = False
    try:
        with _translating(), database.connection_context(), database.atomic():
            result = work()
            said = True
    except Busy as e:
        # An answer has a code; 57P01 is said by a backend that was terminated, perhaps just after its commit.
        if said and not str(e).startswith("40"):
            raise Doubt(str(e)) from e
        raise
    return result


def _migrate(connection: Any) -> None:
    """Take the steps that are missing, one box after the other; raises `Newer`."""
    with connection.transaction():
        connection.execute(f"SELECT pg_advisory_xact_lock({_MIGRATION})")
        connection.execute("CREATE TABLE IF NOT EXISTS schema (version BIGINT NOT NULL)")
        [taken] = connection.execute("SELECT coalesce(max(version), 0) FROM schema").fetchone()
        if taken > len(STEPS):
            raise Newer(f"its tables are of version {taken}, this Lazu knows {len(STEPS)}")
        for number, step in enumerate(STEPS[taken:], taken + 1):
            connection.execute(step)
            connection.execute("INSERT INTO schema VALUES (%s)", (number,))
