"""Who deletes an object has seen that its name is doomed: what a box was not told may be there all the same."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest

from helpers import between as wire
from helpers.in_store import first_answer_lost, put
from helpers.waiting import until
from lazu import clock
from lazu.config import Settings
from lazu.errors import Busy, Doubt, Overloaded, StorageMoved, StoreError
from lazu.slots import Slots, Turn
from lazu.store import counts, object_rows, rows
from lazu.store.bucket import Bucket
from lazu.store.contents import Found, Problem, Removed, object_names
from lazu.store.opening import open_store
from lazu.store.postgresql.database import database
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
    """Its intent does not come back: it is not retried for ten seconds, as what a busy database refuses is."""
    tried, land = [], object_rows.land

    def revoked(new, *more):
        tried.append(new.name)
        object_rows.doom_one(new.name)
        return land(new, *more)

    monkeypatch.setattr(object_rows, "land", revoked)
    with pytest.raises(Overloaded):
        put(store, b"slow")
    assert len(tried) == 1
    assert objects(store) == []


def test_a_repair_deletes_no_object_that_landed_meanwhile(store):
    """An intent that seems a day old, by a clock that is wrong."""
    file = put(store, b"kept")
    name, old = object_rows.stored(file.sha256).name, clock.now() - 2 * clock.DAY
    database.execute_sql("INSERT INTO loose (name, bytes, since, doomed) VALUES (?, 4, ?, FALSE)", (name, old))
    [problem] = [each for each in store.contents.look() if each.kind == "leftover"]
    object_rows.forget([name])
    assert store.contents.repair(problem) == ""
    assert read(store, file) == b"kept"


def test_totals_that_are_not_those_of_the_rows_are_found_and_counted_anew(store):
    file = put(store, b"12345")
    for lie in ("UPDATE held SET files = files + 1", "UPDATE held SET bytes = 7", "DELETE FROM held", "INSERT INTO held VALUES (9, 1, 1)"):
        database.execute_sql(lie)
        [problem] = store.contents.look()
        assert problem.kind == "total", lie
        assert store.contents.repair(problem) == "counted anew"
        assert counts.held(file.key_id, 0) == 5


def test_a_repair_deletes_no_file_whose_bytes_came_again(store):
    file = put(store, b"missing")
    store.contents.bucket.delete(object_rows.stored(file.sha256).name)
    [problem] = store.contents.look()
    store.files.delete(store.keys.find("alice"), file.id)
    again = put(store, b"missing")
    assert store.contents.repair(problem).startswith("gone meanwhile")
    assert read(store, again) == b"missing"


def lose(store, file):
    """Take its object away, and be told so."""
    name = object_rows.stored(file.sha256).name
    store.contents.bucket.delete(name)
    with pytest.raises(FileNotFoundError):
        read(store, file)
    return name


def test_lost_bytes_that_come_several_times_at_once_have_one_object(store):
    old = lose(store, put(store, b"lost"))
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(put, [store] * 8, [b"lost"] * 8))
    assert {read(store, file) for file in files} == {b"lost"}
    assert len(objects(store)) == 1
    assert old not in objects(store)
    assert object_rows.count_loose() == (0, 0)


def test_lost_bytes_come_though_the_answer_to_their_commit_is_lost(store):
    first = put(store, b"lost")
    lose(store, first)
    with first_answer_lost(store, lambda: store.contents.sweep(lambda: None)):
        again = put(store, b"lost")
    assert read(store, first) == read(store, again) == b"lost"


def test_lost_bytes_that_go_while_they_come_are_a_new_content(store, monkeypatch):
    first, intend = put(store, b"lost"), object_rows.intend
    lose(store, first)

    def meanwhile(*values):
        intend(*values)
        store.files.delete(store.keys.find("alice"), first.id)

    monkeypatch.setattr(object_rows, "intend", meanwhile)
    again = put(store, b"lost")
    assert read(store, again) == b"lost"
    assert objects(store) == [object_rows.stored(again.sha256).name]


def test_a_repair_tells_of_each_file_of_the_same_bytes_what_became_of_it(store):
    """Of all but the first it said that they were gone meanwhile, as if somebody else had deleted them."""
    files = [put(store, b"same") for _ in range(3)]
    name = object_rows.stored(files[0].sha256).name
    put_object(store, name, b"SAME")
    problems = list(store.contents.look(rehash=True))
    assert {problem.about for problem in problems} == {file.id for file in files}
    told = [store.contents.repair(problem) for problem in problems]
    assert told[0] == "deleted, its bytes moved to quarantine"
    assert set(told[1:]) == {"gone meanwhile, or deleted with another file of the same bytes"}


def test_a_file_that_comes_during_a_repair_has_bytes_of_its_own(store, monkeypatch):
    """Its content is known, and about to be given up."""
    file, delete_all = put(store, b"missing"), rows.delete_all_with
    store.contents.bucket.delete(object_rows.stored(file.sha256).name)
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


@pytest.fixture
def upload(cluster, postgres):
    """Another box's connection, in a transaction."""
    with postgres.connect(cluster["database_url"].rpartition("/")[2]) as connection:
        connection.execute("BEGIN")
        yield connection


