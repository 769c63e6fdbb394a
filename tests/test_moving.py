"""From one box to several and back: a backup of either store fills either, byte for byte."""

import hashlib
import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from helpers import between as wire
from helpers.server import free_port
from helpers.waiting import until
from lazu import clock, ids
from lazu.config import Settings
from lazu.errors import StoreError
from lazu.store import crossing, rows, snapshot
from lazu.store.contents import object_names
from lazu.store.opening import open_store
from lazu.store.postgresql.database import database
from lazu.store.sqlite.connections import Database
from lazu.store.tables import File
from lazu.upkeep.backup import BackupProblem, backup, restore

pytestmark = pytest.mark.slow

COUNT = 10_000 if os.environ.get("LAZU_LONG_TESTS") else 100


@contextmanager
def one_box(place, cluster):
    store = open_store(Settings(storage_dir=place, min_free_bytes=0))
    with store.engine.connected():
        yield store


@contextmanager
def several_boxes(place, cluster):
    try:
        yield open_store(Settings(storage_dir=place, min_free_bytes=0, **cluster))
    finally:
        database.close_all()


@contextmanager
def moving(tmp_path, cluster):
    """A new store of several boxes, what a client would read of an old one, and beside them the backup of that."""
    with one_box(tmp_path / "old", cluster) as store:
        told = fill(store)
        backup(store, tmp_path / "backup")
    with several_boxes(tmp_path / "new", cluster) as store:
        yield store, told


