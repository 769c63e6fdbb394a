"""A reload takes the settings of `.env` as they are now, keeps where it listens, and goes wrong without a trace."""

import os
import shutil
import signal

import pytest

from helpers.server import PROJECT, Server
from helpers.waiting import until
from helpers.wire import request, stored
from lazu import config
from test_restart import Activated

pytestmark = pytest.mark.slow

REFUSED = "Nothing was reloaded; the server goes on as it was."


@pytest.fixture(params=[Server, Activated])
def server(request, tmp_path):
    """A server with a `.env` of its own, by itself and on systemd's socket."""
    home = tmp_path / "lazu"
    shutil.copytree(PROJECT / "lazu", home / "lazu", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "wsgi.py", "gunicorn.conf.py"):
        shutil.copy(PROJECT / name, home)
    server = request.param(tmp_path / "storage", {"LAZU_BIND": "", "LAZU_STORAGE_DIR": "", "LAZU_WORKERS": "1"}, home=home)
    settings(server)
    yield server
    if server.process:
        server.stop()
    if isinstance(server, Activated):
        server.listener.close()


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


def test_the_clients_of_a_cluster_have_what_the_last_reload_read(tmp_path, monkeypatch):
    """They had what the start read: from then on it was in the master's environment, which wins over `.env`."""
    monkeypatch.setattr(config, "PROJECT", tmp_path)
    monkeypatch.setattr(config, "_kept", [])
    monkeypatch.setenv("PGUSER", "")
    for user in ("old", "new"):
        (tmp_path / ".env").write_text(f"LAZU_DATABASE_URL=postgresql://db/lazu\nLAZU_BLOBS_URL=s3://lazu\nPGUSER={user}\n")
        config.keep(config.read())
    (tmp_path / ".env").write_text("")
    assert os.environ["PGUSER"] == ""
    assert config.kept().use().blobs_url == "s3://lazu"
    assert os.environ["PGUSER"] == "new"
