"""A database and a bucket that do not belong together: nothing is stored, swept or repaired, and it is said."""

import os
import secrets
import subprocess
from contextlib import suppress

import pytest

from helpers import between as wire
from helpers.in_store import put
from helpers.server import Server
from lazu.config import Settings
from lazu.errors import CannotStart, NotReady, StorageMoved
from lazu.store import object_rows, rows
from lazu.store.opening import open_store, require_ready
from lazu.store.postgresql.database import database
from lazu.upkeep import engines
from lazu.upkeep.backup import BackupProblem, backup
from lazu.upkeep.purge import purge

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(tmp_path, cluster):
    """Open a store of this cluster: `opened()`, or with another of its two places."""

    def open_one(**places):
        return open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **{**cluster, **places}))

    yield open_one
    database.close_all()


def names(store):
    """Those of all objects."""
    return [entry.name for page in store.contents.bucket.pages() for entry in page]


@pytest.fixture
def copy(postgres, cluster, tmp_path):
    """`pg_dump` for a test of the next version, the bucket left as it is: where it is, and a box on it."""

    def make():
        database.close_all()
        env = {"LAZU_DATABASE_URL": postgres.database(template=cluster["database_url"].rpartition("/")[2]), "LAZU_BLOBS_URL": cluster["blobs_url"]}
        return Server(tmp_path / "copy", env)

    return make


def refused(server, *command):
    """The one line with which a command ends."""
    failed = server.flask(*command, check=False)
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert "flask purge --adopt" in failed.stderr
    return failed.stderr


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


def test_a_bucket_that_was_exchanged_while_it_was_away_is_noticed(shaken, opened):
    """The box started before it could ask: it asks before the first object, each sweep and each look."""
    store, proxy = shaken
    for name in names(store):
        store.contents.bucket.delete(name)
    proxy.rule = lambda *_: wire.BUSY
    store = opened()
    proxy.rule = wire.passing
    with pytest.raises(NotReady, match="different stores"):
        require_ready(store)
    for act in (lambda: put(store, b"lost"), lambda: store.contents.sweep(lambda: None), lambda: list(store.contents.look())):
        with pytest.raises(StorageMoved):
            act()
    assert rows.is_empty() is False
    assert names(store) == []


def test_a_mistyped_bucket_is_not_made(opened, seaweed):
    """SeaweedFS makes one at the first PUT of a key that may do all; it would be without the fsync of the right one."""
    mistyped = f"lazu-{secrets.token_hex(6)}"
    store = opened(blobs_url=f"s3://{mistyped}/prod")
    with pytest.raises(NotReady, match="object store"):
        require_ready(store)
    told = next(each for each in engines.look(store.settings) if each.check == "bucket")
    assert (told.state, told.found) == ("fail", "ListObjectsV2: 404 NoSuchBucket")
    assert mistyped not in [each["Name"] for each in seaweed.client().list_buckets()["Buckets"]]


def test_a_copy_of_the_database_does_not_sweep_what_came_to_the_original_since(opened, copy):
    """Nobody has purged before; and a database that was moved for good."""
    opened().keys.create("alice")
    server = copy()
    newer = put(opened(), b"newer than the copy")
    for command in (("purge", "--dry-run"), ("purge",), ("fsck", "--repair")):
        assert "another copy of this database" in refused(server, *command)
    there = names(opened())
    assert "1 blobs" in server.flask("purge", "--dry-run", "--adopt").stdout
    assert opened().contents.open(newer.sha256).read() == b"newer than the copy"
    assert purge(opened()).blobs == 0
    assert names(opened()) == there
    database.close_all()

    assert "1 blobs" in server.flask("purge", "--adopt").stdout
    assert "0 blobs" in server.flask("purge").stdout
    with pytest.raises(StorageMoved):
        purge(opened())
    assert purge(opened(), adopt=True).blobs == 0
    assert "another copy" in refused(server, "purge")


def claimed_by_an_older_one(store, said):
    """The bucket as a Lazu before this one left it: what sweeps was in the object's bytes, if somebody had purged."""
    identity, _ = object_rows.identity()
    for name in names(store):
        store.contents.bucket.delete(name)
    store.contents.bucket.put_bytes(f"store-{identity}", (identity + said).encode())


def test_a_bucket_that_nobody_claimed_does_not_fall_to_who_asks_first(opened, copy):
    """It fell to the first preview, or the first repair: of a copy, which then swept what the original had."""
    store = opened()
    claimed_by_an_older_one(store, "")
    before = names(store)
    server = copy()
    for command in (("purge", "--dry-run"), ("fsck", "--repair")):
        assert "of no copy" in refused(server, *command)
    assert "warn  purge        This object store says of no copy" in server.flask("doctor", check=False).stdout
    store = opened()
    assert names(store) == before
    with pytest.raises(StorageMoved, match="of no copy"):
        purge(store)
    purge(store, adopt=True)
    assert purge(store).blobs == 0
    assert "another copy" in refused(server, "purge")


