"""The door to the disk: bytes under the name of their SHA-256, `blobs/ab/ab12…`, in 256 shards.

This room knows nothing of rows. Its part of the one invariant (docs/architecture.md): bytes get their name only when
they are durable, and the name is durable before the caller goes on; but for few bytes, for which the journal answers
(`contents/journal`).
"""

import logging
import os
import re
import stat
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from lazu import clock, slots
from lazu.errors import StorageFailed
from lazu.store import derived, disk
from lazu.store.staged import Staged, Staging
from lazu.store.syncs import Syncs

SHARDS = [f"{number:02x}" for number in range(256)]

_BLOB = re.compile(r"[0-9a-f]{64}")
#: Ends the name of bytes that are about to replace those of a blob; after a crash the purge removes it.
NEW = ".new"

#: Seconds to wait for somebody else's sweep, which may be long, or have been stopped.
SWEEP_SECONDS = 3600

log = logging.getLogger(__name__)


class Blobs(Syncs, Staging):
    """The shards under `root`. An upload that would leave less than `min_free` bytes free is refused.

    Once the store has `failed` nothing comes in and nothing is removed, until `recover`.
    """

    def __init__(self, root: Path, min_free: int) -> None:
        Syncs.__init__(self, root)
        Staging.__init__(self, root, min_free)
        self._shards = {shard: f"{root}/{shard}" for shard in SHARDS}

    def prepare(self) -> None:
        """Make the shards that are not there yet, durably; raises `CannotStart` or OSError."""
        self.root.mkdir(mode=0o750, parents=True, exist_ok=True)
        there = {entry.name for entry in os.scandir(self.root) if entry.is_dir()}
        for shard in SHARDS:
            if shard not in there:
                (self.root / shard).mkdir(mode=0o750, exist_ok=True)
        disk.sync(self.root)
        disk.sync(self.root.parent)
        self.try_out()

    def require(self, size: int) -> None:
        """As `Staging.require`; raises `StorageFailed` too."""
        if self.failed:
            raise StorageFailed
        super().require(size)

    @contextmanager
    def lock(self, sha256: str, wait: bool = True) -> Iterator[int]:
        """Hold the lock of the shard of `sha256`: the only lock under which a blob gets or loses its name.

        Gives the shard's directory descriptor. Raises `Busy`, or `disk.LockHeld` if it is held and `wait` is false.
        Holds no slot: whoever has the lock must not wait for one.
        """
        with slots.waiting(), disk.lock(self._shards[self.shard(sha256)], wait) as fd:
            yield fd

    def publish(self, staged: Staged, shard: int) -> bytes | None:
        """Give staged bytes their name. The caller holds the shard's lock, whose descriptor is `shard`.

        Sealed bytes are durable then, name and all. Few bytes are not: they are given back, for the caller to commit
        them with their row. Raises `StorageFailed` or OSError.
        """
        if self.failed:
            raise StorageFailed
        few = staged.few
        if few is None:
            self.put(staged, shard)
            return None
        self.watch()
        try:
            _name(staged, staged.sha256, shard)
        except FileExistsError:
            if not self.holds(staged.sha256, few):
                # Others' rows may need this blob, which a power cut must not find replaced by nothing.
                staged.seal()
                self.put(staged, shard)
        return few

    def put(self, staged: Staged, shard: int, replay: bool = False) -> None:
        """Give sealed bytes their name, durably, also in a store that has failed; `shard` as for `publish`.

        A blob that was there already gives way to these bytes, which are known to be right; one of another size is told
        as damaged, but in a `replay`, which tells of its own. The directory is synced then too: the process that named
        it may have died before its own fsync. Raises OSError.
        """
        try:
            _name(staged, staged.sha256, shard)
        except FileExistsError:
            if _replace(staged, shard) and not replay:
                log.warning("a damaged blob was replaced by the bytes of its name")
        self.sync(shard)

    def holds(self, sha256: str, few: bytes) -> bool:
        """Whether a blob is there with just these bytes, and can be read."""
        try:
            with self.open(sha256) as blob:
                return blob.read(len(few) + 1) == few
        except OSError:
            return False

    def unlink(self, sha256: str, shard: int) -> int:
        """Remove a blob's name; gives the bytes freed, 0 if it was gone. The caller holds the shard's lock.

        What is kept of it goes first. Not synced: what comes back after a power cut the next purge sweeps.
        """
        derived.drop(sha256, shard)
        try:
            size = os.stat(sha256, dir_fd=shard).st_size
            os.unlink(sha256, dir_fd=shard)
        except FileNotFoundError:
            return 0
        return size

    def open(self, sha256: str) -> FileIO:
        """The blob, open for reading, whole even if it loses its name meanwhile; raises FileNotFoundError."""
        return FileIO(self.root / self.path(sha256), opener=disk.open_regular)

    def keep(self, staged: Staged, sha256: str, kind: str) -> bool:
        """Keep staged bytes that were made from a blob beside it; False if the blob is gone. The first ones stay."""
        staged.seal()
        with self.lock(sha256) as shard:
            if not self.size(sha256):
                return False
            derived.note(sha256, kind, shard)
            with suppress(FileExistsError):
                _name(staged, derived.name(sha256, kind), shard)
            return True

    @staticmethod
    def shard(sha256: str) -> str:
        """The name of the shard of a blob."""
        return sha256[:2]

    def path(self, name: str) -> str:
        """Where a blob, or what is kept of it, lies below `root`."""
        return f"{self.shard(name)}/{name}"

    def entries(self, shard: str) -> list[str]:
        """Everything in a shard."""
        return os.listdir(self.root / shard)

    @staticmethod
    def is_left(name: str, alive: Container[str]) -> bool:
        """Whether a crash left `name`: it is a replacement that was not finished, or kept of no blob `alive`."""
        owner = derived.owner(name)
        return name.endswith(NEW) or (owner is not None and owner not in alive)

    def discard(self, shard: str, name: str) -> None:
        """Remove `name` from a shard, unless the blob from which it was derived is there now."""
        owner = derived.owner(name)
        with self.lock(shard) as fd, suppress(FileNotFoundError):
            if owner is None or not self.size(owner):
                os.unlink(name, dir_fd=fd)

    def quarantine(self, sha256: str, name: str) -> None:
        """Move `name` in the shard of `sha256` out of reach, or leave it and raise OSError.

        To `quarantine` beside `root`, or in it if it is a file system of its own: what can't be read can't be copied.
        The caller holds the shard's lock.
        """
        shard, alone = self.root / self.shard(sha256), self.root.stat().st_dev != self.root.parent.stat().st_dev
        place = (self.root if alone else self.root.parent) / "quarantine"
        place.mkdir(mode=0o700, exist_ok=True)
        moved = place / f"{name}-{clock.milliseconds()}"
        os.rename(shard / name, moved)
        try:
            disk.sync(place)
            disk.sync(shard)
        except OSError:
            os.rename(moved, shard / name)
            raise

    def size(self, sha256: str) -> int:
        """Bytes of a blob, 0 if it is gone."""
        try:
            return disk.regular_size(self.root / self.path(sha256))
        except FileNotFoundError:
            return 0

    @contextmanager
    def alone(self, wait: bool = False) -> Iterator[bool]:
        """Whether the caller is the only one in here, of all processes, until the end of the `with`; may wait."""
        try:
            with disk.lock(self.root, wait, SWEEP_SECONDS):
                yield True
        except disk.LockHeld:
            yield False


