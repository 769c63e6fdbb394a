"""What an operator asks: keys and their last use, stats, doctor, help; on a terminal and in a pipe."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from freezegun import freeze_time
from pysqlite3 import dbapi2 as sqlite

import lazu.gateway.upstream
from helpers import uploads, upstream
from helpers.raw_upstream import raw
from helpers.server import PROJECT, Server, free_port, opened
from helpers.waiting import until
from helpers.wire import request, stored
from lazu.errors import CannotStart
from lazu.store.keys import Keys
from lazu.store.opening import mark_served
from lazu.store.sqlite.engine import database
from lazu.store.tables import File, Key
from lazu.upkeep import doctor, stats


def keys(server):
    return {key["name"]: key for key in json.loads(server.flask("keys", "list", "--json").stdout)}


def test_the_list_shows_what_each_key_has_and_may(serve):
    server = serve(LAZU_KEY_QUOTA_BYTES=str(2**30))
    alice = server.flask("keys", "create", "alice").stdout.strip()
    server.flask("keys", "create", "bob", "--quota", "500MB")
    server.flask("keys", "revoke", "bob")
    for content in (b"one", b"two"):
        stored(server, alice, content)
    until(lambda: keys(server)["alice"]["last_used_on"])
    told = keys(server)
    assert (told["alice"]["files"], told["alice"]["bytes"], told["alice"]["quota_bytes"]) == (2, 6, 2**30)
    assert (told["bob"]["last_used_on"], told["bob"]["quota_bytes"]) == (None, 500 * 2**20)
    assert told["bob"]["revoked_at"] >= told["bob"]["created_at"]
    head, *rows = server.flask("keys", "list").stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["alice", "bob"]
    assert [row.split()[1] for row in rows] == ["active", "revoked"]
    assert all(row.index("20") == head.index("MADE") for row in rows)
    assert all(len(row) == len(head) for row in rows)


def test_the_last_use_is_written_once_a_day(app, monkeypatch):
    """To the day of Shanghai, which begins at 16:00 UTC."""
    written = []
    monkeypatch.setattr(Keys, "_write_use", lambda _, _key, now: written.append(now))
    authenticate = app.extensions["lazu"].keys.authenticate
    with database, freeze_time("2026-05-24 12:00:00") as clock:
        for _ in range(3):
            authenticate("Bearer test-key")
        until(lambda: len(written) == 1)
        clock.move_to("2026-05-24 15:59:59")
        authenticate("Bearer test-key")
        clock.move_to("2026-05-24 16:00:00")
        authenticate("Bearer test-key")
        until(lambda: len(written) == 2)
    assert written == [1779624000, 1779638400]


def test_a_database_that_is_busy_neither_fails_nor_slows_a_request(serve):
    """Somebody else holds the write lock: the use is written later, the request does not wait."""
    server = serve(LAZU_WORKERS="1")
    key = server.new_key("alice")
    assert request(server, "GET", "/healthz").status == 200  # its worker, which needs the lock to start, has started
    with closing(sqlite.connect(str(server.storage / "lazu.sqlite3"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert request(server, "GET", "/v1/files", key).status == 200
        assert time.monotonic() - began < 2
        used = "SELECT last_used_at FROM key WHERE name = 'alice'"
        assert other.execute(used).fetchone() == (None,)
        other.execute("ROLLBACK")
        until(lambda: other.execute(used).fetchone() != (None,))


def test_stats_say_what_is_stored_and_saved(serve):
    server = serve()
    alice, bob = server.new_key("alice"), server.new_key("bob")
    for key, content in ((alice, b"same bytes"), (bob, b"same bytes"), (bob, b"other")):
        stored(server, key, content)
    late = stored(server, bob, b"late")
    with opened(server.storage):
        File.update(expires_at=int(time.time()) - stats.LATE_SECONDS - 1).where(File.id == late["id"]).execute()
    told = json.loads(server.flask("stats", "--json").stdout)
    assert {name: told[name] for name in ("files", "bytes", "expired", "overdue", "blobs", "blob_bytes", "saved_bytes")} == {
        "files": 3, "bytes": 25, "expired": 1, "overdue": 1, "blobs": 3, "blob_bytes": 19, "saved_bytes": 10,
    }  # fmt: skip
    assert [(each["name"], each["files"], each["bytes"]) for each in told["keys"]] == [("alice", 1, 10), ("bob", 2, 15)]
    assert told["last_purge"] is None
    assert (len(told["days"]), sum(day["files"] for day in told["days"]), told["days"][-1]["bytes"]) == (30, 3, 25)
    server.flask("purge")
    after = json.loads(server.flask("stats", "--json").stdout)
    assert (after["expired"], after["blobs"], after["last_purge"]["files"]) == (0, 2, 1)


def test_stats_say_which_key_has_uploads_that_are_pending(serve):
    """Not those that are over; by their declared bytes, whatever has come."""
    server = serve()
    alice, _ = server.new_key("alice"), server.new_key("bob")
    over, begun, _ = (uploads.created(server, alice, size) for size in (50, 2000, 300))
    uploads.cancel(server, alice, over)
    uploads.added(server, alice, begun, b"part")
    told = json.loads(server.flask("stats", "--json").stdout)["keys"]
    assert [(each["uploads"], each["upload_bytes"]) for each in told] == [(2, 2300), (0, 0)]
    assert re.search(r"^KEY +FILES +BYTES +UPLOADS +DECLARED\nalice +0 +0 bytes +2 +2\.2 KB\nbob ", server.flask("stats").stdout, re.MULTILINE)


def test_days_are_those_of_shanghai(app):
    """23:59:59 and midnight in Shanghai are two days; UTC does not matter."""
    with database:
        Key.create(id=9, name="k", created_at=0)
        for number, created_at in enumerate((1779551999, 1779552000)):
            File.create(
                id=f"f{number}", key=9, sha256="0" * 64, bytes=5, filename="a", purpose="user_data", content_type="text/plain",
                created_at=created_at, expires_at=1779552000 + 9999,
            )  # fmt: skip
        with freeze_time("2026-05-24 01:00:00+08:00"):
            assert stats.by_day(3) == [("2026-05-22", 0, 0), ("2026-05-23", 1, 5), ("2026-05-24", 1, 5)]
        File.delete().execute()


def test_a_terminal_gets_bars_and_a_pipe_does_not(serve):
    server = serve()
    stored(server, server.new_key("alice"))
    piped = server.flask("stats").stdout
    shown = on_terminal(server, "stats")
    assert "by age" not in piped
    assert re.search(r"uploaded by day.*\n +█\r?\nby age", shown)
    assert "removing" in on_terminal(server, "purge")
    assert server.flask("purge").stderr == ""
    assert "repairing" not in on_terminal(server, "fsck", "--repair")
    stray = server.storage / "blobs/ab" / ("ab" * 32)
    stray.write_bytes(b"of no file")
    assert "repairing" in on_terminal(server, "fsck", "--repair")
    assert not stray.exists()


def on_terminal(server, *command):
    """What `flask COMMAND` shows on a terminal."""
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "flask", *command]
    with subprocess.Popen(argv, cwd=PROJECT, env=server.environ, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # EIO is how a terminal ends
            while chunk := os.read(ours, 4096):
                shown += chunk
        assert process.wait(10) == 0
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_a_fit_host_is_told_so(serve):
    server = serve()
    done = server.flask("doctor", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")} <= {"ok", "warn"}
    found = {each["check"]: each for each in json.loads(server.flask("doctor", "--json").stdout)}
    assert found["sqlite"]["state"] == found["store"]["state"] == found["libmagic"]["state"] == "ok"
    assert found["file system"]["found"].split(",")[0] in Path("/proc/filesystems").read_text()


@pytest.mark.parametrize(
    ("env", "check", "text"),
    [
        ({"LAZU_WORKERS": "none"}, "settings", "LAZU_WORKERS must be"),
        ({"LAZU_MIN_FREE_BYTES": "9" * 5000}, "settings", "LAZU_MIN_FREE_BYTES must be a whole number of bytes of 0 to 9223372036854775807"),
        ({"LAZU_RETENTION_DAYS": "9" * 7}, "settings", "LAZU_RETENTION_DAYS must be a whole number of days of 1 to 999999"),
        ({"LAZU_UPSTREAM_CALLS": "10000000"}, "settings", "LAZU_UPSTREAM_CALLS must be a whole number of 1 to 65536"),
        ({"LAZU_WORKERS": "1000000"}, "settings", "LAZU_WORKERS must be a whole number of 1 to 1024"),
        ({"LAZU_THREADS": "9" * 19}, "settings", "LAZU_THREADS must be a whole number of 2 to 4096"),
        ({"LAZU_BIND": "127.0.0.1:²"}, "settings", "LAZU_BIND must be HOST:PORT"),
        ({"LAZU_BIND": "unix:"}, "settings", "LAZU_BIND must be HOST:PORT, or unix:PATH"),
        ({"LAZU_BIND": "lazu..internal:8000"}, "settings", "LAZU_BIND must be HOST:PORT"),
        ({"LAZU_UPSTREAM_URL": "http://127.0.0.1/v1 beta"}, "settings", "LAZU_UPSTREAM_URL must be http://"),
        ({"LAZU_UPSTREAM_URL": "http://model..internal:9000/v1"}, "settings", "LAZU_UPSTREAM_URL must be http://"),
        ({"LAZU_UPSTREAM_URL": f"http://{'long' * 16}:8000/v1"}, "settings", "LAZU_UPSTREAM_URL must be http://"),
        ({"LAZU_ACCEL_LOCATION": "/"}, "settings", "LAZU_ACCEL_LOCATION must be the prefix of an nginx location"),
        ({"LAZU_AUDIT_LOG": "/tmp"}, "settings", "LAZU_AUDIT_LOG must be a file, not a directory"),
        ({"LAZU_AUDIT_LOG": "/etc/passwd/audit.log"}, "audit log", "can't be written"),
        ({"LAZU_AUDIT_LOG": "/no/such/directory/audit.log"}, "audit log", "can't be written"),
        ({"LAZU_AUDIT_LOG": f"/{'long' * 64}/audit.log"}, "audit log", "can't be written"),
        ({"LAZU_STORAGE_DIR": "/proc/lazu"}, "file system", "O_TMPFILE"),
        ({"LAZU_MIN_FREE_BYTES": str(2**60)}, "free space", "uploads stop at"),
    ],
)
def test_doctor_explains_what_stops_everything_else(tmp_path, env, check, text):
    server = Server(tmp_path / "storage", env)
    done = server.flask("doctor", "--json", check=False)
    [finding] = [each for each in json.loads(done.stdout) if each["check"] == check]
    assert (done.returncode, finding["state"], text in finding["found"]) == (1, "fail", True)
    assert finding["cure"]
    assert re.fullmatch(r"Error: \d of \d+ checks failed\n", done.stderr)


@pytest.mark.parametrize("env", [{"LAZU_WORKERS": "none"}, {"LAZU_STORAGE_DIR": "/proc/lazu"}])
@pytest.mark.parametrize("command", ["stats", "purge", "keys list"])
def test_every_other_command_fails_in_one_line(tmp_path, env, command):
    done = Server(tmp_path / "storage", env).flask(*command.split(), check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("Lazu can't start: LAZU_")


def test_doctor_warns_of_overdue_files_and_of_a_clock_set_back(serve):
    server = serve()
    file = stored(server, server.new_key())
    with opened(server.storage):
        File.update(expires_at=5, created_at=int(time.time()) + 3600).where(File.id == file["id"]).execute()
    done = server.flask("doctor")
    assert "warn  purge        never ran, 1 files overdue" in done.stdout
    assert re.search(r"^warn  history +a file was made at .*, in the future$", done.stdout, re.MULTILINE)


def test_doctor_tells_of_what_another_user_has_made_in_the_storage(tmp_path):
    """A server that root ran once leaves it: each completed upload was 500 then, and doctor content."""
    server = Server(tmp_path / "storage", {"LAZU_MIN_FREE_BYTES": "0"})
    server.new_key()
    lock = server.storage / "uploads.lock"
    lock.touch(0o600)
    assert "\nok    owner " in server.flask("doctor").stdout
    if os.geteuid() == 0:
        os.chown(lock, 65534, -1)
        assert "\nwarn  owner " in server.flask("doctor").stdout
    else:
        lock.chmod(0)
        assert f"\nfail  owner        {lock} can't be read and written" in server.flask("doctor", check=False).stdout


def test_a_lock_that_is_another_users_stops_the_start_in_one_line(app):
    """It was a traceback, and a new worker every second."""
    store = app.extensions["lazu"]
    (store.settings.storage_dir / "served").mkdir()  # root, who may run the tests, may open every file
    with pytest.raises(CannotStart, match=r"LAZU_STORAGE_DIR .* can't be used: .*served"):
        mark_served(store)
    (store.settings.storage_dir / "served").rmdir()


def test_doctor_warns_of_directories_that_nginx_may_not_enter(tmp_path):
    """As those of a backup that became the store: each download would go through Lazu."""
    server = Server(tmp_path / "storage")
    server.flask("backup", str(tmp_path / "moved"))
    moved = Server(tmp_path / "moved", {"LAZU_ACCEL_LOCATION": "/_blobs/"})
    assert "warn  nginx " in moved.flask("doctor").stdout
    for path in (moved.storage, *moved.storage.glob("blobs"), *moved.storage.glob("blobs/??")):
        path.chmod(0o750)
    assert "ok    nginx " in moved.flask("doctor").stdout


def upstream_line(server):
    """State, words and cure of what doctor says of the model server; never with the key."""
    done = server.flask("doctor", "--json", check=False)
    assert "upstream-secret" not in done.stdout + done.stderr
    [line] = [each for each in json.loads(done.stdout) if each["check"] == "upstream"]
    return line["state"], line["found"], line["cure"]


def examined(monkeypatch, env):
    """What doctor finds of the model server, asked in this process."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    [found] = [each for each in doctor.examine(CannotStart("none is needed")) if each.check == "upstream"]
    return found


