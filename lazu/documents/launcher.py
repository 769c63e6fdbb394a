"""The reader process as the server sees it: started, listened to, and ended whatever it does."""

import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lazu import clock, cpus
from lazu.documents import refusals
from lazu.slots import LOOK_SECONDS, Slots, require_client

Source = int | str | os.PathLike[str]  # an open file, whose offset is neither used nor moved, or its path

#: Seconds that a reader may live. Its CPU time is the file's (`sandbox.CPU`); the rest is the machine's, which is busy.
WALL = 300
#: Seconds to wait for a place, and seconds after which a file takes long.
PATIENCE, SHORT_SECONDS = 60, 1

#: Signals by which a damaged file ends its reader. By any other the machine's keeper does: it was short of memory, or
#: the server is being stopped.
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS}

log = logging.getLogger(__name__)

BOOT = "import sys; sys.path[:] = sys.argv[2:]; from lazu.documents import reader; reader.main(sys.argv[1])"


class Busy(Exception):
    """The machine had no time for the file; a repeat may find it less busy."""


class _TakesLong(Exception):
    """Others wait for the place, and there is none among those for long files."""


#: How many readers this process may have at once, and as many for files that take long. One owner has half of either,
#: but one at least: with a process for each CPU that is all of them, and turns protect the others.
SHORT, LONG = Slots(1, 1), Slots(1, 1)


def share(processes: int) -> None:
    """Have so many readers that those of all `processes` keep the CPUs busy, but each process one for either kind."""
    count = max(1, cpus.count() // (2 * processes))
    for places in (SHORT, LONG):
        places.resize(count, max(1, count // 2))


class Place:
    """The place of a reader for a file of `owner`: a short one that it leaves to those who wait, if it takes long.

    So whoever comes waits some seconds for each owner before, not for the whole of their files.
    """

    def __init__(self, slots: Slots, owner: int | None) -> None:
        self._slots, self._owner = slots, owner
        self._until = clock.monotonic() + SHORT_SECONDS

    def give_way(self) -> None:
        """Go on among the long files if others wait for a short place; raises `_TakesLong` if there is no room."""
        if self._slots is SHORT and SHORT.wanted and clock.monotonic() > self._until:
            if not LONG.take_now(self._owner):
                raise _TakesLong
            SHORT.give(self._owner)
            self._slots = LONG

    def leave(self) -> None:
        """Give it back."""
        self._slots.give(self._owner)


@contextmanager
def placed(slots: Slots, owner: int | None, seconds: float) -> Iterator[Place]:
    """A place of `owner`; raises `Busy` if there was none for so long, `ClientLeft`."""
    if not slots.take_within(owner, seconds):
        raise Busy
    place = Place(slots, owner)
    try:
        yield place
    finally:
        place.leave()


class Job(NamedTuple):
    """The task of a reader: its command, the file, how many bytes it may give at most, and why more are refused."""

    words: list[str]
    source: Source
    limit: int
    excess: int = refusals.LONG


def command(kind: str) -> list[str]:
    """The command that starts a reader. It finds modules where this process does, wherever that runs."""
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    return [sys.executable, "-I", "-S", "-c", BOOT, kind, *path]


def run(job: Job, owner: int | None = None, wall: float = WALL) -> bytes:
    """Have a file of `owner` read, and return what the reader says.

    Raises `refusals.Refused` if it says that the file can't be read, says too much, takes too much CPU time or crashes;
    `Busy` if there was no place for it, or it did not come to its end in `wall` seconds; `ClientLeft` if nobody waits
    for it any more; `RuntimeError` if it met a fault of its own.
    """
    try:
        with placed(SHORT, owner, min(wall, PATIENCE)) as place:
            return _read(job, place, wall)
    except _TakesLong:
        with placed(LONG, owner, min(wall, PATIENCE)) as place:
            return _read(job, place, wall)


def _read(job: Job, place: Place, wall: float) -> bytes:
    mine = not isinstance(job.source, int)
    with open(job.source, "rb", closefd=mine) as file, started(job.words, file.fileno()) as reader:
        end = clock.monotonic() + wall
        output = listen(reader, job, end, place)
        status = ended(reader, end)
    if status:
        raise refusals.Refused(meaning(status))
    return output


@contextmanager
def started(words: list[str], file: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with `file` as standard input. It is dead and reaped when the block is left, however it is left.

    It gets an empty environment (the server's holds keys), and of the server's files only this one. Raises `Busy` where
    there is no room for one more process.
    """
    cpus.roam()  # the reader inherits it
    try:
        reader = subprocess.Popen(  # noqa: S603 - every word of the command is ours
            words, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/", bufsize=0
        )
    except BlockingIOError as e:
        log.warning("no process left for a reader of documents; raise the limit (TasksMax, ulimit -u)")
        raise Busy from e
    finally:
        cpus.settle()
    try:
        yield reader
    finally:
        reader.kill()
        reader.wait()
        if reader.stdout:
            reader.stdout.close()


def listen(reader: subprocess.Popen[bytes], job: Job, end: float, place: Place) -> bytes:
    """All that the reader writes until it ends.

    Raises `refusals.Refused` when it writes too much, `Busy`, `ClientLeft`, and as `Place.give_way` does.
    """
    assert reader.stdout
    pipe = reader.stdout.fileno()
    poll, output = select.poll(), bytearray()
    poll.register(pipe, select.POLLIN)
    while clock.monotonic() < end:
        require_client()
        place.give_way()
        if not poll.poll(LOOK_SECONDS * 1000):
            continue
        piece = os.read(pipe, 1 << 16)
        if not piece:
            return bytes(output)
        output += piece
        if len(output) > job.limit:
            raise refusals.Refused(job.excess)
    raise Busy


def ended(reader: subprocess.Popen[bytes], end: float) -> int:
    """The exit status of a reader that closed its output. Raises `Busy`."""
    try:
        return reader.wait(max(0, end - clock.monotonic()))
    except subprocess.TimeoutExpired as e:
        raise Busy from e


def meaning(status: int) -> int:
    """The reason that an exit status stands for: a crash is that of a damaged file.

    Raises `RuntimeError` if the reader met a fault of its own, as when PDFium or Pillow is not installed; `Busy` if
    somebody else ended it.
    """
    if status == 1:
        raise RuntimeError("The reader of documents failed; see docs/decisions/0010-documents.md.")
    if status == -signal.SIGXCPU:
        return refusals.SLOW
    if status < 0 and -status not in CRASHES:
        raise Busy
    return status if status in refusals.WORDS else refusals.BROKEN
