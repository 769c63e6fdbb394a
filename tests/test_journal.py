"""Few bytes are durable with their row, by one commit: the journal has them until their blob is durable, too."""

import errno
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from peewee import sqlite3

from helpers.broken import before_syncs, failing
from helpers.in_process import AUTH, content, put
from helpers.server import PROJECT, opened, problems
from helpers.waiting import until
from helpers.wire import request, stored
from lazu.errors import Full
from lazu.store import disk, journal_rows
from lazu.store.blobs import Blobs
from lazu.store.contents import journal
from lazu.store.sqlite.schema import STEPS
from lazu.store.staged import FEW

BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))


def entries(storage):
    """The hashes in the journal, asked of SQLite and not of Lazu."""
    with closing(sqlite3.connect(storage / "lazu.sqlite3")) as database:
        return [sha256 for (sha256,) in database.execute("SELECT sha256 FROM journal ORDER BY id")]


def blob(storage, data):
    sha256 = hashlib.sha256(data).hexdigest()
    return storage / "blobs" / sha256[:2] / sha256


def killed_with(server, contents):
    """Upload contents and kill all of the server before its next checkpoint, as the power does; gives the files."""
    for _ in range(20):
        files = [stored(server, server.any_key, data) for data in contents]
        for pid in server.pids():
            os.kill(pid, signal.SIGKILL)
        server.stop(signal.SIGKILL)
        if len(entries(server.storage)) == len(contents):
            return files
        server.start()
    raise AssertionError("a checkpoint came each time")


def test_what_a_power_cut_takes_of_few_bytes_is_there_again_after_the_start(serve):
    server = serve()
    lost, emptied, torn, whole = contents = [b"lost", b"emptied" * 100, b"torn" * 1000, b"w" * FEW]
    files = killed_with(server, contents)
    blob(server.storage, lost).unlink()
    os.truncate(blob(server.storage, emptied), 0)
    os.truncate(blob(server.storage, torn), 2048)
    before = blob(server.storage, whole).stat().st_ino
    server.start()
    for file, data in zip(files, contents, strict=True):
        assert request(server, "GET", f"/v1/files/{file['id']}/content", server.any_key).body == data
    assert blob(server.storage, whole).stat().st_ino == before, "what is whole is left alone"
    assert "3 blobs were written anew out of the journal" in server.log.read_text()
    assert "damaged" not in server.log.read_text(), "as it goes after each power cut"
    until(lambda: entries(server.storage) == [])


def test_a_deleted_file_does_not_come_back_from_the_journal(serve):
    server = serve()
    [file] = killed_with(server, [b"deleted"])
    server.start()
    server.stop()
    blob(server.storage, b"deleted").unlink()
    with closing(sqlite3.connect(server.storage / "lazu.sqlite3")) as database, database:
        database.execute("INSERT INTO journal (sha256, bytes) SELECT sha256, CAST('deleted' AS BLOB) FROM file")
        database.execute("DELETE FROM file")
    server.start()
    assert request(server, "GET", f"/v1/files/{file['id']}", server.any_key).status == 404
    assert server.blobs() == []
    until(lambda: entries(server.storage) == [])


def test_the_journal_empties_itself_while_serving_and_at_the_end(serve):
    server = serve()
    stored(server, server.any_key, b"soon")
    until(lambda: entries(server.storage) == [])
    for _ in range(10):  # a busy disk is not waited for
        stored(server, server.any_key, b"at the end")
        server.stop()
        if not entries(server.storage):
            break
        server.start()
    assert entries(server.storage) == []
    assert problems(server.storage) == []


#: Put first into what is called at the end of a process, so called last: its checkpoints go on meanwhile.
SLOW_TO_END = """
import atexit, threading
atexit.register(lambda: [each.join(30) for each in threading.enumerate() if each.name == "lazu-journal"])
"""


