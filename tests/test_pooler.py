"""pgbouncer between Lazu and PostgreSQL, by sessions and by transactions, as docs/cluster.md says."""

import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from helpers.pooler import pooled
from helpers.server import Server, variables
from helpers.wire import request, stored
from lazu.config import Settings
from lazu.store.opening import open_store
from lazu.store.postgresql.database import database

pytestmark = pytest.mark.slow

KEY = "the-key-of-all-boxes"


@pytest.fixture(scope="module", params=["session", "transaction"])
def pooler(request, postgres):
    """What gives the address of a database through a pooler, and how it pools."""
    with pooled(postgres, request.param) as through:
        yield through, request.param


@pytest.fixture
def place(pooler, cluster):
    """An empty cluster behind the pooler."""
    through, _ = pooler
    return {**cluster, "database_url": through(cluster["database_url"])}


def test_many_clients_at_once_get_what_is_theirs(place, tmp_path):
    """Prepared questions meet backends that know them and such as do not."""
    box = Server(tmp_path / "box", {**variables(place), "LAZU_API_KEY": KEY}).start()
    try:
        with ThreadPoolExecutor(12) as pool:
            assert list(pool.map(lambda number: comes_and_goes(box, b"%d" % number), range(40))) == [True] * 40
        assert request(box, "GET", "/v1/files", KEY).json["data"] == []
    finally:
        box.stop()


def comes_and_goes(box, content):
    path = f"/v1/files/{stored(box, KEY, content)['id']}"
    same = request(box, "GET", f"{path}/content", KEY).body == content
    listed = request(box, "GET", "/v1/files?limit=100", KEY).status
    return same and (listed, request(box, "DELETE", path, KEY).status, request(box, "GET", path, KEY).status) == (200, 200, 404)


def test_one_purge_at_a_time_and_none_in_the_way_of_the_next(place, tmp_path):
    store = open_store(Settings(storage_dir=tmp_path / "here", min_free_bytes=0, **place))
    try:
        with store.contents.alone() as first, store.contents.alone() as second:
            assert (first(), second()) == (True, False)
            store.keys.create("alice")
        for _ in range(3):
            with store.contents.alone() as again:
                assert again()
    finally:
        database.close_all()


@pytest.mark.parametrize("limited", [False, True], ids=["as it comes", "with limits"])
def test_doctor_says_when_time_limits_do_not_last(place, pooler, limited, tmp_path):
    _, mode = pooler
    with psycopg.connect(place["database_url"].rpartition("/")[0] + "/postgres", autocommit=True) as connection:
        for name in ("lock_timeout", "idle_in_transaction_session_timeout") if limited else ():
            connection.execute(f"ALTER DATABASE {place['database_url'].rpartition('/')[2]} SET {name} = '10s'")
    told = Server(tmp_path / "box", variables(place)).flask("doctor", "--json", check=False).stdout
    found = [each["state"] for each in json.loads(told) if each["check"] == "pooler"]
    assert found == ([] if mode == "session" else ["ok" if limited else "warn"])
