"""A whole copy of the store, taken while it serves, and the way back.

Rows first, bytes second: the rows of one moment are copied, then the bytes they refer to. Nothing is held up
meanwhile; a file that is deleted before its bytes were copied is left out of the copy, as if the copy had been taken
after the deletion. So every row of a backup has its blob. The directory has the layout of a store.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lazu.errors import Busy, Doubt, Failed, Full
from lazu.store import disk, rows, snapshot
from lazu.store.blobs import NEW
from lazu.store.contents import Copied, Tick, Wanted, copies, no_tick
from lazu.store.opening import DATABASE, Store, is_served

_VERIFY = "all of the backup is there, and 'flask fsck --rehash' verifies it"
_STRANGER = (
    "that directory holds the backup of another store: this one has none of its keys. Is LAZU_STORAGE_DIR right, and "
    "its disk mounted? 'flask restore' fills a new store; to begin anew, name an empty directory"
)
_TAKEN = "another backup into that directory, or a restore from it, is running"
_NOT_EMPTY = f"the store is not empty; restore into a new one. If a restore was ended while it verified, {_VERIFY}"

_NOT_WHOLE = (
    "{} blobs of the backup are missing or damaged, and so {} files or parts: {}; nothing was restored{}. "
    "The way to all others: docs/operations.md, A backup that is not whole"
)
_LEFT = ", and what was copied is there for the next restore, or the next purge removes it"
#: How many lost files are named.
_NAMED = 3


class BackupProblem(Exception):
    """The backup or the restoration can't be made or is not whole; the message says why."""


def backup(store: Store, target: Path, tick: Tick = no_tick) -> Copied:
    """Make `target` a whole copy of the store, durably; what an earlier backup put there is used again.

    Until the last step the earlier backup stays whole, and for good if it is another store's. Raises `BackupProblem`,
    also when a blob of the store turns out damaged or lost: the copy is then whole but for the files named. Calls
    `tick` `contents.STEPS` times.
    """
    _prepare(target, store.settings.storage_dir)
    try:
        with disk.lock(target, wait=False), _telling("the backup was broken off; run it again, it goes on from there"):
            copied = _take(store, target, tick)
    except disk.LockHeld as e:
        raise BackupProblem(_TAKEN) from e
    if copied["damaged"]:
        raise BackupProblem(
            f"{copied['damaged']} blobs are missing or damaged, so not in the backup; 'flask fsck --rehash' names them"
        )
    return copied


def restore(store: Store, source: Path, tick: Tick = no_tick) -> Copied:
    """Take the backup in `source` into the open store, which must be empty, and verify every byte.

    Bytes first, rows second, the rows in one transaction. Raises `BackupProblem`. Calls `tick` `contents.STEPS` times
    while it copies and as often while it verifies.
    """
    if not (source / DATABASE).is_file():
        raise BackupProblem("there is no backup in that directory")
    broken_off = _telling("the restore was broken off; run it again, it goes on from there")
    with broken_off, store.contents.alone() as alone:
        if not alone():
            raise BackupProblem("a purge is running; try again when it is done")
        if not rows.is_empty():
            raise BackupProblem(_NOT_EMPTY)
        if is_served(store):
            raise BackupProblem("a server is running on this store; stop it first")
        copied = _take_in(store, source, _watching(alone, tick))
    with _telling(f"the restored store could not be verified; {_VERIFY}"):
        found = list(store.contents.look(rehash=True, tick=tick))
    problems = [each for each in found if each.kind != "leftover"]  # which nothing restored is in: another's, perhaps
    if problems:
        raise BackupProblem(f"the restored store has {len(problems)} problems; 'flask fsck --rehash' shows them")
    return copied


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """An engine that is away, or has no room, is a `BackupProblem`: `what` to do, and why."""
    try:
        yield
    except (Busy, Doubt, Full) as e:
        raise BackupProblem(f"{what}: {e}") from e


def _take(store: Store, target: Path, tick: Tick) -> Copied:
    """Rows, bytes, then the new rows in the place of the old; gives what was done, also what was `damaged`."""
    new = target / (DATABASE + NEW)
    snapshot.take(new, store.engine)
    _require_same(target / DATABASE, new)
    copied, absent = store.contents.copy_out(target / "blobs", snapshot.wanted(new), tick)
    snapshot.forget(new, absent)
    os.replace(new, target / DATABASE)
    disk.sync(target)
    copies.prune(target / "blobs", snapshot.wanted(target / DATABASE))
    return copied


def _require_same(earlier: Path, new: Path) -> None:
    """Raise `BackupProblem`, and remove `new`, unless both are of one store: keys are never deleted, so one is in both.

    A store that was set up anew, or a mount point without its disk, would else empty the only backup. An earlier one
    that can't be read can't be restored either: it gives way.
    """
    with suppress(Failed):
        before = snapshot.keys(earlier)
        if before and not before & snapshot.keys(new):
            new.unlink()
            raise BackupProblem(_STRANGER)


def _take_in(store: Store, source: Path, tick: Tick) -> Copied:
    """Bytes, then their rows; gives what was done. No backup takes bytes away from `source` meanwhile."""
    try:
        with disk.lock(source, wait=False):
            return _absorb(store, source, tick)
    except disk.LockHeld as e:
        raise BackupProblem(_TAKEN) from e


def _absorb(store: Store, source: Path, tick: Tick) -> Copied:
    wanted = _wanted(source)
    _require_whole(source, copies.absent(source / "blobs", wanted))  # before anything is copied
    copied, lost = store.contents.copy_in(source / "blobs", wanted, tick)
    _require_whole(source, lost, _LEFT)
    snapshot.absorb(source / DATABASE, store.engine)
    return copied


def _require_whole(source: Path, lost: list[str], left: str = "") -> None:
    """Raise `BackupProblem` that names the files of the `lost` blobs, if there are any."""
    if lost:
        ids = snapshot.ids(source / DATABASE, lost)
        named = ", ".join(ids[:_NAMED]) + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")
        raise BackupProblem(_NOT_WHOLE.format(len(lost), len(ids), named, left))


def _wanted(source: Path) -> list[Wanted]:
    try:
        return snapshot.wanted(source / DATABASE)
    except Failed as e:
        raise BackupProblem(f"{DATABASE} there is no backup that this Lazu can read: {e}") from e


def _watching(alone: Callable[[], bool], tick: Tick) -> Callable[[], None]:
    """A tick that raises `Busy` if a purge may take contents without a row; the last one is after the last content."""

    def step() -> None:
        tick()
        if not alone():
            raise Busy("the connection that keeps purges off was lost")

    return step


def _prepare(target: Path, storage: Path) -> None:
    """Have the directory; refuse the store itself, and one that holds something else."""
    if target.resolve().is_relative_to(storage.resolve()):
        raise BackupProblem("that is the store itself, or lies within it; name another directory")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    ours = {target / DATABASE, target / (DATABASE + NEW), snapshot.journal(target / (DATABASE + NEW)), target / "blobs"}
    if not set(target.iterdir()) <= ours:
        raise BackupProblem("the directory holds something else than a backup; name an empty one")
    copies.prepare(target / "blobs")
