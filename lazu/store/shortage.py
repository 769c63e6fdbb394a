"""Which engine of several boxes had no room just now: known to all processes of a box by the times of files.

Nobody can ask an engine for that: one that is full may take a row in the place of another one, or a small object. So it
is forgotten after a minute, and the next upload finds out: what only an upload could end would last as long as
`/readyz` keeps uploads away. An object store may have no word for it, as SeaweedFS, and answer by 500 as for any other
fault: then uploads are for a repeat, and the first one that succeeds ends it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lazu import clock
from lazu.errors import Busy, Full

#: For how long an engine counts as full.
SECONDS = 60

NO_WRITES = "The object store takes no writes."
_MARKS = {
    "The database is full.": "full-database",
    "The object store is full.": "full-objects",
    NO_WRITES: "full-untold",
}


class Ailing(Busy):
    """The engine answered by an error of its own, not that it is busy: nobody knows what it did."""


def told(error: Full) -> str:
    """What a client hears of it."""
    return f"{error.place} is full."


def note(storage: Path, what: str) -> None:
    """Remember `what` was told. Not of this box's own disk, which can be asked, and must have room for this."""
    now = clock.now()
    if what in _MARKS:
        with suppress(OSError), open(storage / _MARKS[what], "ab") as mark:
            os.utime(mark.fileno(), (now, now))


@contextmanager
def watched(storage: Path) -> Iterator[None]:
    """Put an object within the `with`: note that the store answers and takes no writes, or that it takes them again."""
    try:
        yield
    except Ailing:
        note(storage, NO_WRITES)
        raise
    with suppress(OSError):
        os.unlink(storage / _MARKS[NO_WRITES])


def lately(storage: Path) -> str | None:
    """What was told in the last minute; None if nothing was. Raises OSError."""
    for what, name in _MARKS.items():
        with suppress(FileNotFoundError):
            if 0 <= clock.now() - os.stat(storage / name).st_mtime < SECONDS:
                return what
    return None
