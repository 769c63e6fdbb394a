"""Uploads in parts: what they hold and give back (quota, floor, expiry, keys, backups), cut lines, races."""

import errno
import json
import os
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from helpers.in_process import AUTH, START, blobs, content, purge
from helpers.server import opened
from helpers.uploads import FORM, JSON, added, cancel, complete, completed, create, created, put_part
from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, dial, form, part, request, upload
from lazu import clock
from lazu.errors import Failed, InternalError
from lazu.store import disk, rows, upload_rows
from lazu.store.tables import Upload, UploadPart
from lazu.upkeep.backup import backup, restore

pytestmark = pytest.mark.both_stores

MB = 2**20
DECLARED = {"bytes": 9, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}


def refused(answer):
    return answer.error[:2] == (507, "insufficient_storage") and answer.headers["x-should-retry"] == "false"


def audit(server):
    return [line.split()[1] for line in (server.storage / "audit.log").read_text().splitlines()]


def put_file(server, key, size):
    return upload(server, key, PURPOSE, part("file", os.urandom(size), "a.dat"))


def test_a_pending_upload_holds_what_it_declared(limited):
    key = limited.new_key()
    assert refused(create(limited, key, MB + 1))
    begun = created(limited, key, MB)
    assert refused(put_file(limited, key, 1))
    assert refused(create(limited, key, 1))
    cancel(limited, key, begun)
    assert put_file(limited, key, MB).status == 200