def is_blob(shard: str, name: str) -> bool:
    """Whether `name` in the directory `shard` is that of a blob."""
    return name[:2] == shard and _BLOB.fullmatch(name) is not None


def _name(staged: Staged, name: str, shard: int) -> None:
    # /proc/self/fd is how linkat(2) names an O_TMPFILE without CAP_DAC_READ_SEARCH (open(2)).
    os.link(f"/proc/self/fd/{staged.fd}", name, dst_dir_fd=shard, follow_symlinks=True)


def _replace(staged: Staged, shard: int) -> bool:
    """Put sealed bytes in the place of those of the same name, which the disk may have changed; who reads them goes on.

    Gives whether their size showed that they were other ones: what is kept of them stays, unless it did.
    """
    other = os.stat(staged.sha256, dir_fd=shard).st_size != staged.size
    if other:
        derived.drop(staged.sha256, shard)
    new = staged.sha256 + NEW
    with suppress(FileNotFoundError):
        os.unlink(new, dir_fd=shard)
    _name(staged, new, shard)
    os.rename(new, staged.sha256, src_dir_fd=shard, dst_dir_fd=shard)
    return other


def closed(root: Path) -> list[Path]:
    """The directories that Lazu's group, and so nginx, can't enter: of the storage directory, `root` and the shards."""
    there = [each for each in (root.parent, root, *(root / name for name in SHARDS)) if os.path.exists(each)]
    return [each for each in there if not each.stat().st_mode & stat.S_IXGRP]


def devices(root: Path) -> set[int]:
    """The numbers of the file systems on which the shards under `root` lie; empty before the first start.

    A blob gets its name by a hard link from `root`: they must be one.
    """
    return {(root / name).stat().st_dev for name in ("", *SHARDS) if os.path.exists(root / name)}
