"""A reload takes the settings of `.env` as they are now, keeps where it listens, and goes wrong without a trace."""

import json
import os
import shutil
import signal
from itertools import pairwise

import pytest

from helpers.server import PROJECT, Server, variables
from helpers.waiting import until
from helpers.wire import request, stored
from lazu import config
from test_restart import Activated

pytestmark = pytest.mark.slow

REFUSED = "Nothing was reloaded; the server goes on as it was."


def made(kind, tmp_path):
    """A server with a program and a `.env` of its own."""
    home = tmp_path / "lazu"
    shutil.copytree(PROJECT / "lazu", home / "lazu", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "wsgi.py", "gunicorn.conf.py"):
        shutil.copy(PROJECT / name, home)
    server = kind(tmp_path / "storage", {"LAZU_BIND": "", "LAZU_STORAGE_DIR": "", "LAZU_WORKERS": "1"}, home=home)
    settings(server)
    return server


@pytest.fixture(params=[Server, Activated])
def server(request, tmp_path):
    """By itself and on systemd's socket."""
    server = made(request.param, tmp_path)
    yield server
    if server.process:
        server.stop()
    if isinstance(server, Activated):
        server.listener.close()


@pytest.fixture
def alone(tmp_path):
    """By itself."""
    server = made(Server, tmp_path)
    yield server
    if server.process:
        server.stop()


def settings(server, **more):
    given = {"LAZU_BIND": f"127.0.0.1:{server.port}", "LAZU_STORAGE_DIR": str(server.storage), **more}
    (server.home / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))


def started(server):
    server.start()
    assert request(server, "GET", "/healthz").status == 200
    return server.pids()


def told(server, refused):
    """What the log says once `server`, which was reloaded, has `refused`, or has let its old workers end."""
    over = REFUSED if refused else "Worker exiting"
    before = server.log.read_text().count(over)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.process.poll() is not None or server.log.read_text().count(over) > before)
    assert server.process.poll() is None, server.log.read_text()
    assert request(server, "GET", "/healthz").status == 200
    return server.log.read_text()


def test_a_reload_keeps_where_it_listens(server):
    """gunicorn closed that before it bound the new address, and ended when it could not; systemd's it left for good."""
    before = started(server)
    settings(server, LAZU_BIND=f"192.0.2.1:{server.port}")
    if isinstance(server, Activated):
        assert "LAZU_BIND" not in told(server, refused=False)
        return
    assert told(server, refused=True).count("LAZU_BIND needs a restart") == 1
    assert server.pids() == before
    settings(server)
    told(server, refused=False)


def test_a_reload_whose_model_server_is_lazu_itself_changes_nothing(server):
    """One call became 1,001 requests, and the next start failed."""
    before = started(server)
    settings(
        server,
        LAZU_BIND="127.0.0.1:1" if isinstance(server, Activated) else f"127.0.0.1:{server.port}",
        LAZU_UPSTREAM_URL=f"http://localhost:{server.port}/v1",
    )
    log = told(server, refused=True)
    assert log.count("LAZU_UPSTREAM_URL is where Lazu itself listens") == 1
    assert "Traceback" not in log
    assert server.pids() == before
    assert cured(server, log)


def cured(server, log):
    """Whether the cure is one: systemd's address is no setting of Lazu's."""
    by_systemd = isinstance(server, Activated)
    return ("ListenStream= of lazu.socket" in log, "LAZU_BIND" in log) == (by_systemd, not by_systemd)


def test_a_start_whose_model_server_is_lazu_itself_says_what_to_change(server):
    settings(server, LAZU_UPSTREAM_URL=f"http://127.0.0.1:{server.port}/v1")
    try:
        server.start()
    except AssertionError:
        assert not isinstance(server, Activated)
    assert server.process.wait(60) == 1
    server.process = None
    assert cured(server, server.log.read_text())