def with_upstream(tmp_path, env):
    return Server(tmp_path / "storage", {**env, "LAZU_MIN_FREE_BYTES": "0"})


def test_doctor_says_whether_the_model_server_is_there_and_takes_what_lazu_sends(tmp_path):
    with upstream.running() as double:
        server = with_upstream(tmp_path, double.env)
        for status, state, found, cure in [
            (200, "ok", "can be reached", ""),
            (500, "ok", "can be reached", ""),
            (308, "warn", "answers with a redirect (308)", "name its target in LAZU_UPSTREAM_URL"),
            (401, "warn", "refuses LAZU_UPSTREAM_API_KEY (401)", "set the key that it wants"),
            (404, "warn", "has no /models there (404)", "is /v1 missing in LAZU_UPSTREAM_URL?"),
        ]:
            double.script = lambda handler, status=status: handler.send(status)
            assert upstream_line(server) == (state, found, cure)
            assert (double.last.method, double.last.path) == ("GET", "/v1/models")
            assert double.last.headers["authorization"] == "Bearer upstream-secret"
    assert upstream_line(server) == ("warn", "The model server can't be reached.", "is it running, at LAZU_UPSTREAM_URL?")


@pytest.mark.parametrize(("said", "told"), [([], "did not say within"), ([b"HTTP/1.1 "] * 1000, "did not say within"), ([b"SSH-2.0\r\n\r\n"], "no HTTP")])
def test_doctor_waits_briefly_for_a_model_server_that_is_none(monkeypatch, said, told):
    monkeypatch.setattr(lazu.gateway.upstream, "REACH_SECONDS", 0.5)
    with raw() as silent:
        silent.said, silent.stays = said, True
        found = examined(monkeypatch, silent.env)
    assert (found.state, told in found.found) == ("warn", True)


