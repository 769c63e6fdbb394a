"""Where rows and bytes meet: the contract of the only seam of the store.

A row never points at nothing; what nothing refers to goes away. How that is kept differs with the engine: by the locks
of shards on a disk (`shards`), by a foreign key in PostgreSQL (`intents`). Every implementation passes
`tests/test_contents.py`. What stands above knows no path, no descriptor and no lock; a content is known by its SHA-256
in hex.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from lazu.metrics import Figure
from lazu.store.rows import Gone
from lazu.store.staged import Staged

Tick = Callable[[], object]
Result = TypeVar("Result")


def no_tick() -> None:
    """Nobody watches the progress."""


#: What a copy did, by word: blobs that were `present` already, `linked`, `cloned` or `copied`, those `gone` because
#: they were deleted meanwhile, those `damaged`; and `bytes` of those that are new.
Copied = Counter[str]
#: A content to copy: its hash, its size.
Wanted = tuple[str, int]


@dataclass
class Removed:
    """Counts of a purge: files (rows), blobs, and bytes of blobs, removed or to be removed; `left` could not be."""

    files: int = 0
    blobs: int = 0
    bytes: int = 0
    left: int = 0

    def add_blob(self, size: int) -> None:
        """Count a blob of `size` bytes; none was there if that is 0, because no stored file is empty."""
        self.blobs += size > 0
        self.bytes += size


@dataclass(frozen=True)
class Found:
    """A blob as it was found: `actual` is the hash of its bytes, if they were read.

    `fault` is the errno why it could not be opened or read, so that nobody knows whether its bytes are lost.
    """

    size: int
    identity: tuple[int, int]
    actual: str | None = None
    fault: int = 0


@dataclass(frozen=True)
class Problem:
    """One disagreement: its `kind`, and the file id, hash, path or table it is about.

    `missing`: a row whose blob is not there; `damaged`: a blob of another size, or with `rehash` of other bytes, than
    its row says, or one that can't be read; `stray`: a blob that no row refers to; `misnamed`: a stray one whose bytes
    are not those of its name, so that an upload would meet it (found with `rehash`); `leftover`: anything else beside
    the blobs; `database`: what the engine says of its own files, and then nothing else is looked at; `total`: totals
    that are not those of the rows. `name` is that of the object, in a bucket.
    """

    kind: str
    about: str
    detail: str = field(default="", compare=False)
    sha256: str = field(default="", compare=False, repr=False)
    found: Found | None = field(default=None, compare=False, repr=False)
    name: str = field(default="", compare=False, repr=False)

    @property
    def of_row(self) -> bool:
        """Whether it is a row that lacks its bytes, not bytes that lack a row."""
        return self.kind in ("missing", "damaged")


class Engine(Protocol):
    """What keeps the rows. `lazu.store.rows` says what is in them; all its verbs work on the one that is open."""

    def open(self) -> None:
        """Make the tables or bring them up to date; raises `StoreError`, OSError, `CannotStart`."""

    def serve(self) -> None:
        """Note that this process answers requests: none of them may wait for an engine that says nothing."""

    def connect(self) -> None:
        """Have this thread's connection open, if this engine has one for each; raises `StorageMoved`, `StoreError`."""

    def disconnect(self) -> None:
        """Leave this thread's connection to others, after a request."""

    def connected(self) -> AbstractContextManager[None]:
        """A connection for this thread, closed at the end."""

    def write(self, work: Callable[[], Result], frees: bool = False) -> Result:
        """Call `work` in a transaction and give its result; the commit is durable when this returns.

        The only way to write. `work` calls verbs of `rows`, perhaps in another thread, perhaps several times until it
        is committed. It may refuse by an `ApiError` before it has written anything; that is raised here. Raises
        `StoreError`, and then nothing of it is there (after `Doubt`: nobody knows). One that `frees` room goes on when
        the disk is full.
        """

    def confirm(self, holds: Callable[[], bool]) -> None:
        """Return when what was read, and `holds` asks again if need be, is as durable as what `write` commits.

        For whoever tells a client that what it wants was done before. Raises `StoreError`; `Doubt` if it is undone.
        """

    def ahead(self) -> float:
        """Seconds by which this box's clock is ahead of the engine's own, if that has one."""


