"""A database and a bucket that do not belong together: nothing is stored, swept or repaired, and it is said."""

import secrets

import pytest

from helpers.in_store import put
from helpers.server import Server
from lazu.config import Settings
from lazu.errors import CannotStart, NotReady, StorageMoved
from lazu.store import rows
from lazu.store.connections import database
from lazu.store.opening import open_store, require_ready
from lazu.upkeep import engines

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