def replaced(server):
    """Kill the worker, as the OOM killer does; the answer of the next one."""
    [worker] = until(lambda: len(found := server.pids()[1:]) == 1 and found)
    os.kill(worker, signal.SIGKILL)
    until(lambda: server.process.poll() is not None or set(server.pids()[1:]) - {worker})
    return request(server, "GET", "/healthz")


@pytest.mark.parametrize("more", ["def (\n", "# new\n"], ids=["broken", "sound"])
def test_new_code_takes_a_restart(server, more):
    """A reload mixed it with what the master had of the old, and ended the server where it could not be read."""
    before = started(server)
    for name in ("lazu/routes/files.py", "lazu/store/opening.py", "lazu/routes/page/app.js", "wsgi.py", "gunicorn.conf.py"):
        text = (server.home / name).read_text()
        (server.home / name).write_text(text + more)
        assert "Traceback" not in told(server, refused=True)
        assert server.pids() == before
        (server.home / name).write_text(text)
    assert server.log.read_text().count("new code needs a restart") == 5
    told(server, refused=False)


def test_a_worker_that_is_replaced_has_the_code_of_the_start(server):
    started(server)
    with (server.home / "lazu/routes/files.py").open("a") as file:
        file.write("def (\n")
    assert replaced(server).status == 200


OWN = 'import runpy\nglobals().update(runpy.run_path("gunicorn.conf.py"))\n'


def test_a_reload_that_gunicorn_itself_would_not_survive_changes_nothing(server, tmp_path):
    """Only the store and the settings were tried."""
    server.env["GUNICORN_CMD_ARGS"] = f"--config {tmp_path}/own.py"
    (tmp_path / "own.py").write_text(OWN)
    before = started(server)
    (tmp_path / "own.py").write_text(f"{OWN}timeout = 'long'\n")
    told(server, refused=True)
    assert server.pids() == before


def test_a_worker_that_is_replaced_has_the_settings_of_the_start_or_of_the_last_reload(server, tmp_path):
    """It read `.env` anew: there were two stores behind one port, and a slip there ended the server."""
    started(server)
    key = server.new_key()
    path = f"/v1/files/{stored(server, key)['id']}"
    for more in ({"LAZU_STORAGE_DIR": str(tmp_path / "other")}, {"LAZU_THREADS": "abc"}):
        settings(server, **more)
        assert replaced(server).status == 200
        assert request(server, "GET", path, key).status == 200
    assert told(server, refused=True).count("LAZU_THREADS must be") == 1
    assert replaced(server).status == 200
    settings(server, LAZU_STORAGE_DIR=str(tmp_path / "other"), LAZU_API_KEY=key)
    told(server, refused=False)
    assert request(server, "GET", path, key).status == 404
    settings(server)
    assert replaced(server).status == 200
    assert request(server, "GET", path, key).status == 404


def test_the_clients_of_a_cluster_have_what_the_last_reload_read(dotenv, monkeypatch):
    """They had what the start read: from then on it was in the master's environment, which wins over `.env`."""
    monkeypatch.setattr(config, "_kept", [])
    monkeypatch.setenv("PGUSER", "")
    for user in ("old", "new"):
        dotenv.write_text(f"LAZU_DATABASE_URL=postgresql://db/lazu\nLAZU_BLOBS_URL=s3://lazu\nPGUSER={user}\n")
        config.keep(config.read())
    dotenv.write_text("")
    assert os.environ["PGUSER"] == ""
    assert config.kept().use().blobs_url == "s3://lazu"
    assert os.environ["PGUSER"] == "new"


RATIONED = """
import errno, os, pathlib, threading
left = pathlib.Path({!r})

def rationed(begin, error):
    def rationed(*args):
        if left.exists():
            count = int(left.read_text())
            if not count:
                raise error
            left.write_text(str(count - 1))
        return begin(*args)
    return rationed

if "rationed" not in dir(os):
    os.rationed = True
    os.fork = rationed(os.fork, BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
    threading.Thread.start = rationed(threading.Thread.start, RuntimeError("can't start new thread"))
"""


