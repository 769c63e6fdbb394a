"""Real servers on real disks; after every test the rows and the blobs of each store it used must agree."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

import helpers.server
from helpers.browser import chromium, opened
from helpers.edge import Edge
from helpers.postgresql import Postgres
from helpers.seaweed import SeaweedFS
from helpers.server import Server, problems
from helpers.upstream import Front, completed, running
from lazu.application import create_app
from lazu.config import Settings


def pytest_runtest_logreport(report):
    """In CI nothing is skipped silently: a test that can't run there fails."""
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


@pytest.fixture(scope="session", autouse=True)
def _store(request):
    """LAZU_TEST_STORE=cluster runs the tests of the front door on PostgreSQL and S3 instead of SQLite and the disk."""
    if os.environ.get("LAZU_TEST_STORE") != "cluster":
        yield
        return
    postgres, seaweed = request.getfixturevalue("postgres"), request.getfixturevalue("seaweed")
    os.environ.update(seaweed.env)
    helpers.server.places = lambda: {"database_url": postgres.database(), "blobs_url": seaweed.prefix()}
    yield
    helpers.server.places = None


@pytest.fixture(scope="session")
def _shared(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("shared") / "storage").start()
    yield server
    server.stop()


@pytest.fixture
def server(_shared):
    """A running server with the default settings, shared by tests that each use keys of their own."""
    yield _shared
    assert problems(_shared.storage) == []


@pytest.fixture
def serve(tmp_path):
    """Start a server of one's own: `serve(LAZU_RETENTION_DAYS="1")`."""
    started = []

    def start(**env):
        started.append(Server(tmp_path / f"storage-{len(started)}", env).start())
        return started[-1]

    yield start
    for each in started:
        each.stop()
        assert problems(each.storage) == []


@pytest.fixture(scope="session")
def _edge(tmp_path_factory):
    home = tmp_path_factory.mktemp("edge")
    server = Server(home / "storage", {"LAZU_ACCEL_LOCATION": "/_blobs/"}).start()
    edge = Edge(server, home / "nginx")
    try:
        yield edge.start()
    finally:
        edge.stop()
        server.stop()


@pytest.fixture
def edge(_edge):
    """The shipped nginx in front of a running server, shared by tests that each use keys of their own."""
    yield _edge
    assert problems(_edge.storage) == []


@pytest.fixture
def deploy(tmp_path):
    """Start a server and nginx of one's own: `deploy(LAZU_RETENTION_DAYS="1")`."""
    started = []

    def start(**env):
        server = Server(tmp_path / f"edge-{len(started)}", {"LAZU_ACCEL_LOCATION": "/_blobs/", **env})
        started.append(Edge(server, tmp_path / f"nginx-{len(started)}"))
        server.start()
        return started[-1].start()

    yield start
    for each in started:
        each.stop()
        each.server.stop()
        assert problems(each.storage) == []


@pytest.fixture
def client(server):
    """The OpenAI SDK with a fresh key on the shared server."""
    with server.client() as client:
        yield client


@pytest.fixture
def app(tmp_path):
    """The application in this process, for tests that move the clock; its key is `test-key`."""
    yield create_app(Settings(storage_dir=tmp_path / "storage", api_key="test-key", min_free_bytes=0))
    assert problems(tmp_path / "storage") == []


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL, for the tests of the cluster; each takes a `database()` of its own."""
    with tempfile.TemporaryDirectory(prefix="lazu-postgresql-") as home:  # pytest's own folders are closed to others
        server = Postgres(Path(home))
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory):
    """A real object store, for the tests of the cluster; each takes a `prefix()` of its own."""
    store = SeaweedFS(tmp_path_factory.mktemp("seaweed"))
    try:
        yield store.start()
    finally:
        store.stop(signal.SIGKILL)


@pytest.fixture
def cluster(postgres, seaweed, monkeypatch):
    """An empty place on several machines, as the two settings that name it; its credentials are in the environment."""
    for name, value in seaweed.env.items():
        monkeypatch.setenv(name, value)
    return {"database_url": postgres.database(), "blobs_url": seaweed.prefix()}


@pytest.fixture(scope="session")
def _double():
    with running() as double:
        yield double


@pytest.fixture(scope="session")
def _behind(_double, tmp_path_factory):
    """The server before the double, in each of the three modes; its key is `client-secret`."""
    servers = {}

    def start(mode):
        if mode not in servers:
            env = {**_double.env, "LAZU_UPSTREAM_FILES": mode, "LAZU_API_KEY": "client-secret"}
            servers[mode] = Server(tmp_path_factory.mktemp(mode) / "storage", env).start()
        return servers[mode]

    yield start
    for server in servers.values():
        server.stop()


@pytest.fixture
def double(_double):
    """The model server that the tests pretend to have: what it received, and what it is to answer."""
    _double.received.clear()
    _double.script, _double.keeps_bodies, _double.eager = completed, True, False
    return _double


@pytest.fixture
def front(double, _behind):
    """A client of Lazu before the double, in a mode: `front("text")`."""
    fronts = []

    def make(mode="native"):
        fronts.append(Front(_behind(mode), "client-secret"))
        return fronts[-1]

    yield make
    for each in fronts:
        each.close()
        assert problems(each.server.storage) == []


@pytest.fixture(scope="module")
def browser():
    """Chromium. Of a module, because its client keeps an event loop running, which other tests would meet."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser):
    """A page of a new profile, in which no script may fail."""
    with opened(browser) as page:
        yield page
