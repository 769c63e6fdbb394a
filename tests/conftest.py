"""Real servers on real disks; after every test the rows and the bytes of each store it used must agree."""

import os
import signal
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import botocore.auth
import botocore.session
import pytest

import helpers.server
from helpers.between import between
from helpers.browser import chromium, opened
from helpers.edge import Edge
from helpers.line import line_to
from helpers.office import TYPES
from helpers.postgresql import Postgres
from helpers.seaweed import ELSEWHERE, Elsewhere, SeaweedFS
from helpers.server import PLACES, Server, problems
from helpers.upstream import Front, completed, running
from lazu import config
from lazu.application import create_app
from lazu.config import Settings
from lazu.documents import reading
from lazu.store import bucket_client, uploads
from lazu.store.contents import retrying
from lazu.store.contents.journal import Journal
from lazu.store.postgresql import engine

#: What only runs by hand.
collect_ignore = [] if os.environ.get("LAZU_LONG_TESTS") else ["test_failover.py"]

#: Where files are kept: on the disk of one box, or on PostgreSQL and SeaweedFS; and how nginx finds them there.
BOX, CLUSTER = "box", "cluster"
LOCATIONS = {BOX: "/_blobs/", CLUSTER: "/_objects/"}

TRUE_NOW = datetime.now  # the class itself is exchanged when a test moves the clock


def now(remove_tzinfo=True):
    """The true time, for signatures: the object store refuses requests of another day than its own."""
    true = TRUE_NOW(UTC)
    return true.replace(tzinfo=None) if remove_tzinfo else true


botocore.auth.get_current_datetime = now
# A server has one client of the object store, the tests hundreds: they need not read its tables each time.
botocore.session.create_loader = cache(botocore.session.create_loader)


def pytest_runtest_logreport(report):
    """In CI nothing is skipped silently: a test that can't run there fails."""
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


def pytest_generate_tests(metafunc):
    """A module that is marked `both_stores` is about the front door: its tests run on one box and on a cluster."""
    marked = metafunc.definition.get_closest_marker
    if marked("both_stores") and not marked("one_box"):
        metafunc.parametrize("place", [BOX, CLUSTER], indirect=True, scope="module")


@pytest.fixture(scope="session")
def _ends():
    """How the servers of the session end at each place: before the place itself does."""
    with ExitStack() as box:
        yield {BOX: box, CLUSTER: ExitStack()}


@pytest.fixture(scope="session")
def _engines(_ends, postgres, seaweed):
    with _ends[CLUSTER]:
        yield postgres, seaweed


@pytest.fixture(scope="module", autouse=True)
def place(request, _ends):
    """Where the servers of a module keep their files. A fixture of a whole module that starts one has to ask for it."""
    name = getattr(request, "param", BOX)
    if name == CLUSTER:
        postgres, seaweed = request.getfixturevalue("_engines")
        os.environ.update(seaweed.env)
        helpers.server.places = lambda: {"database_url": postgres.database(), "blobs_url": seaweed.prefix()}
    yield name
    helpers.server.places = None


@pytest.fixture(scope="session")
def _shared(tmp_path_factory, _ends):
    """The server of each place, with the default settings."""

    @cache
    def start(place):
        server = Server(tmp_path_factory.mktemp("shared") / "storage").start()
        _ends[place].callback(ended, server)
        return server

    return start


def ended(server, *before):
    """Stop a server that many tests used, what stands before it first; its rows and bytes agree.

    On a cluster that is looked at only now: a look costs as much as a test.
    """
    for each in (*before, server):
        each.stop()
    assert problems(server.storage) == []


@pytest.fixture
def server(_shared, place):
    """A running server with the default settings, shared by tests that each use keys of their own."""
    shared = _shared(place)
    yield shared
    assert place == CLUSTER or problems(shared.storage) == []


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


@pytest.fixture(scope="module")
def limited(tmp_path_factory, place):
    """A server where a key may hold 1 MB."""
    server = Server(tmp_path_factory.mktemp("limited") / "storage", {"LAZU_KEY_QUOTA_BYTES": str(2**20)}).start()
    yield server
    ended(server)


@pytest.fixture(scope="session")
def _edges(tmp_path_factory, _ends):
    """nginx before the server of each place."""

    @cache
    def start(place):
        home = tmp_path_factory.mktemp("edge")
        edge = Edge(Server(home / "storage", {"LAZU_ACCEL_LOCATION": LOCATIONS[place]}).start(), home / "nginx")
        _ends[place].callback(ended, edge.server, edge)
        return edge.start()

    return start


@pytest.fixture
def edge(_edges, place):
    """The shipped nginx in front of a running server, shared by tests that each use keys of their own."""
    edge = _edges(place)
    yield edge
    assert place == CLUSTER or problems(edge.storage) == []