def test_doctor_tells_of_a_model_server_that_is_lazu_itself(tmp_path):
    """Running, it was "ok"; stopped, the cure was to start it."""
    port = free_port()
    given = {"LAZU_BIND": f"127.0.0.1:{port}", "LAZU_UPSTREAM_URL": f"http://localhost:{port}/v1"}
    told = ("fail", "LAZU_UPSTREAM_URL is where Lazu itself listens")
    assert upstream_line(with_upstream(tmp_path, given)) == (*told, "correct it, or have Lazu listen elsewhere: LAZU_BIND=127.0.0.1:8001")


@pytest.mark.parametrize(
    ("unit", "own", "is_lazu"),
    [
        ("ListenStream=127.0.0.1:{port}\n", "", True),
        ("ListenStream={port}\n", "", True),
        ("ListenStream=[::]:{port}\n", "", True),
        ("ListenStream=/run/lazu.sock\n", "", False),
        ("ListenStream=lazu..internal:{port}\n", "", False),
        ("ListenStream=127.0.0.1:{port}\n", "[Socket]\nListenStream=\nListenStream=127.0.0.1:1\n", False),
    ],
)
def test_doctor_goes_by_the_address_that_systemd_holds(tmp_path, monkeypatch, unit, own, is_lazu):
    """Where it does, LAZU_BIND has no say."""
    port = free_port()
    monkeypatch.setattr(doctor, "SOCKET", tmp_path / "lazu.socket")
    doctor.SOCKET.write_text(f"[Socket]\n{unit.format(port=port)}")
    (tmp_path / "lazu.socket.d").mkdir()
    (tmp_path / "lazu.socket.d/override.conf").write_text(own)
    found = examined(monkeypatch, {"LAZU_BIND": f"127.0.0.1:{port}", "LAZU_UPSTREAM_URL": f"http://127.0.0.1:{port}/v1"})
    assert (found.state == "fail", "ListenStream= of lazu.socket" in found.cure, "LAZU_BIND" in found.cure) == (is_lazu, is_lazu, False)


def test_help_is_a_page_with_an_example(serve):
    server = serve()
    told = server.flask("--help").stdout
    assert "Exit status: 0 done, 1 failed (one line says why), 2 called wrongly." in told
    assert "flask keys create alice" in told
    assert "Example: flask keys quota alice 20GB" in " ".join(server.flask("keys", "quota", "--help").stdout.split())


@pytest.mark.parametrize("command", ["keys revoke nobody", "keys rotate nobody", "keys quota nobody 5", "keys create a/b"])
def test_what_can_not_be_done_is_one_line_and_exit_1(server, command):
    done = server.flask(*command.split(), check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("Error: ")
