"""A standby of PostgreSQL may not know yet what was acknowledged: no box believes it, wherever an address leads to."""

import pytest

from helpers.in_store import put
from helpers.postgresql import primary_and_standby
from helpers.waiting import until
from lazu.config import Settings
from lazu.errors import Busy
from lazu.store.object_rows import Loose
from lazu.store.opening import open_store
from lazu.store.postgresql.connections import Connecting
from lazu.store.postgresql.database import database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair():
    with primary_and_standby() as servers:
        yield servers


@pytest.fixture
def url(pair, cluster, tmp_path):
    """A store's database, of which the standby has the tables and a key, and hears of nothing that comes now."""
    first, second = pair
    url = first.database()
    opened(url, cluster, tmp_path).keys.create("alice")
    database.close_all()
    with first.connect("postgres") as connection:
        [written] = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    with second.connect("postgres") as connection:
        until(lambda: connection.execute(f"SELECT pg_last_wal_replay_lsn() >= '{written}'").fetchone() == (True,))
        connection.execute("SELECT pg_wal_replay_pause()")
        yield url
        database.close_all()
        connection.execute("SELECT pg_wal_replay_resume()")


def opened(url, cluster, tmp_path):
    return open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **{**cluster, "database_url": url}))


def at(url, *servers):
    """The same database at these servers, in this order."""
    return url.replace(url.split("@")[1].split("/")[0], ",".join(f"127.0.0.1:{each.port}" for each in servers))


def test_a_purge_that_loses_its_primary_deletes_nothing_that_a_standby_has_not_heard_of(pair, url, cluster, tmp_path, monkeypatch):
    first, second = pair
    store = opened(at(url, first, second), cluster, tmp_path)
    file, pages = put(store, b"acknowledged"), store.contents.bucket.pages

    def dying(size=1000, below=""):
        for page in pages(size, below):
            if not below:
                first.crash()
            yield page

    with monkeypatch.context() as patch:
        patch.setattr(store.contents.bucket, "pages", dying)
        with pytest.raises(Busy):
            store.contents.sweep(lambda: None)
    first.run()
    first.wait()
    with store.contents.open(file.sha256) as content:
        assert content.read() == b"acknowledged"


def test_a_list_of_servers_may_stand_wherever_libpq_reads_it(pair, url, cluster, tmp_path, monkeypatch):
    first, second = pair
    name = url.rpartition("/")[2]
    ports = f"port={second.port},{first.port}&user=lazu"
    opened(f"postgresql:///{name}?hostaddr=127.0.0.1,127.0.0.1&{ports}", cluster, tmp_path).keys.create("by-address")
    database.close_all()
    monkeypatch.setenv("PGHOST", "127.0.0.1,127.0.0.1")
    monkeypatch.setenv("PGPASSWORD", "\udce9")  # a byte that is no UTF-8
    opened(f"postgresql:///{name}?{ports}", cluster, tmp_path).keys.create("by-environment")


def test_an_address_that_leads_to_both_leads_to_the_primary(pair, url, cluster, tmp_path, monkeypatch):
    """What a service file or a name has is not seen: where the standby came first, all was 503."""
    first, second = pair
    (tmp_path / "services").write_text(f"[lazu]\nhost=127.0.0.1,127.0.0.1\nport={second.port},{first.port}\nuser=lazu\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    store = opened(f"postgresql:///{url.rpartition('/')[2]}?service=lazu", cluster, tmp_path)
    assert store.keys.find("alice")
    with store.contents.alone() as alone:
        assert alone()


def test_the_primary_is_asked_whichever_server_comes_first(pair, url, cluster, tmp_path):
    first, second = pair
    store = opened(at(url, first), cluster, tmp_path)
    file = put(store, b"acknowledged")
    store = opened(at(url, second, first), cluster, tmp_path)
    assert store.files.get(store.keys.find("alice"), file.id) == file
    with store.contents.alone() as alone:
        assert alone()
        store = opened(at(url, first, second), cluster, tmp_path)
        with store.contents.alone() as other:
            assert not other(), "a lock of the standby would be another one"


def test_a_standby_alone_is_an_engine_that_is_away(pair, url, cluster, tmp_path):
    store = opened(at(url, pair[1]), cluster, tmp_path)
    for ask in (lambda: store.keys.find("alice"), lambda: store.contents.alone().__enter__()):
        with pytest.raises(Busy, match="standby"):
            ask()


def test_a_standby_behind_a_connection_is_not_asked_what_may_be_deleted(pair, url, cluster, tmp_path, monkeypatch):
    """A pooler puts one there when its primary is gone, and the connection to the pooler stays."""
    monkeypatch.setattr(Connecting, "_prepare", lambda *_: None)
    store = opened(at(url, pair[1]), cluster, tmp_path)
    assert store.keys.find("alice")
    with pytest.raises(Busy, match="standby"):
        store.contents.objects.unneeded([Loose("any", 0, derived=False)])
