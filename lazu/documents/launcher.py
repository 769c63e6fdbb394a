"""The reader process as the server sees it: started, listened to, and ended whatever it does."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lazu.documents import refusals

Source = int | str | os.PathLike[str]  # an open file, whose offset is neither used nor moved, or its path

#: Seconds that a reader may live. Its CPU time is the file's (`sandbox.CPU`); the rest is the machine's, which is busy.
WALL = 300
#: Seconds to wait for a place.
PATIENCE = 60

#: Signals by which a damaged file ends its reader. By any other the machine's keeper does: it was short of memory, or
#: the server is being stopped.
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS}

BOOT = "import sys; sys.path[:] = sys.argv[2:]; from lazu.documents import reader; reader.main(sys.argv[1])"


class Busy(Exception):
    """The machine had no time for the file; a repeat may find it less busy."""


class Places:
    """How many readers may run at once in this process: `total`, and of one owner `share`.

    So one owner's files, however many and hard to read, leave places to the others.
    """

    def __init__(self, total: int, share: int) -> None:
        self.total, self._share = total, share
        self._change = threading.Condition()
        self._held: Counter[Hashable] = Counter()
        self._waiting: Counter[Hashable] = Counter()

    @property
    def taken(self) -> int:
        """Places that are taken."""
        return self._held.total()

    @contextmanager
    def hold(self, owner: Hashable, seconds: float) -> Iterator[None]:
        """Hold a place of `owner`; raises `Busy` if there was none for so long."""
        self._take(owner, seconds)
        try:
            yield
        finally:
            self._count(self._held, owner, -1)

    def _take(self, owner: Hashable, seconds: float) -> None:
        self._count(self._waiting, owner, 1)
        try:
            with self._change:
                if not self._change.wait_for(lambda: self._fits(owner), seconds):
                    raise Busy
                self._held[owner] += 1
        finally:
            self._count(self._waiting, owner, -1)

    def _fits(self, owner: Hashable) -> bool:
        """Whether there is a place for `owner`. Among those who wait, the one who holds the fewest goes first."""
        held = self._held[owner]
        first = all(self._held[each] >= held for each in self._waiting)
        return first and held < self._share and self.taken < self.total

    def _count(self, counter: Counter[Hashable], owner: Hashable, change: int) -> None:
        with self._change:
            counter[owner] += change
            if not counter[owner]:
                del counter[owner]
            self._change.notify_all()


_CPUS = max(2, len(os.sched_getaffinity(0)))
PLACES = Places(_CPUS, _CPUS // 2)


class Job(NamedTuple):
    """The task of a reader: its command, the file, and how many bytes it may give at most."""

    words: list[str]
    source: Source
    limit: int


def command(kind: str) -> list[str]:
    """The command that starts a reader. It finds modules where this process does, wherever that runs."""
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    return [sys.executable, "-I", "-S", "-c", BOOT, kind, *path]


def run(job: Job, owner: Hashable = None, wall: float = WALL) -> bytes:
    """Have a file of `owner` read, and return what the reader says.

    Raises `refusals.Refused` if it says that the file can't be read, says too much, takes too much CPU time or crashes;
    `Busy` if there was no place for it, or it did not come to its end in `wall` seconds; `RuntimeError` if it met a
    fault of its own.
    """
    mine = not isinstance(job.source, int)
    with (
        PLACES.hold(owner, min(wall, PATIENCE)),
        open(job.source, "rb", closefd=mine) as file,
        started(job.words, file.fileno()) as reader,
    ):
        end = time.monotonic() + wall
        output = listen(reader, job.limit, end)
        status = ended(reader, end)
    if status:
        raise refusals.Refused(meaning(status))
    return output


@contextmanager
def started(words: list[str], file: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with `file` as standard input. It is dead and reaped when the block is left, however it is left.

    It gets an empty environment (the server's holds keys), and of the server's files only this one.
    """
    reader = subprocess.Popen(  # noqa: S603 - every word of the command is ours
        words, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/", bufsize=0
    )
    try:
        yield reader
    finally:
        reader.kill()
        reader.wait()
        if reader.stdout:
            reader.stdout.close()


def listen(reader: subprocess.Popen[bytes], limit: int, end: float) -> bytes:
    """All that the reader writes until it ends. Raises `refusals.Refused` when it writes too much, `Busy`."""
    assert reader.stdout
    pipe = reader.stdout.fileno()
    poll, output = select.poll(), bytearray()
    poll.register(pipe, select.POLLIN)
    while poll.poll(max(0, end - time.monotonic()) * 1000):
        piece = os.read(pipe, 1 << 16)
        if not piece:
            return bytes(output)
        output += piece
        if len(output) > limit:
            raise refusals.Refused(refusals.LONG)
    raise Busy


def ended(reader: subprocess.Popen[bytes], end: float) -> int:
    """The exit status of a reader that closed its output. Raises `Busy`."""
    try:
        return reader.wait(max(0, end - time.monotonic()))
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
