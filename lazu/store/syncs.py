"""Making bytes durable, and stopping the store when that fails.

What the kernel could not write it forgets, so a second fsync would promise too much (https://lwn.net/Articles/752063/).
"""

import logging
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from lazu import clock, metrics
from lazu.store import disk

log = logging.getLogger(__name__)


class Syncs:
    """The syncs in the file system of `root`; `failed` becomes true, for every process, when one of them failed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._marker = root / "failed"
        self._unmarked = False
        self._beginning = threading.Lock()
        self._watch, self._since = -1, 0
        self._close: Callable[[], object] = int

    def watch(self) -> None:
        """Have `sync_all` tell of each write that fails from now on, also when another program has asked meanwhile."""
        with self._beginning:
            if self._watch < 0:
                self._begin()

    def _begin(self) -> None:
        self._since = os.stat(self.root).st_mtime_ns
        self._watch, close = self._open(), self._close
        self._close = ending = weakref.finalize(self, os.close, self._watch)
        ending.atexit = False  # checkpoints go on until the process is gone: they would sync whatever has its number
        close()

    def _is_over(self) -> bool:
        """Whether a marker came and went since the watch began: what is owed of the time before was made good."""
        return os.stat(self.root).st_mtime_ns != self._since and not self.failed

    def _open(self) -> int:
        return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    @property
    def failed(self) -> bool:
        """Whether a disk error has stopped this store, or it can't be told."""
        try:
            os.stat(self._marker)
        except FileNotFoundError:
            return self._unmarked
        except OSError:
            return True
        return True

    def fail(self, why: str) -> None:
        """Stop the store: for every process, or for this one if not even the marker can be made."""
        log.critical("the store takes nothing more until 'flask fsck' finds it sound: %s", why)
        try:
            self._marker.write_text(f"{clock.shanghai(clock.now())} {why}\n")
        except OSError:
            self._unmarked = not self._marker.exists()

    def recover(self) -> None:
        """Go on after a failure, if the disk takes an fsync again; raises OSError."""
        disk.sync(self.root)
        self._marker.unlink(missing_ok=True)
        disk.sync(self.root)
        self._unmarked = False

    def sync_all(self) -> None:
        """Make all that is in the file system durable; raises OSError, and stops the store.

        Without a `watch` it tells of what went wrong and nobody was told of (lib/errseq.c of Linux).
        """
        if self._watch >= 0:
            if self._is_over():
                self._begin()
            self._durably(disk.sync_all, self._watch)
            return
        fd = self._open()
        try:
            self._durably(disk.sync_all, fd)
        finally:
            os.close(fd)

    def forget(self) -> None:
        """Have `sync_all` tell of nothing that went wrong until now: the caller makes it good."""
        fd = self._open()
        try:
            disk.sync_all(fd)
        except OSError:
            pass
        finally:
            os.close(fd)

    def write_back(self, fd: int, start: int, size: int) -> None:
        """Begin to make some of `fd` durable, so that less is left for `sync`."""
        disk.write_back(fd, start, size)

    def sync(self, fd: int, harmless: tuple[int, ...] = ()) -> None:
        """Make `fd` durable; raises OSError, and stops the store unless the error is one of `harmless`."""
        self._durably(os.fsync, fd, harmless)

    def _durably(self, sync: Callable[[int], None], fd: int, harmless: tuple[int, ...] = ()) -> None:
        try:
            sync(fd)
        except OSError as e:
            metrics.fsync_failed()
            if e.errno not in harmless:
                self.fail(f"{sync.__name__}: {e.strerror}")
            raise
