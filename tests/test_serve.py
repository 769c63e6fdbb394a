"""The README's first command on a fresh clone, and the application as gunicorn finds it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest
from pysqlite3 import dbapi2 as sqlite3

from helpers.server import PROJECT, Server, free_port, problems
from helpers.waiting import until
from helpers.wire import request
from test_slips import WRONG

pytestmark = pytest.mark.slow


def wait_for(text, log, process):
    deadline = time.monotonic() + 240
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What git has of this project, as somebody else's fresh clone; with uncommitted changes while one works on it.

    It lies within a directory of another project, which has settings of its own.
    """
    target = tmp_path_factory.mktemp("fresh") / "lazu"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        if (PROJECT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((PROJECT / name).read_bytes())
            (target / name).chmod((PROJECT / name).stat().st_mode)
    (target.parent / ".env").write_text(f"LAZU_STORAGE_DIR={target.parent}/theirs\nLAZU_API_KEY=theirs\n")
    (target.parent / ".flaskenv").write_text("FLASK_APP=theirs\n")
    return target


def environ(clone):
    """What its owner has in the environment."""
    given = Server(clone / "storage").environ
    del given["LAZU_STORAGE_DIR"]
    given.pop("FLASK_SKIP_DOTENV", None)
    return {**given, "PATH": ":".join(part for part in given["PATH"].split(":") if not part.endswith(".venv/bin"))}


@contextmanager
def served(clone, log, **env):
    """`scripts/serve` in `clone`, run as its owner would, until the end of the `with`."""
    with log.open("wb") as output:
        process = subprocess.Popen(["scripts/serve"], cwd=clone, env={**environ(clone), **env}, stdout=output, stderr=output)
    try:
        wait_for("Booting worker", log, process)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def pasted(log, cwd):
    """What the line says that one is to paste into another terminal, which stands in `cwd`."""
    [line] = re.findall(r"^ +(curl .*)$", log.read_text(), re.MULTILINE)
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, text=True, timeout=30, check=True).stdout


def test_one_command_and_one_pasted_line_store_a_file(clone, tmp_path):
    log = tmp_path / "first.log"
    with served(clone, log):
        assert '"filename":"README.md"' in pasted(log, tmp_path)
    assert re.search(r"^Lazu's page: http://127\.0\.0\.1:\d+/$", log.read_text(), re.MULTILINE)
    assert problems(clone / "storage") == []


def test_the_pasted_line_goes_to_a_socket_where_lazu_listens_on_one(clone, tmp_path):
    log = tmp_path / "socket.log"
    with served(clone, log, LAZU_BIND=f"unix:{tmp_path}/a socket", LAZU_STORAGE_DIR=str(tmp_path / "storage")):
        assert '"filename":"README.md"' in pasted(log, tmp_path)
    assert "page" not in log.read_text()
    assert problems(tmp_path / "storage") == []


def test_a_start_that_fails_says_so_once_and_nothing_else(clone, tmp_path):
    (tmp_path / "file").write_text("no directory")
    env = {**environ(clone), "LAZU_STORAGE_DIR": str(tmp_path / "file/storage")}
    failed = subprocess.run(["scripts/serve"], cwd=clone, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert failed.returncode == 1
    assert (failed.stderr.count("can't start"), "Lazu's page" in failed.stdout) == (1, False)


def test_the_second_run_installs_nothing_and_makes_no_second_key(clone, tmp_path):
    for number in range(2):
        log = tmp_path / f"{number}.log"
        with served(clone, log, LAZU_STORAGE_DIR=str(tmp_path / "storage")):
            pass
    assert "sk-lazu-" in (tmp_path / "0.log").read_text()
    assert [word for word in ("Installing", "sk-lazu-") if word in log.read_text()] == []


def test_a_copy_of_the_project_installs_its_own_programs(clone, tmp_path):
    """As docs/deploy.md copies it to /opt; pip of the first one would install into that."""
    copied = shutil.copytree(clone, tmp_path / "opt", symlinks=True)
    told = flask(copied, "--version")
    assert told.returncode == 0, told.stderr
    assert (copied / ".venv/bin/flask").read_text().startswith(f"#!{copied}/.venv/bin/python")


def flask(clone, *command):
    """`flask COMMAND` in `clone`, as docs/commands.md has it."""
    subprocess.run(["scripts/venv", "requirements.txt"], cwd=clone, env=environ(clone), check=True)
    return subprocess.run([".venv/bin/flask", *command], cwd=clone, env=environ(clone), capture_output=True, text=True, check=False)


def test_commands_read_the_settings_of_this_project_alone_as_the_server_does(clone):
    """The program `flask` would look for .env in every directory above."""
    told = flask(clone, "keys", "list", "--json")
    assert told.returncode == 0, told.stderr
    assert (clone / "storage/lazu.sqlite3").exists()
    assert not (clone.parent / "theirs").exists()


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG)
def test_doctor_says_what_is_wrong_in_the_file_of_settings(clone, text, told):
    (clone / ".env").write_bytes(text)
    try:
        failed = flask(clone, "doctor")
    finally:
        (clone / ".env").unlink()
    assert failed.returncode == 1
    [line] = [line for line in failed.stdout.splitlines() if line.startswith("fail  settings")]
    assert told in line
    assert "Traceback" not in failed.stderr


