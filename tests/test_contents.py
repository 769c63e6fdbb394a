"""The contract of the seam between rows and bytes (`lazu.store.contents`): the same stories for every implementation.

To add one, add its opener to `OPENERS`: a context that gives an open `Store` on a new place.
"""

import hashlib
import os
import threading
from contextlib import contextmanager
from functools import partial

import pytest

from helpers.clocks import ahead
from lazu import clock, ids
from lazu.config import Settings
from lazu.errors import FileTooLarge, InsufficientStorage, InternalError, InvalidRequest
from lazu.store import counts, rows, upload_rows
from lazu.store.contents import STEPS, copies
from lazu.store.contents.shards import Shards
from lazu.store.opening import open_store
from lazu.store.postgresql.database import database
from lazu.store.tables import File
from lazu.store.uploads import Completion, Declared

KIND = "text"


@contextmanager
def shards(_, tmp_path):
    """SQLite and the disk."""
    yield open_store(Settings(storage_dir=tmp_path / "storage", min_free_bytes=0))


@contextmanager
def intents(request, tmp_path):
    """PostgreSQL and S3."""
    place = request.getfixturevalue("cluster")
    try:
        yield open_store(Settings(storage_dir=tmp_path / "storage", min_free_bytes=0, **place))
    finally:
        database.close_all()


OPENERS = {"shards": shards, "intents": intents}


@pytest.fixture(params=OPENERS)
def store(request, tmp_path):
    with OPENERS[request.param](request, tmp_path) as store, store.engine.connected():
        store.keys.create("alice")
        yield store
        assert list(store.contents.look(rehash=True)) == []


def staged(store, data):
    """Staged bytes, which the caller closes."""
    place = store.contents.stage(2**30, len(data))
    for start in range(0, len(data), 2**20):
        place.write(data[start : start + 2**20])
    return place


def row(store, data, size=None):
    """A file of these bytes, not yet inserted."""
    return File(
        id=ids.new_file_id(clock.milliseconds()), key=store.keys.find("alice").id, sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data) if size is None else size, filename="a", purpose="user_data", content_type="text/plain", created_at=1, expires_at=2**40,
    )  # fmt: skip


def added(store, data):
    """A file of these bytes."""
    file = row(store, data)
    with staged(store, data) as place:
        store.contents.add(place, file.id, lambda: rows.add_file(file))
    return file


def dropped(store, file, **options):
    key = store.keys.find("alice")
    return store.contents.drop(lambda: rows.delete_file(key, file.id, 1), "delete", **options)


def read(store, sha256, kind=""):
    with store.contents.open(sha256, kind) as content:
        return content.read()


def is_there(store, sha256, kind=""):
    try:
        return read(store, sha256, kind) is not None
    except FileNotFoundError:
        return False


def lose(store, file):
    """Take the bytes away behind the store's back."""
    if isinstance(store.contents, Shards):
        (store.contents.blobs.root / file.sha256[:2] / file.sha256).unlink()
    else:
        store.contents.bucket.delete(store.contents.objects.stored(file.sha256).name)


def damage(store, file, data):
    """Change the bytes behind the store's back."""
    if isinstance(store.contents, Shards):
        path = store.contents.blobs.root / file.sha256[:2] / file.sha256
        path.chmod(0o640)
        path.write_bytes(data)
    else:
        put_object(store, store.contents.objects.stored(file.sha256).name, data)


def put_object(store, name, data):
    with staged(store, data) as place:
        store.contents.bucket.put(name, place.fd, place.size, place.sha256)


def quarantine(store):
    """What was put away."""
    if isinstance(store.contents, Shards):
        return [path.read_bytes() for path in (store.settings.storage_dir / "quarantine").iterdir()]
    bucket = store.contents.bucket
    found = [entry for page in bucket.pages() for entry in page if entry.name.startswith("quarantine/")]
    return [bucket.open(entry.name, entry.bytes).read() for entry in found]


def swept(store):
    with store.contents.alone() as alone:
        assert alone()
        removed = store.contents.sweep(lambda: None)
    return removed.blobs, removed.bytes


# stage


def test_what_is_staged_is_counted_and_hashed_and_never_found(store):
    with staged(store, b"abc") as place:
        assert (place.size, place.sha256, place.peek(1, 2)) == (3, hashlib.sha256(b"abc").hexdigest(), b"bc")
        assert not is_there(store, place.sha256)
    assert swept(store) == (0, 0)


