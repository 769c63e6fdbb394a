"""The door to PostgreSQL: the engine of a store on several boxes, and the one way to write.

A transaction takes a connection from the pool of this process and gives it back; a query outside of one does so too. So
an upload holds none while its bytes travel, and 16 threads share ten. Each is READ COMMITTED, whatever the database has
for a default: who waits for a row must then see what the others did (docs/decisions/0074-cluster.md).
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lazu import clock, metrics, slots
from lazu.config import is_host
from lazu.errors import Busy, CannotStart, Unanswered
from lazu.store import tables
from lazu.store.cluster_schema import Newer
from lazu.store.connections import POOL, POOL_SECONDS, database, limit_waits
from lazu.store.postgresql_errors import translating

Result = TypeVar("Result")

#: Seconds for which a transaction that was not committed is retried.
RETRY_SECONDS = 10
#: Who may have a transaction. It may wait, for a key that somebody holds or for a standby, so two connections are left
#: for questions; and of one key are three, or six while no other writes.
_PLACES = slots.Slots(POOL - 2, 3, 6)
#: Seconds between its first two tries; each pause is twice the one before, up to a second.
_PAUSE = 0.05
#: A server that is away, or whose network is, is given up after that many seconds, or milliseconds.
_CONNECTING: dict[str, Any] = {
    "connect_timeout": 5, "tcp_user_timeout": 15_000, "keepalives_idle": 30, "application_name": "lazu",
    "client_encoding": "UTF8",
}  # fmt: skip
#: Seconds that a request waits for the answer to a statement. A purge or a backup of millions of rows may take longer.
SILENCE_SECONDS = 20
#: The same while a process opens the store: gunicorn ends a worker that starts for 30 s.
OPENING_SECONDS = 10
#: No address, and a word that is in no message of libpq but the one about it.
_NOWHERE = "lazu-asks-nobody"
#: Any number, the same for every Lazu: who purges holds it.
_PURGE = 0x4C617A76
_BACKEND = "SELECT pg_backend_pid()"

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
        _require_url(self._url)
        database.init(
            self._url,
            servers=_servers(self._url),
            prefer_psycopg3=True,
            **_connecting(self._url),
            isolation_level="READ COMMITTED",  # in each BEGIN: behind a pooler what a connection sets does not last
            # Values are put into the text here: GROUP BY an expression with values is refused otherwise.
            cursor_factory=psycopg.ClientCursor,
        )
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
        if database.ready:
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
        options = {**_connecting(self._url), "application_name": "lazu purge"}
        with translating(), psycopg.connect(self._url, **options) as connection:
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            asked = f"SELECT pg_try_advisory_xact_lock({_PURGE}), pg_is_in_recovery()"
            alone, standby = connection.execute(asked).fetchone() or (False, False)
            if standby:
                raise psycopg.OperationalError("this server is a standby")
            try:
                yield lambda: alone and _answers(connection)
            finally:
                with suppress(psycopg.Error):  # a closed connection lets go too, but not at once
                    connection.rollback()

    def ahead(self) -> float:
        """See `Engine`; raises `StoreError`."""
        return ahead()


@contextmanager
def _brief_waits() -> Iterator[None]:
    limit_waits(OPENING_SECONDS)
    try:
        yield
    finally:
        limit_waits(None)


def ahead() -> float:
    """Seconds by which this box's clock is surely ahead of the server's, below 0 if behind: an answer may take long."""
    asked = clock.milliseconds() / 1000
    [[now]] = database.execute_sql("SELECT extract(epoch FROM clock_timestamp())::float").fetchall()
    answered = clock.milliseconds() / 1000
    return sorted((asked - float(now), 0, answered - float(now)))[1]


def exchanges(url: str) -> bool:
    """Whether a pooler gives each transaction another backend, so that what is set for a connection does not last."""
    with translating(), _asking(url) as one, _asking(url) as other:
        before = one.execute(_BACKEND).fetchone()
        with other.transaction():  # it is likely to be given the backend that was just let go
            other.execute(_BACKEND)
            return one.execute(_BACKEND).fetchone() != before


def has_limits(url: str) -> bool:
    """Whether every connection has time limits from its beginning, by the role or the database."""
    names = "'idle_in_transaction_session_timeout', 'lock_timeout'"
    text = f"SELECT count(*) FROM pg_settings WHERE name IN ({names}) AND reset_val <> '0'"  # noqa: S608 - our own text
    with translating(), _asking(url) as connection:
        return connection.execute(text).fetchone() == (2,)


def _answers(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _asking(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=True, **_connecting(url))


def _connecting(url: str) -> dict[str, Any]:
    """How to connect: of several hosts to the one that is no standby, or that takes writes if the URL says so.

    With one host libpq is not told to ask: pgbouncer would go on calling a server a standby after its promotion.
    `connections` asks the server itself.
    """
    asked = _asked(url)
    given, several = asked["target_session_attrs"], "," in f"{asked['host']}{asked['hostaddr']}"
    return {**_CONNECTING, "target_session_attrs": given if given == "read-write" else "primary" if several else "any"}


def _servers(url: str) -> list[dict[str, str]]:
    """Where each of several servers is; one without a word leaves that to libpq, as what it refuses."""
    asked = _asked(url)
    lists = {name: asked[name].split(",") for name in ("host", "hostaddr", "port")}
    several = {len(each) for each in lists.values()} - {1}
    if len(several) != 1:
        return [{}]
    return [{name: each[n % len(each)] for name, each in lists.items()} for n in range(several.pop())]


def _asked(url: str) -> dict[str, str]:
    """What a URL says; and the environment, too: PGHOST may have several; a password there may be no UTF-8."""
    usual = {each.keyword.decode(): each.val or b"" for each in psycopg.pq.Conninfo.get_defaults()}
    said = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    return {name: value.decode(errors="replace") for name, value in usual.items()} | said


def _require_url(url: str) -> None:
    try:
        conninfo_to_dict(url)
    except (psycopg.ProgrammingError, ValueError) as e:  # they quote the URL, and its password
        unknown = re.match('invalid URI query parameter: "([a-z_]*)', str(e))
        if not unknown:
            raise CannotStart("LAZU_DATABASE_URL must be a URL: postgresql://USER:PASSWORD@HOST/NAME") from None
        # What stands behind a & of a password looks like one.
        name = "" if re.search(r"[?&]\w*(pass|secret)", url) else f": {unknown[1]}"
        raise CannotStart(f"LAZU_DATABASE_URL has a parameter that libpq does not know{name}") from None
    if what := _refused(url):
        raise CannotStart(f"LAZU_DATABASE_URL, or a variable of libpq, has a value for {what} that libpq does not take")


def _refused(url: str) -> str | None:
    """The parameter whose value libpq, or psycopg, refuses before it connects; its message quotes the value.

    It looks at all values first, and then at an address that is none here, so nothing is asked of a network.
    """
    asked = _asked(url)
    if any(host and host[0] != "/" and not is_host(host) for host in asked["host"].split(",")):  # a path is one
        return "host"
    addresses = ",".join(_NOWHERE for _ in (asked["hostaddr"] or asked["host"]).split(","))
    elsewhere = make_conninfo(url, host="", hostaddr=addresses, port=asked["port"])  # nor what a service file has
    tried = psycopg.pq.PGconn.connect_start(elsewhere.encode())
    told = tried.error_message.decode(errors="replace")
    tried.finish()
    named = re.search(rf"\b({'|'.join(asked)})\b", told)
    return named[1] if named and _NOWHERE not in told else None


def _repeated(work: Callable[[], Result]) -> Result:
    until, pause = clock.monotonic() + RETRY_SECONDS, _PAUSE
    while True:
        try:
            return _once(work)
        except Busy as e:
            if clock.monotonic() > until:
                raise
            if str(e).startswith("25006"):  # a standby: behind this address there may be another server now
                database.close_idle()
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
        # An answer has a code; 57P01 is said by a backend that was terminated, perhaps just after its commit.
        if said and not str(e).startswith("40"):
            raise Unanswered(str(e)) from e
        raise
    return result
