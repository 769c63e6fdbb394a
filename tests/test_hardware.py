"""Failing hardware fails clean: a full disk, an fsync that fails, a commit in doubt, no file descriptor left."""

import errno
import http.client
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import peewee
import pytest

from helpers import uploads
from helpers.broken import failing
from helpers.in_process import AUTH, put, use_key
from helpers.server import PROJECT, Server, opened, problems
from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, form, part, request, stored, upload
from lazu.config import Settings
from lazu.errors import CannotStart, Failed, InsufficientStorage, InternalError, StorageFailed, StorageMoved
from lazu.store import rows
from lazu.store.blobs import Blobs
from lazu.store.opening import open_store
from lazu.store.sqlite import engine as sqlite
from lazu.store.staged import Staging
from lazu.store.tables import File
from lazu.upkeep.purge import purge

pytestmark = pytest.mark.slow

MB = 2**20
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
STRACE = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")


@pytest.fixture
def small(tmp_path):
    """A file system of 100 MB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "lazu-test", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@ROOT
def test_a_disk_that_is_read_only_is_called_so(small):
    """As ext4 becomes after an error; it has O_TMPFILE all the same."""
    server = Server(small / "storage").start()
    server.stop()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    refused = server.flask("stats", check=False)
    subprocess.run(["mount", "-o", "remount,rw", small], check=True)
    assert refused.returncode == 1
    assert "Read-only file system" in refused.stderr
    assert "O_TMPFILE" not in refused.stderr


@pytest.fixture
def tight(small):
    """A server on it whose uploads stop at 8 MB."""
    server = Server(small / "storage", {"LAZU_MIN_FREE_BYTES": str(8 * MB)}).start()
    yield server
    server.stop()
    assert problems(server.storage) == []


def fill(place):
    """Leave not one byte."""
    with (place / "filler").open("wb", buffering=0) as filler:
        for size in (MB, 4096, 1):
            try:
                while True:
                    filler.write(b"\0" * size)
            except OSError:
                continue
    assert shutil.disk_usage(place).free == 0


def blobs(server):
    return {path.name for path in server.blobs() if len(path.name) == 64}


@ROOT
def test_counters_that_find_no_room_in_memory_cost_no_worker_and_are_told_when_there_is_some(small, tmp_path):
    """As in a /dev/shm that is full, before the start and later: they need more with each new route."""
    server = Server(tmp_path / "storage", {"RUNTIME_DIRECTORY": str(small), "LAZU_WORKERS": "1"})
    for paths in (["/v1/files"], ["/healthz", "/readyz", "/openapi.json"]):
        fill(small)
        server.process or server.start()
        first, second = ([request(server, "GET", path).status for path in paths] for _ in range(2))
        assert first == second
        (small / "filler").unlink()
        for path in paths:
            request(server, "GET", path)
            told = f'lazu_requests_total{{method="GET",route="{path}",status="{first[paths.index(path)]}"}} 3.0'
            until(lambda told=told: told in request(server, "GET", "/metrics").body.decode())
    server.stop()
    assert server.log.read_text().count("missing from /metrics") == 1


@ROOT
def test_counters_whose_room_comes_back_page_by_page_cost_no_worker(small, tmp_path):
    """All that had found none was written into what was room for a part of it, which is a SIGBUS."""
    server = Server(tmp_path / "storage", {"RUNTIME_DIRECTORY": str(small), "LAZU_WORKERS": "1"}).start()
    try:
        before = until(lambda: len(found := server.pids()) == 2 and found)
        fill(small)
        paths = json.loads((PROJECT / "lazu/routes/openapi.json").read_text())["paths"]
        asked = [(method.upper(), path) for path, methods in paths.items() for method in methods if method in ("get", "post")]
        for method, path in asked:
            request(server, method, path)
        for size in range(os.path.getsize(small / "filler") - 4096, 0, -4096)[:12]:
            os.truncate(small / "filler", size)
            assert request(server, "GET", "/v1/models").status == 401
        (small / "filler").unlink()
        told = 'lazu_requests_total{method="GET",route="/v1/models",status="401"} 13.0'
        until(lambda: told in request(server, "GET", "/metrics").body.decode())
        assert server.pids() == before
    finally:
        server.stop()


@ROOT
def test_a_place_for_counters_that_fills_up_refuses_no_upload(small, tmp_path):
    """What counts for a quota was refused, and each part, though the server was ready: it had made no table yet."""
    env = {"RUNTIME_DIRECTORY": str(small), "LAZU_WORKERS": "1", "LAZU_KEY_QUOTA_BYTES": str(MB)}
    server = Server(tmp_path / "storage", env).start()
    try:
        fill(small)
        assert request(server, "GET", "/readyz").status == 200
        key = server.new_key()
        assert stored(server, key, b"hello")["bytes"] == 5
        begun = uploads.created(server, key, 5)
        assert uploads.completed(server, key, begun, [uploads.added(server, key, begun, b"parts")])["status"] == "completed"
    finally:
        server.stop()


@ROOT
def test_a_place_for_counters_without_an_inode_costs_no_worker_and_no_reload(small, tmp_path):
    """gunicorn's master made a file there for each worker, and ended when it could not."""
    server = Server(tmp_path / "storage", {"RUNTIME_DIRECTORY": str(small), "LAZU_WORKERS": "1"}).start()
    try:
        request(server, "GET", "/healthz")
        until(lambda: [*small.rglob("histogram_*.db")])  # the last of a worker's files: from now on the number stays
        had = os.statvfs(small)
        subprocess.run(["mount", "-o", f"remount,nr_inodes={had.f_files - had.f_ffree}", small], check=True)
        for how in (lambda worker: os.kill(worker, signal.SIGKILL), lambda _: server.process.send_signal(signal.SIGHUP)):
            before = server.pids()
            how(before[1])
            until(lambda before=before: len(set(server.pids()) - set(before)) == 1)
            assert request(server, "GET", "/healthz").status == 200
    finally:
        server.stop()