def test_more_than_the_limit_is_not_staged(store):
    with store.contents.stage(3) as place:
        place.write(b"abc")
        with pytest.raises(FileTooLarge):
            place.write(b"d")


def test_room_that_is_not_there_is_refused(store):
    with pytest.raises(InsufficientStorage):
        store.contents.require(2**62)
    assert store.contents.free() > 0


# add and open


@pytest.mark.parametrize("size", [1, 4096, 3 * 2**20 + 1])
def test_bytes_come_out_as_they_went_in(store, size):
    data = os.urandom(size)
    file = added(store, data)
    assert read(store, file.sha256) == data
    with store.contents.open(file.sha256) as content:
        assert content.seek(size - 1) == size - 1
        assert content.read() == data[-1:]


def test_equal_bytes_are_there_until_the_last_file_goes(store):
    one, two = added(store, b"same"), added(store, b"same")
    assert [gone.id for gone in dropped(store, one)] == [one.id]
    assert read(store, two.sha256) == b"same"
    dropped(store, two)
    assert not is_there(store, two.sha256)


def test_a_row_that_is_refused_leaves_no_bytes(store):
    """By any error of the API, also one that did not exist when the store was written."""

    class Unheard(InvalidRequest):
        pass

    def refuse():
        raise Unheard("no")

    with staged(store, b"refused") as place, pytest.raises(Unheard):
        store.contents.add(place, "none", refuse)
    assert not is_there(store, hashlib.sha256(b"refused").hexdigest())
    assert counts.count() == 0


def test_a_row_that_is_refused_leaves_the_bytes_of_others(store):
    def refuse():
        raise InvalidRequest("no")

    file = added(store, b"shared")
    with staged(store, b"shared") as place, pytest.raises(InvalidRequest):
        store.contents.add(place, "none", refuse)
    assert read(store, file.sha256) == b"shared"


def test_what_is_not_there_is_not_found_and_has_no_place(store):
    with pytest.raises(FileNotFoundError):
        store.contents.open("0" * 64)
    assert store.contents.location("0" * 64, 1) is None


# drop


def test_dropping_nothing_removes_nothing(store):
    file = added(store, b"stays")
    assert store.contents.drop(list, "delete") == []
    assert read(store, file.sha256) == b"stays"


def test_an_open_content_is_read_to_its_end_whatever_is_deleted_meanwhile(store):
    file = added(store, b"0123456789" * 100_000)
    with store.contents.open(file.sha256) as content:
        assert content.read(3) == b"012"
        dropped(store, file)
        assert len(content.read()) == 999_997
    assert not is_there(store, file.sha256)


def test_bytes_dropped_later_wait_for_the_sweep(store):
    file = added(store, b"later")
    dropped(store, file, later=True)
    assert is_there(store, file.sha256)
    assert swept(store) == (1, 5)
    assert not is_there(store, file.sha256)


def test_many_files_go_at_once(store):
    files = [added(store, b"%d" % (number % 40)) for number in range(60)]
    key = store.keys.find("alice")
    assert len(store.contents.drop(lambda: rows.delete_files_of(key, 60), "delete")) == 60
    assert not any(is_there(store, file.sha256) for file in files)


# keep


def test_what_is_derived_lives_as_long_as_its_content(store):
    file = added(store, b"%PDF")
    with staged(store, b"words") as place:
        assert store.contents.keep(place, file.sha256, KIND)
    with staged(store, b"others") as place:
        assert store.contents.keep(place, file.sha256, KIND), "the first one stays"
    assert read(store, file.sha256, KIND) == b"words"
    assert list(store.contents.look(rehash=True)) == []
    assert swept(store) == (0, 0)
    dropped(store, file)
    assert not is_there(store, file.sha256, KIND)


def test_what_is_kept_is_read_to_its_end_whatever_goes_after_it_was_opened(store):
    file = added(store, b"%PDF")
    with staged(store, b"0123456789" * 6_000) as place:
        assert store.contents.keep(place, file.sha256, KIND)
    with store.contents.open(file.sha256, KIND) as content:
        dropped(store, file)
        assert content.seek(5) == 5
        assert content.read() == b"56789" + b"0123456789" * 5_999


