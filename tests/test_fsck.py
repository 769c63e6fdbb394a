"""`flask fsck` finds every disagreement, repairs what can be, and never serves what is damaged."""

import errno
import json
import os
import re
import shutil
import tempfile
import threading
from contextlib import contextmanager
from io import FileIO

import pytest

from helpers.broken import failing
from helpers.in_process import AUTH, content, put
from helpers.in_store import blank
from lazu.application import create_app
from lazu.errors import Busy
from lazu.store import disk, rows
from lazu.store.sqlite.engine import database
from lazu.store.tables import File


@pytest.fixture
def root(app):
    return app.extensions["lazu"].contents.blobs.root


def path(root, file):
    row = File.get_by_id(file["id"])
    return root / row.sha256[:2] / row.sha256


def run(app, *options, code):
    done = app.test_cli_runner().invoke(args=["fsck", "--json", *options])
    assert done.exit_code == code, done.output
    return {(each["kind"], each["about"]): each for each in json.loads(done.stdout)["problems"]}


def damage(blob, data):
    blob.chmod(0o640)
    blob.write_bytes(data)


def test_a_sound_store_is_said_to_be_sound(app, http):
    put(http)
    done = app.test_cli_runner().invoke(args=["fsck", "--rehash"])
    assert (done.exit_code, done.output) == (0, "1 files, all sound\n")


def test_a_missing_blob_is_found_and_its_file_deleted(app, http, root):
    file, kept = put(http, b"lost"), put(http, b"kept")
    path(root, file).unlink()
    assert run(app, code=1)[("missing", file["id"])]["detail"] == "'a.txt' of default, 4 bytes"
    assert "deleted" in run(app, "--repair", code=0)[("missing", file["id"])]["repaired"]
    assert run(app, "--rehash", code=0) == {}
    assert http.get(f"/v1/files/{file['id']}", headers=AUTH).status_code == 404
    assert content(http, kept) == b"kept"


def test_an_upload_of_the_same_bytes_cures_those_that_the_disk_has_changed(app, http, root):
    """It was acknowledged, and then the wrong bytes were its content."""
    one = put(http, b"right")
    damage(path(root, one), b"wrong")
    two = put(http, b"right")
    assert content(http, one) == content(http, two) == b"right"
    assert run(app, "--rehash", code=0) == {}


