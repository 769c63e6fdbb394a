"""What can go wrong with PostgreSQL: its errors, psycopg's and Peewee's as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import peewee
import psycopg

from lazu.errors import Busy, Failed, Full, StoreError, Unfit


class Absent(Failed):
    """A row refers to one that is not there (a foreign key)."""


class Present(Failed):
    """There is a row with this key already."""


class DatabaseFull(Full):
    """The disk of PostgreSQL has no room."""

    place = "The database"


class Standby(Busy):
    """A server that takes no writes; behind its address there may be another one now."""


class Lost(Busy):
    """The connection broke, or could not be made."""


class RolledBack(Busy):
    """PostgreSQL says that it has undone the transaction, at its COMMIT perhaps."""


class Forbidden(Unfit):
    """The role lacks a right."""


#: What PostgreSQL's codes mean (its manual, appendix A): the first that a code begins with.
_CODES: tuple[tuple[str, type[StoreError]], ...] = (
    ("23503", Absent),
    ("23505", Present),
    ("53100", DatabaseFull),
    ("53", Busy),  # too many connections, out of memory
    ("57", Busy),  # shutting down, starting up, a backend terminated
    ("40", RolledBack),  # deadlock, serialization
    ("55P03", Busy),  # lock_timeout
    ("25P03", Busy),  # idle_in_transaction_session_timeout
    ("25006", Standby),
    ("08", Busy),  # the connection
    ("42P01", Unfit),  # no such table: dropped, or the database made anew
    ("3F000", Unfit),  # no such schema
    ("3D000", Unfit),  # no such database
    ("42501", Forbidden),
)
#: Another transaction holds what this one needs; it may be retried.
IN_THE_WAY = (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable)
_OF_CONNECTIONS = (peewee.OperationalError, peewee.InterfaceError, psycopg.OperationalError)


def translated(error: Exception) -> StoreError:
    """PostgreSQL's and Peewee's errors as ours; without a code it is the connection that failed."""
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "sqlstate", None)
    # Not its detail, which quotes values.
    text = f"{code} {origin.diag.message_primary}" if isinstance(origin, psycopg.Error) and code else str(origin)
    if code is None and (isinstance(error, _OF_CONNECTIONS) or type(origin) is psycopg.DatabaseError):
        return Lost(text)
    return next((kind(text) for start, kind in _CODES if (code or "").startswith(start)), Failed(text))


@contextmanager
def translating() -> Iterator[None]:
    """Errors of Peewee and psycopg as ours."""
    try:
        yield
    except (peewee.PeeweeException, psycopg.Error) as e:
        raise translated(e) from e
