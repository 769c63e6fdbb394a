"""One connection to PostgreSQL: how it is made, what it is told, and how long it waits.

See docs/decisions/0076-connections.md and 0077-silence.md.
"""

import select
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import TransactionStatus

from lazu import clock
from lazu.errors import Failed, Unfit
from lazu.store.postgresql import address, schema
from lazu.store.postgresql.errors import Standby, translated

#: Seconds after which a connection is replaced: what a server gathers for it goes with it.
_OLD = 600
#: A server that took more seconds to fail is not asked again for that long.
_PAUSE = 1
#: After these milliseconds the database frees what a box without power held. And a page is read in the order of an
#: index: in a table that is not counted yet PostgreSQL would gather all rows of the key by a bitmap, and sort them. A
#: backend whose client has given up ends, from PostgreSQL 14 on; not by `statement_timeout`, which behind a pooler
#: would end the long statements of a purge.
_LIMITS = """SELECT pg_is_in_recovery(), (SELECT set_config('client_connection_check_interval', '2000', FALSE)
        WHERE current_setting('server_version_num')::int >= 140000 AND version() ~ 'linux');
    SET idle_in_transaction_session_timeout = 30000; SET lock_timeout = 10000; SET enable_bitmapscan = off;
    SET default_transaction_isolation = 'read committed'"""


class Connection(psycopg.Connection[Any]):
    """A connection that ends when a statement was not answered within `seconds`, if there are any.

    PostgreSQL may be there and say nothing: its disk hangs, its machine is paused, its synchronous standby is away.
    """

    seconds: float | None = None
    #: What PostgreSQL has warned of last.
    warned = ""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        #: When it was made.
        self.since = clock.monotonic()
        #: The names of the questions that are prepared on it.
        self.prepared: set[bytes] = set()
        self.add_notice_handler(self._hear)
        self._heard = select.poll()  # select(2) knows no descriptor above 1023
        self._heard.register(self, select.POLLIN)

    def _hear(self, told: Any) -> None:
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

    def is_idle(self) -> bool:
        """Whether it is open and in no transaction."""
        return bool(self.pgconn.transaction_status == TransactionStatus.IDLE)

    def is_alive(self) -> bool:
        """Whether an idle one can be used: it is not old, and its server has not ended it.

        A server says nothing unasked, but when it ends the connection: what can be read tells, without a round trip.
        """
        return not self._heard.poll(0) and clock.monotonic() - self.since <= _OLD


class Silent(psycopg.OperationalError):
    """No server answered in time: who has a connection hears nothing either."""


class Connecting:
    """Makes connections to the database at `url`; the first one of a process brings its tables up to date.

    PostgreSQL may start after Lazu. When one thread has waited for it in vain, the next ones give up at once.
    """

    def __init__(self, url: str) -> None:
        self._url, self._options = url, address.options(url)
        #: Where each server is, the one that answered last first: a silent one takes seconds.
        self.servers = address.servers(url)
        self.ready = False
        self._in_vain = 0.0

    def connect(self, **more: str) -> Connection:
        """A new connection, libpq told `more`; raises `Unfit` when the database can't be what Lazu needs.

        Raises `Standby`, and psycopg's error, which is `Silent` when that took long.
        """
        began = clock.monotonic()
        if began < self._in_vain:
            raise Silent("the database did not answer just now")
        try:
            return self._primary(more)
        except psycopg.Error as e:
            if isinstance(told := translated(e), Failed):
                raise Unfit(str(told)) from e
            if clock.monotonic() - began > _PAUSE:
                self._in_vain = clock.monotonic() + _PAUSE
                raise Silent(str(e)) from e
            raise

    def _primary(self, more: dict[str, str]) -> Connection:
        """The server at the address; if it is a standby, the one that is none: a name may lead to both."""
        try:
            return self._ready(self._reach(more))
        except Standby:
            return self._ready(self._reach({**more, "target_session_attrs": "primary"}))

    def _reach(self, more: dict[str, str]) -> Connection:
        told = []
        for server in [*self.servers]:
            try:
                # Values are put into the text here: GROUP BY an expression with values is refused otherwise.
                how = {**self._options, **server, **more, "cursor_factory": psycopg.ClientCursor}
                connection = Connection.connect(self._url, autocommit=True, **how)
            except psycopg.OperationalError as e:
                told.append(str(e))
            else:
                self.servers.sort(key=lambda each: each is not server)
                return connection
        raise psycopg.OperationalError("; ".join(told))

    def _ready(self, connection: Connection) -> Connection:
        with ExitStack() as undo:
            undo.callback(connection.close)
            self._prepare(connection)
            undo.pop_all()
        return connection

    def _prepare(self, connection: Connection) -> None:
        standby, _ = connection.execute(_LIMITS).fetchone() or (True, None)
        if standby:  # it may not have yet what was acknowledged
            raise Standby("this server is a standby")
        if not self.ready:
            schema.migrate(connection)
            self.ready = True


def limit_waits(seconds: float | None) -> None:
    """Have no statement of this process wait longer for its answer."""
    Connection.seconds = seconds
