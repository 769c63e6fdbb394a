"""Threads that want to write at the same time share a commit: it is for all of them, or each learns that it is not."""

import errno
import shutil
import struct
import subprocess
import sys
import threading
import time
import traceback
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

import peewee
import pytest

from helpers.in_process import AUTH, uncollected
from helpers.in_store import held
from helpers.server import PROJECT, problems
from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, form, part, request, stored, upload
from lazu.errors import Busy, Full, StorageMoved
from lazu.store.sqlite import engine as sqlite
from lazu.store.sqlite.group_commit import GroupCommit
from lazu.store.tables import File

FRAME = 24 + 4096


def committed(storage):
    """How many commits the write-ahead log holds: its frames that tell a database size (sqlite.org/fileformat §4.1)."""
    log = (storage / "lazu.sqlite3-wal").read_bytes()[32:]
    return sum(struct.unpack_from(">I", log, at + 4)[0] != 0 for at in range(0, len(log), FRAME))


def soon(seconds=60.0):
    return time.monotonic() + seconds


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


WRITES = """
import sys, threading
from pathlib import Path
from lazu.application import create_app
from lazu.config import Settings

store = create_app(Settings(storage_dir=Path(sys.argv[1]))).extensions["lazu"]
store.engine.serve()
for n in range(8):
    thread = threading.Thread(target=store.keys.create, args=(f"key-{n}",))
    thread.start()
    thread.join()
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_servers_threads_write_on_one_connection(tmp_path):
    """Each connection of SQLite syncs the directory too at its first commit."""
    storage, log = tmp_path / "storage", tmp_path / "strace"
    traced = ["strace", "-f", "-qq", "-y", "-o", log, "-e", "trace=fsync,fdatasync", sys.executable, "-c", WRITES, storage]
    subprocess.run(traced, cwd=PROJECT, check=True)
    synced = log.read_text().count(f"<{storage}>")
    assert log.read_text().count("lazu.sqlite3-wal>") >= 8
    assert synced <= 4, "by the start, and by one connection"


def test_work_that_was_refused_its_transaction_is_not_done_by_a_later_one():
    """Its bytes have been taken back by then."""
    done, errors = [], [StorageMoved(), Busy("held")]

    @contextmanager
    def transaction(_):
        if errors:
            raise errors.pop()
        yield

    group = GroupCommit(transaction)
    for error in (Busy, StorageMoved):
        with pytest.raises(error):
            group.commit(lambda: done.append("refused"), soon())
    group.commit(lambda: done.append("done"), soon())
    assert done == ["done"]


@pytest.mark.parametrize("error", [StorageMoved(), OSError(errno.EMFILE, "no descriptor"), Full("full")])
def test_who_can_not_begin_a_transaction_takes_no_other_along(error):
    errors = [error]

    @contextmanager
    def transaction(_):
        if errors:
            until(lambda: len(group._waiting) == 2)
            raise errors.pop()
        yield

    group = GroupCommit(transaction)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(group.commit, lambda: "first", soon())
        until(lambda: group._waiting)
        second = pool.submit(group.commit, lambda: "second", soon())
        assert (type(first.exception(60)), first.exception().args) == (type(error), error.args)
        assert second.result(60) == "second"


def test_a_bug_in_a_transaction_is_told_to_all_in_it(gate):
    def bug():
        raise ZeroDivisionError

    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(gate.group.commit, work, soon()) for work in (lambda: "right", bug)]
        until(lambda: len(gate.group._waiting) == 2)
        gate.begin.set()
        assert [type(each.exception(60)) for each in asked] == [ZeroDivisionError] * 2


def test_each_request_of_a_commit_that_fails_has_a_trace_of_its_own():
    """One exception was raised in all their threads: in the log each trace had the frames of the others."""

    @contextmanager
    def transaction(_):
        until(lambda: len(group._waiting) == 3)
        yield
        raise Full("no room", "unplaced")

    def asking():
        try:
            group.commit(lambda: "written", soon())
        except Full as e:
            together.wait(60)  # all of them have raised theirs
            return e.args, traceback.format_exc().count("in asking")

    group, together = GroupCommit(transaction), threading.Barrier(3)
    with ThreadPoolExecutor() as pool:
        told = [pool.submit(asking) for _ in range(3)]
        assert [each.result(60) for each in told] == [(("no room", "unplaced"), 1)] * 3


@pytest.fixture
def gate():
    """Transactions that begin when `begin` is set and are committed when `end` is; and the threads that want one."""

    class Gate:
        begin, end, done = threading.Event(), threading.Event(), []

        def __init__(self):
            self.group = GroupCommit(self.transaction)

        @contextmanager
        def transaction(self, until):
            if not self.begin.wait(max(0, until - time.monotonic())):
                raise Busy("held")
            yield
            self.end.wait(60)

        def commit(self, name, seconds):
            return self.group.commit(lambda: self.done.append(name), soon(seconds))

    with ThreadPoolExecutor() as pool:
        gate = Gate()
        gate.send = lambda *args: pool.submit(gate.commit, *args)
        yield gate
        gate.begin.set()
        gate.end.set()


def test_who_was_not_taken_along_in_time_is_told_so_and_not_written(gate):
    first = gate.send("first", 60)
    taken = gate.send("taken", 1.5)
    until(lambda: len(gate.group._waiting) == 2)
    gate.begin.set()
    until(lambda: len(gate.done) == 2)
    with pytest.raises(Busy):
        gate.commit("late", 0.1)
    time.sleep(1.5)  # until the time of the one who was taken is over
    assert not taken.done(), "its row may be committed any moment"
    gate.end.set()
    assert first.result(60) is taken.result(60) is None
    gate.commit("last", 60)
    assert sorted(gate.done[:2]) + gate.done[2:] == ["first", "taken", "last"]


def test_who_came_later_waits_on_when_the_first_one_gives_up(gate):
    first = gate.send("first", 0.5)
    until(lambda: gate.group._leader)
    later = gate.send("later", 60)
    assert isinstance(first.exception(60), Busy)
    gate.begin.set()
    gate.end.set()
    later.result(60)
    assert gate.done == ["later"]


def test_who_is_done_does_not_wait_for_the_next_commit():
    """It may wait long for another process."""
    allowed, ran, returned = threading.Semaphore(0), [], []

    @contextmanager
    def transaction(_):
        allowed.acquire()
        yield

    group = GroupCommit(transaction)

    def client():
        for _ in range(10):
            group.commit(lambda: ran.append(1), soon(600))
            returned.append(1)

    with ThreadPoolExecutor(16) as pool:
        for _ in range(16):
            pool.submit(client)
        try:
            while len(returned) < 160:
                before = len(ran)
                allowed.release()
                until(lambda before=before: len(ran) > before)
                until(lambda: len(returned) == len(ran))
        finally:
            allowed.release(1000)


def test_who_comes_with_no_time_left_is_told_so_and_not_written(gate):
    """It waited for the lock of a shard, all of its time."""
    first = gate.send("first", 60)
    until(lambda: gate.group._leader)
    with pytest.raises(Busy):
        gate.commit("late", -5)
    gate.begin.set()
    gate.end.set()
    first.result(60)
    assert gate.done == ["first"]


@pytest.mark.slow
def test_however_many_wait_for_the_database_each_is_told_in_time(serve):
    """10 s for all that one waits for: it was 20 for one upload, and 60 for several."""
    server = serve()
    old = stored(server, server.any_key, b"old")["id"]

    def told(content):
        began = time.monotonic()
        answer = upload(server, server.any_key, PURPOSE, part("file", content, "a.txt")) if content else deleted(old)
        return answer.status, "Retry-After" in answer.headers, time.monotonic() - began < 18

    def deleted(name):
        return request(server, "DELETE", f"/v1/files/{name}", server.any_key)

    sent = [b"", *[b"the same"] * 4, *(b"%d" % number * 5000 for number in range(12))]
    with held(server.storage), ThreadPoolExecutor(len(sent)) as pool:
        assert set(pool.map(told, sent)) == {(503, True, True)}
    assert told(b"the same")[0] == 200
    assert len(request(server, "GET", "/v1/files", server.any_key).json["data"]) == 2
    server.flask("purge")
    assert len(server.blobs()) == 2


@pytest.mark.parametrize("refuses", ["the work", "the transaction"])
def test_what_was_refused_is_held_no_longer(refuses):
    """Not even until Python looks for cycles: it may be much."""

    @contextmanager
    def transaction(_):
        if refuses == "the transaction":
            raise Busy("held")
        yield

    def work(_held):
        raise StorageMoved

    held = {"much"}
    gone = weakref.ref(held)
    with uncollected():
        with suppress(Busy, StorageMoved):
            GroupCommit(transaction).commit(partial(work, held), soon())
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