COPY = """INSERT INTO file SELECT 'file-other', key_id, sha256, bytes, filename, purpose, content_type, created_at, expires_at
    FROM file WHERE id = %s"""


def test_bytes_that_an_upload_has_while_their_last_file_goes_stay_for_it(store, upload):
    """The deletion waited until no upload had them."""
    file = put(store, b"same")
    upload.execute(COPY, (file.id,))
    store.files.delete(store.keys.find("alice"), file.id)
    upload.commit()
    assert [row.id for row in File.select()] == ["file-other"]
    assert read(store, file) == b"same"


def test_bytes_of_an_upload_that_failed_while_their_last_file_went_go_by_the_next_purge(store, upload):
    file = put(store, b"same")
    upload.execute(COPY, (file.id,))
    store.files.delete(store.keys.find("alice"), file.id)
    assert store.contents.sweep(lambda: None) == Removed(), "it may still be committed"
    upload.rollback()
    assert store.contents.sweep(lambda: None) == Removed(0, 1, 4)
    assert objects(store) == []


def test_of_two_who_delete_the_last_files_of_the_same_bytes_the_last_one_takes_the_bytes(store, upload):
    """Neither sees what the other has not committed yet."""
    files, key = [put(store, b"same") for _ in range(2)], store.keys.find("alice")
    upload.execute("SELECT 1 FROM blob FOR NO KEY UPDATE")
    with ThreadPoolExecutor(2) as pool:
        deletions = [pool.submit(store.files.delete, key, file.id) for file in files]
        until(lambda: database.execute_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0] == 2)
        upload.rollback()
        for each in deletions:
            each.result()
    assert objects(store) == []


def put_object(store, name, data):
    with store.contents.stage(100) as place:
        place.write(data)
        store.contents.bucket.put(name, place.fd, place.size, place.sha256)


#: Where another store may be: two digits, and `store-`, begin names of Lazu's own.
@pytest.mark.parametrize("prefix", ["prod", "de", "de/ab", "store-eu", "store-eu/de"])
def test_a_repair_leaves_what_may_be_another_stores(store, prefix):
    """One in the bucket itself, another below a prefix: neither a purge nor a repair of the first takes the other's files."""
    file, lost = put(store, b"ours"), put(store, b"lost")
    content = object_names.new("ab" * 32)
    names = [content, f"{content}.text", object_names.of_store(object_names.Mark(str(uuid.uuid4()), 1, "7-1")), object_names.in_quarantine(content), "de.txt"]
    theirs = [f"{prefix}/{name}" for name in names]
    for name in theirs:
        put_object(store, name, b"theirs")
    store.contents.bucket.delete(object_rows.stored(lost.sha256).name)
    store.contents.sweep(lambda: None)
    found = {problem.about: store.contents.repair(problem) for problem in store.contents.look(rehash=True)}
    assert found == {lost.id: "deleted, its bytes are lost", **dict.fromkeys(theirs, "")}
    for name in theirs:
        assert store.contents.bucket.open(name, 6).read() == b"theirs"
        store.contents.bucket.delete(name)
    assert read(store, file) == b"ours"


@pytest.mark.parametrize(("rehash", "bytes_"), [(False, b"of another size"), (True, b"wrong")], ids=["by size", "by hash"])
def test_damage_is_found_in_whatever_order_the_store_lists(store, monkeypatch, rehash, bytes_):
    """SeaweedFS lists a shard before a neighbour whose name comes before it: when that ended a page, damage was not looked for."""
    pages = Bucket.pages
    monkeypatch.setattr(Bucket, "pages", lambda bucket, _=0, below="": pages(bucket, 2, below))
    file, lost, kept = put(store, b"right"), put(store, b"lost"), put(store, b"kept")
    names = [object_rows.stored(each.sha256).name for each in (file, lost, kept)]
    neighbours = [f"{name[:2]}-logs/{number}" for name in names for number in range(3)]
    for neighbour in neighbours:
        put_object(store, neighbour, b"theirs")
    put_object(store, names[0], bytes_)
    store.contents.bucket.delete(names[1])
    found = [each for each in store.contents.look(rehash) if each.about not in neighbours]
    assert {(each.kind, each.about) for each in found} == {("damaged", file.id), ("missing", lost.id)}
    for each in found:
        assert store.contents.repair(each).startswith("deleted")
    for neighbour in neighbours:
        store.contents.bucket.delete(neighbour)


