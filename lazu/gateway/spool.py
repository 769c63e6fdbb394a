"""Bytes that one request needs and nobody keeps: on disk, in a file without a name."""

import os
import weakref
from typing import BinaryIO

from lazu.store.contents import Contents


class Spool:
    """A file in the store's file system that goes with the last reference to it, at most `max_bytes` long.

    `InsufficientStorage` is raised, and OSError, when the disk has no room.
    """

    def __init__(self, contents: Contents, max_bytes: int) -> None:
        self._staged = contents.stage(max_bytes)
        ending = weakref.finalize(self, os.close, self._staged.fd)
        ending.atexit = False  # threads write until the process is gone: they would write into whatever has its number

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._staged.size

    def peek(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start` on, or fewer if there are no more."""
        return self._staged.peek(start, size)

    def write(self, chunk: bytes) -> None:
        """Append `chunk`."""
        self._staged.write(chunk)

    def open(self) -> BinaryIO:
        """Return the bytes, from the first on, open for reading: they stay while it is open."""
        return open(f"/proc/self/fd/{self._staged.fd}", "rb")