def test_a_claim_of_an_older_version_holds(opened, copy):
    store = opened()
    claimed_by_an_older_one(store, f" {object_rows.place().replace('-', '/')}")
    server = copy()
    assert "another copy" in refused(server, "purge")
    assert purge(opened()).blobs == 0


def test_an_older_box_beside_finds_the_claim(opened):
    """It reads the object that is named after the identity alone, and takes no other for one that says whose the bucket is."""
    store = opened()
    identity, _ = object_rows.identity()
    old, claim = sorted(names(store))
    assert (old, claim.startswith(f"{old}.")) == (f"store-{identity}", True)
    said = f"{identity} {object_rows.place().replace('-', '/')}"
    assert store.contents.bucket.open(old, len(said)).read().decode() == said


@pytest.fixture
def shaken(opened, seaweed, monkeypatch, impatient):
    """A store, and the proxy between it and its bucket, which asks once only."""
    with wire.between(seaweed.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        impatient()
        store = opened()
        store.keys.create("alice")
        yield store, proxy
        proxy.rule = wire.passing


def unreadable(proxy, *parts):
    """The store does not give objects in whose names one of these is; until it is given them anew."""
    lost, anew = (500, {}, b"<Error><Code>InternalError</Code></Error>"), set()

    def rule(method, path):
        name = path.partition("?")[0]
        if method == "PUT":
            anew.add(name)
        return lost if method == "GET" and name not in anew and any(part in name for part in parts) else wire.PASS

    proxy.rule = rule


def test_an_object_by_which_the_bucket_is_known_need_not_be_readable(shaken):
    """One changed byte of it ended every purge and repair; who deleted it had no store any more."""
    store, proxy = shaken
    put(store, b"kept")
    unreadable(proxy, "/store-")
    assert purge(store).blobs == 0
    problems = list(store.contents.look(rehash=True))
    assert {(problem.kind, problem.about) for problem in problems} == {("damaged", name) for name in names(store) if name.startswith("store-")}
    assert all("flask purge --adopt" in problem.detail for problem in problems)
    assert {store.contents.repair(problem) for problem in problems} == {""}
    purge(store, adopt=True)
    assert list(store.contents.look(rehash=True)) == []
    for name in [problem.about for problem in problems]:
        store.contents.bucket.delete(name)
        require_ready(store)
        purge(store, adopt=True)
        assert name in names(store)


def test_who_deleted_what_a_bucket_is_known_by_puts_it_there_again(opened):
    """As docs/cluster.md has it: an object of that name, whatever is in it."""
    store = opened()
    for name in names(store):
        store.contents.bucket.delete(name)
    with pytest.raises(CannotStart, match="different stores"):
        opened()
    [(name,)] = database.execute_sql("SELECT concat('store-', identity) FROM store").fetchall()
    store.contents.bucket.put_bytes(name, b"")
    with pytest.raises(StorageMoved, match="of no copy"):
        purge(opened())
    assert purge(opened(), adopt=True).blobs == 0


def test_a_claim_of_an_older_version_that_can_not_be_read_is_adopted(shaken):
    store, proxy = shaken
    claimed_by_an_older_one(store, f" {object_rows.place().replace('-', '/')}")
    unreadable(proxy, "/store-")
    with pytest.raises(StorageMoved, match="of no copy"):
        purge(store)
    purge(store, adopt=True)
    assert purge(store).blobs == 0


def test_lost_objects_are_told_from_a_store_that_is_away_by_any_other(shaken, tmp_path):
    store, proxy = shaken
    lost, kept = put(store, b"lost"), put(store, b"kept")
    unreadable(proxy, "/store-", lost.sha256)
    assert lost.id in {problem.about for problem in store.contents.look(rehash=True)}
    with pytest.raises(BackupProblem, match=r"^1 blobs are missing or damaged"):
        backup(store, tmp_path / "backup")
    assert (tmp_path / "backup" / "blobs" / kept.sha256[:2] / kept.sha256).read_bytes() == b"kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_box_whose_own_disk_is_full_opens_a_store_and_purges(opened, tmp_path):
    box = tmp_path / "box"
    box.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "lazu-test", box], check=True)
    try:
        with (box / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4096))
        store = opened()
        assert purge(store).blobs == 0
        assert list(store.contents.look(rehash=True)) == []
        claimed_by_an_older_one(store, "")
        assert purge(store, adopt=True).blobs == 0
    finally:
        database.close_all()
        subprocess.run(["umount", "-l", box], check=True)


def test_a_purge_works_where_its_role_may_not_ask_where_the_database_is(opened, monkeypatch):
    store = opened()
    monkeypatch.setattr(object_rows, "place", lambda: None)
    assert purge(store).blobs == 0