def test_nothing_is_kept_of_what_is_gone(store):
    file = added(store, b"gone")
    dropped(store, file)
    with staged(store, b"words") as place:
        assert not store.contents.keep(place, file.sha256, KIND)
    assert not is_there(store, file.sha256, KIND)


def test_a_sweep_leaves_no_more_derived_objects_than_fit(cluster, tmp_path):
    store = open_store(Settings(storage_dir=tmp_path / "storage", min_free_bytes=0, kept_bytes=12, **cluster))
    with store.engine.connected():
        store.keys.create("alice")
        files = [added(store, b"%d" % number) for number in range(4)]
        for file in files:
            with staged(store, b"words") as place:
                assert store.contents.keep(place, file.sha256, KIND)
        with staged(store, b"more words than fit") as place:
            assert not store.contents.keep(place, files[0].sha256, "other")
        assert swept(store) == (0, 0), "which is no content"
        assert [is_there(store, file.sha256, KIND) for file in files].count(True) == 2
        assert all(is_there(store, file.sha256) for file in files)
    database.close_all()


# sweep


def test_one_sweep_at_a_time(store):
    with store.contents.alone() as first, store.contents.alone() as second:
        assert (first(), second()) == (True, False)


def test_a_sweep_takes_only_what_no_row_refers_to_and_tells_its_steps(store):
    kept, gone, ticks = added(store, b"kept"), added(store, b"gone!"), []
    dropped(store, gone, later=True)
    removed = store.contents.unreferred(since=0)
    assert (removed.blobs, removed.bytes) == (1, 5), "what it would remove"
    with store.contents.alone():
        store.contents.sweep(lambda: ticks.append(1))
    assert (len(ticks), is_there(store, kept.sha256), is_there(store, gone.sha256)) == (STEPS, True, False)


def test_what_will_expire_is_counted_before_it_does(store):
    file = added(store, b"soon")
    assert store.contents.unreferred(since=file.expires_at - 1).blobs == 0
    assert store.contents.unreferred(since=file.expires_at).blobs == 1


def test_adding_and_dropping_race_with_sweeps_and_nothing_is_lost(store):
    """Four threads add, read and drop three contents while sweeps run: a file that is there can always be read."""
    done, faults = threading.Event(), []

    def churn(number):
        with store.engine.connected():
            for turn in range(40):
                data = b"%d" % ((number + turn) % 3)
                file = added(store, data)
                if read(store, file.sha256) != data:
                    faults.append(file.id)
                dropped(store, file)

    def sweep():
        with store.engine.connected():
            while not done.is_set():
                swept(store)

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(4)]
    sweeper = threading.Thread(target=sweep)
    for thread in (*threads, sweeper):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    sweeper.join()
    assert faults == []
    assert swept(store) == (0, 0)


# look and repair


def test_a_row_without_its_bytes_is_found_and_repaired(store):
    file = added(store, b"lost")
    lose(store, file)
    [problem] = store.contents.look()
    assert (problem.kind, problem.about) == ("missing", file.id)
    assert "deleted" in store.contents.repair(problem)
    assert counts.count() == 0


@pytest.mark.parametrize("harm", [lose, partial(damage, data=b"cut"), partial(damage, data=b"LOST")], ids=["gone", "of another size", "changed"])
def test_the_same_bytes_again_heal_what_a_check_has_found(store, harm):
    """In a cluster they joined it: they were acknowledged, could not be read, and a repair deleted them."""
    file = added(store, b"lost")
    harm(store, file)
    problems = list(store.contents.look(rehash=True))
    assert [problem.about for problem in problems] == [file.id]
    added(store, b"lost")
    assert read(store, file.sha256) == b"lost"
    store.contents.repair(problems[0])
    assert counts.count() == 2
    assert swept(store) == (0, 0)


def test_a_row_whose_size_is_not_that_of_its_bytes_is_found(store):
    file = row(store, b"short", size=99)
    with staged(store, b"short") as place:
        store.contents.add(place, file.id, lambda: rows.add_file(file))
    [problem] = store.contents.look()
    assert (problem.kind, problem.about) == ("damaged", file.id)
    assert store.contents.repair(problem)


def test_bytes_of_another_size_do_not_end_a_check_that_reads_them_all(store):
    file = added(store, b"whole")
    damage(store, file, b"cut")
    [problem] = store.contents.look(rehash=True)
    assert (problem.kind, problem.about) == ("damaged", file.id)
    assert "quarantine" in store.contents.repair(problem)


