"""The reader process as the server sees it: started, listened to, and ended whatever it does."""

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lazu import slots
from lazu.documents import refusals

Source = int | str | os.PathLike[str]  # an open file, whose offset is neither used nor moved, or its path

WALL = 30  # seconds a reader may live, and seconds to wait for a slot
SLOTS = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))  # readers at once, of this server process

BOOT = "import sys; sys.path[:] = sys.argv[2:]; from lazu.documents import reader; reader.main(sys.argv[1])"


class Busy(Exception):
    """Every slot was taken for all the time there was."""


def read(source: Source, kind: str, limit: int) -> bytes:
    """Return what the reader says about `source`: its `kind` is text, pdf or pictures. Raises as `run` does."""
    return run(command(kind), source, limit)


def command(kind: str) -> list[str]:
    """Return the command that starts a reader. It finds modules where this process does, wherever that runs."""
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    return [sys.executable, "-I", "-S", "-c", BOOT, kind, *path]


def run(words: list[str], source: Source, limit: int, wall: float = WALL) -> bytes:
    """Return what a command says about `source`, in at most `limit` bytes and `wall` seconds.

    Raises `refusals.Refused` if it says that the file can't be read, says too much, takes too long or crashes; `Busy`
    if there was no slot for it in `wall` seconds; `RuntimeError` if it met a fault of its own.
    """
    mine = not isinstance(source, int)
    with slots.waiting(), slot(wall), open(source, "rb", closefd=mine) as file, started(words, file.fileno()) as reader:
        output = listen(reader, limit, wall)
        status = ended(reader)
    if status:
        raise refusals.Refused(meaning(status))
    return output


@contextmanager
def slot(wall: float) -> Iterator[None]:
    """Hold one of the slots."""
    if not SLOTS.acquire(timeout=wall):
        raise Busy
    try:
        yield
    finally:
        SLOTS.release()


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


def listen(reader: subprocess.Popen[bytes], limit: int, wall: float) -> bytes:
    """Return all that the reader writes. Raises `refusals.Refused` when it writes or takes too much."""
    assert reader.stdout
    pipe = reader.stdout.fileno()
    poll, end, output = select.poll(), time.monotonic() + wall, bytearray()
    poll.register(pipe, select.POLLIN)
    while poll.poll(max(0, end - time.monotonic()) * 1000):
        piece = os.read(pipe, 1 << 16)
        if not piece:
            return bytes(output)
        output += piece
        if len(output) > limit:
            raise refusals.Refused(refusals.LONG)
    raise refusals.Refused(refusals.SLOW)


def ended(reader: subprocess.Popen[bytes]) -> int:
    """Return the exit status of a reader that closed its output, and so has a second to leave."""
    try:
        return reader.wait(1)
    except subprocess.TimeoutExpired:
        return refusals.BROKEN


def meaning(status: int) -> int:
    """Return the reason that an exit status stands for. Any signal but the CPU limit's is a crash: a damaged file.

    Raises `RuntimeError` if the reader met a fault of its own, as when PDFium or Pillow is not installed.
    """
    if status == 1:
        raise RuntimeError("The reader of documents failed; see docs/decisions/0010-documents.md.")
    if -status in (24, 9):  # SIGXCPU, and the SIGKILL that follows it
        return refusals.SLOW
    return status if status in refusals.WORDS else refusals.BROKEN
