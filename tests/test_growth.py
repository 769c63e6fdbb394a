"""What a day costs does not grow with what is stored: by the steps that are taken, not by a clock."""

import hashlib
import json
import sys
import threading
from functools import partial
from io import BytesIO

import pytest

from helpers.clocks import ahead
from helpers.in_process import AUTH, blobs, purge, put
from helpers.waiting import until
from helpers.wire import part
from lazu import clock
from lazu.errors import StoreError
from lazu.store import counts, disk, upload_rows
from lazu.store.contents import shards
from lazu.store.sqlite.engine import Sqlite, database
from lazu.store.tables import File, Key
from lazu.upkeep import stats

#: A name of which every kind of character must come back as it went.
ODD = "größe \"quoted\" back\\slash \u2028 \x01\t\x7f \U0001f4c4 % {} .txt"


def asked(caplog, action):
    """SQLite's steps for each query that `action` makes."""
    caplog.clear()
    with caplog.at_level("DEBUG", "peewee"):
        action()
    said = [each.msg for each in caplog.records if str(each.msg[0]).startswith("SELECT")]
    return [[row[3] for row in database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values)] for sql, values in said]


def test_a_scrape_reads_no_file_that_has_not_expired(app, http, caplog):
    put(http)
    plans = asked(caplog, stats.totals)
    walks = [step for plan in plans for step in plan if step.startswith("SCAN")]
    assert set(walks) == {"SCAN holding", "SCAN held", "SCAN total", "SCAN expired"}, "a row a key, one row each"
    assert sum("file_by_expiry (expires_at<?)" in step for plan in plans for step in plan) == 2


def test_the_keys_are_listed_without_their_files(app, http, caplog):
    put(http)
    plans = asked(caplog, stats.usage)
    assert not any("SCAN file" in step or "expires_at>" in step for plan in plans for step in plan)


def test_a_quota_is_held_against_no_file_that_has_not_expired(app, http, caplog):
    put(http)
    [plan] = asked(caplog, lambda: counts.held(1, clock.now()))
    assert [step for step in plan if " file" in step] == ["SEARCH file USING COVERING INDEX file_by_size (key_id=? AND expires_at<?)"]


def test_what_pending_uploads_hold_is_asked_of_indexes(app, http, caplog):
    put(http)
    key = Key.get()
    [plan] = asked(caplog, lambda: upload_rows.pending(clock.now(), key))
    found = [step for step in plan if "SEARCH upload" in step]
    assert found == [
        "SEARCH upload USING INDEX upload_by_key (key_id=? AND expires_at>?)",
        "SEARCH upload_part USING COVERING INDEX upload_part_by_upload (upload_id=?)",
    ]
    assert not any("SCAN upload" in step for step in plan)


def test_a_sweep_asks_an_index_which_blobs_have_a_row(app, http, caplog):
    put(http)
    contents = app.extensions["lazu"].contents
    for action in (partial(contents.sweep, lambda: None), partial(contents.unreferred, clock.now())):
        plans = [plan for plan in asked(caplog, action) if not any("journal" in step for step in plan)]
        assert plans
        for plan in plans:
            assert any("SEARCH file USING COVERING INDEX file_by_sha256 " in step for step in plan)
            assert not any("SCAN file" in step for step in plan)


def test_a_purge_reads_each_name_once_and_looks_at_no_blob_that_stays(app, http, monkeypatch):
    hour = [part("expires_after[anchor]", "created_at"), part("expires_after[seconds]", "3600")]
    for number in range(20):
        put(http, b"stays %d" % number)
    for number in range(3):
        put(http, b"goes %d" % number, *hour)
    seen = {"looked at": 0, "listed": 0, "counts": True}
    regular_size = disk.regular_size

    def look(path):
        seen["looked at"] += 1
        return regular_size(path)

    def listen(event, args):
        if seen["counts"] and event == "os.listdir" and str(args[0]).startswith(str(root)):
            seen["listed"] += 1

    root = app.extensions["lazu"].contents.blobs.root
    monkeypatch.setattr(disk, "regular_size", look)
    sys.addaudithook(listen)
    try:
        with ahead(3600):
            assert "removed 3 files, 3 blobs" in purge(app)
    finally:
        seen["counts"] = False
    assert (seen["looked at"], seen["listed"]) == (3, 256)
    assert len(blobs(app)) == 20


def loose(app, count):
    """Blobs to which no row refers, in many shards."""
    root = app.extensions["lazu"].contents.blobs.root
    hashes = sorted(hashlib.sha256(b"%d" % number).hexdigest() for number in range(count))
    for sha256 in hashes:
        (root / sha256[:2] / sha256).write_bytes(b"1")
    return hashes


def test_a_hundred_blobs_go_with_one_commit_in_whatever_shards_they_lie(app, monkeypatch):
    loose(app, 2 * shards.PORTION)
    commits, page = [], Sqlite.commit_a_page
    monkeypatch.setattr(Sqlite, "commit_a_page", lambda engine: commits.append(1) or page(engine))
    assert "200 blobs" in purge(app)
    assert len(commits) == 2


