"""A reload takes the settings of `.env` as they are now, keeps where it listens, and goes wrong without a trace."""

import shutil
import signal

import pytest

from helpers.server import PROJECT, Server
from helpers.waiting import until
from helpers.wire import request
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
    server = request.param(tmp_path / "storage", {"LAZU_BIND": ""}, home=home)
    settings(server)
    yield server
    if server.process:
        server.stop()
    if isinstance(server, Activated):
        server.listener.close()


def settings(server, **more):
    given = {"LAZU_BIND": f"127.0.0.1:{server.port}", "LAZU_WORKERS": "1", **more}
    (server.home / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))


def started(server):
    server.start()
    assert request(server, "GET", "/healthz").status == 200
    return server.pids()


def told(server, refused):
    """What the log says once `server`, which was reloaded, has `refused`, or has let its old workers end."""
    server.process.send_signal(signal.SIGHUP)
    over = REFUSED if refused else "Worker exiting"
    until(lambda: server.process.poll() is not None or over in server.log.read_text())
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