@contextmanager
def when_the_last_object_comes(seaweed, monkeypatch, act):
    """A store of several boxes that is opened within the `with` gets its last content, of those of `fill`, after `act`."""
    coming = [None] * (COUNT * 9 // 10)

    def rule(method, path):
        if method == "PUT" and coming and f"/{object_names.STORE}" not in path:
            coming.pop()
            if not coming:
                act()
        return wire.PASS

    with wire.between(seaweed.endpoint) as proxy, monkeypatch.context() as env:
        env.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        proxy.rule = rule
        yield
        assert not coming


def fill(store):
    """Files of two keys, some with equal bytes; gives what a client would read."""
    told = {}
    for name in ("alice", "bob"):
        store.keys.create(name, quota=10**12)
    keys = rows.all_keys()
    for number in range(COUNT):
        data = b"%d" % (number % (COUNT * 9 // 10)) * 50
        file = File(
            id=ids.new_file_id(clock.milliseconds()), key=keys[number % 2].id, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data),
            filename=f"größe {number}.txt", purpose="user_data", content_type="text/plain", created_at=1, expires_at=2**40,
        )  # fmt: skip
        with store.contents.stage(2**20) as place:
            place.write(data)
            store.contents.add(place, file.id, lambda file=file: rows.add_file(file))
        told[file.id] = (file.filename, keys[number % 2].name, data)
    return told


def read(store):
    """The same of what is in the store."""
    told = {}
    for file in File.select():
        with store.contents.open(file.sha256) as content:
            told[file.id] = (file.filename, file.key.name, content.read())
    return told


@pytest.mark.parametrize(("old", "new"), [(one_box, several_boxes), (several_boxes, one_box)], ids=["up", "back"])
def test_a_backup_of_one_store_fills_the_other(old, new, tmp_path, cluster):
    with old(tmp_path / "old", cluster) as store:
        told, renewed = fill(store), store.keys.create("dave")
        store.keys.rotate("dave")
        assert not backup(store, tmp_path / "backup")["damaged"]
    with new(tmp_path / "new", cluster) as store:
        restore(store, tmp_path / "backup")
        assert read(store) == told
        assert rows.was_secret(hashlib.sha256(renewed.encode()).hexdigest()), "it may open nothing"
        if new is several_boxes:
            [[counted]] = database.execute_sql("SELECT reltuples FROM pg_class WHERE relname = 'file'").fetchall()
            assert counted > 0, "a plan for an empty table is one for no other"
        assert store.keys.create("carol"), "its number is a new one"
        with store.contents.alone():
            assert store.contents.sweep(lambda: None).blobs == 0


def test_a_schema_that_comes_before_the_tables_hides_none_of_them(tmp_path, cluster):
    """A backup without any file had replaced the one before, with exit code 0; what was restored was nothing."""
    with moving(tmp_path, cluster) as (store, told):
        database.execute_sql("CREATE SCHEMA lazu")  # of the role's name, so first in the search path
        restore(store, tmp_path / "backup")
        assert read(store) == told
        assert backup(store, tmp_path / "again")["copied"] == len({data for *_, data in told.values()})


def test_a_restore_beside_what_is_not_lazus_is_whole(tmp_path, cluster):
    """Another store below a longer prefix, say: it was told as a failed restore, with exit code 1."""
    with moving(tmp_path, cluster) as (store, told):
        with store.contents.stage(100) as place:
            place.write(b"theirs")
            store.contents.bucket.put("prod/readme.txt", place.fd, place.size, place.sha256)
        restore(store, tmp_path / "backup")
        assert read(store) == told


def test_a_restore_that_meets_a_damaged_blob_names_its_file_and_leaves_nothing_after_a_purge(tmp_path, cluster):
    with moving(tmp_path, cluster) as (store, told):
        name, (_, _, data) = next(iter(told.items()))
        sha256 = hashlib.sha256(data).hexdigest()
        (tmp_path / "backup/blobs" / sha256[:2] / sha256).write_bytes(b"x" * len(data))
        with pytest.raises(BackupProblem, match=f"1 blobs .* files or parts: {name}.*the next purge removes it"):
            restore(store, tmp_path / "backup")
        assert rows.is_empty()
        with store.contents.alone():
            assert store.contents.sweep(lambda: None).blobs > 0
        assert list(store.contents.look()) == []
    shutil.copytree(tmp_path / "backup", tmp_path / "rest")  # the way of docs/operations.md
    with one_box(tmp_path / "rest", cluster) as store:
        for problem in [*store.contents.look(rehash=True)]:
            assert store.contents.repair(problem)
    with several_boxes(tmp_path / "new", cluster) as store:
        restore(store, tmp_path / "rest")
        assert read(store) == {other: it for other, it in told.items() if it[2] != data}


def test_a_store_without_one_of_its_tables_is_not_backed_up(tmp_path, cluster):
    with several_boxes(tmp_path / "box", cluster) as store:
        fill(store)
        backup(store, tmp_path / "backup")
        database.execute_sql("ALTER TABLE purge RENAME TO gone")
        with pytest.raises(StoreError, match="purge"):
            backup(store, tmp_path / "backup")
        assert snapshot.wanted(tmp_path / "backup" / "lazu.sqlite3")


def test_a_store_that_is_away_for_a_while_stops_neither_backup_nor_restore(tmp_path, cluster, seaweed, monkeypatch, impatient):
    with wire.between(seaweed.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with one_box(tmp_path / "old", cluster) as store:
            told = fill(store)
            backup(store, tmp_path / "backup")
        with several_boxes(tmp_path / "new", cluster) as store:
            proxy.only(wire.LOSE_ANSWER, "PUT", 5)
            restore(store, tmp_path / "backup")
            assert read(store) == told
            proxy.only(wire.BUSY, "GET", 5)
            assert not backup(store, tmp_path / "again")["damaged"]
            proxy.rule = lambda method, path: wire.BUSY if method == "GET" and "list-type" not in path else wire.PASS
            impatient()
            with pytest.raises(BackupProblem, match=r"run it again.*: [0-9a-f]{64}: GetObject: 503"):
                backup(store, tmp_path / "third")
            with pytest.raises(StoreError, match=r"[0-9a-f]{64}\..*: GetObject: 503"):
                list(store.contents.look(rehash=True))
            proxy.rule = wire.passing
            assert not backup(store, tmp_path / "third")["damaged"]
    with one_box(tmp_path / "back", cluster) as store:
        restore(store, tmp_path / "third")
        assert read(store) == told


def test_an_object_is_asked_for_once_more_when_the_store_has_just_come_back(tmp_path, cluster, seaweed, monkeypatch, impatient):
    impatient()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    asked = []

    def back_when_asked(method, path):
        """Nothing is given before the store is asked for the object by which `Retrying` tells whether it is away."""
        if method != "GET" or "list-type" in path:
            return wire.PASS
        asked.extend([path] if f"/{object_names.STORE}" in path else [])
        return wire.PASS if asked else wire.BUSY

    with wire.between(seaweed.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        with several_boxes(tmp_path / "box", cluster) as store:
            fill(store)
            proxy.rule = back_when_asked
            assert not backup(store, tmp_path / "backup")["damaged"]
    assert asked


@pytest.mark.parametrize("what", [(500, {}, b"<Error><Code>InternalError</Code></Error>"), wire.EARLY_END], ids=["500", "early end"])
def test_an_object_that_the_store_can_not_read_is_named_and_ends_nothing(tmp_path, cluster, seaweed, monkeypatch, impatient, what):
    """A lost chunk, say: the object is listed, its size is right, and nobody knows whether its bytes come back."""
    impatient()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with wire.between(seaweed.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        with several_boxes(tmp_path / "box", cluster) as store:
            told = fill(store)
            sha256 = File.select().first().sha256
            lost = {file.id for file in File.select().where(File.sha256 == sha256)}
            proxy.rule = lambda method, path: what if method == "GET" and sha256 in path and "list-type" not in path else wire.PASS
            with pytest.raises(BackupProblem, match=r"^1 blobs are missing or damaged"):
                backup(store, tmp_path / "backup")
            problems = list(store.contents.look(rehash=True))
            assert {(problem.kind, problem.about) for problem in problems} == {("damaged", identity) for identity in lost}
            assert all(f"the store can't read {sha256[:2]}/{sha256}." in problem.detail for problem in problems)
            assert {store.contents.repair(problem) for problem in problems} == {""}
            proxy.rule = wire.passing
            assert read(store) == told
            assert backup(store, tmp_path / "backup")["copied"] == 1
    with one_box(tmp_path / "back", cluster) as store:
        restore(store, tmp_path / "backup")
        assert read(store) == told


def test_a_restore_keeps_what_another_box_has_stored_meanwhile(tmp_path, cluster, seaweed, monkeypatch):
    """A restore is into an empty store; that this one is still empty is looked at again when the rows come."""
    with one_box(tmp_path / "old", cluster) as store:
        fill(store)
        backup(store, tmp_path / "backup")
    with when_the_last_object_comes(seaweed, monkeypatch, lambda: store.keys.create("carol")), several_boxes(tmp_path / "new", cluster) as store:
        with pytest.raises(StoreError, match="not empty; nothing was restored"):
            restore(store, tmp_path / "backup")
        assert [key.name for key in rows.all_keys()] == ["carol"]


def test_a_key_that_comes_while_a_restore_puts_its_rows_waits_and_stays(tmp_path, cluster, monkeypatch):
    """Between the look whether the store is empty and the first row that goes."""
    with one_box(tmp_path / "old", cluster) as store:
        fill(store)
        backup(store, tmp_path / "backup")
    with several_boxes(tmp_path / "new", cluster) as store, ThreadPoolExecutor(1) as elsewhere:
        require_empty, made = rows.require_empty, []
        held_up = "SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database WHERE NOT granted AND datname = current_database()"

        def meanwhile():
            require_empty()
            made.append(elsewhere.submit(store.keys.create, "carol"))
            until(lambda: made[0].done() or database.execute_sql(held_up).fetchall())

        monkeypatch.setattr(rows, "require_empty", meanwhile)
        restore(store, tmp_path / "backup")
        assert made[0].result(), "its secret"
        assert {key.name for key in rows.all_keys()} == {"alice", "bob", "carol"}


def test_a_restore_that_a_purge_came_into_says_what_to_do(tmp_path, cluster, seaweed, monkeypatch):
    """What keeps purges off goes with its connection."""
    purging = when_the_last_object_comes(seaweed, monkeypatch, lambda: store.contents.sweep(lambda: None))
    with purging, moving(tmp_path, cluster) as (store, told):
        with pytest.raises(BackupProblem, match="run it again"):
            restore(store, tmp_path / "backup")
        restore(store, tmp_path / "backup")
        assert read(store) == told


def test_a_restore_ends_when_what_keeps_purges_off_is_lost(tmp_path, cluster, seaweed, monkeypatch):
    """A restart of the database: contents are copied all the same, and any purge may take those that have no row yet."""
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lazu purge' AND datname = current_database()"
    ending = when_the_last_object_comes(seaweed, monkeypatch, lambda: database.execute_sql(end))
    with ending, moving(tmp_path, cluster) as (store, told):
        with pytest.raises(BackupProblem, match=r"run it again.*keeps purges off"):
            restore(store, tmp_path / "backup")
        assert rows.is_empty()
        restore(store, tmp_path / "backup")
        assert read(store) == told


def test_a_restore_without_a_database_says_what_to_do(tmp_path, cluster):
    with one_box(tmp_path / "old", cluster) as store:
        backup(store, tmp_path / "backup")
    away = {**cluster, "database_url": f"postgresql://lazu@127.0.0.1:{free_port()}/lazu"}
    with several_boxes(tmp_path / "new", away) as store, pytest.raises(BackupProblem, match="run it again"):
        restore(store, tmp_path / "backup")


def test_a_store_that_refuses_is_not_waited_for(tmp_path, cluster, seaweed, monkeypatch):
    """Wrong credentials, or a wrong bucket."""
    with wire.between(seaweed.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        with several_boxes(tmp_path / "filling", cluster) as store:
            fill(store)
        proxy.rule = lambda *_: (403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        monkeypatch.setattr(clock, "sleep", lambda _: pytest.fail("waited"))
        with several_boxes(tmp_path / "refused", cluster) as store, pytest.raises(BackupProblem, match="AccessDenied"):
            backup(store, tmp_path / "backup")


def version_of(path, version):
    with closing(sqlite3.connect(path)) as copy:
        copy.execute(f"PRAGMA user_version = {version}")


HARMS = {
    "empty": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(b"PGDMP" * 1000),
    "cut": lambda path: os.truncate(path, 5000),
    "newer": lambda path: version_of(path, 1000),
}


@pytest.mark.parametrize("opened", [one_box, several_boxes])
def test_what_is_no_backup_is_refused_in_a_sentence_before_anything_is_copied(tmp_path, cluster, opened):
    with one_box(tmp_path / "old", cluster) as store:
        fill(store)
        backup(store, tmp_path / "backup")
    rows_of = tmp_path / "backup" / "lazu.sqlite3"
    whole = rows_of.read_bytes()
    with opened(tmp_path / "new", cluster) as store:
        for harm in HARMS.values():
            rows_of.write_bytes(whole)
            harm(rows_of)
            with pytest.raises(BackupProblem, match="no backup that this Lazu can read"):
                restore(store, tmp_path / "backup")
        assert store.contents.unreferred(since=0).blobs == 0


def test_a_database_that_restarts_while_its_rows_are_copied_is_told_in_a_sentence(tmp_path, cluster, postgres, monkeypatch):
    with several_boxes(tmp_path / "box", cluster) as store:
        shared = crossing._shared
        store.keys.create("alice")

        def meanwhile(copy):
            tables = shared(copy)
            postgres.terminate(cluster["database_url"])
            return tables

        with monkeypatch.context() as patch:
            patch.setattr(crossing, "_shared", meanwhile)
            with pytest.raises(BackupProblem, match="broken off; run it again"):
                backup(store, tmp_path / "backup")
        assert not backup(store, tmp_path / "backup")["damaged"]


def test_a_backup_for_whose_rows_there_is_no_room_is_told_in_a_sentence(tmp_path, cluster, monkeypatch):
    """SQLite says so when a file may not grow; of a disk that is full it says the same."""
    with several_boxes(tmp_path / "box", cluster) as store:
        fill(store)
        small = {"max_page_count": 30}
        monkeypatch.setattr(snapshot, "Database", lambda path, pragmas: Database(path, pragmas={**pragmas, **small}))
        with pytest.raises(BackupProblem, match=r"broken off; run it again.*is full"):
            backup(store, tmp_path / "backup")
