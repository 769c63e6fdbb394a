"""Lazu with something wrong, to see that it is noticed. Each function makes one change to the real code, for good."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress

from lazu.store import rows
from lazu.store.blobs import Blobs
from lazu.store.files import Files
from lazu.store.rows import File, database
from lazu.upkeep import purge

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

    def hasty(self: Blobs, staged, shard: int) -> None:
        if staged.sha256 not in os.listdir(shard):
            publish(self, staged, shard)

    Blobs.publish = hasty


@mutant
def synchronous_normal() -> None:
    database._pragmas = [(name, "normal" if name == "synchronous" else value) for name, value in database._pragmas]


@mutant
def row_before_bytes() -> None:
    publish, late = Blobs.publish, []
    create = Files.create
    Blobs.publish = lambda *given: late.append(given)

    def hasty(self: Files, key, upload) -> File:
        file = create(self, key, upload)
        with self.blobs.lock(file.sha256) as shard:
            publish(self.blobs, upload.staged, shard)
        return file

    Files.create = hasty


@mutant
def unlink_inside_the_transaction() -> None:
    def hasty(self: Files, key, file_id: str) -> None:
        file = self.get(key, file_id)
        with self.blobs.lock(file.sha256) as shard, database.atomic():
            File.delete().where(File.id == file_id).execute()
            if not File.select().where(File.sha256 == file.sha256).exists():
                self.blobs.unlink(file.sha256, shard)

    Files.delete = hasty


def lockless(self: Files, sha256: str) -> int:
    """`Files.reap` but for the lock."""
    with database.atomic():
        if File.select().where(File.sha256 == sha256).exists():
            return 0
        rows.write_over()
    shard = os.open(self.blobs.root / sha256[:2], os.O_RDONLY)
    return self.blobs.unlink(sha256, shard)


@mutant
def unlink_without_the_lock() -> None:
    Files.reap = lockless


@mutant
def sweep_without_the_lock() -> None:
    remove = purge._remove

    def hasty(*given) -> purge.Removed:
        reap_all = Files.reap_all
        Files.reap_all = lambda self, hashes: [lockless(self, sha256) for sha256 in hashes]
        try:
            return remove(*given)
        finally:
            Files.reap_all = reap_all

    purge._remove = hasty


@mutant
def unlink_without_looking_again() -> None:
    def hasty(self: Files, key, file_id: str) -> None:
        file = self.get(key, file_id)
        with database.atomic():
            File.delete().where(File.id == file_id).execute()
            free = not File.select().where(File.sha256 == file.sha256).exists()
        if free:
            with self.blobs.lock(file.sha256) as shard:
                self.blobs.unlink(file.sha256, shard)

    Files.delete = hasty


@mutant
def reap_that_only_reads() -> None:
    rows.write_over = lambda: None


@mutant
def no_sweep() -> None:
    Blobs.names = lambda _: iter(())


@mutant
def write_in_place() -> None:
    """The bytes have a name before they are whole: what a crash leaves is a blob like any other."""

    def hasty(self: Blobs, staged, shard: int) -> None:
        with suppress(FileExistsError), open(self.root / staged.sha256[:2] / staged.sha256, "xb") as blob:
            blob.write(os.pread(staged.fd, staged.size, 0))
        fsync(shard)

    Blobs.publish = hasty