def test_a_worker_that_ends_during_uploads_does_not_stop_the_store(serve, tmp_path):
    """It closed the descriptor that its checkpoints sync, and took what they heard of that for an error of the disk."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_TO_END)
    server = serve(PYTHONPATH=str(tmp_path), LAZU_WORKERS="1")
    [old] = server.pids()[1:]
    server.process.send_signal(signal.SIGHUP)
    until(lambda: stored(server, server.any_key, os.urandom(8)) and old not in server.pids())
    assert request(server, "GET", "/readyz").status == 200


def test_an_older_lazu_that_goes_on_beside_a_newer_one_leaves_a_store_that_opens(serve):
    """It wrote its own number of steps with each deletion."""
    server = serve()
    file = stored(server, server.any_key, b"kept")
    server.stop()
    with closing(sqlite3.connect(server.storage / "lazu.sqlite3")) as database:
        database.execute("PRAGMA user_version = 4")
    assert request(server.start(), "GET", f"/v1/files/{file['id']}/content", server.any_key).body == b"kept"


def test_a_deletion_leaves_the_number_of_steps_of_a_newer_lazu(patient):
    http, storage = patient
    with closing(sqlite3.connect(storage / "lazu.sqlite3")) as database:
        database.execute("PRAGMA user_version = 99")
    assert http.delete(f"/v1/files/{put(http, b'gone')['id']}", headers=AUTH).status_code == 200
    with closing(sqlite3.connect(storage / "lazu.sqlite3")) as database:
        assert database.execute("PRAGMA user_version").fetchall() == [(99,)]
        database.execute(f"PRAGMA user_version = {len(STEPS)}")


def test_who_only_looks_whether_a_server_runs_is_not_taken_for_one(tmp_path):
    """Workers that start together after a power cut look at the same time, and each of them has to replay."""
    served = tmp_path / "served"
    served.touch()
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(disk.is_shared, [served] * 2000))
    held = disk.share(served)
    assert disk.is_shared(served)
    os.close(held)


def test_only_few_bytes_are_in_the_journal(patient):
    http, storage = patient
    for size in (1, FEW, FEW + 1):
        put(http, b"x" * size)
    assert entries(storage) == [hashlib.sha256(b"x" * size).hexdigest() for size in (1, FEW)]


def test_bytes_that_come_a_few_at_a_time_are_not_few(app):
    with app.extensions["lazu"].contents.stage(2 * FEW) as staged:
        staged.write(b"x" * FEW)
        assert staged.few == b"x" * FEW
        staged.write(b"y")
        assert (staged.few, staged.peek(0, 2 * FEW)) == (None, b"x" * FEW + b"y")


def test_a_command_beside_a_server_leaves_the_journal_to_it(serve):
    """Who serves has replayed; a blob that is lost since then is a damage, of which `flask fsck` tells."""
    server = serve()
    file = stored(server, server.any_key, b"lost while serving")
    blob(server.storage, b"lost while serving").unlink()
    told = server.flask("fsck", check=False)
    assert (told.returncode, file["id"] in told.stdout) == (1, True)
    server.flask("fsck", "--repair")


def test_a_backup_needs_no_journal(patient, app, tmp_path):
    """Its hard links are as durable as the blobs they are made of, so these are synced when they are made."""
    http, storage = patient
    put(http, b"in the journal")
    linked = []
    with before_syncs(lambda _: linked.append(blob(tmp_path / "backup", b"in the journal").exists())):
        assert app.test_cli_runner().invoke(args=["backup", str(tmp_path / "backup")]).exit_code == 0
    assert linked == [True]
    assert (len(entries(storage)), entries(tmp_path / "backup")) == (1, [])
    assert b"in the journal" not in (tmp_path / "backup/lazu.sqlite3").read_bytes()


def test_the_links_of_a_backup_that_was_broken_off_are_synced_by_the_next(patient, app, tmp_path):
    http, _ = patient
    put(http, b"in the journal")
    asked = []

    def first_killed(_):
        asked.append(blob(tmp_path / "backup", b"in the journal").exists())
        if len(asked) == 1:
            raise RuntimeError("killed")

    backup = ["backup", str(tmp_path / "backup")]
    with before_syncs(first_killed):
        assert [app.test_cli_runner().invoke(args=backup).exit_code for _ in range(2)] == [1, 0]
    assert asked == [True, True]


def test_a_store_that_has_failed_is_backed_up_by_copies_alone(patient, app, tmp_path):
    """A link leads to the very bytes that could not be written."""
    http, _ = patient
    put(http, b"in the journal")
    app.extensions["lazu"].contents.blobs.fail("as a disk error does")
    refused = app.test_cli_runner().invoke(args=["backup", str(tmp_path / "backup")])
    assert refused.exit_code == 1
    assert "flask fsck" in refused.output
    assert app.test_cli_runner().invoke(args=["fsck", "--repair"]).exit_code == 0
    assert app.test_cli_runner().invoke(args=["backup", str(tmp_path / "backup")]).exit_code == 0


def test_a_checkpoint_beside_which_another_process_hears_of_a_failure_removes_nothing(patient, app):
    http, storage = patient
    contents = app.extensions["lazu"].contents
    put(http, b"entry")
    with before_syncs(lambda _: contents.blobs.fail("heard by another")):
        contents.journal.checkpoint()
    assert len(entries(storage)) == 1


def test_a_checkpoint_removes_all_entries_however_many_came(patient, app):
    """A portion at a time: uploads wait for each of its commits."""
    http, storage = patient
    put(http, b"one of thousands")
    with closing(sqlite3.connect(storage / "lazu.sqlite3")) as database, database:
        [entry] = database.execute("SELECT sha256, bytes FROM journal")
        database.executemany("INSERT INTO journal (sha256, bytes) VALUES (?, ?)", [entry] * 2 * journal.PORTION)
    app.extensions["lazu"].contents.journal.checkpoint()
    assert entries(storage) == []


def test_a_checkpoint_of_a_store_that_was_moved_away_makes_no_database_in_its_place(patient, app):
    """As on a mount point whose disk has gone."""
    http, storage = patient
    put(http, b"entry")
    moved = storage.rename(storage.with_name("moved"))
    storage.mkdir()
    app.extensions["lazu"].contents.close()
    assert (len(entries(moved)), list(storage.iterdir())) == (1, [])
    storage.rmdir()
    moved.rename(storage)


def test_what_is_uploaded_during_a_checkpoint_keeps_its_entry(patient, app):
    """Its blob came after the sync, perhaps."""
    http, storage = patient
    put(http, b"before")
    with ThreadPoolExecutor(1) as another, before_syncs(lambda _: another.submit(put, http, b"meanwhile").result()):
        app.extensions["lazu"].contents.journal.checkpoint()
    assert entries(storage) == [hashlib.sha256(b"meanwhile").hexdigest()]


def test_what_is_uploaded_during_a_checkpoint_has_one_of_its_own(app):
    """The one that runs may have synced already."""
    http, storage = app.test_client(), app.extensions["lazu"].settings.storage_dir
    begun, go_on = threading.Event(), threading.Event()

    def slow(_):
        begun.set()
        go_on.wait(60)

    with before_syncs(slow):
        put(http, b"before")
        assert begun.wait(60)
        put(http, b"meanwhile")
        go_on.set()
        until(lambda: entries(storage) == [])


def test_a_full_disk_is_not_told_again_by_the_journal(patient, app, monkeypatch, caplog):
    """Whoever uploads is told; this would be a line a second."""
    http, storage = patient
    put(http, b"entry")

    def full(*_):
        raise Full("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(journal_rows, "remove", full)
        app.extensions["lazu"].contents.close()
    assert len(entries(storage)) == 1
    assert "is full" not in caplog.text


def test_a_purge_on_a_full_disk_takes_the_ballast_to_empty_the_journal(patient, app, monkeypatch):
    http, storage = patient
    put(http, b"entry")
    remove, ballast = journal_rows.remove, storage / "ballast"

    def full(*args):
        if ballast.exists():
            raise Full("database or disk is full")
        return remove(*args)

    monkeypatch.setattr(journal_rows, "remove", full)
    assert app.test_cli_runner().invoke(args=["purge"]).exit_code == 0
    assert entries(storage) == []
    assert ballast.exists()


def test_a_store_that_has_failed_opens_without_a_write_to_its_blobs(patient, app):
    """Its disk may refuse each: there is no reading then. Repair replays."""
    http, storage = patient
    file = put(http, b"entry")
    app.extensions["lazu"].contents.blobs.fail("as a disk error does")
    blob(storage, b"entry").unlink()
    with failing(Blobs, "put"), opened(storage) as store:
        assert store.contents.failed
    assert app.test_cli_runner().invoke(args=["fsck", "--repair"]).exit_code == 0
    assert content(http, file) == b"entry"


def test_an_upload_that_is_refused_leaves_no_entry(patient, app):
    http, storage = patient
    assert app.test_cli_runner().invoke(args=["keys", "quota", "default", "3"]).exit_code == 0
    answer = http.post("/v1/files", data={"purpose": "user_data", "file": (io.BytesIO(b"four"), "a.txt")}, headers=AUTH)
    assert (answer.status_code, entries(storage)) == (507, [])


def test_equal_bytes_are_journaled_again_and_their_blob_stays(patient):
    """Whoever named it may have been killed before its commit, and the power may be cut."""
    http, storage = patient
    put(http, b"equal")
    before = blob(storage, b"equal").stat().st_ino
    put(http, b"equal")
    assert len(entries(storage)) == 2
    assert blob(storage, b"equal").stat().st_ino == before


def test_a_sync_that_fails_stops_the_store_and_repair_writes_all_entries_anew(patient, app):
    """What the kernel could not write it may still show: nothing that can be read proves anything."""
    http, storage = patient
    contents = app.extensions["lazu"].contents
    file, before = put(http, b"entry"), blob(storage, b"entry").stat().st_ino
    with failing(disk, "sync_all"), pytest.raises(OSError, match="Input/output"):
        contents.journal.checkpoint()
    assert contents.failed
    assert len(entries(storage)) == 1
    assert http.post("/v1/files", headers=AUTH).status_code == 500
    assert app.test_cli_runner().invoke(args=["fsck"]).exit_code == 0
    assert blob(storage, b"entry").stat().st_ino != before
    assert (content(http, file), entries(storage), contents.failed) == (b"entry", [], False)


def test_a_store_that_has_recovered_is_not_stopped_again_by_what_others_are_owed(patient, app):
    """Each worker's descriptor hears of a failure once, however late it asks."""
    http, storage = patient
    put(http, b"entry")
    contents = app.extensions["lazu"].contents
    with opened(storage) as store:
        store.contents.blobs.watch()  # as its first upload does
        owed = {contents.blobs._watch, store.contents.blobs._watch}

        def late(fd):
            if fd in owed:
                owed.remove(fd)
                raise BROKEN

        with before_syncs(late):
            put(http, b"another entry")
            with pytest.raises(OSError, match="Input/output"):
                contents.journal.checkpoint()
            contents.recover()
            put(http, b"a third entry")
            store.contents.journal.checkpoint()
        assert (contents.failed, entries(storage)) == (False, [])


