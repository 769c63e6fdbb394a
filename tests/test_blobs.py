"""The door to the disk where it refuses, fails or is short of something: nothing is lost, left or taken for done."""

import errno
import os
import re
import threading
import time
from contextlib import ExitStack

import peewee
import pytest

from helpers.broken import before_syncs, failing, no_thread
from helpers.in_process import AUTH, blobs, content, descriptors, purge, put, use_key
from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, form, part
from lazu import metrics
from lazu.errors import Failed, InsufficientStorage, StorageFailed, StoreError
from lazu.store import derived, disk, rows
from lazu.store.blobs import NEW, Blobs
from lazu.store.sqlite import engine as sqlite
from lazu.store.staged import FEW
from test_journal import entries

MB = 2**20
KIND = "document-1-00000000"


@pytest.fixture
def room(tmp_path):
    made = Blobs(tmp_path / "store" / "blobs", 0)
    made.prepare()
    return made


def counted():
    """The syncs that failed, as /metrics shows them."""
    return float(re.search(r"^lazu_fsync_failures_total (.*)", metrics.render([]).decode(), re.MULTILINE)[1])


def named(room, data):
    """Give bytes their name, as an upload of many does; gives their hash."""
    with room.stage(len(data)) as staged:
        staged.write(data)
        staged.seal()
        with room.lock(staged.sha256) as shard:
            room.put(staged, shard)
    return staged.sha256


# Room


def test_an_upload_that_finds_no_room_costs_no_descriptor(room):
    room.min_free, before = 2**62, descriptors()
    for _ in range(3):
        with pytest.raises(InsufficientStorage):
            room.stage(512 * MB, expected=32 * MB)
    assert descriptors() == before


def test_room_that_another_upload_took_at_the_same_moment_is_no_room(room, monkeypatch):
    room.min_free, free = MB, iter([64 * MB, 0])
    monkeypatch.setattr(disk, "free", lambda _: next(free))
    with pytest.raises(InsufficientStorage):
        room.stage(512 * MB, expected=32 * MB)


def test_room_that_an_upload_has_is_not_asked_for_again(room, monkeypatch):
    asked = []
    with room.stage(512 * MB, expected=32 * MB) as staged:
        monkeypatch.setattr(room, "require", asked.append)
        room.reserve(staged.fd, 33 * MB)
    assert asked[0] <= MB


@pytest.mark.parametrize("code", disk.FULL)
def test_a_disk_that_reserves_nothing_more_is_full(room, code):
    with failing(disk, "reserve", code), pytest.raises(InsufficientStorage):
        room.stage(512 * MB, expected=32 * MB)


