"""The door to the disk: bytes under the name of their SHA-256, `blobs/ab/ab12…`, in 256 shards.

This room knows nothing of rows. Its part of the one invariant (docs/architecture.md): bytes get their name only when
they are durable, and the name is durable before the caller goes on.
"""

import ctypes
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Self

from lazu.errors import CannotStart, FileTooLarge, InsufficientStorage

#: How often, in bytes received, an upload of unknown length looks at the free space again.
_CHECK_BYTES = 16 * 2**20

#: How often, in bytes, the kernel is told to begin writing, so that less is left for the fsync at the end.
_WRITE_BACK_BYTES = 8 * 2**20
_SYNC_FILE_RANGE_WRITE = 2

# sync_file_range(2) is Linux's, and not in `os`.
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range:
    _sync_file_range.argtypes = ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint

HEX = "0123456789abcdef"
_BLOB = re.compile(r"[0-9a-f]{64}")


class Staged:
    """Bytes on their way in: a file without a name in the store's own file system, gone when closed unpublished.

    Use it as a context manager. `size` counts the bytes written; `sha256` (hex) is there once `seal` was called.
    """

    def __init__(self, blobs: "Blobs", max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = 0
        self.sha256 = ""
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self._checked = 0
        self._begun = 0
        self.fd = os.open(blobs.root, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o640)
        os.fchmod(self.fd, 0o640)  # whatever the umask: nginx reads blobs as a member of the group

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def write(self, chunk: bytes) -> None:
        """Append `chunk`.

        Raises `FileTooLarge` past `max_bytes`, `InsufficientStorage` when the disk gets too full, OSError.
        """
        self.size += len(chunk)
        if self.size > self.max_bytes:
            raise FileTooLarge(self.max_bytes)
        if self.size - self._checked >= _CHECK_BYTES:
            self._checked = self.size
            self._blobs.require(0)
        self._hash.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self.fd, rest) :]
        if self.size - self._begun >= _WRITE_BACK_BYTES:
            _write_back(self.fd, self._begun, self.size - self._begun)
            self._begun = self.size

    def head(self, size: int) -> bytes:
        """The first `size` bytes, or fewer if there are no more."""
        return os.pread(self.fd, size, 0)

    def seal(self) -> None:
        """Make the bytes durable and their `sha256` known. No lock is held meanwhile."""
        os.fsync(self.fd)
        self.sha256 = self._hash.hexdigest()


class Blobs:
    """The shards under `root`. An upload that would leave less than `min_free` bytes free is refused."""

    def __init__(self, root: Path, min_free: int) -> None:
        self.root = root
        self.min_free = min_free

    def prepare(self) -> None:
        """Make the shards that are not there yet, durably; raises `CannotStart` or OSError."""
        self.root.mkdir(mode=0o750, parents=True, exist_ok=True)
        for first in HEX:
            for second in HEX:
                (self.root / (first + second)).mkdir(mode=0o750, exist_ok=True)
        _fsync_dir(self.root)
        _fsync_dir(self.root.parent)
        try:
            self.stage(0).__exit__()
        except OSError as e:
            raise CannotStart("the file system of LAZU_STORAGE_DIR has no O_TMPFILE; ext4, XFS, Btrfs have") from e

    def stage(self, max_bytes: int) -> Staged:
        """A place for an upload of at most `max_bytes`; the caller closes it."""
        return Staged(self, max_bytes)

    def require(self, size: int) -> None:
        """Raise `InsufficientStorage` if `size` more bytes would cross the free-space floor."""
        if self.free() - size < self.min_free:
            raise InsufficientStorage("The server's disk is too full for this upload.")

    def free(self) -> int:
        """Bytes that the store may still fill."""
        stat = os.statvfs(self.root)
        return stat.f_bavail * stat.f_frsize

    @contextmanager
    def lock(self, sha256: str) -> Iterator[int]:
        """Hold the lock of the shard of `sha256`: the only lock under which a blob gets or loses its name.

        Gives the shard's directory descriptor. It excludes other threads and other processes alike, because each
        call opens the directory anew (flock(2) locks the open file, not the process).
        """
        fd = os.open(self.root / sha256[:2], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    def publish(self, staged: Staged, shard: int) -> None:
        """Give sealed bytes their name, durably. The caller holds the shard's lock, whose descriptor is `shard`.

        The directory is synced also when the blob was there already: whoever named it may not have come so far.
        """
        with suppress(FileExistsError):
            # /proc/self/fd is how linkat(2) names an O_TMPFILE without CAP_DAC_READ_SEARCH (open(2)).
            os.link(f"/proc/self/fd/{staged.fd}", staged.sha256, dst_dir_fd=shard, follow_symlinks=True)
        os.fsync(shard)

    def unlink(self, sha256: str, shard: int) -> int:
        """Remove a blob's name; gives the bytes freed, 0 if it was gone. The caller holds the shard's lock.

        Not synced: a name that comes back after a power cut is what the next purge sweeps.
        """
        try:
            size = os.stat(sha256, dir_fd=shard).st_size
            os.unlink(sha256, dir_fd=shard)
        except FileNotFoundError:
            return 0
        return size

    def open(self, sha256: str) -> FileIO:
        """The blob, open for reading, whole even if it loses its name meanwhile; raises FileNotFoundError."""
        return FileIO(self.root / sha256[:2] / sha256)

    def names(self) -> Iterator[list[str]]:
        """The blobs' names, a list a shard."""
        for first in HEX:
            for second in HEX:
                yield [name for name in os.listdir(self.root / (first + second)) if _BLOB.fullmatch(name)]

    def size(self, sha256: str) -> int:
        """Bytes of a blob, 0 if it is gone."""
        try:
            return (self.root / sha256[:2] / sha256).stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether the caller is the only one in here, in any process, until the end of the `with`; never waits."""
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(fd)


def _write_back(fd: int, start: int, size: int) -> None:
    """Have the kernel write a part of a file soon. A hint: what goes wrong here shows in the fsync."""
    if _sync_file_range:
        _sync_file_range(fd, start, size, _SYNC_FILE_RANGE_WRITE)


def _fsync_dir(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
