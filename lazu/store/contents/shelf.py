"""The shelf: what is kept of blobs, all together bounded; what was not used for longest goes first.

What is kept may go at any time, because it can be made again. So nothing counts it: when a process has put a sixteenth
of the bound there, it asks the shards how much there is.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from lazu.store import derived
from lazu.store.blobs import SHARDS, Blobs
from lazu.store.staged import Staged

#: Bytes that the shortest text takes on a disk, its list included: a block each.
_LEAST = 8192


class _Entry(NamedTuple):
    """One thing that is kept: when it was last used, what room it takes, its name."""

    used: float
    room: int
    name: str


class Shelf:
    """Everything derived from the blobs in `blobs`, about `limit` bytes on disk: each process may add a sixteenth."""

    def __init__(self, blobs: Blobs, limit: int) -> None:
        self._blobs, self._limit = blobs, limit
        self._since = 0

    def open(self, sha256: str, kind: str) -> BinaryIO:
        """Open what was derived from a blob, complete even if it goes meanwhile; raises FileNotFoundError."""
        file = self._blobs.open(derived.name(sha256, kind))
        with suppress(OSError):  # on a file system that is read only it keeps its age
            os.utime(file.fileno())
        return file

    def keep(self, staged: Staged, sha256: str, kind: str) -> bool:
        """Keep staged bytes that were made from a blob; False if the blob is gone, or they don't fit."""
        if staged.size > self._limit or not self._blobs.keep(staged, sha256, kind):
            return False
        self._since += max(staged.size, _LEAST)
        if self._since > self._limit // 16:
            self._since = 0
            self._trim()
        return True

    def _trim(self) -> None:
        """Remove what was not used for longest until the rest fits."""
        entries = sorted(self._entries())
        excess, gone = sum(entry.room for entry in entries) - self._limit, 0
        for entry in entries:
            if gone >= excess:
                break
            with self._blobs.lock(entry.name) as shard, suppress(FileNotFoundError):
                os.unlink(entry.name, dir_fd=shard)
            gone += entry.room

    def _entries(self) -> Iterator[_Entry]:
        found = (entry for shard in SHARDS for entry in os.scandir(self._blobs.root / shard))
        for entry in found:
            # The lists stay: what they name goes with the blob, as long as they name it.
            if derived.owner(entry.name) and not entry.name.endswith(f".{derived.LIST}"):
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    yield _Entry(status.st_mtime, status.st_blocks * 512, entry.name)
