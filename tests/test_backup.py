"""A backup taken while serving restores whole."""

import hashlib
import os
import shutil
import subprocess
import threading

import pytest

from helpers.in_process import content, put
from helpers.server import opened, problems
from helpers.wire import request, stored
from lazu.store import counts, disk, rows
from lazu.store.contents import STEPS
from lazu.store.tables import File
from lazu.upkeep import backup as backups


def faults(target):
    """What is wrong in a backup; looked at in a copy, because opening makes it a store of its own."""
    copy = target.with_name(f"copy-of-{target.name}")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(target, copy)
    return problems(copy)


def restored(server, serve, source):
    """A new store, filled from the backup; its key opens it as before."""
    other = serve()
    other.stop()
    other.flask("restore", str(source))
    return other.start()


def test_a_backup_follows_an_upload_that_replaced_what_the_disk_had_changed(app, tmp_path):
    """It linked to the wrong bytes, and kept them."""
    http = app.test_client()
    file = put(http, b"right")
    backup = app.test_cli_runner()
    assert backup.invoke(args=["backup", str(tmp_path / "b")]).exit_code == 0
    [blob] = [path for path in (tmp_path / "b" / "blobs").rglob("*") if path.is_file()]
    blob.chmod(0o640)
    blob.write_bytes(b"wrong")
    put(http, b"right")
    assert content(http, file) == b"right"
    assert "1 linked" in backup.invoke(args=["backup", str(tmp_path / "b")]).stdout
    assert blob.read_bytes() == b"right"


def test_a_backup_restores_every_file_and_every_key(serve, tmp_path):
    server = serve()
    key = server.new_key("alice")
    files = [stored(server, key, b"%d" % (i % 7)) for i in range(10)]
    renewed, key = key, server.flask("keys", "rotate", "alice").stdout.strip()
    assert "7 linked" in server.flask("backup", str(tmp_path / "b")).stdout
    other = restored(server, serve, tmp_path / "b")
    for i, file in enumerate(files):
        assert request(other, "GET", f"/v1/files/{file['id']}", key).json == file
        assert request(other, "GET", f"/v1/files/{file['id']}/content", key).body == b"%d" % (i % 7)
    with opened(other.storage):
        assert rows.was_secret(hashlib.sha256(renewed.encode()).hexdigest()), "it may open nothing"


def test_a_restore_tells_its_steps_also_while_it_verifies(app, tmp_path):
    """Reading every byte takes as long as copying: a terminal shows a bar all the time."""
    put(app.test_client())
    backups.backup(app.extensions["lazu"], tmp_path / "backup")
    steps = []
    with opened(tmp_path / "new") as store:
        backups.restore(store, tmp_path / "backup", lambda: steps.append(counts.count()))
    assert steps == [0] * STEPS + [1] * STEPS


def test_a_backup_that_was_killed_is_made_again(serve, tmp_path):
    """SQLite's journal of the copy stays; beside a new copy it would change that."""
    server = serve()
    stored(server, server.new_key(), b"kept")
    (tmp_path / "b").mkdir()
    for left in ("lazu.sqlite3.new", "lazu.sqlite3.new-journal"):
        (tmp_path / "b" / left).write_bytes(b"half")
    assert "1 linked" in server.flask("backup", str(tmp_path / "b")).stdout
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"lazu.sqlite3", "blobs"}
    assert faults(tmp_path / "b") == []


