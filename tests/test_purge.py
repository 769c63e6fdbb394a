"""Retention: gone to the API at the second of expiry, and from the disk with the next purge."""

import json
from datetime import timedelta

import pytest
from freezegun import freeze_time

from helpers.in_process import AUTH, START, blobs, content, purge, put
from helpers.wire import part

pytestmark = pytest.mark.both_stores


def test_a_file_is_gone_for_every_endpoint_at_the_second_of_its_expiry(app, http):
    with freeze_time(START) as clock:
        file = put(http)
        url = f"/v1/files/{file['id']}"
        clock.tick(timedelta(days=30, seconds=-1))
        assert http.get(url, headers=AUTH).json == file
        clock.tick(1)
        for answer in (http.get(url, headers=AUTH), http.get(f"{url}/content", headers=AUTH), http.delete(url, headers=AUTH)):
            assert (answer.status_code, answer.json["error"]["code"]) == (404, "file_not_found")
        assert http.get("/v1/files", headers=AUTH).json["data"] == []
        purge(app)


def test_the_purge_removes_what_has_expired_and_nothing_else(app, http):
    with freeze_time(START) as clock:
        put(http, b"first")
        clock.tick(timedelta(days=1))
        kept = put(http, b"second")
        clock.tick(timedelta(days=29, seconds=-1))
        assert "removed 0 files, 0 blobs, 0 bytes" in purge(app)
        clock.tick(1)
        assert purge(app) == "2026-06-23 09:56:04 Asia/Shanghai removed 1 files, 1 blobs, 5 bytes\n"
        assert content(http, kept) == b"second"
        assert len(blobs(app)) == 1


def test_bytes_that_a_living_file_shares_outlive_the_expired_one(app, http):
    with freeze_time(START) as clock:
        hour = [part("expires_after[anchor]", "created_at"), part("expires_after[seconds]", "3600")]
        put(http, b"shared", *hour)
        kept = put(http, b"shared")
        clock.tick(3600)
        assert "removed 1 files, 0 blobs, 0 bytes" in purge(app)
        assert content(http, kept) == b"shared"


def test_a_dry_run_tells_the_same_and_removes_nothing(app, http):
    with freeze_time(START) as clock:
        put(http, b"one")
        put(http, b"three")
        clock.tick(timedelta(days=30))
        before = blobs(app)
        said = json.loads(purge(app, "--dry-run", "--json"))
        assert blobs(app) == before
        did = json.loads(purge(app, "--json"))
        assert said == {**did, "dry_run": True}
        assert (did["files"], did["blobs"], did["bytes"]) == (2, 2, 8)


@pytest.mark.one_box("the crash's blob is made by hand; tests/test_contents.py tells it of both")
def test_the_purge_sweeps_bytes_that_no_file_refers_to(app):
    blobs_room = app.extensions["lazu"].contents.blobs
    with blobs_room.stage(100) as staged:
        staged.write(b"a crash came before the row")
        staged.seal()
        with blobs_room.lock(staged.sha256) as shard:
            blobs_room.publish(staged, shard)
    assert "would remove 0 files, 1 blobs, 27 bytes" in purge(app, "--dry-run")
    assert "removed 0 files, 1 blobs, 27 bytes" in purge(app)
    assert blobs(app) == []


def test_a_second_purge_at_the_same_time_leaves_with_a_word(app):
    with app.extensions["lazu"].contents.alone() as alone:
        assert alone()
        assert purge(app) == "another purge is running; nothing to do\n"
        assert json.loads(purge(app, "--json")) == {"running": True}


def test_many_expired_files_go_in_one_purge(app, http):
    with freeze_time(START) as clock:
        for i in range(600):
            put(http, str(i % 7).encode())
        clock.tick(timedelta(days=30))
        assert "removed 600 files, 7 blobs, 7 bytes" in purge(app)