def test_a_storage_that_can_not_be_used_stops_the_start(tmp_path):
    (tmp_path / "file").write_text("no directory")
    refused = Server(tmp_path / "file" / "storage").flask("purge", check=False)
    assert refused.returncode == 1
    assert "LAZU_STORAGE_DIR" in refused.stderr
    assert "Traceback" not in refused.stderr


def newer(storage):
    """A store of a Lazu to come."""
    storage.mkdir()
    with closing(sqlite3.connect(storage / "lazu.sqlite3")) as database:
        database.execute("PRAGMA user_version = 999")


def no_directory(storage):
    """A file where the store should be."""
    storage.write_text("no directory")


def refused(server):
    """What a server says that can't start."""
    ended = subprocess.run([sys.executable, "-m", "gunicorn", "wsgi:app"], cwd=PROJECT, env=server.environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("spoil", [newer, no_directory])
def test_a_server_that_can_not_start_ends_with_one_line(tmp_path, spoil):
    server = Server(tmp_path / "storage")
    spoil(server.storage)
    told = refused(server)
    [line] = [line for line in told.splitlines() if "can't start" in line]
    assert line.startswith("Lazu can't start: ")
    assert "Booting worker" not in told


@pytest.mark.parametrize(("bind", "host"), [("127.0.0.1", "localhost"), ("0.0.0.0", "127.0.0.1"), ("[::1]", "[::1]")])
def test_a_server_that_would_be_its_own_model_server_does_not_start(tmp_path, bind, host):
    """As with vLLM's usual port, which is Lazu's too: it answered itself 401, and with one of its keys asked itself again."""
    port = free_port()
    settings = {"LAZU_BIND": f"{bind}:{port}", "LAZU_UPSTREAM_URL": f"http://{host}:{port}/v1", "LAZU_WORKERS": "1"}
    assert "LAZU_UPSTREAM_URL is where Lazu itself listens" in refused(Server(tmp_path / "storage", settings))


@pytest.mark.parametrize("lost", [1, 2])
def test_a_worker_that_can_not_start_later_ends_the_server(tmp_path, lost):
    """It would be started again for ever, and systemd would never hear of it.

    Of two, gunicorn left its own stopping at the second, with a traceback and status 1.
    """
    server = Server(tmp_path / "storage").start()
    until(lambda: len(server.pids()) == 3)
    make_newer(server)
    for worker in server.pids()[1 : 1 + lost]:
        os.kill(worker, signal.SIGKILL)
    assert server.process.wait(60) == 3
    assert server.log.read_text().count("can't start") < 5
    assert "Traceback" not in server.log.read_text()


def make_newer(server):
    with closing(sqlite3.connect(server.storage / "lazu.sqlite3")) as database:
        database.execute("PRAGMA user_version = 999")


def test_a_reload_that_can_not_succeed_changes_nothing(tmp_path):
    server = Server(tmp_path / "storage", {"LAZU_WORKERS": "1"}).start()
    assert request(server, "GET", "/healthz").status == 200
    before = server.pids()
    make_newer(server)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "Nothing was reloaded; the server goes on as it was." in server.log.read_text())
    assert server.log.read_text().count("can't start") == 1
    assert request(server, "GET", "/healthz").status == 200
    assert server.pids() == before
    server.process.terminate()
    assert server.process.wait(30) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("LAZU_THREADS", "many"), ("LAZU_RETENTION_DAYS", "0"), ("LAZU_BIND", "8000"), ("LAZU_UPSTREAM_URL", "http://model..internal:9000/v1"), ("LAZU_ACCEL_LOCATION", "_blobs")],
)
def test_a_bad_setting_stops_the_start_and_names_the_variable(tmp_path, name, value):
    server = Server(tmp_path / "storage", {name: value}, free_port())
    with pytest.raises(AssertionError, match=name):
        server.start()
    refused = server.flask("purge", check=False)
    assert refused.returncode == 1
    assert name in refused.stderr
    assert "Traceback" not in refused.stderr