@pytest.fixture
def shaken(cluster, seaweed, tmp_path, monkeypatch):
    """A store, and the proxy between it and its bucket, which asks once only."""
    with wire.between(seaweed.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        store = open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **cluster))
        store.keys.create("alice")
        yield store, proxy
        proxy.rule = wire.passing
        assert list(store.contents.look(rehash=True)) == []
        database.close_all()


NOT_THERE = (404, {}, b"<Error><Code>NoSuchKey</Code></Error>")


@pytest.mark.parametrize("verbs", [{"GET", "HEAD"}, {"GET"}], ids=["neither", "its size only"])
def test_an_object_that_is_listed_and_not_there_is_repaired_as_a_lost_one(shaken, verbs):
    """A stale index of the store's. Nothing was done, each time, and uploads of the same bytes went on joining it."""
    store, proxy = shaken
    file, kept = put(store, b"lost"), put(store, b"kept")
    proxy.rule = lambda method, path: NOT_THERE if method in verbs and f"/{file.sha256}." in path else wire.PASS
    [problem] = store.contents.look(rehash=True)
    assert (problem.kind, problem.about) == ("damaged", file.id)
    assert store.contents.repair(problem) == "deleted, its bytes are lost"
    assert list(store.contents.look(rehash=True)) == []
    assert [row.id for row in File.select()] == [kept.id]
    proxy.rule = wire.passing
    assert read(store, put(store, b"lost")) == b"lost"


def test_a_store_that_denies_an_object_loses_nothing_by_an_upload_of_the_same_bytes(shaken):
    """It is there all the time; what came takes its place, and it goes."""
    store, proxy = shaken
    first = put(store, b"denied")
    old = object_rows.stored(first.sha256).name
    proxy.rule = lambda method, path: NOT_THERE if method in ("GET", "HEAD") and old in path else wire.PASS
    with pytest.raises(FileNotFoundError):
        read(store, first)
    again = put(store, b"denied")
    assert read(store, first) == read(store, again) == b"denied"
    proxy.rule = wire.passing
    assert objects(store) == [object_rows.stored(first.sha256).name] != [old]


def test_an_object_that_is_there_again_is_asked_for_once(shaken):
    store, proxy = shaken
    first = put(store, b"back")
    proxy.rule = lambda method, _: NOT_THERE if method in ("GET", "HEAD") else wire.PASS
    with pytest.raises(FileNotFoundError):
        read(store, first)
    proxy.rule = wire.passing
    asked = []
    for _ in range(2):
        proxy.calls.clear()
        put(store, b"back")
        asked.append([method for method, _ in proxy.calls])
    assert asked == [["GET"], []]


