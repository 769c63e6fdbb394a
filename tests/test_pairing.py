"""A database and a bucket that do not belong together: nothing is stored, swept or repaired, and it is said."""

import secrets

import pytest

from helpers.in_store import put
from helpers.server import Server
from lazu.config import Settings
from lazu.errors import CannotStart, NotReady, StorageMoved
from lazu.store import object_rows, rows
from lazu.store.connections import database
from lazu.store.opening import open_store, require_ready
from lazu.upkeep import engines
from lazu.upkeep.purge import purge

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(tmp_path, cluster):
    """Open a store of this cluster: `opened()`, or with another of its two places."""

    def open_one(**places):
        return open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **{**cluster, **places}))

    yield open_one
    database.close_all()


def test_both_are_of_one_store_however_often_it_is_opened(opened):
    opened().keys.create("alice")
    store = opened()
    require_ready(store)
    put(store, b"kept")
    assert list(opened().contents.look(rehash=True)) == []


@pytest.mark.parametrize("other", ["database_url", "blobs_url"])
def test_another_database_or_bucket_stops_the_start(opened, other, postgres, seaweed):
    opened()
    places = {"database_url": postgres.database, "blobs_url": seaweed.prefix}
    with pytest.raises(CannotStart, match="different stores"):
        opened(**{other: places[other]()})


def test_a_server_that_is_pointed_at_another_bucket_says_so_in_one_line(opened, cluster, seaweed, tmp_path):
    opened()
    wrong = {"LAZU_DATABASE_URL": cluster["database_url"], "LAZU_BLOBS_URL": seaweed.prefix(), **seaweed.env}
    failed = Server(tmp_path / "wrong", wrong).flask("stats", check=False)
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert "LAZU_DATABASE_URL and LAZU_BLOBS_URL" in failed.stderr
    assert failed.stderr.endswith("corrects that.\n")


def test_a_bucket_that_was_exchanged_while_it_was_away_is_noticed(opened):
    """The box started before it could ask: it asks before the first object, each sweep and each look."""
    store = opened()
    store.keys.create("alice")
    store.contents.pairing._sure = False
    [mark] = [entry.name for page in store.contents.bucket.pages() for entry in page]
    store.contents.bucket.delete(mark)
    with pytest.raises(NotReady, match="different stores"):
        require_ready(store)
    for act in (lambda: put(store, b"lost"), lambda: store.contents.sweep(lambda: None), lambda: list(store.contents.look())):
        with pytest.raises(StorageMoved):
            act()
    assert rows.is_empty() is False
    assert [entry for page in store.contents.bucket.pages() for entry in page] == []


def test_a_mistyped_bucket_is_not_made(opened, seaweed):
    """SeaweedFS makes one at the first PUT of a key that may do all; it would be without the fsync of the right one."""
    mistyped = f"lazu-{secrets.token_hex(6)}"
    store = opened(blobs_url=f"s3://{mistyped}/prod")
    with pytest.raises(NotReady, match="object store"):
        require_ready(store)
    _, state, found, _ = next(told for told in engines.look(store.settings) if told[0] == "bucket")
    assert (state, found) == ("fail", "ListObjectsV2: 404 NoSuchBucket")
    assert mistyped not in [each["Name"] for each in seaweed.client().list_buckets()["Buckets"]]


def test_a_copy_of_the_database_does_not_sweep_what_came_to_the_original_since(opened, cluster, postgres, tmp_path):
    """`pg_dump` for a test of the next version, the bucket left as it is; and a database that was moved for good."""
    original = opened()
    original.keys.create("alice")
    purge(original)
    database.close_all()
    copy = postgres.database(template=cluster["database_url"].rpartition("/")[2])
    newer = put(opened(), b"newer than the copy")
    database.close_all()

    env = {"LAZU_DATABASE_URL": copy, "LAZU_BLOBS_URL": cluster["blobs_url"]}
    server = Server(tmp_path / "copy", env)
    for command in (("purge",), ("purge", "--dry-run"), ("fsck", "--repair")):
        failed = server.flask(*command, check=False)
        assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
        assert "another copy of this database" in failed.stderr
        assert "flask purge --adopt" in failed.stderr
    assert opened().contents.open(newer.sha256).read() == b"newer than the copy"
    purge(opened())
    database.close_all()

    assert "1 blobs" in server.flask("purge", "--adopt").stdout
    assert "0 blobs" in server.flask("purge").stdout
    with pytest.raises(StorageMoved):
        purge(opened())


def test_a_purge_works_where_its_role_may_not_ask_where_the_database_is(opened, monkeypatch):
    store = opened()
    monkeypatch.setattr(object_rows, "place", lambda: None)
    assert purge(store).blobs == 0