@ROOT
def test_a_start_that_finds_no_inode_for_its_counters_says_so_and_leaves_nothing(small, tmp_path):
    """Also where there is one for the directory, and none for what is in it."""
    had = os.statvfs(small)
    subprocess.run(["mount", "-o", f"remount,nr_inodes={had.f_files - had.f_ffree + 1}", small], check=True)
    server = Server(tmp_path / "storage", {"RUNTIME_DIRECTORY": str(small)})
    with pytest.raises(AssertionError, match="did not start"):
        server.start()
    [told] = server.log.read_text().splitlines()
    assert told.startswith(f"Lazu can't start: {small} can't hold what the processes count: No space left")
    assert list(small.iterdir()) == []


@ROOT
def test_a_full_disk_refuses_uploads_and_lets_deletes_and_the_purge_make_room(small):
    server = Server(small / "storage", {"LAZU_WORKERS": "1"}).start()
    try:
        key = server.new_key()
        one, two = stored(server, key, b"1" * MB), stored(server, key, b"2" * MB)
        had = blobs(server)
        fill(small)
        for size in (100, 5 * MB):
            answer = upload(server, key, PURPOSE, part("file", b"3" * size, "a.txt"))
            assert answer.error == (507, "insufficient_storage", None)
            assert answer.headers["x-should-retry"] == "false"
        assert blobs(server) == had, "what was refused left nothing behind"
        assert request(server, "GET", f"/v1/files/{one['id']}/content", key).body == b"1" * MB
        gone = request(server, "DELETE", f"/v1/files/{one['id']}", key)
        assert gone.status == 200, (gone.body, server.log.read_text())
        assert request(server, "GET", f"/v1/files/{one['id']}", key).status == 404
        assert len(blobs(server)) == 1
        (small / "filler").unlink()
        assert stored(server, key, b"room again")["bytes"] == 10
        ballast = server.storage / "ballast"
        until(lambda: ballast.exists() and ballast.stat().st_size == 16 * MB)  # made again, whoever made the room
        assert request(server, "DELETE", f"/v1/files/{two['id']}", key).status == 200
    finally:
        server.stop()
    assert problems(server.storage) == []