class Contents(Protocol):
    """The bytes of all files and parts, and the rows that refer to them.

    Every verb may raise `StoreError` or OSError; then nothing is lost, and at worst bytes without a row are left, which
    `sweep` removes.
    """

    @property
    def failed(self) -> bool:
        """Whether a disk error has stopped the store: nothing comes in and no bytes go until `recover`."""

    def require(self, size: int, beside: int = 0) -> None:
        """Raise `InsufficientStorage` if `size` more bytes would cross the free-space floor.

        So do those that will be there `beside` them, unless all only pass by this disk. Raises `StorageFailed` if the
        store has stopped after a disk error.
        """

    def check(self) -> None:
        """Raise what an upload would meet now: as `require` does, `StoreError`, OSError."""

    def free(self) -> int:
        """Bytes that may still be stored."""

    def stage(self, max_bytes: int, expected: int = 0) -> Staged:
        """A place for at most `max_bytes`, probably `expected`; the caller closes it, and no lock is held meanwhile.

        Raises `InsufficientStorage` when there is no room for what is expected.
        """

    def add(self, staged: Staged, identity: str, insert: Callable[[], None]) -> None:
        """Keep staged bytes and commit the row that `insert` makes: both are durable when this returns, or neither is.

        `insert` calls verbs of `rows` within the transaction, and may refuse by an `ApiError` before it wrote; the id
        of its row is `identity`.
        """

    def drop(self, delete: Callable[[], list[Gone]], event: str | None, later: bool = False) -> list[Gone]:
        """Delete rows, durably, then the bytes that no row refers to any more; with `later` these wait for `sweep`.

        `delete` calls verbs of `rows` within the transaction. Each row is an `event` of the audit log (None: the caller
        writes that). Works on a full disk. When this returns the rows are gone, whatever becomes of the bytes: a fault
        there is logged.
        """

    def open(self, sha256: str, kind: str = "", start: int = 0, end: int | None = None) -> BinaryIO:
        """The bytes, seekable, or what is kept of them (`keep`), to be read from `start`; raises FileNotFoundError.

        What comes from `end` on will not be read, and need not be fetched. They stay whole and readable while it is
        open, whatever is deleted meanwhile; what would have to be fetched anew and is gone is `Busy`.
        """

    def location(self, sha256: str, size: int) -> str | None:
        """Where nginx finds the bytes, below LAZU_ACCEL_LOCATION; None if it would not.

        Nor where there is another number of them, if that is cheap to know.
        """

    def keep(self, staged: Staged, sha256: str, kind: str) -> bool:
        """Keep staged bytes that were made from a content (its text, its pages) as long as it is there.

        False if it is gone, or there is no room for it: all that is kept is bounded, and what was not used for longest
        goes. The first ones of a kind stay.
        """

    def alone(self) -> AbstractContextManager[Callable[[], bool]]:
        """Have nobody else sweep or restore until the end of the `with`; does not wait for it.

        Gives the question whether it is so, to be asked at once. In a cluster it may end early, with a connection.
        """

    def require_own(self, adopt: bool = False) -> None:
        """Raise `StorageMoved` unless these bytes are known to be of this copy of the rows, and not of another.

        For whatever removes bytes that have no row: ask before it. Only `adopt` writes: from then on they are.
        """

    def sweep(self, tick: Tick) -> Removed:
        """Remove the bytes that no row refers to, and what crashes left. Call it `alone`; calls `tick` `STEPS` times.

        Safe while serving. Raises `StorageFailed`.
        """

    def unreferred(self, since: int) -> Removed:
        """Count the bytes that `sweep` would remove if all files were gone that expire until `since`."""

    def look(self, rehash: bool = False, tick: Tick = no_tick) -> Iterator[Problem]:
        """Every disagreement of rows and bytes, also while serving; with `rehash` every byte is read.

        The one function that says whether they agree: for `flask fsck`, and after every test. A sweep that is running
        is waited for, if there is anything to ask it.
        """

    def repair(self, problem: Problem) -> str:
        """Put one problem of `look` right; gives what was done, or "" if nothing could be.

        A file whose bytes are lost is deleted: its id answers 404 from then on. Damaged bytes go to `quarantine`, and
        so does whatever Lazu does not know; only whole bytes that nothing refers to are removed. Bytes that can't be
        read, but may be whole, stay, and so do their files.
        """

    def figures(self) -> list[Figure]:
        """What an operator watches of these contents, beside what is counted."""

    def recover(self) -> None:
        """Let a store that a disk error stopped go on, if the disk takes an fsync again."""

    def copy_out(self, target: Path, wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[str]]:
        """Have every wanted content below `target`, durably, in the layout of a backup (`copies`).

        Gives what was done, and the hashes that are not there: `gone` with their rows meanwhile, or `damaged`.
        """

    def copy_in(self, source: Path, wanted: list[Wanted], tick: Tick) -> tuple[Copied, list[str]]:
        """Take every wanted content from a backup, durably; gives what was done, and the hashes it does not have whole.

        Call it `alone`, before their rows are there.
        """

    def close(self) -> None:
        """Leave nothing for the next start to do; this process stops serving."""


#: How often `sweep`, `look` and the copies call their `tick`.
STEPS = 256