def test_bytes_without_a_row_are_found_and_removed(store):
    file = added(store, b"stray")
    dropped(store, file, later=True)
    [problem] = store.contents.look()
    assert (problem.kind, problem.about) == ("stray", file.sha256)
    assert store.contents.repair(problem) == "removed"
    assert not is_there(store, file.sha256)


def test_damaged_bytes_are_put_away_and_their_files_are_gone(store):
    files = [added(store, b"as it was"), added(store, b"as it was")]
    damage(store, files[0], b"as it is!")
    assert list(store.contents.look()) == [], "of the same size: only who reads it can tell"
    problems = list(store.contents.look(rehash=True))
    assert {(problem.kind, problem.about) for problem in problems} == {("damaged", file.id) for file in files}
    assert "quarantine" in store.contents.repair(problems[0])
    assert quarantine(store) == [b"as it is!"]
    assert (counts.count(), is_there(store, files[0].sha256), swept(store)) == (0, False, (0, 0))
    assert quarantine(store) == [b"as it is!"], "no sweep takes it"
    assert read(store, added(store, b"as it was").sha256) == b"as it was"


def test_what_lazu_does_not_know_is_put_away(store):
    name = "ab/notes.txt"
    if isinstance(store.contents, Shards):
        (store.contents.blobs.root / name).write_bytes(b"mine")
    else:
        name = f"ab/{'ab' * 32}.notes"  # what is less like Lazu's own may be another's
        put_object(store, name, b"mine")
    assert swept(store) == (0, 0)
    [problem] = store.contents.look()
    assert (problem.kind, problem.about) == ("leftover", name)
    assert store.contents.repair(problem) == "moved to quarantine"
    assert quarantine(store) == [b"mine"]


# parts of uploads


def begun(store, *pieces):
    """An upload of alice with these parts."""
    key = store.keys.find("alice")
    upload = store.uploads.create(key, Declared("a.txt", sum(map(len, pieces)), "user_data", None))
    return key, upload, [sent(store, key, upload, piece) for piece in pieces]


def sent(store, key, upload, piece):
    with staged(store, piece) as place:
        return store.uploads.add_part(key, upload, place)


def test_a_part_keeps_its_bytes_as_a_file_does(store):
    file = added(store, b"shared")
    key, upload, [part, _] = begun(store, b"shared", b" and own")
    dropped(store, file)
    assert swept(store) == (0, 0)
    assert list(store.contents.look(rehash=True)) == []
    assert read(store, part.sha256) == b"shared"
    assert store.contents.unreferred(since=upload.expires_at).blobs == 2, "they go when the upload has expired"
    store.uploads.cancel(key, upload.id)
    assert not is_there(store, part.sha256)


def test_parts_become_a_file_and_go(store):
    key, upload, parts = begun(store, b"one, ", b"two, ", b"two, ")
    wanted = Completion([part.id for part in parts], None)
    done, file = store.uploads.complete(key, upload.id, wanted)
    assert (done.status, read(store, file.sha256)) == ("completed", b"one, two, two, ")
    assert not any(is_there(store, part.sha256) for part in parts)
    assert store.uploads.complete(key, upload.id, wanted)[1].id == file.id
    assert counts.count() == 1


def test_parts_of_an_expired_upload_go_with_the_sweep(store):
    _, upload, [part] = begun(store, b"over")
    assert store.uploads.drop_dead(upload.expires_at) == 1
    store.uploads.forget(upload.expires_at + 60)
    assert swept(store) == (1, 4)
    assert not is_there(store, part.sha256)
    assert upload_rows.upload_of(store.keys.find("alice"), upload.id, 1) is None


def test_who_begins_an_upload_does_not_wait_for_all_that_has_expired(store, limits):
    """Each portion may take a quarter of a minute while the object store is silent; the purge, or the next upload, takes the rest."""
    _, upload, _ = begun(store, b"a", b"b", b"c")
    limits(BATCH=1, CLEARING_SECONDS=0)
    with ahead(2 * 3600):
        begun(store)
        assert upload_rows.count_parts(upload) == 2
        limits(CLEARING_SECONDS=10)
        begun(store)
        assert upload_rows.count_parts(upload) == 0
        assert swept(store) == (0, 0)


