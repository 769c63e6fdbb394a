"""Threads that want to write at the same time share a commit: it is for all of them, or each learns that it is not."""

import struct
import subprocess
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

import peewee
import pytest

from helpers.in_process import AUTH, uncollected
from helpers.in_store import held
from helpers.server import PROJECT, problems
from helpers.wire import BOUNDARY, PURPOSE, form, part, request, stored, upload
from lazu.errors import Busy, StorageMoved
from lazu.store import sqlite
from lazu.store.group_commit import GroupCommit
from lazu.store.tables import File

FRAME = 24 + 4096


def committed(storage):
    """How many commits the write-ahead log holds: its frames that tell a database size (sqlite.org/fileformat §4.1)."""
    log = (storage / "lazu.sqlite3-wal").read_bytes()[32:]
    return sum(struct.unpack_from(">I", log, at + 4)[0] != 0 for at in range(0, len(log), FRAME))


@pytest.fixture
def single(serve):
    """One process, and what is in the write-ahead log stays there."""
    server = serve(LAZU_WORKERS="1", LAZU_KEY_QUOTA_BYTES="1000")
    stored(server, server.any_key, b"first")
    time.sleep(0.5)  # the first use of the key is written beside
    return server


def at_once(server, sent):
    """Upload each key's content, all while somebody else is writing; the answers' statuses."""
    with ThreadPoolExecutor(len(sent)) as pool:
        with held(server.storage):
            answers = [pool.submit(upload, server, key, PURPOSE, part("file", content, "a.txt")) for key, content in sent]
            time.sleep(1)
        return [answer.result().status for answer in answers]


def test_uploads_that_wait_are_committed_together(single):
    before = committed(single.storage)
    assert at_once(single, [(single.any_key, b"content %d" % n) for n in range(8)]) == [200] * 8
    assert committed(single.storage) - before == 1, "also for those that came while the first one waited"
    assert len(request(single, "GET", "/v1/files", single.any_key).json["data"]) == 9


def test_one_that_is_refused_takes_no_other_along(single):
    sent = [(single.any_key, (b"%d" % n) * (2000 if n == 3 else 10)) for n in range(6)]
    assert at_once(single, sent) == [200, 200, 200, 507, 200, 200]
    assert len(request(single, "GET", "/v1/files", single.any_key).json["data"]) == 6


@pytest.fixture
def slow(serve, tmp_path):
    """One process on a disk whose syncs take 0.2 s; and the file that tells how many were under way at once."""
    library, counts = tmp_path / "slowsync.so", tmp_path / "counts"
    source = PROJECT / "bench/contenders/slowsync.c"
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    counts.write_bytes(bytes(16))
    env = {"LD_PRELOAD": str(library), "SYNC_MS": "200", "SYNC_COUNTS": str(counts)}
    server = serve(LAZU_WORKERS="1", **env)
    stored(server, server.any_key, b"first")
    time.sleep(1)  # the first use of the key is written beside
    return server, counts


def test_on_a_slow_disk_syncs_run_side_by_side_and_commits_are_shared(slow):
    """One key has 4 slots of 16 here: who waits for the disk must not hold one."""
    server, counts = slow
    before = committed(server.storage)
    with ThreadPoolExecutor(32) as pool:
        sent = [(PURPOSE, part("file", b"content %d" % n * 2000, "a.txt")) for n in range(32)]  # not few bytes
        answers = list(pool.map(lambda fields: upload(server, server.any_key, *fields), sent))
    assert [answer.status for answer in answers] == [200] * 32
    assert committed(server.storage) - before <= 8
    _, files, _, directories = struct.unpack("4i", counts.read_bytes())
    assert min(files, directories) >= 8


def test_work_that_was_refused_its_transaction_is_not_done_by_a_later_one():
    """Its bytes have been taken back by then."""
    done, errors = [], [StorageMoved(), Busy("held")]

    @contextmanager
    def transaction():
        if errors:
            raise errors.pop()
        yield

    group = GroupCommit(transaction)
    for error in (Busy, StorageMoved):
        with pytest.raises(error):
            group.commit(lambda: done.append("refused"))
    group.commit(lambda: done.append("done"))
    assert done == ["done"]


@pytest.mark.parametrize("refuses", ["the work", "the transaction"])
def test_what_was_refused_is_held_no_longer(refuses):
    """Not even until Python looks for cycles: it may be much."""

    @contextmanager
    def transaction():
        if refuses == "the transaction":
            raise Busy("held")
        yield

    def work(_held):
        raise StorageMoved

    held = {"much"}
    gone = weakref.ref(held)
    with uncollected():
        with suppress(Busy, StorageMoved):
            GroupCommit(transaction).commit(partial(work, held))
        del held
        assert gone() is None


@pytest.mark.parametrize("why", ["database or disk is full", "disk I/O error"])
def test_a_commit_that_fails_fails_for_all_in_it(app, monkeypatch, why):
    sizes = []

    def failing():
        time.sleep(0.2)  # the others come meanwhile
        sizes.append(File.select().count())
        raise peewee.OperationalError(why)

    def send(number):
        body = form(PURPOSE, part("file", b"content %d" % number, "a.txt"))
        content_type = f"multipart/form-data; boundary={BOUNDARY}"
        return app.test_client().post("/v1/files", data=body, content_type=content_type, headers=AUTH).status_code

    with monkeypatch.context() as patch, ThreadPoolExecutor(5) as pool:
        patch.setattr(sqlite.database, "commit", failing)
        statuses = list(pool.map(send, range(5)))
    assert set(statuses) <= {500, 507}
    assert max(sizes) > 1, "some were in one commit"
    assert File.select().count() == 0
    app.extensions["lazu"].contents.recover()
    app.test_cli_runner().invoke(args=["purge", "--force"])
    assert problems(app.extensions["lazu"].settings.storage_dir) == []