def test_a_store_whose_failure_could_not_be_marked_goes_on_when_repaired(patient, app):
    """For this process alone it had failed."""
    blobs = app.extensions["lazu"].contents.blobs
    with failing(Path, "write_text"):
        blobs.fail("as a disk error does")
    assert blobs.failed
    assert app.test_cli_runner().invoke(args=["fsck", "--repair"]).exit_code == 0
    assert not blobs.failed


def test_a_worker_that_could_not_mark_a_failure_goes_on_when_another_that_did_is_repaired(patient, app):
    http, storage = patient
    blobs = app.extensions["lazu"].contents.blobs
    blobs.fail("as a disk error does")
    with failing(Path, "write_text"):
        blobs.fail("as the next one does")
    with opened(storage) as store:
        store.contents.recover()
    assert put(http, b"taken again")


def test_failures_and_repairs_cost_no_descriptor(patient, app):
    http, storage = patient
    contents = app.extensions["lazu"].contents
    links = Path("/proc/self/fd")

    def watches():
        return [os.path.realpath(link) for link in links.iterdir()].count(str(contents.blobs.root))

    put(http, b"words")
    assert watches() == 1
    for _ in range(3):
        contents.blobs.fail("as a disk error does")
        contents.recover()
        put(http, b"words")
        contents.journal.checkpoint()
    assert (watches(), entries(storage)) == (1, [])


