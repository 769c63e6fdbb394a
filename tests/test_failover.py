"""The primary PostgreSQL dies under two boxes and a standby is promoted: nothing is started again, and what was acknowledged is
there if the standby was synchronous. If it was not, `flask fsck --repair` makes rows and objects agree again.

With LAZU_LONG_TESTS=1, half a minute.
"""

import os
import signal
from contextlib import contextmanager

import pytest

from helpers.postgresql import primary_and_standby
from helpers.race import Race
from helpers.server import Server, variables
from helpers.waiting import until
from helpers.wire import request, stored
from lazu.store.postgresql.database import database

pytestmark = pytest.mark.slow

KEY = "the-key-of-all-boxes"
#: Uploads before the primary dies, and after.
UPLOADS = 60


@pytest.fixture
def pair():
    with primary_and_standby("wal_log_hints = on\nwal_keep_size = 1GB\n") as servers:  # what pg_rewind needs
        yield servers


@pytest.fixture
def cluster(pair, seaweed, monkeypatch):
    """A place whose database is that of both servers: Lazu takes the one that is no standby."""
    for name, value in seaweed.env.items():
        monkeypatch.setenv(name, value)
    first, second = pair
    url = first.database().replace(f":{first.port}/", f":{first.port},127.0.0.1:{second.port}/")
    return {"database_url": url, "blobs_url": seaweed.prefix()}


@contextmanager
def racing(race):
    boxes = [race.start(number, 10**6) for number in (1, 2)]
    try:
        yield
    finally:
        for box in boxes:
            box.kill()
            box.wait()


def more(race, count):
    before = len(race.told()["+"])
    until(lambda: len(race.told()["+"]) >= before + count, 300)


def test_a_synchronous_standby_loses_nothing_there_and_back_and_no_box_is_started_again(pair, cluster, seaweed, tmp_path):
    first, second = pair
    first.require_standby()
    race = Race(tmp_path, cluster, seaweed.endpoint)
    front = Server(tmp_path / "front", {**variables(cluster), "LAZU_API_KEY": KEY, "LAZU_WORKERS": "1"}).start()
    try:
        path = f"/v1/files/{stored(front, KEY, b'before')['id']}/content"
        with racing(race):
            more(race, UPLOADS)
            first.crash()
            assert request(front, "GET", path, KEY).error[:2] == (503, "overloaded")
            second.promote()
            more(race, UPLOADS)
        until(lambda: request(front, "GET", "/readyz").status == 200)
        assert request(front, "GET", path, KEY).body == b"before"
        stored(front, KEY, b"after")
        first.rejoin(second)
        second.require_standby()
        with racing(race):
            more(race, UPLOADS)
            second.crash()
            first.promote()
            more(race, UPLOADS)
        until(lambda: request(front, "GET", "/readyz").status == 200)
        assert request(front, "GET", path, KEY).body == b"before"
    finally:
        front.stop()
    assert race.broken() == set()


def test_after_an_asynchronous_one_fsck_makes_rows_and_objects_agree(pair, cluster, seaweed, tmp_path):
    """It hears nothing for a while: what was acknowledged then is lost, and what was deleted then comes back without its bytes.

    The boxes wait until that is repaired, as docs/cluster.md says: uploads of such bytes would join what is not there.
    """
    first, second = pair
    race = Race(tmp_path, cluster, seaweed.endpoint)
    with racing(race):
        more(race, UPLOADS)
        with first.connect("postgres") as connection:
            [sender] = connection.execute("SELECT pid FROM pg_stat_replication").fetchone()
        os.kill(sender, signal.SIGSTOP)
        more(race, UPLOADS)
        first.crash()
    second.promote()
    assert {each.split()[0] for each in race.broken()} >= {"lost", "undone", "missing"}, "the promise is not given"
    assert repaired(race) == {"missing": "deleted, its bytes are lost"}
    race.log = tmp_path / "afterwards"
    with racing(race):
        more(race, UPLOADS)
    assert race.broken() == set()


def repaired(race):
    """What `flask fsck --rehash --repair` found and did, by kind."""
    store = race.store
    try:
        return {problem.kind: store.contents.repair(problem) for problem in store.contents.look(rehash=True)}
    finally:
        database.close_all()