@pytest.fixture
def left(alone, tmp_path):
    """The file with the number of processes and threads that the system still has for the server, when there is one."""
    alone.env["GUNICORN_CMD_ARGS"] = f"--config {tmp_path}/own.py"
    (tmp_path / "own.py").write_text(OWN + RATIONED.format(str(tmp_path / "left")))
    return tmp_path / "left"


NO_PROCESS = "no process can be started"


def test_a_reload_for_whose_workers_there_is_no_room_changes_nothing(alone, left):
    """It ended the server, and all that ran in it."""
    before = started(alone)
    for number in (0, 1):
        left.write_text(str(number))
        assert told(alone, refused=True).count("too many processes or threads") == number + 1
        assert alone.pids() == before
    assert "Traceback" not in alone.log.read_text()
    left.unlink()
    told(alone, refused=False)


@pytest.mark.parametrize(("number", "missing"), [(0, NO_PROCESS), (1, "no room for a worker")])
def test_a_worker_is_replaced_when_there_is_room(alone, left, number, missing):
    """It ended the server; or one after the other began and ended."""
    [_, worker] = started(alone)
    left.write_text(str(number))
    os.kill(worker, signal.SIGKILL)
    until(lambda: alone.process.poll() is not None or missing in alone.log.read_text())
    assert alone.process.poll() is None
    left.unlink()
    assert request(alone, "GET", "/healthz").status == 200
    assert "Traceback" not in alone.log.read_text()


def test_without_room_for_another_master_this_one_goes_on(alone, left):
    started(alone)
    left.write_text("0")
    alone.process.send_signal(signal.SIGUSR2)
    until(lambda: alone.process.poll() is not None or NO_PROCESS in alone.log.read_text())
    assert request(alone, "GET", "/healthz").status == 200


def test_where_a_reload_finds_no_process_for_its_workers_the_old_ones_serve_until_there_is(alone, left):
    [_, old] = started(alone)
    key = "sk-of-the-settings"
    settings(alone, LAZU_API_KEY=key)
    left.write_text("2")  # for the trial
    alone.process.send_signal(signal.SIGHUP)
    until(lambda: alone.process.poll() is not None or NO_PROCESS in alone.log.read_text())
    assert request(alone, "GET", "/v1/files", key).status == 401
    assert alone.pids()[1:] == [old]
    left.unlink()
    until(lambda: old not in alone.pids())
    assert request(alone, "GET", "/v1/files", key).status == 200


AWAY = {
    "LAZU_DATABASE_URL": "postgresql://lazu@127.0.0.1:1/lazu",
    "LAZU_BLOBS_URL": "s3://lazu",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "lazu",
    "AWS_SECRET_ACCESS_KEY": "lazu",
    "AWS_REGION": "here",
}


def test_a_reload_to_other_engines_that_are_not_ready_changes_nothing(alone):
    """All was 503 then. Those of the start may be away: they come back."""
    before = started(alone)
    settings(alone, **AWAY)
    log = told(alone, refused=True)
    assert log.count("would not be ready: The database can't be opened or read.") == 1
    assert alone.pids() == before
    alone.stop()
    started(alone)
    assert request(alone, "GET", "/readyz").status == 503
    settings(alone, **AWAY, LAZU_RETENTION_DAYS="7")
    told(alone, refused=False)
    settings(alone, **AWAY, PGUSER="another")
    told(alone, refused=True)


def test_a_reload_to_other_engines_that_are_ready_is_taken(alone, cluster, seaweed):
    alone.env |= dict.fromkeys(seaweed.env, "")  # else this process' own count
    started(alone)
    settings(alone, **variables(cluster), **seaweed.env)
    told(alone, refused=False)
    assert request(alone, "GET", "/readyz").status == 200
    settings(alone, **variables(cluster), **{**seaweed.env, "AWS_SECRET_ACCESS_KEY": "mistaken"})
    assert "would not be ready: The object store can't be reached." in told(alone, refused=True)
    assert request(alone, "GET", "/readyz").status == 200


