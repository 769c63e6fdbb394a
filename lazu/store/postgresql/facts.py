"""What PostgreSQL says of itself: its version and settings, whether it takes writes, its clock, a pooler before it."""

from typing import Any

import psycopg

from lazu import clock
from lazu.store.postgresql import address
from lazu.store.postgresql.database import database
from lazu.store.postgresql.errors import translating

_BACKEND = "SELECT pg_backend_pid()"


def settings() -> dict[str, str]:
    """Its version, and its settings for flushing, as text; raises `StoreError`."""
    names = "'server_version', 'fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names'"
    text = f"SELECT name, setting FROM pg_settings WHERE name IN ({names})"  # noqa: S608 - our own text
    return dict(database.execute_sql(text).fetchall())


def takes_writes() -> bool:
    """Whether it does; raises `StoreError`."""
    return bool(database.execute_sql("SELECT 1 WHERE current_setting('transaction_read_only') = 'off'").fetchall())


def ahead() -> float:
    """Seconds by which this box's clock is surely ahead of its clock, below 0 if behind: an answer may take long."""
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


def _asking(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=True, **address.options(url))
