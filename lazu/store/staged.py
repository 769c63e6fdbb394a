"""Bytes on their way into the store."""

import hashlib
import os
from contextlib import ExitStack
from typing import Protocol, Self

from lazu import slots
from lazu.errors import FileTooLarge
from lazu.sizes import words
from lazu.store import disk

#: Up to so many bytes are few: they stay in memory, and the journal keeps them until their blob is durable.
FEW = 16 * 2**10
#: Up to here an upload takes no room before its bytes come: it is not worth the two system calls.
_UNRESERVED = 2**20
#: An upload of unknown length takes its room in steps of that many bytes.
_STEP = 16 * 2**20

#: How often, in bytes, the kernel is told to begin writing, so that less is left for the fsync at the end.
_WRITE_BACK_BYTES = 8 * 2**20


class Room(Protocol):
    """Where bytes are staged: the disk's door."""

    def unnamed(self) -> int:
        """Open a new file without a name, and give its descriptor; raises OSError."""

    def reserve(self, fd: int, size: int) -> None:
        """Take room for `size` bytes in `fd`; raises `InsufficientStorage`, OSError."""

    def write_back(self, fd: int, start: int, size: int) -> None:
        """Begin to make some of `fd` durable. A hint: what goes wrong here shows in `sync`."""

    def sync(self, fd: int, harmless: tuple[int, ...] = ()) -> None:
        """Make `fd` durable; raises OSError."""


class Staged:
    """Bytes on their way in, gone when closed unpublished: few in memory, more in a file of the store's without a name.

    Use it as a context manager. `size` counts the bytes written.
    Room for `expected` bytes is taken at once, so that uploads in flight, of all processes, count each other.
    """

    def __init__(self, blobs: Room, max_bytes: int, expected: int = 0) -> None:
        self.max_bytes = max_bytes
        self.size = 0
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self._room = _UNRESERVED
        self._begun = 0
        self._held = bytearray()
        self._file: int | None = None
        with ExitStack() as undo:
            undo.callback(self.__exit__)  # also when the process is told to end here
            self._grow(min(expected, max_bytes))
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)

    @property
    def fd(self) -> int:
        """The file with the bytes; made when it is asked for, at the latest when they are no longer few."""
        if self._file is None:
            self._file = self._blobs.unnamed()
            self._append(self._held)
            self._held.clear()
        return self._file

    @property
    def few(self) -> bytes | None:
        """All the bytes, if they are few and in no file yet."""
        return bytes(self._held) if self._file is None else None

    def write(self, chunk: bytes) -> None:
        """Append `chunk`.

        Raises `FileTooLarge` past `max_bytes`, `InsufficientStorage` when the disk gets too full, OSError.
        """
        self.size += len(chunk)
        if self.size > self.max_bytes:
            raise FileTooLarge(words(self.max_bytes))
        self._grow(self.size)
        self._hash.update(chunk)
        if self._file is None and self.size <= FEW:
            self._held += chunk
            return
        self._append(chunk)
        if self.size - self._begun >= _WRITE_BACK_BYTES:
            self._blobs.write_back(self.fd, self._begun, self.size - self._begun)
            self._begun = self.size

    @property
    def sha256(self) -> str:
        """The hash of the bytes written, in hex."""
        return self._hash.hexdigest()

    def peek(self, start: int, size: int) -> bytes:
        """`size` bytes from `start` on, or fewer if there are no more."""
        if self._file is None:
            return bytes(self._held[start : start + size])
        return os.pread(self._file, size, start)

    def seal(self) -> None:
        """Make the bytes durable. No lock is held meanwhile."""
        if self._room > _UNRESERVED:
            os.ftruncate(self.fd, self.size)  # gives back what was reserved and not filled
        with slots.waiting():
            self._blobs.sync(self.fd, harmless=disk.FULL)

    def _append(self, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.fd, rest) :]

    def _grow(self, size: int) -> None:
        if size <= self._room:
            return
        self._room = size if self.size == 0 else size + _STEP
        self._blobs.reserve(self.fd, self._room)
