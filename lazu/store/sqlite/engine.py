"""The door to SQLite: the engine of a store on one box. How its database is opened, and the one way to write to it.

Nothing here or elsewhere may `open()` the database's files: closing such a descriptor drops SQLite's locks
(https://www.sqlite.org/howtocorrupt.html §2.2).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import peewee

from lazu import clock
from lazu.errors import CannotStart, Doubt, Failed, Full, StorageMoved, StoreError
from lazu.store import disk, tables
from lazu.store.ballast import Ballast
from lazu.store.sqlite import schema
from lazu.store.sqlite.connections import database, translating
from lazu.store.sqlite.group_commit import GroupCommit

Result = TypeVar("Result")

#: How long a write waits for those before it, in this process, in others, and in SQLite: for all of them together.
BUSY_SECONDS = 10


def sound(version: tuple[int, ...]) -> bool:
    """Whether an SQLite of this version keeps what it committed in WAL mode with several writers.

    3.7.0 to 3.51.2 can lose commits (the WAL-reset bug, fixed in 3.51.3 and taken back to 3.50.7 and 3.44.6).
    """
    return version >= (3, 51, 3) or version in ((3, 50, 7), (3, 44, 6))


def version() -> tuple[int, ...]:
    """Of the SQLite in use."""
    found: tuple[int, ...] = peewee.SqliteDatabase.server_version
    return found


class Sqlite:
    """The engine on the database at `path`; one a process is open.

    `ballast` is spent when a write that frees room finds none; `stop` is called with the reason when a commit is in
    doubt.
    """

    def __init__(self, path: Path, ballast: Ballast, stop: Callable[[str], None]) -> None:
        self._path = path
        self._name = str(path)
        self._ballast = ballast
        self._stop = stop
        self._identity = (0, 0)
        self._serves = False
        self._writer: Any = None
        self._commits = GroupCommit(self._transaction)

    def open(self) -> None:
        """Make the database or bring it up to date, and close it again; raises `StoreError`, OSError.

        Raises `CannotStart` when this SQLite has the WAL-reset bug or the database was made by a newer Lazu.
        """
        if not sound(version()):
            found = f"SQLite {'.'.join(map(str, version()))} can lose commits (the WAL-reset bug)"
            raise CannotStart(f"{found}; install pysqlite3, which brings a sound one, or SQLite 3.51.3 or newer")
        if not database.is_closed():
            database.close()
        database.init(self._name, timeout=BUSY_SECONDS, check_same_thread=False)
        tables.database.initialize(database)
        # Processes that start together on a new database meet in its change to WAL, where SQLite waits for nobody. If
        # there is a log it has been changed, and whoever has the lock may wait for another program.
        changed = self._path.with_name(f"{self._path.name}-wal").exists()
        with nullcontext() if changed else disk.lock(self._path.parent), translating(), database.connection_context():
            self._path.chmod(0o600)  # before the first row; SQLite gives -wal and -shm the mode of the database
            schema.migrate(database)
        self._identity = self._found()

    def require_same(self) -> None:
        """Raise `StorageMoved` unless the path still names the database that was opened, and that is the open one.

        A connection goes on in a file that was moved away, and what is committed there nobody finds again. The number
        of a file is not used twice while a connection has it open.
        """
        if self._found() != self._identity or database.database != self._name:
            raise StorageMoved

    def _found(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return (0, 0)
        return found.st_dev, found.st_ino

    def serve(self) -> None:
        """Write on one connection from now on: a process that serves forks no more."""
        self._serves = True

    def connect(self) -> None:
        """Have this thread's connection open; cheap when it is. Raises `StorageMoved`, `StoreError`.

        A request takes it at its beginning, and gives it back at its end: a thousand of them at once, which work on a
        few slots by turns, need a few.
        """
        if database.is_closed() and not database.take():
            self.require_same()  # SQLite would make a new database where the storage was moved away
            with translating():
                database.connect()

    def disconnect(self) -> None:
        """Leave this thread's connection to others."""
        database.give_back()

    @contextmanager
    def connected(self) -> Iterator[None]:
        """A connection for this thread, closed at the end."""
        with translating(), database.connection_context():
            yield

    def write(self, work: Callable[[], Result], frees: bool = False, until: float | None = None) -> Result:
        """Call `work` in a transaction and give its result; the commit is durable when this returns.

        The only way to write. `work` calls verbs of `rows`, perhaps in another thread and beside other threads' work.
        It may refuse by an `ApiError` before it has written anything; that is raised here. Raises `StoreError`, and
        then nothing of it is there (after `Doubt`: nobody knows). One that `frees` room goes on when the disk is full,
        with the ballast. Who waits for the lock until `until` (`BUSY_SECONDS` from now) gets `Busy`.
        """
        try:
            return self._committed(work, frees, until or clock.monotonic() + BUSY_SECONDS)
        except Doubt as e:
            self._stop(f"a commit is in doubt: {e}")
            raise

    def _committed(self, work: Callable[[], Result], frees: bool, until: float) -> Result:
        try:
            return self._commits.commit(work, until)
        except Full:
            if not frees:
                raise
            self._ballast.spend()
            return self._commits.commit(work, until)

    def refill(self) -> None:
        """Have the ballast again if there is room for it: call it after bytes left the disk. Raises OSError."""
        self._ballast.fill()

    def settle(self) -> None:
        """Commit a page, durably: it takes the place of any commit in doubt. Raises `StoreError`."""
        with translating(), database.atomic():
            self.commit_a_page()

    def commit_a_page(self) -> None:
        """Write, within the transaction that is open, a page that changes nothing. Do so before deleting bytes.

        A process that dies in its COMMIT may leave its frames whole in the write-ahead log. Nobody sees them, yet they
        come back when all processes are gone and the log is recovered, unless a later commit was written over them:
        without this, the row of the deleted bytes too (docs/durability.md).
        """
        database.execute_sql(f"PRAGMA user_version = {database.user_version}")  # perhaps of a newer Lazu

    def confirm(self, holds: Callable[[], bool]) -> None:
        """See `Engine`: nobody can read here what is not durable."""

    def ahead(self) -> float:
        """See `Engine`: both are one."""
        return 0

    def problems(self) -> Iterator[str]:
        """The faults that SQLite finds in its own file, a sentence each."""
        damage: list[str] = []
        try:
            with translating():
                damage.extend(text for (text,) in database.execute_sql("PRAGMA integrity_check") if text != "ok")
        except Failed as e:  # so damaged that even the check ends, perhaps after it has found something
            damage.append(str(e))
        yield from damage
        if damage:
            return
        for table, row, parent, _ in database.execute_sql("PRAGMA foreign_key_check"):
            yield f"row {row} of {table} belongs to no {parent}"

    def is_counted(self) -> bool:
        """Whether `holding` and `total` say what counting the rows anew says; reads an index of each."""
        return schema.is_counted(database)

    def recount(self) -> None:
        """Count the rows anew, durably. Raises `StoreError`."""
        self.write(lambda: schema.recount(database))

    @contextmanager
    def _transaction(self, until: float) -> Iterator[None]:
        """A transaction that is committed or certainly not; begun before `until`. It must not hold another one.

        The processes queue for it at a lock: SQLite would let each sleep up to 100 ms, and then whoever looks first go
        on. After an I/O error at COMMIT its pages may be in the log all the same, and a crash would bring them back.
        A small write takes their place there; `Doubt` is raised when that fails too.
        """
        try:
            with self._locked(until), translating(), self._on_writer(), _patient(until), database.atomic():
                yield
        except Failed as e:
            if "I/O" in str(e):
                self._settle_after(e)
            raise

    @contextmanager
    def _locked(self, until: float) -> Iterator[None]:
        self.require_same()  # before the lock too: there may be no directory to lock
        with disk.lock(self._path.parent, seconds=until - clock.monotonic()):
            self.require_same()
            yield

    @contextmanager
    def _on_writer(self) -> Iterator[None]:
        """Have this thread, in a process that serves, use the connection that all threads write on.

        SQLite syncs the directory too at the first commit of each connection.
        """
        if not self._serves:
            yield
            return
        self._writer = self._writer or database.another()
        try:
            with database.lent(self._writer):
                yield
        finally:
            if self._writer.in_transaction:  # whatever kept it from its end, the next one begins anew
                self._writer.close()
                self._writer = None

    def _settle_after(self, error: Failed) -> None:
        try:
            self.settle()
        except StoreError as e:
            raise Doubt(str(e)) from error


@contextmanager
def _patient(until: float) -> Iterator[None]:
    """Have SQLite wait for its lock until then; a second more or less is not worth two statements."""
    left = until - clock.monotonic()
    if left > BUSY_SECONDS - 1:
        yield
        return
    database.execute_sql(f"PRAGMA busy_timeout = {max(0, round(left * 1000))}")
    try:
        yield
    finally:
        database.execute_sql(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