def test_a_failure_of_which_nobody_was_told_does_not_stop_the_recovery_from_it(patient):
    """An fsync hears of its own file alone; the next sync of all hears of it too."""
    http, storage = patient
    put(http, b"entry")
    untold = [BROKEN]

    def told(_):
        if untold:
            raise untold.pop()

    with before_syncs(told), opened(storage) as store:
        store.contents.blobs.fail("fsync")
        store.contents.recover()
        assert (store.contents.failed, entries(storage)) == (False, [])


def test_two_checkpoints_at_once_do_not_share_the_news_of_a_failure(patient, app):
    """The kernel tells a descriptor once: the second sync succeeds, and nothing of it is on the disk."""
    http, storage = patient
    journal = app.extensions["lazu"].contents.journal
    put(http, b"entry")
    untold, heard = [BROKEN], threading.Event()

    def once(_):
        if untold:
            broken = untold.pop()
            heard.wait()
            raise broken

    with before_syncs(once):
        both = [threading.Thread(target=journal.close) for _ in range(2)]
        for thread in both:
            thread.start()
        both[1].join(0.5)  # as long as it would need
        heard.set()
        for thread in both:
            thread.join()
    assert len(entries(storage)) == 1


def test_an_upload_of_few_bytes_replaces_a_blob_that_cannot_be_read(patient):
    http, storage = patient
    put(http, b"few")
    before = blob(storage, b"few").stat().st_ino
    with failing(Blobs, "open"):
        file = put(http, b"few")
    assert blob(storage, b"few").stat().st_ino != before
    assert content(http, file) == b"few"