@pytest.fixture
def deploy(tmp_path, place):
    """Start a server and nginx of one's own: `deploy(LAZU_RETENTION_DAYS="1")`."""
    started = []

    def start(**env):
        server = Server(tmp_path / f"edge-{len(started)}", {"LAZU_ACCEL_LOCATION": LOCATIONS[place], **env})
        started.append(Edge(server, tmp_path / f"nginx-{len(started)}"))
        server.start()
        return started[-1].start()

    yield start
    for each in started:
        each.stop()
        each.server.stop()
        assert problems(each.storage) == []


@pytest.fixture
def key(server):
    """A fresh key on the shared server."""
    return server.new_key()


@pytest.fixture
def client(server):
    """The OpenAI SDK with a fresh key on the shared server."""
    with server.client() as client:
        yield client


@pytest.fixture
def app(tmp_path, place):
    """The application in this process, for tests that move the clock; its key is `test-key`."""
    storage = tmp_path / "storage"
    if place == CLUSTER:
        PLACES[storage] = helpers.server.places()
    yield create_app(Settings(storage_dir=storage, api_key="test-key", min_free_bytes=0, **PLACES.get(storage, {})))
    assert problems(storage) == []


@pytest.fixture
def dotenv(tmp_path, monkeypatch):
    """Where this process looks for `.env`; nothing is there yet."""
    monkeypatch.setattr(config, "PROJECT", tmp_path)
    return tmp_path / ".env"


@pytest.fixture
def http(app):
    """A client of that application, without a socket."""
    return app.test_client()


@pytest.fixture
def patient(app, http, monkeypatch):
    """The same client, and the storage directory; the application's journal is left alone."""
    monkeypatch.setattr(Journal, "note", lambda _: None)
    return http, app.extensions["lazu"].settings.storage_dir


@pytest.fixture
def impatient(monkeypatch):
    """Call it, and nobody waits any more for an engine that is away: neither a command nor a box."""

    def begin():
        monkeypatch.setattr(retrying, "SECONDS", 0)
        monkeypatch.setattr(engine, "RETRY_SECONDS", 0)

    return begin


@pytest.fixture
def limits(monkeypatch):
    """Make limits of uploads in parts small: `limits(MAX_PARTS=1)`."""

    def set_all(**those):
        for name, value in those.items():
            monkeypatch.setattr(uploads, name, value)

    return set_all


@pytest.fixture
def renewing(monkeypatch):
    """Credentials that the object store refuses are looked for again at the next call."""
    monkeypatch.setattr(bucket_client, "RENEW_SECONDS", 0)


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
    home = tmp_path_factory.mktemp("seaweed")
    if ELSEWHERE:
        yield Elsewhere(home).start()
        return
    store = SeaweedFS(home)
    try:
        yield store.start()
    finally:
        store.stop(signal.SIGKILL)


@pytest.fixture
def proxy(seaweed):
    """What stands between a box and the object store, and breaks what a test says."""
    with between(seaweed.endpoint) as proxy:
        yield proxy


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
def _behind(_double, tmp_path_factory, _ends):
    """The server before the double, in each of the three modes and at each place; its key is `client-secret`."""

    @cache
    def start(mode, place):
        env = {**_double.env, "LAZU_UPSTREAM_FILES": mode, "LAZU_API_KEY": "client-secret"}
        server = Server(tmp_path_factory.mktemp(mode) / "storage", env).start()
        _ends[place].callback(ended, server)
        return server

    return start


@pytest.fixture
def double(_double):
    """The model server that the tests pretend to have: what it received, and what it is to answer."""
    _double.received.clear()
    _double.script, _double.keeps_bodies, _double.eager = completed, True, False
    return _double


@pytest.fixture
def front(double, _behind, place):
    """A client of Lazu before the double, in a mode: `front("text")`."""
    fronts = []

    def make(mode="native"):
        fronts.append(Front(_behind(mode, place), "client-secret"))
        return fronts[-1]

    yield make
    for each in fronts:
        each.close()
        assert place == CLUSTER or problems(each.server.storage) == []


@pytest.fixture
def native(front):
    """A client of Lazu before a model server that takes files."""
    return front("native")


@pytest.fixture
def text(front):
    """A client of Lazu before one that takes text alone."""
    return front("text")


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


@pytest.fixture
def line(server):
    """What stands between a browser and the shared server, and still where a test says."""
    with line_to(server) as line:
        yield line


@pytest.fixture
def read(tmp_path):
    """A function that reads bytes of a kind (or of a media type) and gives their text."""

    def read(data, kind):
        path = tmp_path / "blob"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return reading.text(path, TYPES.get(kind, kind)).text

    return read
