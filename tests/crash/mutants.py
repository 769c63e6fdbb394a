"""Lazu with something wrong, to see that it is noticed. Each function makes one change to the real code, for good."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress

from lazu.store import journal_rows, rows
from lazu.store.blobs import Blobs
from lazu.store.contents.journal import Journal
from lazu.store.contents.shards import Shards
from lazu.store.files import Files
from lazu.store.sqlite import schema
from lazu.store.sqlite.engine import Sqlite, database
from lazu.store.tables import File
from lazu.store.uploads import Uploads

MUTANTS: dict[str, Callable[[], None]] = {}

fsync = os.fsync


def mutant(make: Callable[[], None]) -> Callable[[], None]:
    MUTANTS[make.__name__] = make
    return make


@mutant
def no_fsync_of_the_blob() -> None:
    os.fsync = lambda fd: fsync(fd) if stat.S_ISDIR(os.fstat(fd).st_mode) else None


@mutant
def no_fsync_of_the_directory() -> None:
    os.fsync = lambda fd: None if stat.S_ISDIR(os.fstat(fd).st_mode) else fsync(fd)


@mutant
def no_fsync_of_the_directory_on_a_dedup_hit() -> None:
    publish = Blobs.publish

    def hasty(self: Blobs, staged, shard: int) -> bytes | None:
        return None if staged.sha256 in os.listdir(shard) else publish(self, staged, shard)

    Blobs.publish = hasty


@mutant
def synchronous_normal() -> None:
    database._pragmas = [(name, "normal" if name == "synchronous" else value) for name, value in database._pragmas]


@mutant
def row_before_bytes() -> None:
    publish, add = Blobs.publish, Shards.add
    Blobs.publish = lambda *_: None

    def hasty(self: Shards, staged, identity, insert) -> None:
        add(self, staged, identity, insert)
        with self.blobs.lock(staged.sha256) as shard:
            publish(self.blobs, staged, shard)

    Shards.add = hasty


@mutant
def unlink_inside_the_transaction() -> None:
    def hasty(self: Files, key, file_id: str) -> None:
        file, blobs = self.get(key, file_id), self._contents.blobs
        with blobs.lock(file.sha256) as shard, database.atomic():
            File.delete().where(File.id == file_id).execute()
            if not rows.is_referred(file.sha256):
                blobs.unlink(file.sha256, shard)

    Files.delete = hasty


def lockless(self: Shards, hashes: list[str]) -> list[int]:
    """`Shards.reap` but for the lock."""
    with database.atomic():
        free = rows.unreferred(hashes)
        if not free:
            return []
        self.engine.commit_a_page()
    shards = {sha256: os.open(self.blobs.root / sha256[:2], os.O_RDONLY) for sha256 in free}
    return [self.blobs.unlink(sha256, shard) for sha256, shard in shards.items()]


def lockless_in(name: str) -> None:
    """Let the method of `Shards` called `name` reap without the lock."""
    method, reap = getattr(Shards, name), Shards.reap

    def hasty(*given, **more):
        Shards.reap = lockless
        try:
            return method(*given, **more)
        finally:
            Shards.reap = reap

    setattr(Shards, name, hasty)


@mutant
def unlink_without_the_lock() -> None:
    lockless_in("drop")


@mutant
def sweep_without_the_lock() -> None:
    lockless_in("sweep")


@mutant
def unlink_without_looking_again() -> None:
    def hasty(self: Files, key, file_id: str) -> None:
        file, blobs = self.get(key, file_id), self._contents.blobs
        with database.atomic():
            File.delete().where(File.id == file_id).execute()
            free = not rows.is_referred(file.sha256)
        if free:
            with blobs.lock(file.sha256) as shard:
                blobs.unlink(file.sha256, shard)

    Files.delete = hasty


@mutant
def reap_that_only_reads() -> None:
    Sqlite.commit_a_page = lambda _: None


@mutant
def no_sweep() -> None:
    Shards._loose = lambda *_: iter(())


@mutant
def write_in_place() -> None:
    """The bytes have a name before they are whole: what a crash leaves is a blob like any other."""

    def hasty(self: Blobs, staged, shard: int) -> bytes | None:
        few = staged.few
        with suppress(FileExistsError), open(self.root / staged.sha256[:2] / staged.sha256, "xb") as blob:
            blob.write(os.pread(staged.fd, staged.size, 0))
        fsync(shard)
        return few

    Blobs.publish = hasty


@mutant
def part_row_before_bytes() -> None:
    publish, add_part = Blobs.publish, Uploads.add_part

    def hasty(self: Uploads, key, upload, staged):
        Blobs.publish = lambda *_: None
        try:
            part = add_part(self, key, upload, staged)
        finally:
            Blobs.publish = publish
        with self._contents.blobs.lock(staged.sha256) as shard:
            publish(self._contents.blobs, staged, shard)
        return part

    Uploads.add_part = hasty


@mutant
def parts_removed_before_the_file_is_committed() -> None:
    finished = Uploads._finished

    def hasty(self: Uploads, key, upload, staged):
        self._drop_parts(upload)
        return finished(self, key, upload, staged)

    Uploads._finished = hasty


@mutant
def parts_not_counted() -> None:
    """What removes bytes asks for files only."""
    rows._HAVING = rows._HAVING.replace("upload_part WHERE", "upload_part WHERE bytes < 0 AND")
    rows._REFERRED = rows._REFERRED.replace("part.sha256 BETWEEN", "part.bytes < 0 AND part.sha256 BETWEEN")


@mutant
def no_purge_of_dead_parts() -> None:
    Uploads.drop_dead = lambda *_: 0


# Few bytes: the journal (lazu/store/contents/journal.py).


@mutant
def no_entry_in_the_journal() -> None:
    Journal.taking = staticmethod(lambda _sha256, _data, insert: insert)


@mutant
def no_entry_on_a_dedup_hit() -> None:
    publish = Blobs.publish

    def hasty(self: Blobs, staged, shard: int) -> bytes | None:
        there = staged.sha256 in os.listdir(shard)
        few = publish(self, staged, shard)
        return None if there else few

    Blobs.publish = hasty


@mutant
def few_bytes_replace_without_a_sync() -> None:
    """A blob that is there, durably, gives way to one that is not."""
    publish = Blobs.publish

    def hasty(self: Blobs, staged, shard: int) -> bytes | None:
        if staged.few is not None:
            with suppress(FileNotFoundError):
                os.unlink(staged.sha256, dir_fd=shard)
        return publish(self, staged, shard)

    Blobs.publish = hasty


@mutant
def no_replay() -> None:
    Journal.replay = lambda *_: None


@mutant
def replay_that_trusts_names() -> None:
    Blobs.holds = lambda self, sha256, _: (self.root / self.path(sha256)).exists()


@mutant
def checkpoint_before_the_replay() -> None:
    replay = Journal.replay

    def hasty(self: Journal, trusted: bool = True) -> None:
        entries = list(journal_rows.entries())
        self.checkpoint()
        kept, journal_rows.entries = journal_rows.entries, lambda: entries
        replay(self, trusted)
        journal_rows.entries = kept

    Journal.replay = hasty


@mutant
def checkpoint_without_a_sync() -> None:
    Blobs.sync_all = lambda *_: None


@mutant
def checkpoint_that_removes_what_came_meanwhile() -> None:
    remove = journal_rows.remove
    journal_rows.remove = lambda _, limit: remove(journal_rows.newest(), limit)


@mutant
def ids_used_twice() -> None:
    schema.STEPS = tuple(tuple(each.replace("AUTOINCREMENT", "") for each in step) for step in schema.STEPS)
