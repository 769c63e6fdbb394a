"""Who deletes an object has seen that its name is doomed: what a box was not told may be there all the same."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.in_store import first_answer_lost, put
from helpers.waiting import until
from lazu import clock
from lazu.config import Settings
from lazu.errors import Busy, Doubt, Overloaded, StoreError
from lazu.store import object_rows, rows
from lazu.store.connections import database
from lazu.store.contents import object_names
from lazu.store.opening import open_store
from lazu.store.tables import File

pytestmark = pytest.mark.slow


@pytest.fixture
def store(cluster, tmp_path):
    store = open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **cluster))
    store.keys.create("alice")
    yield store
    assert list(store.contents.look(rehash=True)) == []
    database.close_all()


def objects(store):
    return [entry.name for page in store.contents.bucket.pages() for entry in page if object_names.is_ours(entry.name)]


def read(store, file):
    with store.contents.open(file.sha256) as content:
        return content.read()


def test_an_upload_that_landed_untold_keeps_its_object(store, monkeypatch):
    """The answer to its COMMIT is lost, then the database is away for longer than anybody waits."""
    write, said = store.engine.write, []

    def losing(work, frees=False):
        said.append(work)
        if len(said) == 2:
            raise Busy("away")
        found = write(work, frees)
        if len(said) == 1:
            raise Doubt("the answer to COMMIT was lost")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(store.engine, "write", losing)
        with pytest.raises(StoreError):
            put(store, b"landed")
    assert read(store, put(store, b"landed")) == b"landed", "known bytes"
    assert [read(store, file) for file in File.select()] == [b"landed"] * 2


def test_an_upload_whose_file_is_there_was_not_refused(store, monkeypatch):
    """The answer to its COMMIT is lost; another upload of the same bytes had come first, and a purge took this one's object."""
    certain = put(store, b"twice")
    monkeypatch.setattr(store.contents, "_hit", lambda *_: False)
    with first_answer_lost(store, lambda: store.contents.sweep(lambda: None)):
        file = put(store, b"twice")
    assert rows.has_row(file.id)
    assert read(store, file) == read(store, certain) == b"twice"


def test_an_upload_that_a_purge_revoked_is_refused_at_once(store, monkeypatch):
    """Its intent does not come back: it is not said again for ten seconds, as what a busy database refuses is."""
    tried, land = [], object_rows.land

    def revoked(name, *more):
        tried.append(name)
        object_rows.doom_one(name)
        return land(name, *more)

    monkeypatch.setattr(object_rows, "land", revoked)
    with pytest.raises(Overloaded):
        put(store, b"slow")
    assert len(tried) == 1
    assert objects(store) == []


def test_a_repair_deletes_no_object_that_landed_meanwhile(store):
    """An intent that seems a day old, by a clock that is wrong."""
    file = put(store, b"kept")
    name, old = object_rows.kept(file.sha256).name, clock.now() - 2 * clock.DAY
    database.execute_sql("INSERT INTO loose (name, bytes, since, doomed) VALUES (?, 4, ?, FALSE)", (name, old))
    [problem] = [each for each in store.contents.look() if each.kind == "leftover"]
    object_rows.forget([name])
    assert store.contents.repair(problem) == ""
    assert read(store, file) == b"kept"


def test_a_repair_deletes_no_file_whose_bytes_came_again(store):
    file = put(store, b"missing")
    store.contents.bucket.delete(object_rows.kept(file.sha256).name)
    [problem] = store.contents.look()
    store.files.delete(store.keys.find("alice"), file.id)
    again = put(store, b"missing")
    assert store.contents.repair(problem) == "gone meanwhile"
    assert read(store, again) == b"missing"


def test_a_file_that_comes_during_a_repair_has_bytes_of_its_own(store, monkeypatch):
    """Its content is known, and about to be given up."""
    file, delete_all = put(store, b"missing"), rows.delete_all_with
    store.contents.bucket.delete(object_rows.kept(file.sha256).name)
    [problem] = store.contents.look()
    came = []

    def meanwhile(sha256):
        gone = delete_all(sha256)
        came.append(pool.submit(put, store, b"missing"))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        until(lambda: came[0].done() or database.execute_sql(waits).fetchone()[0])
        return gone

    monkeypatch.setattr(rows, "delete_all_with", meanwhile)
    with ThreadPoolExecutor(1) as pool:
        assert store.contents.repair(problem).startswith("deleted")
        assert read(store, came[0].result()) == b"missing"