def test_a_reload_without_the_file_of_settings_that_was_there_changes_nothing(alone):
    """With LAZU_BIND in the environment it went on with a new, empty store."""
    alone.env["LAZU_BIND"] = f"127.0.0.1:{alone.port}"
    file = alone.home / ".env"
    before = started(alone)
    file.rename(alone.home / "away")
    assert ".env is gone" in told(alone, refused=True)
    file.mkdir()  # as Docker does for a mount that is missing
    assert ".env is no file" in told(alone, refused=True)
    file.rmdir()
    assert alone.pids() == before
    (alone.home / "away").rename(file)
    told(alone, refused=False)


@pytest.mark.parametrize(("place", "why"), [("nowhere/audit.log", "No such file or directory"), ("lazu/.env/audit.log", "Not a directory")])
def test_an_audit_log_that_can_not_be_written_stops_a_start_and_a_reload(alone, tmp_path, place, why):
    """Both went on, and each line of it was one of an error instead."""
    path = tmp_path / place
    named = f"Lazu can't start: LAZU_AUDIT_LOG ({path}) can't be written: {why};"
    settings(alone, LAZU_AUDIT_LOG=path)
    with pytest.raises(AssertionError, match="did not start") as refused:
        alone.start()
    assert str(refused.value).splitlines()[-1].startswith(named)
    alone.log.unlink()
    settings(alone, LAZU_AUDIT_LOG=tmp_path / "audit.log")
    before = started(alone)
    settings(alone, LAZU_AUDIT_LOG=path)
    assert told(alone, refused=True).count(named) == 1
    assert alone.pids() == before
    assert not path.exists()


#: A file that not even root can read.
UNREADABLE = "/proc/self/mem"


def test_only_its_own_files_are_the_program(alone):
    """A file of the operator's in the same directory ended the start in a traceback, or refused each reload."""
    (alone.home / "report.py").symlink_to(UNREADABLE)
    started(alone)
    (alone.home / "notes.py").write_text("print()\n")
    told(alone, refused=False)
    (alone.home / "lazu/more.py").symlink_to(UNREADABLE)
    assert "more.py can't be read" in told(alone, refused=True)
    alone.stop()
    before = alone.log.read_text()
    with pytest.raises(AssertionError):
        alone.start()
    alone.process = None
    log = alone.log.read_text().removeprefix(before)
    assert log.count("Lazu can't start: ") == 1
    assert "Traceback" not in log


def test_why_a_reload_is_refused_is_a_line_of_the_log(alone, tmp_path):
    """It was bare text, which a reader of JSON does not take."""
    alone.env |= {"LAZU_LOG_FORMAT": "json", "GUNICORN_CMD_ARGS": f"--config {tmp_path}/own.py"}
    (tmp_path / "own.py").write_text(OWN)
    started(alone)
    settings(alone, LAZU_BIND="127.0.0.1:1")
    told(alone, refused=True)
    (tmp_path / "own.py").write_text(f"{OWN}timeout = 'long'\n")
    log = [json.loads(line) for line in told(alone, refused=True).splitlines()]
    reasons = [before["message"] for before, line in pairwise(log) if line.get("message") == REFUSED]
    assert "LAZU_BIND needs a restart" in reasons[0]
    assert "Invalid value for timeout" in reasons[1]


def test_a_reload_tells_of_calls_for_which_there_are_too_few_descriptors(alone):
    alone.under = ("sh", "-c", 'ulimit -n 1024; exec "$@"', "sh")
    settings(alone, LAZU_UPSTREAM_URL="http://127.0.0.1:1/v1", LAZU_UPSTREAM_CALLS="20")
    started(alone)
    settings(alone, LAZU_UPSTREAM_URL="http://127.0.0.1:1/v1", LAZU_UPSTREAM_CALLS="1000")
    assert told(alone, refused=False).count("LAZU_UPSTREAM_CALLS is 80, not 1000") == 1