def test_a_completed_upload_holds_its_file_and_no_more(limited):
    key = limited.new_key()
    begun = created(limited, key, MB - 1)
    half = os.urandom(MB // 2)
    ids = [added(limited, key, begun, piece) for piece in (half, half[1:])]
    completed(limited, key, begun, ids)
    assert put_file(limited, key, 1).status == 200
    assert refused(put_file(limited, key, 1))


def test_near_its_quota_a_key_may_send_parts_that_are_cut_anew(limited):
    """They counted against the quota: 507, and no file to delete."""
    key = limited.new_key()
    whole = os.urandom(900_000)
    begun = created(limited, key, len(whole))
    added(limited, key, begun, whole[:600_000])
    completed(limited, key, begun, [added(limited, key, begun, piece) for piece in (whole[:450_000], whole[450_000:])])


def test_all_parts_of_a_key_beyond_twice_what_was_declared_and_64_mb_must_fit_its_quota(limited):
    key = limited.new_key()
    first, second = created(limited, key, 1), created(limited, key, 1)
    for number in range(4):
        added(limited, key, first, b"%d" % number * (8 * MB))
        added(limited, key, second, b"%d" % number * (8 * MB))
    assert added(limited, key, second, b"a" * MB)
    assert added(limited, key, second, b"a" * MB), "equal bytes count once"
    assert refused(put_part(limited, key, second, b"several"))
    for begun in (first, second):
        cancel(limited, key, begun)


def test_a_quota_that_pending_uploads_fill_is_told_what_makes_room(limited):
    """It was told to delete files, of which there were none."""
    key = limited.new_key()
    created(limited, key, MB)
    assert "cancel uploads in parts, or wait" in put_file(limited, key, 1).json["error"]["message"]


def test_parts_may_have_twice_what_was_declared_and_64_mb(server):
    key = server.new_key()
    begun = created(server, key, 1)
    for number in range(4):
        added(server, key, begun, b"%d" % number * (16 * MB))
    assert put_part(server, key, begun, b"one more").error == (400, "invalid_request", "data")
    assert added(server, key, begun, b"0" * (16 * MB)), "what is there already takes no room"
    cancel(server, key, begun)


def test_a_part_has_64_mb_at_most(server):
    key = server.new_key()
    begun = created(server, key, 64 * MB)
    whole = bytes(64 * MB)
    assert put_part(server, key, begun, whole + b"1").error == (413, "file_too_large", "data")
    body = [form(part("data", whole + b"1", "p"))]
    chunked = request(server, "POST", f"/v1/uploads/{begun['id']}/parts", key, body, FORM)
    assert chunked.error == (413, "file_too_large", "data")
    completed(server, key, begun, [added(server, key, begun, whole)])


def test_many_pending_uploads_can_not_promise_more_than_the_disk_has(serve, tmp_path, place):
    """Of each, room for its parts and for its file. Of several boxes no disk keeps them: they only pass by it."""
    disk = os.statvfs(tmp_path)
    server = serve(LAZU_MIN_FREE_BYTES=str(max(0, disk.f_bavail * disk.f_frsize - 5 * 512 * MB)))
    key = server.new_key()
    assert [create(server, key, 512 * MB).status for _ in range(3)] == [200, 200, 507 if place == "box" else 200]
    assert create(server, server.new_key(), 512 * MB).status == 200, "what one key holds shuts nobody else out"


def test_the_list_of_wrong_forms(server):
    key = server.new_key()
    begun = created(server, key, 5)
    path = f"/v1/uploads/{begun['id']}/parts"
    wrong = {
        b"": (400, "invalid_request", None),
        form(part("data", b"", "p")): (400, "invalid_request", "data"),
        form(part("file", b"hello", "p")): (400, "missing_required_parameter", "data"),
        form(part("data", b"a", "p"), part("data", b"b", "p")): (400, "invalid_request", "data"),
        form(part("other", bytes(70_000)), part("data", b"a", "p")): (400, "invalid_request", None),
        form(*[part(f"f{n}", b"") for n in range(9)]): (400, "invalid_request", None),
        form(part("data", b"hello", "p"))[:-4]: (400, "invalid_request", None),
    }
    for body, error in wrong.items():
        assert request(server, "POST", path, key, body, FORM).error == error, body[:80]
    assert request(server, "POST", path, key, b"{}", JSON).error == (400, "invalid_request", None)
    assert request(server, "POST", path, key, b"x", {**FORM, "Content-Encoding": "gzip"}).error[:2] == (415, "unsupported_encoding")
    assert complete(server, key, begun, []).error == (400, "invalid_request", "bytes")
    assert request(server, "POST", path, key, form(part("data", b"hello")), FORM).status == 200, "a filename is not needed"


@pytest.mark.parametrize("through", ["direct", "nginx"])
def test_a_part_whose_line_is_cut_is_sent_again(through, edge):
    server = edge.server if through == "direct" else edge
    key = edge.server.new_key()
    data = random.Random(through).randbytes(MB)
    begun = created(server, key, 2 * MB)
    first = added(server, key, begun, data)
    body = form(part("data", data[::-1], "p"))
    head = f"POST /v1/uploads/{begun['id']}/parts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    for cut in (len(body) // 2, len(body) - 1):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
            sock.sendall(head.encode() + body[:cut])
    file = completed(server, key, begun, [first, added(server, key, begun, data[::-1])])["file"]
    assert request(edge, "GET", f"/v1/files/{file['id']}/content", key).body == data + data[::-1]


def test_an_upload_is_gone_an_hour_after_its_creation(app):
    http = app.test_client()

    def post(path, **options):
        return http.post(f"/v1/uploads{path}", headers=AUTH, **options)

    def begin():
        return post("", json={"filename": "a.txt", "bytes": 5, "purpose": "user_data"}).json["id"]

    def send(upload_id, data=b"hello"):
        return post(f"/{upload_id}/parts", data=form(part("data", data, "p")), content_type=f"multipart/form-data; boundary={BOUNDARY}")

    with freeze_time(START) as now:
        over, done = begin(), begin()
        [ids] = [[send(upload_id).json["id"] for upload_id in (over, done)]]
        first = post(f"/{done}/complete", json={"part_ids": [ids[1]]}).json
        send(over, b"more")
        now.tick(timedelta(seconds=3599))
        assert send(over).status_code == 200
        now.tick(1)
        gone = [send(over), post(f"/{over}/complete", json={"part_ids": [ids[0]]}), post(f"/{over}/cancel")]
        assert [(answer.status_code, answer.json["error"]["code"]) for answer in gone] == [(404, "upload_not_found")] * 3
        assert post(f"/{done}/complete", json={"part_ids": [ids[1]]}).json == first, "the answer that was lost"
        assert len(blobs(app)) == 2
        assert "would remove 0 files, 1 blobs, 4 bytes" in purge(app, "--dry-run")
        assert "removed 0 files, 1 blobs, 4 bytes" in purge(app)
        again = begin()
        send(again, b"other")
        now.tick(timedelta(hours=1))
        begin()
        assert len(blobs(app)) == 1, "what a key let expire goes when it begins another, without a purge"
        now.tick(timedelta(hours=3))
        purge(app)
        assert Upload.select().count() == 0


def test_a_revoked_keys_uploads_go_with_its_files(serve):
    server = serve()
    key = server.new_key("leaver")
    added(server, key, created(server, key, 10), b"half")
    server.flask("keys", "revoke", "leaver", "--delete-files")
    assert server.blobs() == []
    assert audit(server) == ["key-created", "upload-created", "key-revoked", "upload-cancelled"]


@pytest.mark.one_box("spoils a file of the disk")
@pytest.mark.parametrize("harm", [lambda blob: os.truncate(blob, 3), lambda blob: blob.write_bytes(b"first and more"), lambda blob: blob.write_bytes(b"other"), Path.unlink])
def test_a_part_whose_bytes_the_disk_lost_makes_no_file(serve, harm):
    """It is said, in the log too; sent again, it goes on."""
    server = serve()
    key = server.new_key()
    begun = created(server, key, 10)
    first, second = added(server, key, begun, b"first"), added(server, key, begun, b"again")
    [blob] = [blob for blob in server.blobs() if blob.read_bytes() == b"first"]
    harm(blob)
    assert complete(server, key, begun, [first, second]).error == (500, "internal_error", None)
    assert "flask fsck" in server.log.read_text()
    assert server.flask("fsck", "--rehash", check=False).returncode == 1
    again = added(server, key, begun, b"first")
    file = completed(server, key, begun, [again, second])["file"]
    assert request(server, "GET", f"/v1/files/{file['id']}/content", key).body == b"firstagain"


def test_a_completion_that_waits_is_not_worked_for_when_its_client_has_left(server):
    key = server.new_key()
    begun = created(server, key, 256 * MB)
    ids = 4 * [added(server, key, begun, os.urandom(64 * MB))]
    body = json.dumps({"part_ids": ids}).encode()
    head = f"POST /v1/uploads/{begun['id']}/complete HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    with disk.named_lock(server.storage / "uploads.lock", begun["id"], 60), dial(server, head.encode() + body):
        until(lambda: "-> OFDLCK" in Path("/proc/locks").read_text())
    until(lambda: "/complete 499 " in server.log.read_text())
    assert completed(server, key, begun, ids)["file"]["bytes"] == 256 * MB


def test_a_backup_has_the_uploads_that_are_pending(tmp_path):
    from lazu.store.uploads import Completion, Declared

    def send(store, upload, data):
        with store.contents.stage(100) as place:
            place.write(data)
            return store.uploads.add_part(store.keys.find("alice"), upload, place).id

    with opened(tmp_path / "old") as store:
        store.keys.create("alice")
        begun = store.uploads.create(store.keys.find("alice"), Declared("a.txt", 10, "user_data", None))
        first = send(store, begun, b"first")
        backup(store, tmp_path / "copy")
        store.uploads.cancel(store.keys.find("alice"), begun.id)
    with opened(tmp_path / "new") as store:
        restore(store, tmp_path / "copy")
        wanted = Completion([first, send(store, begun, b"again")], None)
        _, file = store.uploads.complete(store.keys.find("alice"), begun.id, wanted)
        with store.contents.open(file.sha256) as content:
            assert content.read() == b"firstagain"


def test_parts_race_cancel_expiry_completion_and_purges_and_nothing_leaks(serve):
    """Equal bytes everywhere, so that the last reference of one meets the first of another."""
    server = serve()
    key = server.new_key()
    done = threading.Event()

    def expire(upload_id):
        with store.engine.connected():
            store.engine.write(lambda: Upload.update(expires_at=clock.now()).where(Upload.id == upload_id).execute())

    def come_and_go():
        file = upload(server, key, PURPOSE, part("file", b"same", "a.txt")).json
        return request(server, "DELETE", f"/v1/files/{file['id']}", key).status

    def end(begun, ids):
        return random.choice(
            [
                lambda: cancel(server, key, begun).status,
                lambda: complete(server, key, begun, ids).status,
                lambda: expire(begun["id"]),
                come_and_go,
            ]
        )()

    def story(_):
        begun = created(server, key, 8)
        ids = [added(server, key, begun, b"same") for _ in range(2)]
        with ThreadPoolExecutor(3) as each:
            late = each.submit(put_part, server, key, begun, b"same")
            ends = [each.submit(end, begun, ids) for _ in range(2)]
        assert late.result().status in (200, 400, 404)
        assert all(ended.result() in (200, 400, 404, None) for ended in ends)

    def purges():
        while not done.is_set():
            server.flask("purge")

    purger = threading.Thread(target=purges)
    purger.start()
    with opened(server.storage) as store, ThreadPoolExecutor(4) as pool:
        list(pool.map(story, range(24)))
    done.set()
    purger.join()
    with opened(server.storage):
        Upload.update(expires_at=clock.now() - 10_000).execute()
    server.flask("purge")
    files = request(server, "GET", "/v1/files", key).json["data"]
    assert all(request(server, "GET", f"/v1/files/{file['id']}/content", key).body == b"samesame" for file in files)
    assert len(server.blobs()) == bool(files)


def test_pending_uploads_of_a_key_have_a_number_of_parts_together(app, limits):
    """Each is looked at whenever the key stores something, under the lock that all writers wait for."""
    limits(MAX_PARTS_OF_KEY=3)
    http = app.test_client()
    begun = [http.post("/v1/uploads", json=DECLARED, headers=AUTH).json["id"] for _ in range(2)]
    body = form(part("data", b"x", "part"))
    told = [http.post(f"/v1/uploads/{upload}/parts", data=body, content_type=FORM["Content-Type"], headers=AUTH) for upload in begun * 2]
    assert [answer.status_code for answer in told] == [200, 200, 200, 400]
    assert told[3].json["error"]["param"] == "data"
    http.post(f"/v1/uploads/{begun[0]}/cancel", headers=AUTH)
    again = http.post(f"/v1/uploads/{begun[1]}/parts", data=body, content_type=FORM["Content-Type"], headers=AUTH)
    assert again.status_code == 200


def cancel_one(app, begun, _):
    assert app.test_client().post(f"/v1/uploads/{begun}/cancel", headers=AUTH).json["status"] == "cancelled"


def complete_one(app, begun, ids):
    asked = {"part_ids": ids}
    assert app.test_client().post(f"/v1/uploads/{begun}/complete", json=asked, headers=AUTH).json["status"] == "completed"


def revoke_with_all(app, *_):
    assert app.test_cli_runner().invoke(args=["keys", "revoke", "default", "--delete-files"]).exit_code == 0


@pytest.mark.parametrize("end", [cancel_one, complete_one, revoke_with_all])
def test_parts_go_a_batch_at_a_time_so_that_others_write_in_between(app, monkeypatch, end):
    """Of the 20,000 that a key may have, all in one transaction held each upload up for a quarter of a second."""
    monkeypatch.setattr("lazu.store.uploads.BATCH", 4)
    http, delete, gone = app.test_client(), rows.delete_parts, []
    begun = http.post("/v1/uploads", json=DECLARED, headers=AUTH).json["id"]
    body = form(part("data", b"x", "part"))
    parts = [http.post(f"/v1/uploads/{begun}/parts", data=body, content_type=FORM["Content-Type"], headers=AUTH) for _ in range(9)]

    def counted(which):
        gone.append(delete(which))
        return gone[-1]

    monkeypatch.setattr(rows, "delete_parts", counted)
    end(app, begun, [each.json["id"] for each in parts])
    assert [len(some) for some in gone] == [4, 4, 1]
    assert UploadPart.select().count() == 0


def test_uploads_begun_and_cancelled_all_day_do_not_fill_the_database(app, limits):
    limits(MAX_SETTLED=3)
    http = app.test_client()
    for _ in range(8):
        begun = http.post("/v1/uploads", json=DECLARED, headers=AUTH).json["id"]
        http.post(f"/v1/uploads/{begun}/cancel", headers=AUTH)
    assert Upload.select().count() == 4
    assert http.post(f"/v1/uploads/{begun}/cancel", headers=AUTH).json["status"] == "cancelled"


FAILURES = [OSError(errno.EMFILE, "Too many open files"), Failed("the database says nothing"), InternalError()]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_file_that_is_there_is_answered_whatever_fails_behind_it(app, monkeypatch, failure):
    """A 5xx would be untrue, and repeated; the parts are left to the purge."""
    http = app.test_client()
    begun = http.post("/v1/uploads", json=DECLARED, headers=AUTH).json["id"]
    body = form(part("data", b"nine then", "part"))
    piece = http.post(f"/v1/uploads/{begun}/parts", data=body, content_type=FORM["Content-Type"], headers=AUTH).json["id"]

    def fail(*_):
        raise failure

    settle = upload_rows.settle
    with monkeypatch.context() as patch:

        def settled(*upload, **values):
            patch.setattr(upload_rows, "delete_parts_of", fail)
            patch.setattr(upload_rows, "upload_of", fail)
            return settle(*upload, **values)

        patch.setattr(upload_rows, "settle", settled)
        answer = http.post(f"/v1/uploads/{begun}/complete", json={"part_ids": [piece]}, headers=AUTH)
    assert (answer.status_code, answer.json["status"], answer.json["file"]["bytes"]) == (200, "completed", 9)
    assert http.post(f"/v1/uploads/{begun}/complete", json={"part_ids": [piece]}, headers=AUTH).json == answer.json
    assert UploadPart.select().count() == 1
    purge(app)
    assert UploadPart.select().count() == 0
    assert content(http, answer.json["file"]) == b"nine then"