def test_parts_that_another_clock_ends_while_they_are_joined_are_no_fault_of_lazu(store, monkeypatch):
    """A box whose clock is ahead takes the upload for expired."""
    key, upload, [part] = begun(store, b"over")
    stage = store.contents.stage

    def meanwhile(*size):
        assert store.uploads.drop_dead(upload.expires_at, key) == 1
        return stage(*size)

    monkeypatch.setattr(store.contents, "stage", meanwhile)
    with pytest.raises(InvalidRequest, match="no part of this upload"):
        store.uploads.complete(key, upload.id, Completion([part.id], None))
    assert counts.count() == 0


def test_a_part_without_its_bytes_is_found_and_repaired(store):
    key, upload, [part] = begun(store, b"lost")
    lose(store, part)
    [problem] = store.contents.look()
    assert (problem.kind, problem.about) == ("missing", part.id)
    assert store.contents.repair(problem)
    with pytest.raises(InvalidRequest):
        store.uploads.complete(key, upload.id, Completion([part.id], None))
    again = sent(store, key, upload, b"lost")
    assert store.uploads.complete(key, upload.id, Completion([again.id], None))[1].bytes == 4


@pytest.mark.parametrize(("pieces", "changed"), [([b"alone"], 0), ([b"one, ", b"two"], 0), ([b"one, ", b"two"], 1)])
def test_a_part_with_other_bytes_than_were_sent_makes_no_file(store, pieces, changed):
    """The file would be named by the wrong bytes, and look sound; the part would be gone."""
    key, upload, parts = begun(store, *pieces)
    damage(store, parts[changed], b"?" * parts[changed].bytes)
    with pytest.raises(InternalError):
        store.uploads.complete(key, upload.id, Completion([part.id for part in parts], None))
    [problem] = store.contents.look(rehash=True)
    assert (problem.kind, problem.about, counts.count()) == ("damaged", parts[changed].id, 0)
    assert store.contents.repair(problem)
    parts[changed] = sent(store, key, upload, pieces[changed])
    _, file = store.uploads.complete(key, upload.id, Completion([part.id for part in parts], None))
    assert read(store, file.sha256) == b"".join(pieces)


# copies


def test_contents_go_to_a_backup_and_come_back(store, tmp_path):
    files = [added(store, b"%d" % number * 1000) for number in range(5)]
    wanted = sorted((file.sha256, file.bytes) for file in files)
    copies.prepare(tmp_path / "copy")
    copied, absent = store.contents.copy_out(tmp_path / "copy", wanted, lambda: None)
    assert (absent, sum(count for how, count in copied.items() if how != "bytes")) == ([], 5)
    dropped(store, files[0])
    again, absent = store.contents.copy_out(tmp_path / "copy", [*wanted, ("f" * 64, 1)], lambda: None)
    assert (again["present"], again["gone"], absent) == (5, 1, ["f" * 64])
    _, missing = store.contents.copy_in(tmp_path / "copy", [*wanted, ("f" * 64, 1)], lambda: None)
    assert (missing, read(store, files[0].sha256)) == (["f" * 64], b"0" * 1000)
    assert swept(store) == (1, 1000)


@pytest.mark.parametrize("harm", [lose, lambda store, file: damage(store, file, b"cut")], ids=["lost", "cut"])
def test_a_backup_that_lacks_the_bytes_of_a_file_says_so(store, tmp_path, harm):
    file = added(store, b"whole")
    copies.prepare(tmp_path / "copy")
    harm(store, file)
    copied, absent = store.contents.copy_out(tmp_path / "copy", [(file.sha256, file.bytes)], lambda: None)
    assert (copied["damaged"], copied["gone"], absent) == (1, 0, [file.sha256])
    assert list((tmp_path / "copy").glob("??/*")) == []
    [problem] = store.contents.look()
    store.contents.repair(problem)


def test_a_second_restore_brings_what_was_lost_after_the_first_one_broke_off(store, tmp_path):
    file = added(store, b"whole")
    wanted = [(file.sha256, file.bytes)]
    copies.prepare(tmp_path / "copy")
    store.contents.copy_out(tmp_path / "copy", wanted, lambda: None)
    dropped(store, file)
    store.contents.copy_in(tmp_path / "copy", wanted, lambda: None)
    lose(store, file)
    assert store.contents.copy_in(tmp_path / "copy", wanted, lambda: None)[1] == []
    assert read(store, file.sha256) == b"whole"
    assert swept(store) == (1, 5)