def test_a_write_that_takes_a_part_is_gone_on_with(room, monkeypatch):
    """As on a disk with room for a part: the rest has to be refused, or to come."""
    write, data = os.write, b"0123456789" * 5000
    monkeypatch.setattr(os, "write", lambda fd, piece: write(fd, piece[: len(piece) // 2 + 1]))
    with room.stage(MB) as staged:
        staged.write(data)
        assert os.pread(staged.fd, MB, 0) == data


@pytest.mark.parametrize(("code", "stops"), [(errno.EIO, True), *((code, False) for code in disk.FULL)])
def test_a_sync_that_finds_no_room_is_counted_and_stops_nobody(room, code, stops):
    """What comes after it may be smaller, or find room."""
    before = counted()
    with room.stage(MB) as staged:
        staged.write(b"x" * 30_000)
        with failing(os, "fsync", code), pytest.raises(OSError, match=os.strerror(code)):
            staged.seal()
    assert (room.failed, counted() - before) == (stops, 1)


def test_bytes_whose_place_is_closed_are_not_those_of_the_file_that_has_its_number_now(room, tmp_path):
    """Who read them later got another file's bytes."""
    with (tmp_path / "other").open("w+b", buffering=0) as other, ExitStack() as until_then:
        other.write(b"somebody else's bytes")
        with room.stage(2 * FEW) as staged:
            staged.write(bytes(2 * FEW))
            number = staged.fd
        until_then.callback(os.close, os.dup2(other.fileno(), number))
        for read in (lambda: staged.peek(0, 9), staged.open):
            with pytest.raises(OSError, match=r"Bad file descriptor|No such file"):
                read()


# Names


def test_what_came_before_a_disk_error_gets_no_name_after_it(room):
    with room.stage(100) as staged:
        staged.write(b"words")
        room.fail("as a disk error does")
        with room.lock(staged.sha256) as shard, pytest.raises(StorageFailed):
            room.publish(staged, shard)
    assert room.entries(room.shard(staged.sha256)) == []


def test_a_replacement_that_a_crash_left_is_in_nobodys_way(room):
    """Each upload of these bytes was an error until the next purge."""
    blob = room.root / room.path(named(room, b"x" * 100))
    blob.write_bytes(b"damaged")
    blob.with_name(blob.name + NEW).write_bytes(b"half")
    named(room, b"x" * 100)
    assert blob.read_bytes() == b"x" * 100
    assert room.entries(blob.parent.name) == [blob.name]


def test_what_is_kept_of_bytes_goes_when_they_are_found_damaged(room, caplog):
    sha256 = named(room, b"x" * 100)
    with room.stage(100) as words:
        words.write(b"read from damaged bytes")
        assert room.keep(words, sha256, KIND)
    (room.root / room.path(sha256)).write_bytes(b"cut")
    named(room, b"x" * 100)
    assert room.entries(room.shard(sha256)) == [sha256]
    assert "a damaged blob was replaced" in caplog.text


def test_what_is_kept_of_a_blob_that_came_meanwhile_is_no_leftover(room):
    """The sweep looked before it came."""
    sha256 = named(room, b"x" * 100)
    kept = room.root / room.path(derived.name(sha256, KIND))
    kept.write_bytes(b"words")
    room.discard(room.shard(sha256), kept.name)
    assert kept.exists()


def test_what_is_no_file_costs_no_descriptor(room):
    name = "ab" + "0" * 62
    (room.root / room.path(name)).mkdir()
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        room.open(name)
    assert descriptors() == before


# Failures


def test_a_disk_that_takes_no_sync_has_not_recovered(room):
    room.fail("as a disk error does")
    with failing(disk, "sync"), pytest.raises(OSError, match="Input/output"):
        room.recover()
    assert room.failed


def test_a_store_goes_on_no_sooner_than_sqlite_commits_again(app, monkeypatch):
    """A commit in doubt could come back until then."""
    contents = app.extensions["lazu"].contents
    contents.blobs.fail("as a commit in doubt does")

    def broken():
        raise peewee.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite.database, "commit", broken)
        with pytest.raises(StoreError):
            contents.recover()
    assert contents.failed
    contents.recover()


def test_a_store_goes_on_no_sooner_than_the_bytes_of_its_journal_are_there(patient, app):
    http, contents = patient[0], app.extensions["lazu"].contents
    file = put(http, b"entry")
    contents.blobs.fail("as a disk error does")
    with failing(Blobs, "put"), pytest.raises(OSError, match="Input/output"):
        contents.recover()
    assert contents.failed
    contents.recover()
    assert content(http, file) == b"entry"


def test_a_refusal_is_told_whatever_becomes_of_its_bytes(app, monkeypatch):
    use_key(app)  # its commit, of another thread, would fail too

    def full():
        raise peewee.OperationalError("database or disk is full")

    def broken(*_):
        raise Failed("malformed")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite.database, "commit", full)
        patch.setattr(rows, "unreferred", broken)
        body, kind = form(PURPOSE, part("file", b"refused", "a.txt")), f"multipart/form-data; boundary={BOUNDARY}"
        answer = app.test_client().post("/v1/files", data=body, content_type=kind, headers=AUTH)
    assert (answer.status_code, answer.json["error"]["code"]) == (507, "insufficient_storage")
    purge(app)
    assert blobs(app) == []


# The journal


def test_a_checkpoint_for_which_there_was_no_thread_comes_with_the_next_entry(app):
    http, storage = app.test_client(), app.extensions["lazu"].settings.storage_dir
    with no_thread("lazu-journal"):
        put(http, b"one")
    assert len(entries(storage)) == 1
    put(http, b"two")
    until(lambda: entries(storage) == [], 20)


def test_a_process_that_ends_waits_for_no_disk_that_takes_minutes(patient, app):
    http, storage = patient
    put(http, b"entry")
    go_on = threading.Event()
    with before_syncs(lambda _: go_on.wait(40)):
        began = time.monotonic()
        app.extensions["lazu"].contents.close()
        assert time.monotonic() - began < 20
        go_on.set()
        until(lambda: entries(storage) == [])