@ROOT
@pytest.mark.parametrize("several", [False, True], ids=["one box", "several"])
def test_a_box_without_an_inode_or_without_room_is_not_ready(small, cluster, several):
    """What an upload would be refused for, also where no floor is set. On several boxes it passes by this disk, too."""
    engines = {f"LAZU_{name.upper()}": value for name, value in cluster.items()}
    server = Server(small / "storage", {"LAZU_API_KEY": "k", **(engines if several else {})}).start()
    try:
        file = stored(server, "k", b"1" * MB)
        asked = f"/v1/files/{file['id']}/content"
        assert [request(server, "GET", path, "k").status for path in ("/readyz", asked)] == [200, 200]
        had = os.statvfs(small)
        subprocess.run(["mount", "-o", f"remount,nr_inodes={had.f_files - had.f_ffree}", small], check=True)
        assert upload(server, "k", PURPOSE, part("file", b"2" * MB, "a.txt")).status == 507
        assert [request(server, "GET", path, "k").status for path in ("/readyz", asked)] == [503, 200]
        server.stop()
        server.start()
        assert [request(server, "GET", path, "k").status for path in ("/readyz", asked)] == [503, 200]
        subprocess.run(["mount", "-o", "remount,nr_inodes=10000", small], check=True)
        assert request(server, "GET", "/readyz").status == 200
        fill(small)
        assert [request(server, "GET", path, "k").status for path in ("/readyz", asked)] == [503, 200]
        assert upload(server, "k", PURPOSE, part("file", b"2", "a.txt")).status == 507
        assert "fail  free space" in server.flask("doctor", check=False).stdout
    finally:
        subprocess.run(["mount", "-o", "remount,nr_inodes=10000", small], check=True)
        server.stop()


@pytest.mark.parametrize("several", [False, True], ids=["one box", "several"])
def test_a_place_where_no_upload_can_arrive_stops_the_start(cluster, tmp_path, several):
    with failing(Staging, "unnamed", errno.EOPNOTSUPP), pytest.raises(CannotStart, match="LAZU_STORAGE_DIR has no O_TMPFILE"):
        open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **(cluster if several else {})))


@ROOT
def test_a_full_place_for_temporary_files_ends_no_worker(small, serve):
    """What the workers share is mapped: a write that finds no room is no error but a signal."""
    server = serve(TMPDIR=str(small), LAZU_WORKERS="1", LAZU_API_KEY="k")
    fill(small)
    until(lambda: len(server.pids()) == 2)
    before = server.pids()
    file = stored(server, "k", b"before")
    for path in ("/v1/files", f"/v1/files/{file['id']}", f"/v1/files/{file['id']}/content", "/readyz", "/metrics"):
        assert request(server, "GET", path, "k").status == 200
    assert request(server, "DELETE", f"/v1/files/{file['id']}", "k").status == 200
    assert server.pids() == before
    server.stop()
    assert request(server.start(), "GET", "/readyz").status == 200


@ROOT
def test_the_purge_works_on_a_full_disk(small):
    server = Server(small / "storage", {"LAZU_WORKERS": "1"}).start()
    key = server.new_key()
    for i in range(300):
        stored(server, key, b"%d" % i)
    server.stop()
    with opened(server.storage):
        File.update(expires_at=1).execute()
    fill(small)
    assert json.loads(server.flask("purge", "--json").stdout)["files"] == 300
    assert blobs(server) == set()
    assert problems(server.storage) == []


@ROOT
def test_a_full_disk_without_its_ballast_is_told_in_one_line(small):
    server = Server(small / "storage", {"LAZU_WORKERS": "1"}).start()
    try:
        key = server.new_key("alice")
        files = [stored(server, key, b"%d" % number) for number in range(3)]
        fill(small)
        (server.storage / "ballast").unlink()
        with (small / "more").open("wb", buffering=0) as more, suppress(OSError):
            while True:
                more.write(b"\0" * 4096)
        for file in files:
            answer = request(server, "DELETE", f"/v1/files/{file['id']}", key)
            assert answer.error == (507, "insufficient_storage", None)
        for argv in ("purge", "keys revoke alice", "keys create bob", "keys rotate alice", "keys quota alice 5"):
            refused = server.flask(*argv.split(), check=False)
            assert (refused.returncode, refused.stderr) == (1, "Error: database or disk is full\n"), argv
        (small / "more").unlink()
        assert request(server, "DELETE", f"/v1/files/{files[0]['id']}", key).status == 200
        assert server.flask("keys", "revoke", "alice").returncode == 0
    finally:
        server.stop()
    assert problems(server.storage) == []


