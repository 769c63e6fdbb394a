"""The synchronous standby is away and commits wait for it; whatever ends that wait, nothing is acknowledged that no standby has.

PostgreSQL lets everybody see such a commit then, as if it were done.
"""

import signal
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest

from helpers.postgresql import primary_and_standby
from helpers.server import Server, variables
from helpers.waiting import until
from helpers.wire import request, stored
from lazu.application import create_app
from lazu.config import Settings
from lazu.errors import StoreError
from lazu.store import object_rows
from lazu.store.postgresql.connections import Connection
from lazu.store.postgresql.database import database

pytestmark = pytest.mark.slow

KEY = "the-key-of-all-boxes"


class Box:
    """A box in this process whose database is on two servers, with a file, two uploads begun, and requests about each."""

    def __init__(self, settings):
        self.app = create_app(settings)
        self.store = self.app.extensions["lazu"]
        self.store.keys.create("bob")
        kept = self.upload(b"kept")
        assert kept.status_code == 200, kept.data
        self.file = kept.json["id"]
        declared = {"bytes": 5, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}
        self.begun = [self.ask("POST", "/v1/uploads", json=declared).json["id"] for _ in range(2)]
        self.part = self.ask("POST", f"/v1/uploads/{self.begun[0]}/parts", data={"data": (BytesIO(b"parts"), "part")}).json["id"]

    def ask(self, method, path, **more):
        return self.app.test_client().open(path, method=method, headers={"Authorization": f"Bearer {KEY}"}, **more)

    def upload(self, data=b"new"):
        return self.ask("POST", "/v1/files", data={"purpose": "user_data", "file": (BytesIO(data), "a.txt")})

    def delete(self):
        return self.ask("DELETE", f"/v1/files/{self.file}")

    def complete(self):
        return self.ask("POST", f"/v1/uploads/{self.begun[0]}/complete", json={"part_ids": [self.part]})

    def cancel(self):
        return self.ask("POST", f"/v1/uploads/{self.begun[1]}/cancel")

    def revoke(self):
        """By an operator; a status stands for what the command says."""
        try:
            self.store.keys.revoke("bob")
        except StoreError:
            return self.app.response_class(status=503)
        return self.app.response_class(status=200)

    def read(self, file_id):
        return self.ask("GET", f"/v1/files/{file_id}/content").data

    def files(self):
        return {each["id"] for each in self.ask("GET", "/v1/files").json["data"]}


@pytest.fixture
def pair():
    with primary_and_standby() as servers:
        servers[0].require_standby()
        yield servers


@pytest.fixture
def box(pair, seaweed, tmp_path, monkeypatch):
    for name, value in seaweed.env.items():
        monkeypatch.setenv(name, value)
    first, second = pair
    url = first.database().replace(f":{first.port}/", f":{first.port},127.0.0.1:{second.port}/")
    yield Box(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, api_key=KEY, database_url=url, blobs_url=seaweed.prefix()))
    database.close_all()


def restart(first, _):
    first.stop(signal.SIGINT)
    first.run()
    first.wait()


def crash(first, _):
    first.crash()
    first.run()
    first.wait()


CUTS = {"its backend ends": lambda first, url: first.terminate(url), "PostgreSQL is restarted": restart, "it crashes": crash,
        "the wait is cancelled": lambda first, url: first.terminate(url, "cancel")}  # fmt: skip


def cut_off(box, pair, monkeypatch, cut):
    """All that waits for the standby, whose machine died, is cut off on the primary; gives the answers."""
    first, second = pair
    second.crash()
    url, acts = box.store.settings.database_url, (box.upload, box.delete, box.complete, box.cancel, box.revoke)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with ThreadPoolExecutor(len(acts)) as pool:
        told = [pool.submit(act) for act in acts]
        with first.connect("postgres") as connection:
            until(lambda: connection.execute(waiting).fetchone() == (len(acts),))
        monkeypatch.setattr(Connection, "seconds", 1)  # from now on, for what is retried
        cut(first, url)
        return [each.result().status_code for each in told]


def fail_over(box, pair):
    first, second = pair
    first.crash()
    second.run()
    second.wait()
    second.promote()
    until(lambda: box.ask("GET", "/readyz").status_code == 200)


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_what_no_standby_has_is_not_acknowledged_and_a_failover_takes_nothing(box, pair, monkeypatch, cut):
    """Uploads, DELETEs and completions were 200 at once, and so was each repeat; the failover lost or undid all of them."""
    assert cut_off(box, pair, monkeypatch, cut) == [503] * 5
    assert box.file not in box.files(), "the primary alone has done it"
    assert [again().status_code for again in (box.delete, box.complete, box.cancel, box.revoke)] == [503] * 4
    fail_over(box, pair)
    assert box.files() == {box.file}
    assert [again().status_code for again in (box.delete, box.cancel, box.revoke)] == [200] * 3
    assert box.read(box.complete().json["file"]["id"]) == b"parts"


def test_a_purge_deletes_no_bytes_whose_file_a_failover_brings_back(box, pair, monkeypatch):
    """They were doomed on the primary alone: a file without its bytes was left, and uploads that joined it."""
    cut_off(box, pair, monkeypatch, CUTS["its backend ends"])
    assert object_rows.doomed("")
    with pytest.raises(StoreError):
        box.store.contents.sweep(lambda: None)
    fail_over(box, pair)
    assert box.read(box.file) == b"kept"


def test_a_primary_whose_standby_was_promoted_deletes_nothing_that_came_there_since(box, pair, tmp_path, monkeypatch):
    """It took an acknowledged upload for a stray: nobody had told it of that, and no commit of its own had to wait."""
    pages, found = box.store.contents.bucket.pages, {}

    def late(*about, **more):
        if not more and not found:
            pair[1].promote()
            place = {"database_url": pair[1].url(box.store.settings.database_url.rpartition("/")[2]), "blobs_url": box.store.settings.blobs_url}
            other = Server(tmp_path / "other", {**variables(place), "LAZU_API_KEY": KEY, "LAZU_WORKERS": "1"}).start()
            found.update(stored(other, KEY, b"acknowledged"), server=other)
        return pages(*about, **more)

    monkeypatch.setattr(box.store.contents.bucket, "pages", late)
    monkeypatch.setattr(Connection, "seconds", 1)
    try:
        with pytest.raises(StoreError):
            box.store.contents.sweep(lambda: None)
        assert request(found["server"], "GET", f"/v1/files/{found['id']}/content", KEY).body == b"acknowledged"
    finally:
        found["server"].stop()


def test_what_was_cut_off_is_acknowledged_by_a_repeat_when_the_standby_is_back(box, pair, monkeypatch):
    cut_off(box, pair, monkeypatch, CUTS["its backend ends"])
    pair[1].run()
    pair[1].wait()
    until(lambda: box.delete().status_code == 404)  # it streams again
    assert [again().status_code for again in (box.cancel, box.revoke)] == [200] * 2
    file = box.complete().json["file"]["id"]
    pair[1].stop()
    fail_over(box, pair)
    assert box.file not in box.files()
    assert box.read(file) == b"parts"
    assert box.complete().json["file"]["id"] == file
    assert box.store.keys.find("bob").revoked_at
