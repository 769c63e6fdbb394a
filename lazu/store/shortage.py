"""Which engine of several boxes had no room just now: known to all processes of a box by the times of two files.

Nobody can ask an engine for that: one that is full may take a row in the place of another one, or a small object. So it
is forgotten after a minute, and the next upload finds out: what only an upload could end would last as long as
`/readyz` keeps uploads away.
"""

import os
from contextlib import suppress
from pathlib import Path

from lazu import clock
from lazu.errors import Full

#: For how long an engine counts as full.
SECONDS = 60

_MARKS = {"The database": "full-database", "The object store": "full-objects"}


def note(storage: Path, error: Full) -> None:
    """Remember what `error` says is full. Not this box's own disk, which can be asked, and must have room for this."""
    now = clock.now()
    if error.place in _MARKS:
        with suppress(OSError), open(storage / _MARKS[error.place], "ab") as mark:
            os.utime(mark.fileno(), (now, now))


def full(storage: Path) -> str | None:
    """What was full in the last minute, as its `Full.place` has it; None if nothing was. Raises OSError."""
    for place, name in _MARKS.items():
        with suppress(FileNotFoundError):
            if 0 <= clock.now() - os.stat(storage / name).st_mtime < SECONDS:
                return place
    return None
