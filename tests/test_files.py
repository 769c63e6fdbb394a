"""List, metadata, delete: what a key sees of its files, and of nobody else's."""

import hashlib
import json
from datetime import timedelta

import pytest
from freezegun import freeze_time

from helpers.in_process import AUTH, put
from helpers.wire import request, stored
from lazu.store import files

pytestmark = pytest.mark.both_stores

UNKNOWN = "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX"


def listed(server, key, query=""):
    return request(server, "GET", f"/v1/files{query}", key).json


def test_a_key_without_files_gets_an_empty_page(server, key):
    assert listed(server, key) == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_the_list_is_newest_first(server, key):
    files = [stored(server, key, str(i).encode(), f"{i}.txt") for i in range(3)]
    page = listed(server, key)
    assert page["data"] == sorted(files, key=lambda file: file["id"], reverse=True)
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])


@pytest.fixture
def pieces(monkeypatch):
    """A list is read three files at a time."""
    monkeypatch.setattr(files, "PIECE", 3)


def test_a_list_of_several_pieces_is_one_list(http, pieces):
    ids = sorted(put(http, b"%d" % number)["id"] for number in range(7))
    for limit in (1, 2, 3, 4, 6, 7, 8):
        assert paged(http, "asc", limit) == ids
        assert paged(http, "desc", limit) == ids[::-1]


def test_a_file_that_expires_while_a_list_is_read_is_not_in_its_later_pieces(http, pieces):
    """A slow reader's list ends hours after it began."""
    with freeze_time("2026-11-26") as time:
        for number in range(7):
            put(http, b"%d" % number)
        answer = iter(http.get("/v1/files", headers=AUTH, buffered=False).response)
        begun = next(answer)
        time.tick(timedelta(days=31))
        assert len(json.loads(begun + b"".join(answer))["data"]) == 3


def paged(http, order, limit):
    """The ids of all pages, of which each but the last is full and says that another one follows."""
    found, more, after = [], True, ""
    while more:
        page = http.get(f"/v1/files?order={order}&limit={limit}{after}", headers=AUTH).json
        here, more = [each["id"] for each in page["data"]], page["has_more"]
        assert (page["first_id"], page["last_id"]) == (here[0], here[-1])
        assert len(here) == limit if more else 0 < len(here) <= limit
        found, after = found + here, f"&after={here[-1]}"
    return found


def test_paging_visits_each_file_once_while_files_are_deleted(server, key):
    ids = {stored(server, key, str(i).encode())["id"] for i in range(12)}
    seen, after = [], ""
    while True:
        page = listed(server, key, f"?limit=5&order=asc{after}")
        seen += [file["id"] for file in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
        assert request(server, "DELETE", f"/v1/files/{page['last_id']}", key).status == 200
    assert sorted(ids) == seen


def test_any_well_formed_id_marks_a_place(server, key):
    file = stored(server, key)
    other = stored(server, server.new_key())
    assert listed(server, key, f"?after={other['id']}")["data"] == [file]
    assert listed(server, key, f"?after={UNKNOWN}&order=asc")["data"] == [file]


def test_the_list_can_be_narrowed_to_a_purpose(server, key):
    file = stored(server, key)
    assert listed(server, key, "?purpose=user_data")["data"] == [file]
    assert listed(server, key, "?purpose=vision")["data"] == []
    assert listed(server, key, "?purpose=batch")["data"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=10001", "limit"), ("limit=x", "limit"), ("limit=", "limit"), ("limit=1.0", "limit"),
     ("order=up", "order"), ("after=file-abc", "after"), ("after=", "after"), (f"after={UNKNOWN.lower()}", "after"),
     (f"limit={'9' * 5000}", "limit"), ("limit=1&limit=2", "limit"), ("order=asc&order=asc", "order"),
     (f"after={UNKNOWN}&after={UNKNOWN}", "after"), ("purpose=vision&purpose=user_data", "purpose")],
)  # fmt: skip
def test_a_bad_query_names_its_parameter(server, key, query, param):
    assert request(server, "GET", f"/v1/files?{query}", key).error == (400, "invalid_request", param)


