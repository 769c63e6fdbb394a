"""Bytes on their way into the store, and the room for them."""

import hashlib
import os
import weakref
from pathlib import Path
from typing import BinaryIO, Self

from lazu import slots
from lazu.errors import CannotStart, FileTooLarge, InsufficientStorage
from lazu.sizes import words
from lazu.store import disk

#: Bytes of disk that the smallest upload may need: some 50 KB for its row in SQLite's log, more when indexes split.
SMALLEST = 128 * 2**10

#: Up to so many bytes are few: they stay in memory, and the journal keeps them until their blob is durable.
FEW = 16 * 2**10
#: Up to here an upload takes no room before its bytes come: it is not worth the two system calls.
_UNRESERVED = 2**20
#: An upload of unknown length takes its room in steps of that many bytes.
_STEP = 16 * 2**20

#: How often, in bytes, the kernel is told to begin writing, so that less is left for the fsync at the end.
_WRITE_BACK_BYTES = 8 * 2**20


class Staging:
    """Where bytes are staged: the file system of the directory `root`, of which `min_free` bytes are to stay free."""

    def __init__(self, root: Path, min_free: int) -> None:
        self.root = root
        self.min_free = min_free

    def try_out(self) -> None:
        """Raise `CannotStart` where uploads can never arrive, OSError where none can now."""
        try:
            self.require_files()
        except OSError as e:
            if e.errno not in disk.NO_TMPFILE:
                raise
            raise CannotStart("the file system of LAZU_STORAGE_DIR has no O_TMPFILE; ext4, XFS, Btrfs have") from e

    def check(self) -> None:
        """Raise what the smallest upload would meet: as `require` and `require_files` do."""
        self.require(SMALLEST)
        self.require_files()

    def require_files(self) -> None:
        """Raise OSError if no file can be made for an upload."""
        os.close(self.unnamed())

    def require(self, size: int) -> None:
        """Raise `InsufficientStorage` if `size` more bytes would cross the free-space floor."""
        if self.free() - size < self.min_free:
            raise InsufficientStorage("The server's disk is too full for this upload.")

    def free(self) -> int:
        """Bytes that may still be filled on the disk."""
        return disk.free(self.root)

    def stage(self, max_bytes: int, expected: int = 0) -> "Staged":
        """A place for an upload of at most `max_bytes`, probably `expected`.

        Raises `InsufficientStorage` when there is no room for what is expected.
        """
        return Staged(self, max_bytes, expected)

    def unnamed(self) -> int:
        """Open a new file without a name, and give its descriptor; raises OSError."""
        # nginx reads blobs as a member of the group; the umask is ours (`disk.set_umask`).
        return os.open(self.root, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o640)

    def reserve(self, fd: int, size: int) -> None:
        """Take room for `size` bytes in `fd` if that leaves the floor; raises `InsufficientStorage`, OSError.

        Where the file system can't reserve, the floor is looked at all the same.
        """
        missing = max(0, size - os.fstat(fd).st_blocks * 512)
        self.require(missing)
        try:
            taken = disk.reserve(fd, size)
        except OSError as e:
            if e.errno in disk.FULL:
                raise InsufficientStorage("The server's disk is full.") from e
            raise
        if taken:
            self.require(0)  # another upload may have taken its room at the same time

    def write_back(self, fd: int, start: int, size: int) -> None:
        """Begin to make some of `fd` durable, if this disk is where it will stay."""

    def sync(self, fd: int, harmless: tuple[int, ...] = ()) -> None:
        """Make `fd` durable, if this disk is where it will stay; raises OSError."""


class Staged:
    """Bytes on their way in, gone unless published: few in memory, more in a file of the store's without a name.

    The file is closed at the end of the `with`, else with the last reference. `size` counts the bytes written.
    Room for `expected` bytes is taken at once, so that uploads in flight, of all processes, count each other.
    """

    def __init__(self, staging: Staging, max_bytes: int, expected: int = 0) -> None:
        self.max_bytes = max_bytes
        self.size = 0
        self._staging = staging
        self._hash = hashlib.sha256()
        self._taken = _UNRESERVED
        self._begun = 0
        self._held = bytearray()
        self._file: int | None = None
        self._grow(min(expected, max_bytes))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._close()
            self._file = -1  # its number may be another file's from now on

    @property
    def fd(self) -> int:
        """The file with the bytes; made when it is asked for, at the latest when they are no longer few."""
        if self._file is None:
            self._file = self._staging.unnamed()
            self._close = ending = weakref.finalize(self, os.close, self._file)
            ending.atexit = False  # threads write until the process is gone: not into whatever has its number by then
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
            self._staging.write_back(self.fd, self._begun, self.size - self._begun)
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

    def open(self) -> BinaryIO:
        """The bytes, from the first on, open for reading: they stay while it is open."""
        return open(f"/proc/self/fd/{self.fd}", "rb")

    def seal(self) -> None:
        """Make the bytes durable. No lock is held meanwhile."""
        if self._taken > _UNRESERVED:
            os.ftruncate(self.fd, self.size)  # gives back what was reserved and not filled
        with slots.waiting():
            self._staging.sync(self.fd, harmless=disk.FULL)

    def _append(self, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.fd, rest) :]

    def _grow(self, size: int) -> None:
        if size <= self._taken:
            return
        self._taken = size if self.size == 0 else size + _STEP
        self._staging.reserve(self.fd, self._taken)