def test_who_asks_and_is_told_of_damage_hears_what_to_do(app, http, root):
    damage(path(root, put(http, b"lost")), b"short of")
    done = app.test_cli_runner().invoke(args=["fsck"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "flask fsck --repair" in done.stderr
    run(app, "--repair", code=0)


def test_what_only_rehash_finds_is_repaired_by_what_it_says(app, http, root):
    """Without reading every byte again a repair found nothing, and left with 0."""
    damage(path(root, put(http, b"right")), b"wrong")
    done = app.test_cli_runner().invoke(args=["fsck", "--rehash"])
    assert done.exit_code == 1
    run(app, *done.stderr.split("'flask fsck ")[1].split("'")[0].split(), code=0)
    assert run(app, "--rehash", code=0) == {}


def test_changed_bytes_are_found_by_rehash_quarantined_and_never_served(app, http, root):
    one, two = put(http, b"right"), put(http, b"right")
    blob = path(root, one)
    damage(blob, b"wrong")
    assert run(app, code=0) == {}, "the size is right: only --rehash reads the bytes"
    found = {("damaged", one["id"]), ("damaged", two["id"])}
    assert run(app, "--rehash", code=1).keys() == found
    assert run(app, "--rehash", "--repair", code=0).keys() == found
    assert run(app, "--rehash", code=0) == {}
    for file in (one, two):
        assert http.get(f"/v1/files/{file['id']}/content", headers=AUTH).status_code == 404
    [jailed] = (root.parent / "quarantine").iterdir()
    assert jailed.read_bytes() == b"wrong"
    assert content(http, put(http, b"right")) == b"right"


def test_a_blob_of_another_size_is_found_without_rehash(app, http, root):
    file = put(http, b"long enough")
    os.truncate(path(root, file), 4)
    assert run(app, code=1).keys() == {("damaged", file["id"])}
    run(app, "--repair", code=0)


def test_an_upload_of_the_same_bytes_heals_a_blob_of_the_wrong_size(app, http, root):
    file = put(http, b"cut by a failing disk")
    os.truncate(path(root, file), 3)
    again = put(http, b"cut by a failing disk")
    assert content(http, file) == content(http, again) == b"cut by a failing disk"
    assert run(app, "--rehash", code=0) == {}


class Torn(FileIO):
    """A blob on a bad sector."""

    def readinto(self, _):
        raise OSError(errno.EIO, "Input/output error")


@contextmanager
def bad_sector(blobs, place):
    """The blob at `place` can be opened, and not be read."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(blobs, "open", lambda _: Torn(place))
        yield


def test_a_blob_that_may_not_be_opened_is_not_lost(app, http, root):
    """It was taken for gone: its file was deleted, its whole bytes were moved to quarantine."""
    file = put(http, b"whole")
    with failing(app.extensions["lazu"].contents.blobs, "open", errno.EACCES):
        for options in ((), ("--repair",), ("--rehash", "--repair")):
            [found] = run(app, *options, code=1).values()
            assert (found["kind"], found["about"], found["repaired"]) == ("damaged", file["id"], "")
            assert found["detail"].endswith("can't be read: Permission denied")
    assert run(app, "--rehash", code=0) == {}
    assert content(http, file) == b"whole"


def test_a_stray_blob_that_may_not_be_opened_is_told_so(app, http, root):
    place = path(root, put(http, b"stray"))
    File.delete().execute()
    with failing(app.extensions["lazu"].contents.blobs, "open", errno.EACCES):
        assert run(app, code=1)[("stray", place.name)]["detail"] == "can't be read: Permission denied"
    run(app, "--repair", code=0)


def test_a_blob_on_a_bad_sector_goes_to_quarantine_with_its_file_deleted(app, http, root):
    file = put(http, b"on a bad sector")
    with bad_sector(app.extensions["lazu"].contents.blobs, path(root, file)):
        assert run(app, code=0) == {}, "only --rehash reads the bytes"
        [found] = run(app, "--rehash", "--repair", code=0).values()
    assert (found["kind"], found["about"]) == ("damaged", file["id"])
    assert "quarantine" in found["repaired"]
    assert run(app, "--rehash", code=0) == {}
    assert [each.read_bytes() for each in (root.parent / "quarantine").iterdir()] == [b"on a bad sector"]


def test_a_file_system_that_has_gone_away_costs_no_file(app, http, root):
    """Each of its blobs is EIO, and the database is on another disk; a move fails there too."""
    file = put(http, b"away")
    blobs = app.extensions["lazu"].contents.blobs
    with bad_sector(blobs, path(root, file)), failing(blobs, "quarantine", errno.EACCES):
        assert run(app, "--rehash", "--repair", code=1)[("damaged", file["id"])]["repaired"] == ""
    assert content(http, file) == b"away"


@pytest.mark.parametrize("refuses", ["quarantine", "shard"])
def test_a_blob_whose_move_cannot_be_made_durable_stays_with_its_file(app, http, root, monkeypatch, refuses):
    """After a power cut it would be nowhere."""
    file, sync = put(http, b"stays"), disk.sync
    refusing = {"quarantine": root.parent / "quarantine", "shard": path(root, file).parent}[refuses]

    def refused(place):
        if place == refusing:
            raise OSError(errno.EIO, "Input/output error")
        sync(place)

    place = path(root, file)
    with bad_sector(app.extensions["lazu"].contents.blobs, place), monkeypatch.context() as patch:
        patch.setattr(disk, "sync", refused)
        assert run(app, "--rehash", "--repair", code=1)[("damaged", file["id"])]["repaired"] == ""
    assert content(http, file) == b"stays"


def test_blobs_on_a_disk_of_their_own_have_their_quarantine_there(app, http, root):
    """What can't be read can't be copied to another one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="lazu-") as other:
        if os.stat(other).st_dev == os.stat(root).st_dev:
            pytest.skip("needs a second file system")
        shutil.move(root, f"{other}/blobs")
        root.symlink_to(f"{other}/blobs")
        file = put(http, b"whole")
        damage(path(root, file), b"other")
        assert "quarantine" in run(app, "--rehash", "--repair", code=0)[("damaged", file["id"])]["repaired"]
        assert [each.read_bytes() for each in (root / "quarantine").iterdir()] == [b"other"]
        assert run(app, "--rehash", code=0) == {}
        root.unlink()
        shutil.move(f"{other}/blobs", root)


def test_bytes_without_a_row_are_stray_and_a_purge_or_repair_removes_them(app, http, root):
    file = put(http, b"stray")
    name = path(root, file).name
    File.delete().execute()
    assert run(app, code=1).keys() == {("stray", name)}
    assert run(app, "--repair", code=0)[("stray", name)]["repaired"] == "removed"
    assert list(root.glob("??/*")) == []


def test_a_misnamed_blob_cannot_trap_an_upload(app, http, root):
    file = put(http, b"trap")
    blob = path(root, file)
    File.delete().execute()
    damage(blob, b"part")
    assert run(app, "--rehash", code=1).keys() == {("misnamed", blob.name)}
    assert "quarantine" in run(app, "--rehash", "--repair", code=0)[("misnamed", blob.name)]["repaired"]
    assert content(http, put(http, b"trap")) == b"trap"


def test_leftovers_are_found_and_what_is_not_ours_is_kept_in_quarantine(app, root):
    ours = "ab" + "0" * 62 + ".new"
    strange = "cd/" + "0" * 64
    (root / "ab" / ours).write_bytes(b"half a replacement")
    (root / "ab" / "notes.txt").write_bytes(b"somebody's")
    (root / strange).write_bytes(b"in the wrong shard")
    about = {("leftover", f"ab/{ours}"), ("leftover", "ab/notes.txt"), ("leftover", strange)}
    assert run(app, code=1).keys() == about
    run(app, "--repair", code=0)
    assert run(app, code=0) == {}
    jailed = {name.read_bytes() for name in (root.parent / "quarantine").iterdir()}
    assert jailed == {b"somebody's", b"in the wrong shard"}


def test_a_purge_removes_what_a_crash_left_of_a_replacement(app, root):
    (root / "ab" / ("ab" + "0" * 62 + ".new")).write_bytes(b"half")
    assert app.test_cli_runner().invoke(args=["purge"]).exit_code == 0
    assert list(root.glob("??/*")) == []


def test_a_row_of_no_key_is_a_problem_of_the_database(app, http):
    put(http)
    database.execute_sql("PRAGMA foreign_keys = OFF")
    database.execute_sql("UPDATE file SET key_id = 99")
    assert any(kind == "database" for kind, _ in run(app, "--repair", code=1))
    database.execute_sql("UPDATE file SET key_id = 1")
    database.execute_sql("PRAGMA foreign_keys = ON")
    run(app, "--repair", code=0)  # what each key holds was counted for the other one


def test_a_repair_that_is_ended_names_what_it_has_deleted(app, http, root, monkeypatch):
    files, contents = [put(http, b"lost %d" % number) for number in range(2)], app.extensions["lazu"].contents
    for file in files:
        path(root, file).unlink()
    repair, repaired = contents.repair, []

    def once(problem):
        if repaired:
            raise Busy("a lock was held for 10 seconds")
        repaired.append(problem.about)
        return repair(problem)

    with monkeypatch.context() as patch:
        patch.setattr(contents, "repair", once)
        done = app.test_cli_runner().invoke(args=["fsck", "--repair"])
    assert (done.exit_code, done.stderr) == (1, "Error: a lock was held for 10 seconds\n")
    [line] = [line for line in done.stdout.splitlines() if "→ deleted" in line]
    assert repaired[0] in line
    run(app, "--repair", code=0)


@pytest.mark.parametrize(("names", "told"), [(["file_by_expiry"], "(?i)tree .* page"), (["file_by_expiry", "file"], "malformed")])
def test_a_damaged_database_is_told_with_all_that_was_found(tmp_path, monkeypatch, names, told):
    """An error of the next question, or of the check itself, "malformed", came in the place of what was found; and doctor was content."""
    monkeypatch.setenv("LAZU_STORAGE_DIR", str(tmp_path / "damaged"))
    monkeypatch.setenv("LAZU_API_KEY", "test-key")
    put(create_app().test_client())
    blank(tmp_path / "damaged", *names)
    runner = create_app().test_cli_runner()
    done = runner.invoke(args=["fsck", "--repair", "--json"])
    problems = json.loads(done.stdout)["problems"]
    assert {each["kind"] for each in problems} == {"database"}
    assert any(re.search(told, each["about"]) for each in problems), problems
    assert done.stderr == "Error: the database is damaged; docs/operations.md, A damaged database\n"
    doctor = runner.invoke(args=["doctor"])
    assert (doctor.exit_code, "fail  database     database disk image is malformed" in doctor.stdout) == (1, True), doctor.output


def test_files_of_a_key_are_deleted_though_the_totals_are_wrong(app, http, monkeypatch):
    """It went on for ever: the totals said that there was more."""
    put(http)
    database.execute_sql("UPDATE holding SET files = files + 1, bytes = bytes + 1")
    delete, asked = rows.delete_files_of, []

    def few(*which):
        asked.append(which)
        assert len(asked) < 5
        return delete(*which)

    monkeypatch.setattr(rows, "delete_files_of", few)
    store = app.extensions["lazu"]
    assert store.files.delete_all(store.keys.find("default")) == 1
    run(app, "--repair", code=0)


def test_a_check_while_files_come_and_go_accuses_nobody(app, http):
    """Without the second look under the lock this fails within the first rounds."""
    done = threading.Event()

    def churn():
        client = app.test_client()
        while not done.is_set():
            file = put(client, os.urandom(8).hex().encode())
            client.delete(f"/v1/files/{file['id']}", headers=AUTH)
        database.close()

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        found = [list(app.extensions["lazu"].contents.look(rehash=True)) for _ in range(12)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert found == [[]] * 12


def test_there_is_no_progress_bar_in_a_pipe(server):
    done = server.flask("fsck", "--rehash")
    assert done.stderr == ""
    assert "\r" not in done.stdout