def test_the_floor_counts_what_other_uploads_still_need(tmp_path):
    """Reserved in the file system itself, so it holds for every process, and ends with the process that took it."""
    room = Blobs(tmp_path / "blobs", 0)
    room.prepare()
    room.min_free = shutil.disk_usage(tmp_path).free - 400 * MB
    with ExitStack() as stack:
        stack.enter_context(room.stage(512 * MB, expected=300 * MB))
        with pytest.raises(InsufficientStorage):
            Blobs(tmp_path / "blobs", room.min_free).stage(512 * MB, expected=300 * MB)
        stack.enter_context(room.stage(512 * MB, expected=50 * MB))
    with room.stage(512 * MB, expected=300 * MB) as staged:
        staged.write(b"a" * MB)
        staged.seal()
        with room.lock(staged.sha256) as shard:
            room.publish(staged, shard)
        stat = (room.root / staged.sha256[:2] / staged.sha256).stat()
        assert (stat.st_size, stat.st_blocks * 512 < 2 * MB) == (MB, True), "what was not needed was given back"


def pour(staged, count):
    for _ in range(count):
        staged.write(b"a" * MB)


def test_an_upload_of_unknown_length_stops_at_the_floor(tmp_path):
    room = Blobs(tmp_path / "blobs", 0)
    room.prepare()
    room.min_free = shutil.disk_usage(tmp_path).free - 100 * MB
    with room.stage(512 * MB) as staged, pytest.raises(InsufficientStorage):
        pour(staged, 400)
    assert 16 * MB < staged.size < 300 * MB  # whoever else uses this disk may free some


def test_an_upload_too_large_for_the_disk_is_refused_before_its_body_comes(serve):
    server = serve(LAZU_MIN_FREE_BYTES=str(2**60))
    key = server.new_key()
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        connection.putrequest("POST", "/v1/files")
        for name, value in (("Authorization", f"Bearer {key}"), ("Content-Length", str(300 * MB))):
            connection.putheader(name, value)
        connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (507, "insufficient_storage")


# A failing fsync. strace makes the Nth call of a thread fail, and, with "+", all from there on.

STORY = """
import json, sys
from lazu.application import create_app
app = create_app()
from helpers.in_process import AUTH
from helpers.wire import BOUNDARY, PURPOSE, form, part
http, kept = app.test_client(), {}
content_type = f"multipart/form-data; boundary={BOUNDARY}"
data = {1: b"1" * 20000, 2: b"2", 3: b"3" * 20000}  # many bytes have syncs of their own
for i in (1, 2, 1, 3):
    body = form(PURPOSE, part("file", data[i], "a.txt"))
    answer = http.post("/v1/files", data=body, content_type=content_type, headers=AUTH)
    if answer.status_code == 200:
        kept[answer.json["id"]] = i
    else:
        assert answer.status_code in (500, 507), answer.json
    if i == 2 and kept:
        gone = next(iter(kept))
        if http.delete(f"/v1/files/{gone}", headers=AUTH).status_code == 200:
            del kept[gone]
for file_id, i in kept.items():
    with http.get(f"/v1/files/{file_id}/content", headers=AUTH) as answer:
        assert answer.data == data[i]
print(json.dumps([list(kept), app.extensions["lazu"].contents.blobs.failed]))
"""