def test_an_upload_of_few_bytes_replaces_a_blob_that_is_longer(patient):
    http, storage = patient
    put(http, b"few")
    blob(storage, b"few").write_bytes(b"few and more")
    assert content(http, put(http, b"few")) == b"few"


def test_few_bytes_that_replace_others_are_durable_before_these_go(patient, monkeypatch):
    """Rows may need this blob that are in no journal any more."""
    http, storage = patient
    put(http, b"few")
    blob(storage, b"few").write_bytes(b"fex")
    durable, fsync = [], os.fsync

    def note(fd):
        fsync(fd)
        if os.fstat(fd).st_nlink == 0:  # an upload, which has no name yet
            durable.append((os.pread(fd, 9, 0), blob(storage, b"few").read_bytes()))

    monkeypatch.setattr(os, "fsync", note)
    put(http, b"few")
    assert durable == [(b"few", b"fex")]


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_an_error_that_the_kernel_tells_at_the_checkpoint_is_heard(patient):
    _, storage = patient
    script = f"from lazu.store import disk; disk.sync_all(__import__('os').open({str(storage)!r}, 0))"
    traced = [
        "strace",
        "-qq",
        "-f",
        "-e",
        "trace=syncfs",
        "-e",
        "inject=syncfs:error=EIO",
        sys.executable,
        "-c",
        script,
    ]
    done = subprocess.run(traced, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert "OSError: [Errno 5] Input/output error" in done.stderr
