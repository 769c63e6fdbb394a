"""`/v1/uploads`: a file that comes in parts."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.uploads import added, cancel, complete, completed, create, created, put_part
from helpers.wire import form, part, request

pytestmark = pytest.mark.both_stores

PIECES = [b"one, ", b"two, ", b"three"]
WHOLE = b"".join(PIECES)


def in_parts(server, key, pieces=PIECES, **more):
    """An upload with these parts, and the ids of these."""
    upload = created(server, key, sum(map(len, pieces)), **more)
    return upload, [added(server, key, upload, piece) for piece in pieces]


def content(server, key, file):
    return request(server, "GET", f"/v1/files/{file['id']}/content", key).body


def test_parts_become_the_file_in_the_order_asked_for(server, key):
    upload, ids = in_parts(server, key, PIECES[::-1], filename="words.txt")
    assert (upload["object"], upload["status"], upload["file"]) == ("upload", "pending", None)
    assert upload["expires_at"] == upload["created_at"] + 3600
    done = completed(server, key, upload, ids[::-1])
    assert {**done, "file": None} == {**upload, "status": "completed"}
    file = done["file"]
    assert request(server, "GET", f"/v1/files/{file['id']}", key).json == file
    assert (file["filename"], file["bytes"], file["purpose"]) == ("words.txt", len(WHOLE), "user_data")
    assert content(server, key, file) == WHOLE


def test_the_parts_are_gone_when_the_file_is_there(serve):
    server = serve()
    key = server.new_key()
    upload, ids = in_parts(server, key)
    assert len(server.blobs()) == 3
    completed(server, key, upload, ids)
    assert [path.name for path in server.blobs()] == [hashlib.sha256(WHOLE).hexdigest()]


def test_a_single_part_becomes_the_file_it_equals(serve):
    server = serve()
    key = server.new_key()
    upload, ids = in_parts(server, key, [b"all at once"])
    [blob] = server.blobs()
    file = completed(server, key, upload, ids)["file"]
    assert server.blobs() == [blob]
    assert content(server, key, file) == b"all at once"


def test_a_part_sent_again_takes_no_room(serve):
    server = serve()
    key = server.new_key()
    upload = created(server, key, 8)
    ids = [added(server, key, upload, b"same") for _ in range(4)]
    assert len(server.blobs()) == 1
    assert content(server, key, completed(server, key, upload, ids[2:])["file"]) == b"samesame"


def test_completing_again_gives_the_same_answer_also_after_a_restart(serve):
    server = serve()
    key = server.new_key()
    upload, ids = in_parts(server, key)
    first = completed(server, key, upload, ids)
    assert completed(server, key, upload, ids) == first
    server.stop()
    server.start()
    assert completed(server, key, upload, ids) == first
    assert complete(server, key, upload, ids[::-1]).error == (400, "invalid_request", "upload_id")


def test_two_completions_at_once_make_one_file(server, key):
    upload, ids = in_parts(server, key, [os.urandom(2**20) for _ in range(4)])
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: completed(server, key, upload, ids), range(4)))
    assert [answer == answers[0] for answer in answers] == [True] * 4
    assert [file["id"] for file in request(server, "GET", "/v1/files", key).json["data"]] == [answers[0]["file"]["id"]]


def test_a_cancelled_upload_is_over(serve):
    server = serve()
    key = server.new_key()
    upload, ids = in_parts(server, key)
    for _ in range(2):
        assert cancel(server, key, upload).json == {**upload, "status": "cancelled"}
    assert server.blobs() == []
    audit = [line.split()[1] for line in (server.storage / "audit.log").read_text().splitlines()]
    assert audit == ["key-created", "upload-created", "upload-cancelled"]
    assert complete(server, key, upload, ids).error == (400, "invalid_request", "upload_id")
    assert put_part(server, key, upload, b"late").error == (400, "invalid_request", "upload_id")


def test_a_completed_upload_takes_nothing_more(server, key):
    upload, ids = in_parts(server, key)
    completed(server, key, upload, ids)
    assert put_part(server, key, upload, b"late").error == (400, "invalid_request", "upload_id")
    assert cancel(server, key, upload).error == (400, "invalid_request", "upload_id")


def test_the_md5_has_to_agree(server, key):
    upload, ids = in_parts(server, key)
    assert complete(server, key, upload, ids, md5="0" * 32).error == (400, "invalid_request", "md5")
    assert complete(server, key, upload, ids, md5="short").error == (400, "invalid_request", "md5")
    digest = hashlib.md5(WHOLE, usedforsecurity=False).hexdigest()
    assert content(server, key, completed(server, key, upload, ids, md5=digest.upper())["file"]) == WHOLE


def test_parts_that_are_not_what_was_declared_leave_the_upload_pending(server, key):
    upload, ids = in_parts(server, key)
    other, foreign = in_parts(server, key)
    assert complete(server, key, upload, None).error == (400, "missing_required_parameter", "part_ids")
    for wrong, param in (([], "bytes"), (ids[:2], "bytes"), ([*ids, ids[0]], "bytes"), (foreign, "part_ids"), (["part_x\ud800"], "part_ids")):
        assert complete(server, key, upload, wrong).error == (400, "invalid_request", param)
    assert completed(server, key, upload, ids)["status"] == "completed"
    assert completed(server, key, other, foreign)["status"] == "completed"


def test_a_program_in_parts_is_refused_as_a_whole_one_is(server, key):
    upload, ids = in_parts(server, key, [b"\x7fE", b"LF" + bytes(60)])
    assert complete(server, key, upload, ids).error == (400, "unsupported_file_type", "file")
    assert cancel(server, key, upload).status == 200


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"purpose": "assistants"}, (400, "purpose_not_supported", "purpose")),
        ({"purpose": None}, (400, "missing_required_parameter", "purpose")),
        ({"purpose": ""}, (400, "purpose_not_supported", "purpose")),
        ({"filename": ""}, (400, "missing_required_parameter", "filename")),
        ({"filename": 7}, (400, "invalid_request", "filename")),
        ({"filename": "tool.exe"}, (400, "unsupported_file_type", "filename")),
        ({"mime_type": 7}, (400, "invalid_request", "mime_type")),
        ({"filename": None}, (400, "missing_required_parameter", "filename")),
        ({"bytes": None}, (400, "missing_required_parameter", "bytes")),
        ({"bytes": 0}, (400, "invalid_request", "bytes")),
        ({"bytes": 1.5}, (400, "invalid_request", "bytes")),
        ({"bytes": True}, (400, "invalid_request", "bytes")),
        ({"bytes": 512 * 2**20 + 1}, (413, "file_too_large", "bytes")),
        ({"bytes": 20 * 2**20 + 1, "purpose": "vision"}, (413, "file_too_large", "bytes")),
        ({"expires_after": {"anchor": "now", "seconds": 3600}}, (400, "invalid_request", "expires_after")),
        ({"expires_after": {"anchor": "created_at", "seconds": 3600.5}}, (400, "invalid_request", "expires_after")),
        ({"expires_after": {"anchor": "created_at", "seconds": 3599}}, (400, "invalid_request", "expires_after")),
    ],
)
def test_what_can_be_known_is_judged_at_once(server, key, more, error):
    assert create(server, key, 5, **more).error == error


def test_a_file_may_live_shorter(server, key):
    upload, ids = in_parts(server, key, expires_after={"anchor": "created_at", "seconds": 7200})
    file = completed(server, key, upload, ids)["file"]
    assert file["expires_at"] == file["created_at"] + 7200


def test_whole_numbers_may_be_written_as_floats(server, key):
    """JSON Schema counts 5.0 as an integer, and /openapi.json says "integer"; both were 400."""
    upload, ids = in_parts(server, key, [b"12345"], bytes=5.0, expires_after={"anchor": "created_at", "seconds": 7200.0})
    file = completed(server, key, upload, ids)["file"]
    assert (upload["bytes"], file["expires_at"]) == (5, file["created_at"] + 7200)


@pytest.mark.parametrize("names", [("expires_after[anchor]", "expires_after[seconds]"), ("expires_after.seconds",), ("expiresAfter",)])
def test_a_lifetime_that_is_spelled_otherwise_is_refused(server, key, names):
    """The file stayed for 30 days, and the client believed that it was gone."""
    assert create(server, key, 5, **dict.fromkeys(names, 3600)).error == (400, "invalid_request", "expires_after")


def test_a_name_is_cleaned_as_in_a_form(server, key):
    assert created(server, key, 5, filename="C:\\dir\\a\u202etxt.md\ud800")["filename"] == "atxt.md"


def test_what_is_optional_may_be_null(server, key):
    assert created(server, key, 5, mime_type=None, expires_after=None)["status"] == "pending"


def test_a_byte_order_mark_is_passed_over(server, key):
    """As RFC 8259 §8.1 allows; PowerShell writes one. It was 400."""
    body = b'\xef\xbb\xbf{"filename": "a.txt", "bytes": 1, "purpose": "user_data"}'
    assert request(server, "POST", "/v1/uploads", key, body, {"Content-Type": "application/json"}).status == 200


@pytest.mark.parametrize("path", ["", "/{id}/complete"])
@pytest.mark.parametrize("body", [form(part("purpose", "user_data")), b"purpose=user_data"], ids=["multipart", "urlencoded"])
def test_a_form_is_told_that_json_is_wanted(server, key, path, body):
    """It was told "Expecting value: line 1 column 1 (char 0)"."""
    answer = request(server, "POST", "/v1/uploads" + path.format(**created(server, key, 5)), key, body)
    assert answer.json["error"]["message"] == "The request body must be a JSON object."


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"bytes": 1, "bytes": 2}', b"\xff"])
def test_a_body_that_is_no_object_is_refused(server, key, body):
    answer = request(server, "POST", "/v1/uploads", key, body, {"Content-Type": "application/json"})
    assert answer.error == (400, "invalid_request", None)


@pytest.mark.parametrize("path", ["", "/{id}/complete"])
def test_a_body_of_more_than_1_mb_is_told_the_limit_of_its_url(server, key, path):
    where = "/v1/uploads" + path.format(**created(server, key, 1))
    answer = request(server, "POST", where, key, b" " * (2**20 + 1), {"Content-Type": "application/json"})
    assert answer.error == (413, "file_too_large", None)
    assert answer.json["error"]["message"] == "The request body is larger than 1 MB, the limit of this URL."


def test_a_hundred_may_be_pending(serve):
    server = serve()
    key = server.new_key()
    uploads = [created(server, key, 1) for _ in range(100)]
    refused = create(server, key, 1)
    assert refused.error == (400, "invalid_request", None)
    assert "or wait" in refused.json["error"]["message"], "whoever has lost their ids"
    assert cancel(server, key, uploads[0]).status == 200
    assert created(server, key, 1)
    assert created(server, server.new_key(), 1), "another key has its own hundred"


def test_json_of_a_part_is_the_documented_one(server, key):
    upload = created(server, key, 5)
    part = json.loads(put_part(server, key, upload, b"hello").body)
    assert part["id"].startswith("part_")
    assert (part["object"], part["upload_id"]) == ("upload.part", upload["id"])
    assert part["created_at"] >= upload["created_at"]