def inject(storage, call):
    """Run the story on a store that is there already while `call` fails; gives what it printed, and what it synced."""
    env = {"LAZU_STORAGE_DIR": str(storage), "LAZU_API_KEY": "test-key", "LAZU_MIN_FREE_BYTES": "0"}
    env |= {"PYTHONPATH": f"{PROJECT}:{PROJECT}/tests"}
    log = storage.parent / "strace"
    traced = ["strace", "-f", "-qq", "-o", log, "-y", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-e", f"inject={call}"]
    argv = [*map(str, traced), sys.executable, "-c", STORY]
    done = subprocess.run(argv, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    return done, log.read_text().splitlines()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A store with nothing in it, and how many syncs of each kind the story makes on a copy of it."""
    base = tmp_path_factory.mktemp("fresh")
    with opened(base / "storage"):
        pass
    shutil.copytree(base / "storage", base / "counted" / "storage")
    _, log = inject(base / "counted" / "storage", "fsync:retval=0:when=65535")
    return base / "storage", len(log)


def repeated(log):
    """The files of ours that were synced again after it failed once: the second time means nothing."""
    failed, again = set(), set()
    for line in log:
        path = line.partition("<")[2].partition(">)")[0]
        again |= failed & {path}
        if "EIO" in line and "/blobs" in path:
            failed.add(path)
    return again


@STRACE
@pytest.mark.parametrize("more", ["", "+"])
def test_every_sync_that_fails_loses_no_acknowledged_file_and_leaves_no_dangling_row(fresh, tmp_path, more):
    template, count = fresh
    assert count > 15
    for number in range(1, count + 1, 4 if more else 1):
        storage = tmp_path / f"{number}" / "storage"
        shutil.copytree(template, storage)
        done, log = inject(storage, f"fsync,fdatasync:error=EIO:when={number}{more}")
        assert repeated(log) == set(), number
        if done.returncode:
            assert "can't start" in done.stderr, (number, done.stderr)
            assert number <= 5, (number, done.stderr)
            continue
        kept, failed = json.loads(done.stdout.splitlines()[-1])
        after(storage, kept, failed, number)


def after(storage, kept, failed, number):
    """Every acknowledged file is there; a store that stopped goes on after fsck; one purge leaves no leak."""
    with opened(storage) as store:
        found = list(store.contents.look(rehash=True))
        assert {each.kind for each in found} <= {"stray"}, (number, found)
        assert store.contents.failed == failed
        if failed:
            with pytest.raises(StorageFailed):
                purge(store)
            store.contents.recover()
        purge(store)
        assert {file.id for file in File.select(File.id)} >= set(kept), number
    assert problems(storage) == [], number


def test_a_store_that_a_disk_error_stopped_reads_and_deletes_and_waits_for_fsck(serve):
    server = serve()
    key = server.new_key()
    one, two = stored(server, key, b"one"), stored(server, key, b"two")
    had = blobs(server)
    with opened(server.storage) as store:
        store.contents.blobs.fail("a test")
    for _ in range(8):  # either worker knows
        answer = upload(server, key, PURPOSE, part("file", b"three", "a.txt"))
        assert answer.error == (500, "internal_error", None)
        assert answer.headers["x-should-retry"] == "false"
    assert request(server, "GET", f"/v1/files/{one['id']}/content", key).body == b"one"
    assert request(server, "DELETE", f"/v1/files/{one['id']}", key).status == 200
    assert blobs(server) == had, "nothing is unlinked"
    refused = server.flask("purge", check=False)
    assert (refused.returncode, "flask fsck" in refused.stderr) == (1, True)
    assert server.flask("fsck", check=False).returncode == 1, "the deleted file's bytes are stray"
    assert server.flask("fsck", "--repair").returncode == 0
    assert stored(server, key, b"three")["bytes"] == 5
    assert request(server, "GET", f"/v1/files/{two['id']}/content", key).body == b"two"


def test_a_disk_that_can_not_tell_whether_it_failed_takes_nothing(app):
    room = app.extensions["lazu"].contents.blobs
    marker = room.root / "failed"
    marker.symlink_to(marker)
    with pytest.raises(OSError, match="symbolic links"):
        marker.stat()
    assert room.failed
    marker.unlink()


def test_a_row_that_finds_no_room_takes_its_bytes_along(app, monkeypatch):
    http, room = app.test_client(), app.extensions["lazu"].contents.blobs
    use_key(app)  # its commit, of another thread, would be the one that fails
    put(http, b"shared")

    commit, fails = sqlite.database.commit, []

    def full():
        if fails:
            raise peewee.OperationalError(fails.pop())
        commit()

    with monkeypatch.context() as patch:
        patch.setattr(sqlite.database, "commit", full)
        for content in (b"alone", b"shared"):
            fails.append("database or disk is full")
            body = form(PURPOSE, part("file", content, "a.txt"))
            content_type = f"multipart/form-data; boundary={BOUNDARY}"
            answer = http.post("/v1/files", data=body, content_type=content_type, headers=AUTH)
            assert (answer.status_code, answer.json["error"]["code"]) == (507, "insufficient_storage")
    assert not room.failed
    assert [path.read_bytes() for path in room.root.glob("??/*")] == [b"shared"]


def test_a_commit_in_doubt_stops_the_unlinking(app, monkeypatch):
    """The row may come back after a crash: its bytes must stay until fsck has settled it."""
    http, room = app.test_client(), app.extensions["lazu"].contents.blobs

    def broken(*_):
        raise peewee.OperationalError("disk I/O error")

    use_key(app)  # a write too, which might be the first in doubt
    with monkeypatch.context() as patch:
        patch.setattr(sqlite.database, "commit", broken)
        body = form(PURPOSE, part("file", b"in doubt", "a.txt"))
        content_type = f"multipart/form-data; boundary={BOUNDARY}"
        answer = http.post("/v1/files", data=body, content_type=content_type, headers=AUTH)
        assert (answer.status_code, answer.json["error"]["code"]) == (500, "internal_error")
    assert room.failed
    assert app.test_cli_runner().invoke(args=["purge"]).exit_code == 1
    assert len(list(room.root.glob("??/*"))) == 1
    assert app.test_cli_runner().invoke(args=["fsck", "--repair"]).exit_code == 0
    assert not room.failed
    put(http, b"in doubt")


def test_a_commit_in_doubt_on_the_room_of_the_ballast_stops_the_unlinking_too(app, monkeypatch):
    """A deletion on a full disk commits a second time: an error then went by what hears of doubts."""
    http, room = app.test_client(), app.extensions["lazu"].contents.blobs
    use_key(app)  # a write too, which might be the first
    file = put(http, b"on its way out")
    told = ["database or disk is full"]

    def broken(*_):
        raise peewee.OperationalError(told.pop() if told else "disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite.database, "commit", broken)
        answer = http.delete(f"/v1/files/{file['id']}", headers=AUTH)
        assert (answer.status_code, answer.json["error"]["code"]) == (500, "internal_error")
    assert (told, room.failed) == ([], True)
    assert app.test_cli_runner().invoke(args=["fsck", "--repair"]).exit_code == 0
    assert not room.failed


@pytest.mark.parametrize("failure", [OSError(errno.EMFILE, "Too many open files"), Failed("busy"), InternalError(), StorageMoved()], ids=lambda failure: type(failure).__name__)
def test_a_file_that_is_gone_is_answered_so_whatever_becomes_of_its_bytes(app, monkeypatch, failure):
    """A 5xx would be repeated, and meet 404."""
    http, room = app.test_client(), app.extensions["lazu"].contents.blobs
    file = put(http, b"soon gone")

    def fail(*_):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(rows, "unreferred", fail)
        assert http.delete(f"/v1/files/{file['id']}", headers=AUTH).json["deleted"]
    assert len(list(room.root.glob("??/*"))) == 1
    assert app.test_cli_runner().invoke(args=["purge"]).exit_code == 0
    assert list(room.root.glob("??/*")) == []


def test_the_last_use_of_a_key_is_one_line_of_the_log_wherever_descriptors_end(app, caplog):
    """The lock of the database needs one too: its thread ended with a bare trace."""
    store = app.extensions["lazu"]
    with store.engine.connected():
        key = store.keys.find("default")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [number for number in range(limits[0]) if not os.path.exists(f"/proc/self/fd/{number}")][:8]
    try:
        for number in free:
            resource.setrlimit(resource.RLIMIT_NOFILE, (number, limits[1]))
            store.keys._write_use(key, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "could not be written: [Errno 24] Too many open files" in caplog.text
    with store.engine.connected():
        assert store.keys.find("default").last_used_at == 0


def test_without_a_file_descriptor_left_a_worker_answers_late_or_not_but_lives(tmp_path):
    server = Server(tmp_path / "storage", {"LAZU_WORKERS": "1", "LAZU_API_KEY": "k", "LAZU_BODY_TIMEOUT": "5"})
    server.start()
    try:
        stored(server, "k", b"before")
        before = server.pids()
        for pid in before:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (60, 60))
        statuses = []

        def try_upload():
            try:
                statuses.append(upload(server, "k", PURPOSE, part("file", os.urandom(20).hex(), "a.txt")).status)
            except OSError:
                statuses.append(0)

        with ExitStack() as stack:
            for _ in range(100):
                idle = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)))
                idle.connect()
            threads = [threading.Thread(target=try_upload) for _ in range(5)]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) <= {0, 200, 500, 503}, statuses
        assert stored(server, "k", b"after")["bytes"] == 5
        assert server.pids() == before, "no worker died"
    finally:
        server.stop()
    assert problems(server.storage) == []


CROWDED = """
import os, resource, sys
from lazu.documents import launcher
from lazu.errors import Busy
from lazu.store import disk
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
os.setuid(65534)  # the limit is not root's
free = os.dup(0)
os.close(free)
with disk.lock(sys.argv[1]) as held:
    for _ in range(3):
        try:
            with disk.lock(sys.argv[1]):
                sys.exit("nobody waited")
        except Busy as e:
            assert "TasksMax" in str(e)
    try:
        with launcher.started(["/bin/true"], 0):
            sys.exit("a process was made")
    except launcher.Busy:
        pass
assert held == free == os.dup(0), "a descriptor was left"
"""


@ROOT
def test_without_a_thread_or_a_process_left_who_needs_one_is_told_and_leaves_nothing():
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)  # pytest's own folders are closed to others
        argv = [sys.executable, "-c", CROWDED, open_to_all]
        done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "no process left for a reader of documents; raise the limit (TasksMax, ulimit -u)\n")


SCRAPED = """
import os, resource, subprocess
from lazu.application import create_app
http = create_app().test_client()
many = resource.getrlimit(resource.RLIMIT_NPROC)[1]
for most, up in ((many, 1), (0, 0), (0, 0), (many, 1)):
    resource.setrlimit(resource.RLIMIT_NPROC, (most, many))
    answer = http.get("/metrics")
    assert (answer.status_code, f"lazu_database_up {up}.0" in answer.text.splitlines()) == (200, True), answer.text
    if not os.geteuid():  # all that Python needs of its own is read; the limit is not root's
        subprocess.run(["chown", "-R", "65534", os.environ["LAZU_STORAGE_DIR"]], check=True)
        os.setuid(65534)
"""


@ROOT
def test_a_scrape_for_which_no_thread_is_left_is_without_the_store_and_the_next_one_has_it():
    """It was a 500, and all others of that worker were without, however many threads there were later."""
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        env = Server(Path(open_to_all) / "storage").environ
        done = subprocess.run([sys.executable, "-c", SCRAPED], cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("no thread left")) == (0, 2), done.stderr


@ROOT
def test_completions_of_one_upload_at_once_take_the_room_of_one_copy(tight):
    """That much was asked for when it was created; each more would be a full disk for everybody."""
    key, data = tight.new_key(), os.urandom(30 * MB)
    begun = uploads.created(tight, key, len(data))
    ids = [uploads.added(tight, key, begun, data)]
    with ThreadPoolExecutor(6) as pool:
        wrong = list(pool.map(lambda _: uploads.complete(tight, key, begun, ids, md5="0" * 32).error, range(6)))
    assert wrong == [(400, "invalid_request", "md5")] * 6
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: uploads.completed(tight, key, begun, ids), range(6)))
    assert answers == answers[:1] * 6


@ROOT
def test_creations_at_once_promise_what_the_disk_has_no_more_and_no_less(tight):
    """Of each upload the parts that have not come, and the file."""
    key, data = tight.new_key(), os.urandom(20 * MB)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: uploads.create(tight, key, len(data)), range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [507] * 7
    [begun] = [answer.json for answer in answers if answer.status == 200]
    ids = [uploads.added(tight, key, begun, data)]
    assert uploads.create(tight, key, 16 * MB).status == 200
    assert uploads.completed(tight, key, begun, ids)["status"] == "completed"
