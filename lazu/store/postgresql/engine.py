"""The door to PostgreSQL: the engine of a store on several boxes, and the one way to write.

A transaction takes a connection from the pool of this process and gives it back; a query outside of one does so too. So
an upload holds none while its bytes travel, and 16 threads share ten. Each is READ COMMITTED, whatever the database has
for a default: who waits for a row must then see what the others did (docs/decisions/0074-cluster.md).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg

from lazu import clock, metrics, slots
from lazu.errors import Busy, CannotStart, Unanswered
from lazu.store import tables
from lazu.store.postgresql import address, facts
from lazu.store.postgresql.connections import Connecting, limit_waits
from lazu.store.postgresql.database import POOL, POOL_SECONDS, database
from lazu.store.postgresql.errors import Lost, RolledBack, Standby, translating
from lazu.store.postgresql.schema import Newer

Result = TypeVar("Result")

#: Seconds for which a transaction that was not committed is retried.
RETRY_SECONDS = 10
#: Who may have a transaction. It may wait, for a key that somebody holds or for a standby, so two connections are left
#: for questions; and of one key are three, or six while no other writes.
_PLACES = slots.Slots(POOL - 2, 3, 6)
#: Seconds between its first two tries; each pause is twice the one before, up to a second.
_PAUSE = 0.05
#: Seconds that a request waits for the answer to a statement. A purge or a backup of millions of rows may take longer.
SILENCE_SECONDS = 20
#: The same while a process opens the store: gunicorn ends a worker that starts for 30 s.
OPENING_SECONDS = 10
#: Any number, the same for every Lazu: who purges holds it.
_PURGE = 0x4C617A76

log = logging.getLogger(__name__)


class Postgresql:
    """The engine on the database at `url`, a URL of libpq; one a process is open.

    Passwords come by the URL or as for every client of PostgreSQL: PGPASSWORD, PGPASSFILE, `~/.pgpass`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._serves = False

    def open(self) -> None:
        """Make the tables or bring them up to date, and close the connection again, so that none crosses a fork.

        A PostgreSQL that can't be reached is waited for by nobody here: each query asks for it again, and raises
        `Busy` meanwhile. Raises `CannotStart` when the URL is none, or a newer Lazu made the tables.
        """
        address.require(self._url)
        database.be(Connecting(self._url))
        tables.database.initialize(database)
        try:
            with _brief_waits(), translating(), database.connection_context():
                pass
        except Busy as e:
            log.warning("PostgreSQL can't be used yet: %s", e)
        except Newer as e:
            raise CannotStart("the database was made by a newer Lazu; update Lazu, or restore a backup") from e
        database.close_idle()

    def begin_with(self, work: Callable[[], None]) -> None:
        """Call `work`, which the first request does too, unless PostgreSQL is away; raises other `StoreError`.

        One whose synchronous standby is away answers no commit: that is `Unanswered`.
        """
        if database.connecting.ready:
            with _brief_waits(), self.connected(), suppress(Busy, Unanswered):
                work()

    def serve(self) -> None:
        """See `Engine`: who waits for longer gets `Busy`, or `Unanswered` at COMMIT."""
        self._serves = True
        limit_waits(SILENCE_SECONDS)

    def connect(self) -> None:
        """Nothing: each transaction takes a connection of its own."""

    def disconnect(self) -> None:
        """Nothing, as `connect`."""

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Nothing, as `connect`; but the pool is empty at the end, so that none of it crosses a fork.

        Who serves forks no more, and needs the connections.
        """
        try:
            yield
        finally:
            if not self._serves:
                database.close_idle()

    def write(self, work: Callable[[], Result], frees: bool = False) -> Result:  # noqa: ARG002 - frees: SQLite's
        """Call `work` in a transaction and give its result; the commit is durable when this returns.

        The only way to write. A transaction that was not committed (a deadlock, a lost connection) is retried for
        some seconds, so `work` may be called several times. It may refuse by an `ApiError`. Raises `Busy` and other
        `StoreError`, and then nothing of it is there; `Unanswered` when the answer to COMMIT was lost: nobody knows.
        """
        with slots.waiting():  # whoever holds a row must not wait for a slot
            return _repeated(work)

    def surely(self, work: Callable[[], Result]) -> Result:
        """As `write`, but the commit waits also if nothing was written (docs/decisions/0078-standbys.md)."""
        return self.write(lambda: (database.write_a_message(), work())[1])

    def confirm(self, holds: Callable[[], bool]) -> None:
        """See `Engine`."""
        if not self.surely(holds):  # it was read on a server that has failed, and this one never had it
            raise Unanswered("what was done before is undone by a failover")

    @contextmanager
    def alone(self) -> Iterator[Callable[[], bool]]:
        """See `Contents`: a lock of the whole store, for the `with`.

        It is on a connection of its own, and goes with it, unnoticed until that is asked: for politeness, not for
        safety. It is that of a transaction: behind a pooler a session's would stay with a backend, and refuse every
        later purge.
        """
        with translating(), database.connecting.connect(application_name="lazu purge") as connection:
            connection.autocommit = False
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            asked = f"SELECT pg_try_advisory_xact_lock({_PURGE}), pg_is_in_recovery()"
            alone, standby = connection.execute(asked).fetchone() or (False, False)
            if standby:
                raise Standby("this server is a standby")
            try:
                yield lambda: alone and _answers(connection)
            finally:
                with suppress(psycopg.Error):  # a closed connection lets go too, but not at once
                    connection.rollback()

    def ahead(self) -> float:
        """See `Engine`; raises `StoreError`."""
        return facts.ahead()


@contextmanager
def _brief_waits() -> Iterator[None]:
    limit_waits(OPENING_SECONDS)
    try:
        yield
    finally:
        limit_waits(None)


def _answers(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _repeated(work: Callable[[], Result]) -> Result:
    until, pause = clock.monotonic() + RETRY_SECONDS, _PAUSE
    while True:
        try:
            return _once(work)
        except Busy:
            if clock.monotonic() > until:
                raise
        metrics.transaction_repeated()
        clock.sleep(pause)
        pause = min(1, 2 * pause)


def _once(work: Callable[[], Result]) -> Result:
    """Do `work` in a transaction; raises `Unanswered` if COMMIT was sent and not answered."""
    said = False
    try:
        with _PLACES.one(POOL_SECONDS), translating(), database.connection_context(), database.atomic():
            result = work()
            said = True
    except Busy as e:
        if isinstance(e, Standby | Lost):  # the other connections lead there too
            database.close_idle()
        # What else is said at COMMIT may come after it, as 57P01 by a backend that was terminated.
        if said and not isinstance(e, RolledBack):
            raise Unanswered(str(e)) from e
        raise
    return result
