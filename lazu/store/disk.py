"""System calls on files that Python's `os` lacks, or that belong together. Knows nothing of blobs."""

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import resource
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lazu import clock, slots
from lazu.errors import Busy
from lazu.store import waiters

#: As long as SQLite waits for its own lock.
LOCK_SECONDS = 10

#: What a full disk, a full quota of the file system, or one that holds no file so large answers.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: What tells that no file descriptor is left, in this process or on this machine; and what its operator can do.
NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
MORE_DESCRIPTORS = "no file descriptor left; raise the limit (ulimit -n)"
#: What open(2) answers to O_TMPFILE where a file system or a kernel has none.
NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
#: Why a file can't have a hard link at some place, though the place is fine.
UNLINKABLE = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP)

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY, errno.EXDEV)
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of linux/falloc.h
_FICLONE = 0x40049409  # of linux/fs.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
# sync_file_range(2) is Linux's alone.
_sync_file_range = getattr(_libc, "sync_file_range", None)
if _sync_file_range:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_SYNC_FILE_RANGE_WRITE = 2


def sync_all(fd: int) -> None:
    """Make everything durable that is in the file system of `fd` (syncfs(2)).

    Raises OSError if any of it could not be written since `fd` was opened, or since the last time; from Linux 5.8 on.
    """
    if _libc.syncfs(fd):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def write_back(fd: int, start: int, size: int) -> None:
    """Have the kernel write a part of a file soon. A hint: what goes wrong here shows in the fsync."""
    if _sync_file_range:
        _sync_file_range(fd, start, size, _SYNC_FILE_RANGE_WRITE)


def reserve(fd: int, size: int) -> bool:
    """Have the file system keep room for the first `size` bytes of `fd`; the file's length stays as it is.

    Every process sees the room as taken (statvfs(2)), and it is given back when the file goes, also in a crash, or by
    `os.ftruncate`. False where the file system can't; raises OSError, with an errno of `FULL` if there is no room.
    """
    if _libc.fallocate(fd, _KEEP_SIZE, 0, size) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code))


def clone(source: int, target: int) -> bool:
    """Let `target` share the extents of `source` (FICLONE, on Btrfs and XFS); False where that can't be."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as e:
        if e.errno in _UNSUPPORTED:
            return False
        raise
    return True


def set_umask() -> None:
    """Make files and directories for Lazu and its group, which is nginx's, whatever the umask was (docs/deploy.md)."""
    os.umask(0o027)


def free(path: Path) -> int:
    """Bytes that may still be filled in the file system of `path`."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


class LockHeld(Exception):
    """Somebody else holds a lock that the caller does not wait for."""


@contextmanager
def lock(directory: str | Path, wait: bool = True, seconds: float = LOCK_SECONDS) -> Iterator[int]:
    """Hold the lock of a directory; gives its descriptor.

    Raises `LockHeld` if it is held and `wait` is false, `Busy` if it still is after so many seconds: its holder may
    have been stopped. It excludes other threads and other processes alike, because each call opens the directory anew
    (flock(2) locks the open file, not the process), and it goes with the process that holds it.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB):
            if not wait:
                raise LockHeld
            # For a moment no thread is left behind: many who give up one after the other would leave as many.
            if seconds < slots.LOOK_SECONDS or not _queue(fd, seconds, lambda twin: _flock(twin, fcntl.LOCK_EX)):
                raise Busy(f"a lock was held for {max(0, seconds):.0f} seconds")
        yield fd
    finally:
        os.close(fd)


def _flock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        return False
    return True


def _queue(fd: int, seconds: float, take: Callable[[int], object], look: Callable[[], object] = slots.stays) -> bool:
    """Have `take` wait for the lock of `fd`, in a thread that can be left behind: nothing but the lock ends its wait.

    Whether it came within so many seconds; `look` is called now and then, and may raise.
    """
    held, end = waiters.begin(os.dup(fd), take), clock.monotonic() + seconds
    with slots.waiting():
        while not held.wait(min(slots.LOOK_SECONDS, seconds)):
            look()
            if clock.monotonic() > end:
                return False
    return True


@contextmanager
def named_lock(path: Path, name: str, seconds: float) -> Iterator[None]:
    """Hold the lock called `name`, of all threads and processes that use the file `path`, which is made if needed.

    Raises `Busy` if somebody else held it for so long, `ClientLeft` (`slots.require_client`). It goes with the process
    that holds it. Names share a file because each locks one byte of it, by the hash of the name (fcntl(2), open file
    description locks). Who waits holds no slot, and costs nothing.
    """
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)  # struct flock
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _locked(fd, wanted) and not _queue(fd, seconds, partial(_await, wanted=wanted), slots.require_client):
            raise Busy(f"{path.name} was locked for {seconds:.0f} seconds")
        yield
    finally:
        os.close(fd)


def _await(fd: int, wanted: bytes) -> None:
    fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, wanted)


def _locked(fd: int, wanted: bytes) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, wanted)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as POSIX has it
        return False
    return True


def open_regular(path: str, flags: int) -> int:
    """An opener for `open`: raises FileNotFoundError for a link, a pipe, a device, of which nothing is read."""
    try:
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        if e.errno in (errno.ELOOP, errno.ENXIO):
            raise FileNotFoundError(errno.ENOENT, "not a regular file") from e
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "not a regular file")
    return fd


def regular_size(path: Path) -> int:
    """Bytes of a regular file; raises FileNotFoundError if it is gone, or something else."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a regular file")
    return found.st_size


def share(path: Path) -> int:
    """Hold a share of the lock of a file, which is made, as long as the descriptor that this gives is open.

    Raises `Busy` if somebody else had the whole lock for `LOCK_SECONDS`: `is_shared` has it for a moment.
    """
    fd, end = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), clock.monotonic() + LOCK_SECONDS
    while not _flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB):
        if clock.monotonic() > end:
            os.close(fd)
            raise Busy(f"{path.name} was locked for {LOCK_SECONDS} seconds")
        clock.sleep(slots.LOOK_SECONDS)
    return fd


def is_shared(path: Path) -> bool:
    """Whether some process holds a share of the lock of a file; raises `Busy`.

    Who asks takes the whole lock for a moment, so one asks after the other: they would take each other for a share. By
    a lock of another kind, which excludes only those who ask.
    """
    if not path.exists():
        return False
    with named_lock(path, path.name, LOCK_SECONDS):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return not _flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(fd)


def file_system(path: Path) -> str:
    """The type of the file system that holds `path`, as mount(8) names it: `ext4`, `nfs4` …; `unknown` if not told.

    By the deepest mount point above it in /proc/self/mountinfo (proc(5)): Btrfs shows other devices there than stat(2).
    """
    found, depth = "unknown", -1
    real = path.resolve()
    with open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            left, _, right = line.partition(" - ")
            place = Path(_unescaped(left.split()[4]))
            if real.is_relative_to(place) and len(place.parts) >= depth:
                found, depth = right.split()[0], len(place.parts)
    return found


def _unescaped(text: str) -> str:
    r"""A path of mountinfo, where `\040` stands for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def open_files() -> int:
    """How many files a process of this user may have open, if it asks for all it can get."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def sync(path: Path) -> None:
    """Make a file's bytes, or a directory's names, durable. Raises OSError; an fsync that failed is never repeated."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
