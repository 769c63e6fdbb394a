"""Connections that the threads of a process take and give back: ten serve more threads than that."""

import threading
from collections.abc import Callable

import psycopg

from lazu import clock
from lazu.errors import Busy
from lazu.store.postgresql.connections import Connection, Silent


class Lending:
    """Lends connections that `make` makes, `most` at once; one is closed only when no thread has it.

    One thread at a time makes one, since that may take seconds; the others take those that come back meanwhile.
    """

    def __init__(self, make: Callable[[], Connection], most: int) -> None:
        self._make, self._most = make, most
        self._idle: list[Connection] = []
        self._lent = 0
        self._changed = threading.Condition()
        #: Held by who makes one.
        self.making = threading.Lock()
        #: Those made before are not lent again.
        self._over = 0.0

    def take(self, seconds: float) -> Connection:
        """A connection for this thread; raises `Busy` when none is to be had in time, and what `make` raises."""
        until, may_make = clock.monotonic() + seconds, True
        while True:
            with self._changed:
                if taken := self._rested():
                    self._lent += 1
                    return taken
                if clock.monotonic() > until:
                    raise Busy("no connection was to be had in time")
                makes = may_make and self._lent < self._most and self.making.acquire(blocking=False)
                if not makes:
                    self._changed.wait(1)
            may_make = not makes or self._add()

    def give_back(self, connection: Connection) -> None:
        """Leave it to others."""
        with self._changed:
            self._lent -= 1
            if connection.since > self._over and connection.is_idle():
                self._idle.append(connection)
            else:
                connection.close()
            self._changed.notify()

    def close_idle(self) -> None:
        """Close those that nobody has."""
        with self._changed:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close_all(self) -> None:
        """Close those that nobody has now, and the others when they come back.

        Psycopg keeps libpq's pointer while it waits for an answer, and would go on in the memory of a closed one.
        """
        with self._changed:
            self._over = clock.monotonic()
        self.close_idle()

    def _rested(self) -> Connection | None:
        """The one that came back last and can be used."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_alive():
                return connection
            connection.close()
        return None

    def _add(self) -> bool:
        """Make one that nobody has yet; False if that was refused while others have some, which they will give back.

        Raises when it was refused else; and when no server answered, for who has one waits in vain too.
        """
        try:
            made = self._make()
        except (psycopg.OperationalError, Busy) as e:
            if not self._idle and (isinstance(e, Silent) or not self._lent):
                raise
            return False
        else:
            with self._changed:
                self._idle.append(made)
            return True
        finally:
            self.making.release()
            with self._changed:
                self._changed.notify_all()