def test_a_sweep_that_waits_for_a_shard_holds_no_other(app, http):
    contents, hashes = app.extensions["lazu"].contents, loose(app, 9)
    assert len({sha256[:2] for sha256 in hashes}) > 1

    def sweep():
        with contents.engine.connected():
            contents.sweep(lambda: None)

    sweeping = threading.Thread(target=sweep)
    with contents.blobs.lock(hashes[-1]):
        sweeping.start()
        until(lambda: len(blobs(app)) < 9)
        with contents.blobs.lock(hashes[0]):
            assert hashes[-1] in blobs(app)
    sweeping.join()
    assert blobs(app) == []


def test_others_get_as_long_as_a_piece_of_the_purge_took(monkeypatch):
    passed = []
    monkeypatch.setattr(clock, "monotonic", lambda: sum(passed))
    monkeypatch.setattr(clock, "sleep", passed.append)
    pace = clock.Pace()
    for work, between in ((0.03, 0.01), (5, 0), (0.02, 0.5), (0.01, 0)):
        with pace:
            passed.append(work)
        passed.append(between)
    assert passed == pytest.approx([0, 0.03, 0.01, 0.02, 5, 0, 0.1, 0.02, 0.5, 0, 0.01, 0])


def told(app):
    """What /metrics shows: files and their bytes, contents and theirs, bytes of parts."""
    with app.app_context():
        total = counts.total(clock.now())
    return total.files, total.bytes, total.blobs, total.blob_bytes, total.part_bytes


def test_totals_follow_every_way_a_row_comes_and_goes(app, http):
    """After this test, as after every other, fsck compares them with the rows once more."""
    one, same = put(http, b"12345"), put(http, b"12345")
    put(http, b"123")
    assert told(app) == (3, 13, 2, 8, 0)
    http.delete(f"/v1/files/{same['id']}", headers=AUTH)
    assert told(app) == (2, 8, 2, 8, 0)
    upload = {"filename": "a.txt", "bytes": 9, "purpose": "user_data"}
    begun = [http.post("/v1/uploads", json=upload, headers=AUTH).json["id"] for _ in range(2)]
    parts = [sent(http, begun[0], data) for data in (b"12345", b"abcd")]
    sent(http, begun[1], b"12345")
    assert told(app) == (2, 8, 3, 12, 14), "bytes that a file has are counted once"
    http.delete(f"/v1/files/{one['id']}", headers=AUTH)
    assert told(app) == (1, 3, 3, 12, 14), "a part still has them"
    done = http.post(f"/v1/uploads/{begun[0]}/complete", json={"part_ids": parts}, headers=AUTH)
    assert done.json["status"] == "completed"
    assert told(app) == (2, 12, 3, 17, 5)
    http.post(f"/v1/uploads/{begun[1]}/cancel", headers=AUTH)
    assert told(app) == (2, 12, 2, 12, 0)
    assert app.test_cli_runner().invoke(args=["keys", "revoke", "default", "--delete-files"]).exit_code == 0
    assert told(app) == (0, 0, 0, 0, 0)


def sent(http, upload, data):
    form = {"data": (BytesIO(data), "part")}
    return http.post(f"/v1/uploads/{upload}/parts", data=form, headers=AUTH).json["id"]


def test_totals_that_are_not_those_of_the_rows_are_found_and_counted_anew(app, http):
    put(http, b"12345")
    run = app.test_cli_runner().invoke
    for lie in ("UPDATE total SET blobs = 7", "UPDATE holding SET files = 7", "DELETE FROM holding", "INSERT INTO holding VALUES (9, 1, 1)"):
        database.execute_sql(lie)
        found = run(args=["fsck", "--json"])
        assert (found.exit_code, json.loads(found.stdout)["problems"][0]["kind"]) == (1, "total"), lie
        assert run(args=["fsck", "--repair"]).exit_code == 0
        assert told(app) == (1, 5, 1, 5, 0)


def test_no_row_gets_other_bytes(app, http):
    put(http, b"12345")
    with pytest.raises(StoreError, match="never change"):
        database.execute_sql("UPDATE file SET bytes = 6")


def test_a_list_has_each_object_as_it_is_alone(app, http):
    hour = [part("expires_after[anchor]", "created_at"), part("expires_after[seconds]", "3600")]
    ids = [put(http, b"a")["id"], put(http, b"b", *hour)["id"], put(http, b"c")["id"]]
    File.update(filename=ODD).where(File.id == ids[1]).execute()
    alone = [http.get(f"/v1/files/{file_id}", headers=AUTH).json for file_id in ids]
    assert alone[1]["filename"] == ODD
    listed = http.get("/v1/files?order=asc", headers=AUTH)
    assert listed.content_type == "application/json"
    assert listed.json == {"object": "list", "data": alone, "first_id": alone[0]["id"], "last_id": alone[2]["id"], "has_more": False}
    assert [list(each) for each in listed.json["data"]] == [list(each) for each in alone], "fields in the same order"