def test_a_second_backup_copies_only_what_is_new_and_drops_what_is_gone(serve, tmp_path):
    server = serve()
    key = server.new_key()
    old, _ = stored(server, key, b"old"), stored(server, key, b"kept")
    server.flask("backup", str(tmp_path / "b"))
    request(server, "DELETE", f"/v1/files/{old['id']}", key)
    stored(server, key, b"new")
    assert server.flask("backup", str(tmp_path / "b")).stdout == "backed up: 1 present, 1 linked, 3 bytes\n"
    assert faults(tmp_path / "b") == []
    assert len(list((tmp_path / "b" / "blobs").glob("??/*"))) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_on_another_file_system_the_bytes_are_copied_and_verified(serve, tmp_path):
    server = serve()
    key = server.new_key()
    good, bad = stored(server, key, b"good"), stored(server, key, b"evil")
    (tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=50m", "lazu-test", tmp_path / "disk"], check=True)
    try:
        target = tmp_path / "disk" / "b"
        assert "2 copied" in server.flask("backup", str(target)).stdout
        [blob] = [path for path in server.blobs() if len(path.name) == 64 and path.read_bytes() == b"evil"]
        (target / "blobs" / blob.parent.name / blob.name).unlink()
        blob.write_bytes(b"live")
        done = server.flask("backup", str(target), check=False)
        assert (done.returncode, "1 blobs are missing or damaged" in done.stderr) == (1, True)
        assert faults(target) == [], "what is there is whole"
        other = restored(server, serve, target)
        assert request(other, "GET", f"/v1/files/{good['id']}/content", key).body == b"good"
        assert request(other, "GET", f"/v1/files/{bad['id']}", key).status == 404
    finally:
        subprocess.run(["umount", tmp_path / "disk"], check=True)
        blob.write_bytes(b"evil")


def test_what_holds_something_else_is_refused(serve, tmp_path):
    server = serve()
    key = server.new_key()
    stored(server, key, b"here")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-mum.txt").write_text("dear")
    for command in (
        ["backup", str(tmp_path / "letters")],
        ["backup", str(server.storage)],
        ["restore", str(tmp_path / "letters")],
    ):
        done = server.flask(*command, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    server.flask("backup", str(tmp_path / "b"))
    assert "not empty" in server.flask("restore", str(tmp_path / "b"), check=False).stderr


def test_a_damaged_backup_is_refused_and_leaves_the_store_empty(serve, tmp_path):
    server = serve()
    key = server.new_key()
    files = [stored(server, key, b"lost %d" % (number % 3)) for number in range(9)]
    stored(server, key, b"hard links share what befalls them")
    server.flask("backup", str(tmp_path / "b"))
    shutil.copytree(tmp_path / "b", tmp_path / "c")
    lost = [path for path in (tmp_path / "c" / "blobs").glob("??/*") if path.read_bytes().startswith(b"lost")]
    lost[0].write_bytes(b"cut")
    for blob in lost[1:]:
        blob.unlink()
    other = serve()
    other.stop()
    done = other.flask("restore", str(tmp_path / "c"), check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "3 blobs of the backup are missing or damaged" in done.stderr
    assert "nothing was restored" in done.stderr
    assert f"9 files or parts: {', '.join(file['id'] for file in files[:3])} and 6 more" in done.stderr
    assert "A backup that is not whole" in done.stderr
    with opened(other.storage):
        assert File.select().count() == 0
    assert other.blobs() == []


def test_a_store_that_was_set_up_anew_does_not_empty_the_only_backup(app, tmp_path):
    """Before it was filled by `flask restore`, or with its disk not mounted. Once it is filled the next backup goes there."""
    put(app.test_client(), b"only here")
    backups.backup(app.extensions["lazu"], tmp_path / "b")
    with opened(tmp_path / "new") as store:
        for key in ("alice", "bob"):  # first it has no key at all
            with pytest.raises(backups.BackupProblem, match="another store"):
                backups.backup(store, tmp_path / "b")
            store.keys.create(key)
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"lazu.sqlite3", "blobs"}
    with opened(tmp_path / "restored") as store:
        backups.restore(store, tmp_path / "b")
        assert backups.backup(store, tmp_path / "b")["present"] == 1
    assert faults(tmp_path / "b") == []


def test_a_backup_whose_rows_cannot_be_read_gives_way(app, tmp_path):
    """Nobody could restore it."""
    put(app.test_client())
    command = ["backup", str(tmp_path / "backup")]
    assert app.test_cli_runner().invoke(args=command).exit_code == 0
    whole = (tmp_path / "backup/lazu.sqlite3").read_bytes()
    (tmp_path / "backup/lazu.sqlite3").write_bytes(b"no database " * 1000)
    done = app.test_cli_runner().invoke(args=command)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "backup/lazu.sqlite3").read_bytes()[:16] == whole[:16]


def test_while_a_backup_is_restored_no_other_goes_into_its_directory(app, tmp_path):
    put(app.test_client(), b"words")
    backups.backup(app.extensions["lazu"], tmp_path / "b")
    running = pytest.raises(backups.BackupProblem, match="is running")
    with disk.lock(tmp_path / "b"), opened(tmp_path / "new") as store, running:
        backups.restore(store, tmp_path / "b")


def test_a_backup_under_load_has_the_blob_of_each_of_its_rows(serve, tmp_path):
    """Uploads, deletes and purges all the while; also with a deletion between the rows and their bytes."""
    server = serve(LAZU_API_KEY="k")
    done = threading.Event()
    lasting = [stored(server, "k", b"lasting %d" % i) for i in range(30)]

    def churn(name):
        count = 0
        while not done.is_set():
            file = stored(server, "k", b"%d" % (count % 5) + name)
            count += 1
            assert request(server, "DELETE", f"/v1/files/{file['id']}", "k").status == 200

    threads = [threading.Thread(target=churn, args=(name,)) for name in (b"a", b"a", b"b")]
    for thread in threads:
        thread.start()
    try:
        for i in range(5):
            target = tmp_path / f"b{i % 2}"
            server.flask("backup", str(target))
            server.flask("purge")
            with opened(server.storage) as store:
                backups.backup(store, target)
            assert faults(target) == []
    finally:
        done.set()
        for thread in threads:
            thread.join()
    with opened(tmp_path / "b0"):
        assert {file.id for file in File.select()} >= {file["id"] for file in lasting}


def test_a_file_deleted_between_rows_and_bytes_is_left_out(app, tmp_path, monkeypatch):
    from helpers.in_process import AUTH, put

    http, store = app.test_client(), app.extensions["lazu"]
    gone, _ = put(http, b"gone"), put(http, b"kept")
    take = backups.snapshot.take

    def then_delete(path, engine):
        take(path, engine)
        http.delete(f"/v1/files/{gone['id']}", headers=AUTH)

    monkeypatch.setattr(backups.snapshot, "take", then_delete)
    copied = backups.backup(store, tmp_path / "b")
    assert (copied["linked"], copied["gone"]) == (1, 1)
    assert [size for _, size in backups.snapshot.wanted(tmp_path / "b" / backups.DATABASE)] == [4]