def test_another_bucket_takes_the_place_of_nothing(shaken):
    """It has none of the objects for a while: what came then would be in it alone, and the old object deleted."""
    store, proxy = shaken
    first = put(store, b"kept")
    empty = (200, {"Content-Type": "application/xml"}, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    proxy.rule = lambda method, path: empty if "list-type" in path else NOT_THERE if method in ("GET", "HEAD") else wire.PASS
    with pytest.raises(FileNotFoundError):
        read(store, first)
    with pytest.raises(StorageMoved):
        put(store, b"kept")
    proxy.rule = wire.passing
    assert read(store, first) == b"kept"


@pytest.mark.parametrize("answer", [NOT_THERE, (404, {}, b"<html></html>")], ids=["any store", "no store"])
def test_a_store_that_has_nothing_any_more_costs_no_file(shaken, impatient, answer):
    """It is another one for a while, or something in its place: a repair deleted each file that it came to."""
    store, proxy = shaken
    impatient()
    files = [put(store, b"kept %d" % number) for number in range(2)]
    names = [store.contents.objects.stored(file.sha256).name for file in files]
    told = [Problem("missing", files[0].id, "", files[0].sha256, None, names[0]), Problem("damaged", files[1].id, "", files[1].sha256, Found(6, (0, 0), ""), names[1])]
    proxy.rule = lambda _, path: wire.PASS if "list-type" in path else answer
    with suppress(Busy):
        told += store.contents.look(rehash=True)
    for problem in told:
        with suppress(Busy):
            assert store.contents.repair(problem) == ""
    proxy.rule = wire.passing
    assert store.contents.repair(told[0]) == "", "it is there again"
    assert [read(store, file) for file in files] == [b"kept 0", b"kept 1"]


def test_a_text_that_the_store_can_not_read_is_found_and_removed(shaken, impatient):
    """It is made again when somebody asks; its file is whole."""
    store, proxy = shaken
    impatient()
    file = put(store, b"read")
    for kind in ("damaged", "whole"):
        with store.contents.stage(100) as place:
            place.write(b"its words")
            assert store.contents.keep(place, file.sha256, kind)
    proxy.rule = lambda method, path: (500, {}, b"") if method == "GET" and ".damaged" in path else wire.PASS
    assert list(store.contents.look()) == []
    [problem] = store.contents.look(rehash=True)
    assert (problem.kind, problem.about) == ("leftover", f"{object_rows.stored(file.sha256).name}.damaged")
    assert store.contents.repair(problem) == "removed"
    assert [name.rpartition(".")[2] for name in objects(store) if object_names.is_derived(name)] == ["whole"]
    assert read(store, file) == b"read"


def test_a_purge_counts_only_objects_that_were_there(shaken):
    """Uploads that the store refused left their intents, and each was counted with the bytes that never came."""
    store, proxy = shaken
    kept = put(store, b"let go")
    proxy.rule = lambda method, _: wire.BUSY if method in ("PUT", "DELETE") else wire.PASS
    for number in range(3):
        with pytest.raises(StoreError):
            put(store, b"refused %d" % number)
    store.files.delete(store.keys.find("alice"), kept.id)
    proxy.rule = lambda method, _: wire.LOSE_ANSWER if method == "PUT" else wire.BUSY if method == "DELETE" else wire.PASS
    with pytest.raises(StoreError):
        put(store, b"came, untold")
    proxy.rule = wire.passing
    assert store.contents.unreferred(since=0) == Removed(0, 2, 18)
    assert store.contents.sweep(lambda: None) == Removed(0, 2, 18)
    assert store.contents.sweep(lambda: None) == Removed()


def test_a_purge_looks_once_for_thousands_of_contents_without_a_row(store, monkeypatch):
    """Each look reads all rows; there was one for each thousand."""
    text = """INSERT INTO blob SELECT hash, left(hash, 2) || '/' || hash || '.01M8FHK0000000000000000000', 7
        FROM (SELECT encode(sha256(number::text::bytea), 'hex') FROM generate_series(1, ?) AS number) AS made (hash)"""
    database.execute_sql(text, (2_500,))
    looks, fetch = [], object_rows._fetch

    def seen(text, *values):
        looks.extend(["look"] * (text.startswith("SELECT") and "NOT EXISTS" in text))
        return fetch(text, *values)

    monkeypatch.setattr(object_rows, "_fetch", seen)
    monkeypatch.setattr(store.contents.bucket, "delete", lambda _: None)
    assert store.contents.unreferred(since=0) == Removed(0, 2_500, 17_500)
    assert store.contents.sweep(lambda: None) == Removed(0, 2_500, 17_500)
    assert len(looks) == 2


def test_a_purge_goes_on_where_a_look_ended(store, monkeypatch):
    monkeypatch.setattr(object_rows, "_LOOK", 2)
    files = [put(store, b"%d" % number) for number in range(7)]
    for file in files[:6]:
        store.contents.drop(partial(rows.delete_file, store.keys.find("alice"), file.id, clock.now()), "delete", later=True)
    assert store.contents.unreferred(since=0).blobs == store.contents.sweep(lambda: None).blobs == 6
    assert read(store, files[6]) == b"6"


def test_one_object_of_which_the_store_says_nothing_keeps_no_other(shaken):
    """Each purge ended at the question how large it is, which is only for the count."""
    store, proxy = shaken
    first = store.contents.objects.stored(put(store, b"0").sha256).name
    put(store, b"1")
    proxy.rule = lambda method, _: wire.BUSY if method == "DELETE" else wire.PASS
    assert store.files.delete_all(store.keys.find("alice")) == 2
    nothing = (500, {}, b"")
    proxy.rule = lambda method, path: nothing if method in ("HEAD", "DELETE") and first in path else wire.PASS
    assert store.contents.unreferred(since=0) == Removed(0, 1, 1)
    assert store.contents.sweep(lambda: None) == Removed(0, 1, 1, left=1)
    proxy.rule = wire.passing
    assert store.contents.sweep(lambda: None) == Removed(0, 1, 1)


def test_who_deletes_many_files_waits_neither_for_each_object_nor_with_a_slot(shaken):
    """The store is away: each call of it may take a quarter of a minute. The purge takes what was left."""
    store, proxy = shaken
    for number in range(40):
        put(store, b"%d" % number)
    pool, one, others = Slots(1, 1), threading.Lock(), []

    def rule(method, path):
        if method != "DELETE":
            return wire.PASS
        with one:
            others.append(pool.take_now("other"))
            if others[-1]:
                pool.give("other")
        return wire.BUSY

    proxy.rule = rule
    with Turn(pool, "owner", lambda: False):
        assert store.files.delete_all(store.keys.find("alice")) == 40
    assert set(others) == {True}, "the slot is another's meanwhile"
    assert len(others) < 40, "not each object is tried"
    proxy.rule = wire.passing
    assert store.contents.sweep(lambda: None).blobs == 40
    assert objects(store) == []