def test_a_bad_query_without_a_key_hears_of_the_key(server):
    assert request(server, "GET", "/v1/files?limit=none", "sk-lazu-unknown").error == (401, "invalid_api_key", None)


def test_metadata_is_the_file_object_of_the_upload(server, key):
    file = stored(server, key)
    assert request(server, "GET", f"/v1/files/{file['id']}", key).json == file


def test_a_deleted_file_is_gone_for_good(server, key):
    file = stored(server, key)
    url = f"/v1/files/{file['id']}"
    assert request(server, "DELETE", url, key).json == {"id": file["id"], "object": "file", "deleted": True}
    for method, path in [("GET", url), ("GET", f"{url}/content"), ("DELETE", url)]:
        assert request(server, method, path, key).error == (404, "file_not_found", "file_id")
    assert listed(server, key)["data"] == []


def test_deleting_one_of_two_keeps_the_blob(server, key):
    content = b"shared by two files"
    name = hashlib.sha256(content).hexdigest()
    mine, theirs = key, server.new_key()
    first, second = stored(server, mine, content), stored(server, theirs, content)
    request(server, "DELETE", f"/v1/files/{first['id']}", mine)
    assert request(server, "GET", f"/v1/files/{second['id']}/content", theirs).body == content
    request(server, "DELETE", f"/v1/files/{second['id']}", theirs)
    assert name not in [blob.name for blob in server.blobs()]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/content"), ("DELETE", "")])
@pytest.mark.parametrize("bad", [UNKNOWN, "file-abc", "x", "file-lazu-", "%00", "a" * 4096, "..", "%2e%2e", UNKNOWN + "%0a"])
def test_unknown_and_malformed_ids_get_one_answer(server, key, method, path, bad):
    theirs = stored(server, server.new_key())["id"]
    answers = [request(server, method, f"/v1/files/{each}{path}", key) for each in (bad, theirs)]
    for answer in answers:
        assert answer.error == (404, "file_not_found", "file_id")
    shown = answers[0].json["error"]["message"].removeprefix("No such File object: ")
    assert answers[0].json["error"]["message"].replace(shown, theirs) == answers[1].json["error"]["message"]


def test_another_keys_delete_leaves_the_file(server, key):
    file = stored(server, key)
    assert request(server, "DELETE", f"/v1/files/{file['id']}", server.new_key()).status == 404
    assert request(server, "GET", f"/v1/files/{file['id']}", key).json == file


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/files/", "/v1//files", "/v1/files/a/b", "/v1/files/a/content/", "/v2/files"])
def test_an_unknown_route_is_a_json_404(server, key, path):
    assert request(server, "GET", path, key).error == (404, "not_found", None)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("PUT", "/v1/files", "GET, HEAD, POST"), ("DELETE", "/v1/files", "GET, HEAD, POST"), ("OPTIONS", "/v1/files", "GET, HEAD, POST"),
     ("POST", f"/v1/files/{UNKNOWN}", "DELETE, GET, HEAD"), ("PATCH", f"/v1/files/{UNKNOWN}/content", "GET, HEAD")],
)  # fmt: skip
def test_a_wrong_method_names_the_right_ones(server, key, method, path, allow):
    answer = request(server, method, path, key)
    assert answer.error == (405, "method_not_allowed", None)
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize("purpose", ["", "batch", "x" * 5000, "a%00b", "%ED%A0%80", "%F0%9F%92%A9"])
def test_no_file_has_a_purpose_that_there_is_not(server, purpose):
    key = server.new_key()
    stored(server, key)
    answer = request(server, "GET", f"/v1/files?purpose={purpose}", key)
    assert answer.json["data"] == []
    assert int(answer.headers["Content-Length"]) == len(answer.body), "as every short list"
