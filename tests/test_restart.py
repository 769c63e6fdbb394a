"""Restarts under load, through nginx: no acknowledged file lost, no read failed. And the units that do it in production."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from helpers.edge import Edge
from helpers.server import PROJECT, Server, problems
from helpers.wire import PURPOSE, part, request, upload

pytestmark = pytest.mark.slow

CONTENT = os.urandom(200_000)


class Activated(Server):
    """Started as systemd does it: on a socket that stays open (sd_listen_fds(3))."""

    def start(self):
        if not hasattr(self, "listener"):
            self.listener = socket.create_server(("127.0.0.1", self.port), backlog=2048)
        fd = self.listener.fileno()
        shell = f'exec 3<&{fd}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" -m gunicorn wsgi:app'
        with self.log.open("ab") as log:
            command = ["bash", "-c", shell, sys.executable]
            self.process = subprocess.Popen(command, cwd=self.home, env=self.environ, stdout=log, stderr=log, pass_fds=[fd])
        return self


@pytest.fixture
def edge(tmp_path):
    server = Activated(tmp_path / "storage", {"LAZU_ACCEL_LOCATION": "/_blobs/"}).start()
    edge = Edge(server, tmp_path / "nginx").start()
    while request(edge, "GET", "/v1/files").status != 401:
        time.sleep(0.05)
    yield edge
    edge.stop()
    server.stop()
    server.listener.close()
    assert problems(edge.storage) == []


class Load:
    """Readers and uploaders, each on one connection after another, as long as the `with` lasts."""

    def __init__(self, edge):
        self.edge, self.key = edge, edge.new_key()
        self.files, self.reads, self.failed, self.lost = [], 0, [], []
        self.done = threading.Event()
        self.first = self.send()
        self.threads = [threading.Thread(target=each) for each in (self.read, self.read, self.write, self.write)]

    def send(self):
        mine = b"data" + os.urandom(1000) + CONTENT
        answer = upload(self.edge, self.key, PURPOSE, part("file", mine, "a.dat"))
        if answer.status == 200:
            self.files.append((answer.json["id"], mine))
            return answer.json["id"]
        self.lost.append(answer.status)
        return None

    def read(self):
        while not self.done.is_set():
            for path in (f"/v1/files/{self.first}", f"/v1/files/{self.first}/content", "/v1/files?limit=2"):
                status = request(self.edge, "GET", path, self.key).status
                self.reads += 1
                if status != 200:
                    self.failed.append((path, status))

    def write(self):
        while not self.done.is_set():
            self.send()

    def __enter__(self):
        for each in self.threads:
            each.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        time.sleep(1)
        self.done.set()
        for each in self.threads:
            each.join()


def check(load):
    for file_id, content in load.files:
        assert request(load.edge, "GET", f"/v1/files/{file_id}/content", load.key).body == content
    assert load.failed == []
    assert load.lost == []
    assert load.reads > 20
    assert len(load.files) > 10


def test_a_reload_under_load_fails_nothing(edge):
    with Load(edge) as load:
        for _ in range(3):
            edge.server.process.send_signal(signal.SIGHUP)
            time.sleep(2)
    check(load)


def test_a_restart_under_load_fails_nothing(edge):
    with Load(edge) as load:
        for _ in range(2):
            edge.server.stop()
            edge.server.start()
            time.sleep(1.5)
    check(load)


SLOW_TO_BEGIN = """
import runpy, time
globals().update(runpy.run_path("gunicorn.conf.py"))
begin = post_fork

def post_fork(server, worker):
    begin(server, worker)
    time.sleep(2)
"""


def test_a_worker_that_has_just_begun_ends_at_once_when_told(tmp_path):
    (tmp_path / "slow.conf.py").write_text(SLOW_TO_BEGIN)
    server = Server(tmp_path / "storage", {"GUNICORN_CMD_ARGS": f"--config {tmp_path}/slow.conf.py"}).start()
    while server.log.read_text().count("Booting worker") < 2:
        time.sleep(0.02)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(15) == 0


def units():
    return sorted(path.name for path in (PROJECT / "deploy").iterdir() if path.suffix in (".service", ".socket", ".timer"))


def test_the_units_are_ones_that_systemd_takes(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    for name in units():
        text = (PROJECT / "deploy" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/lazu/.venv/bin/gunicorn", "/bin/true").replace("/opt/lazu/.venv/bin/flask", "/bin/true"))
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", *(tmp_path / name for name in units())], capture_output=True, text=True, check=False)
    assert [line for line in ran.stderr.splitlines() if "lazu" in line] == []


def test_the_purge_runs_at_half_past_four_in_shanghai():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    calendar = "*-*-* 04:30:00 Asia/Shanghai"
    assert f"OnCalendar={calendar}\n" in (PROJECT / "deploy" / "lazu-purge.timer").read_text()
    ran = subprocess.run(["systemd-analyze", "calendar", "--iterations=3", calendar], env={**os.environ, "TZ": "UTC"}, capture_output=True, text=True, check=True)
    assert ran.stdout.count("20:30:00 UTC") == 3


def test_the_parts_of_the_deployment_name_the_same_places():
    deploy = PROJECT / "deploy"
    nginx, settings, sock = ((deploy / name).read_text() for name in ("nginx.conf", "lazu.env", "lazu.socket"))
    assert "ListenStream=127.0.0.1:8000\n" in sock
    assert "server 127.0.0.1:8000;" in nginx
    assert "LAZU_ACCEL_LOCATION=/_blobs/\n" in settings
    assert "LAZU_STORAGE_DIR=/var/lib/lazu/storage\n" in settings
    assert "alias /var/lib/lazu/storage/blobs/$blob;" in nginx


def test_a_stop_waits_for_a_reload_and_for_the_requests_in_flight_after_it():
    """gunicorn hears nothing while a reload waits for its old workers."""
    unit, compose, settings = ((PROJECT / name).read_text() for name in ("deploy/lazu.service", "deploy/compose.yaml", "gunicorn.conf.py"))
    seconds = int(re.search(r"^graceful_timeout = (\d+)$", settings, re.MULTILINE)[1])
    for text, pattern in ((unit, r"^TimeoutStopSec=(\d+)$"), (compose, r"stop_grace_period: (\d+)s$")):
        assert int(re.search(pattern, text, re.MULTILINE)[1]) > 2 * seconds
