"""Keys are isolated: every route that takes an id, generated from the URL map, for every kind of id and of key."""

import secrets
from urllib.parse import quote

import pytest

from helpers.server import opened
from helpers.uploads import FORM, JSON, added, cancel, created
from helpers.wire import form, part, request, stored
from lazu import clock
from lazu.store.tables import File, Upload

pytestmark = pytest.mark.both_stores

UNKNOWN = "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX"


def calls(app):
    """Method and path of every route that takes a file id; `{}` stands for the id."""
    for rule in app.url_map.iter_rules():
        if "file_id" in rule.arguments:
            for method in sorted(rule.methods - {"OPTIONS"}):
                yield method, rule.rule.replace("<file_id>", "{}")


def of(path, given):
    """`path` with an id in it, as SDKs write it."""
    return path.format(quote(given, safe=""))


def own(server, key):
    return stored(server, key, b"mine")["id"]


def others(server, _):
    return stored(server, server.any_key, b"theirs")["id"]


def expired(server, key):
    file_id = own(server, key)
    with opened(server.storage):
        File.update(expires_at=clock.now()).where(File.id == file_id).execute()
    return file_id


def deleted(server, key):
    file_id = own(server, key)
    assert request(server, "DELETE", f"/v1/files/{file_id}", key).status == 200
    return file_id


FOREIGN = {
    "other's": others,
    "unknown": lambda *_: UNKNOWN,
    "expired": expired,
    "deleted": deleted,
    "malformed": lambda *_: "file-abc",
    "with a slash": lambda *_: "a/b",
    "another route's path": lambda server, key: f"{own(server, key)}/content",
    "dots and slashes": lambda *_: "../models",
    "other's in lower case": lambda server, key: others(server, key).lower(),
}


def test_the_url_map_has_routes_that_take_an_id(app):
    assert {("GET", "/v1/files/{}"), ("DELETE", "/v1/files/{}"), ("GET", "/v1/files/{}/content")} <= set(calls(app))


def test_ones_own_id_is_served_on_every_route(app, server, key):
    for method, path in calls(app):
        assert request(server, method, of(path, own(server, key)), key).status == 200, (method, path)


@pytest.mark.parametrize("kind", FOREIGN.values(), ids=FOREIGN)
def test_every_other_id_is_the_same_404_on_every_route(app, server, key, kind):
    for method, path in calls(app):
        file_id = kind(server, key)
        answer = request(server, method, of(path, file_id), key)
        pattern = request(server, method, of(path, UNKNOWN), key)
        assert answer.status == 404
        assert answer.body == pattern.body.replace(UNKNOWN.encode(), file_id.encode())
        names = [name for name in answer.headers if name not in ("Content-Length", "x-request-id", "Date")]
        assert [(name, answer.headers[name]) for name in names] == [(name, pattern.headers[name]) for name in names]


@pytest.mark.parametrize("kind", [own, *FOREIGN.values()], ids=["own", *FOREIGN])
def test_a_refused_key_learns_nothing_from_any_id(app, server, kind):
    name = f"gone-{secrets.token_hex(4)}"
    key = server.new_key(name)
    file_ids = [kind(server, key) for _ in calls(app)]
    with opened(server.storage) as store:
        store.keys.revoke(name)
    for (method, path), file_id in zip(calls(app), file_ids, strict=True):
        for sent in (key, None, "sk-lazu-wrong", ""):
            answer = request(server, method, of(path, file_id), sent)
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert file_id.encode() not in answer.body


def test_another_keys_request_changes_nothing(app, server, key):
    file_id = others(server, key)
    for method, path in calls(app):
        request(server, method, of(path, file_id), key)
    assert request(server, "GET", f"/v1/files/{file_id}/content", server.any_key).body == b"theirs"


def test_a_list_shows_ones_own_only(server, key):
    mine, theirs = own(server, key), others(server, key)
    for query in ("", "?order=asc", f"?after={theirs}&order=asc", f"?after={mine}", "?purpose=user_data"):
        ids = {file["id"] for file in request(server, "GET", f"/v1/files{query}", key).json["data"]}
        assert ids <= {mine}


@pytest.mark.parametrize("how", ["?api_key={}", "?key={}", "?access_token={}", "?Authorization=Bearer%20{}"])
def test_a_key_in_the_query_is_no_key(server, key, how):
    assert request(server, "GET", "/v1/files" + how.format(key)).status == 401


def test_the_search_for_keys_finds_one(server, key):
    """The check after every server's end can fail."""
    before = server.leaks()
    note = server.storage / "note"
    note.write_text(f"x{key}y")
    assert server.leaks() == [*before, note]
    note.unlink()


# uploads in parts

NO_UPLOAD = "upload_01KSBV4MC6THZ9TCZEM38KPYRX"

#: What a good request of each route sends, by the end of its path; `{}` stands for the id of a part.
BODIES = {
    "parts": (form(part("data", b"mine", "p")), FORM),
    "complete": (b'{"part_ids": ["{}"]}', JSON),
    "cancel": (None, {}),
}


def upload_calls(app):
    """Path of every route that takes the id of an upload."""
    return [rule.rule.replace("<upload_id>", "{}") for rule in app.url_map.iter_rules() if "upload_id" in rule.arguments]


def ask(server, path, key, upload_id, part_id=""):
    body, headers = BODIES[path.rsplit("/", 1)[1]]
    return request(server, "POST", of(path, upload_id), key, body and body.replace(b"{}", part_id.encode()), headers)


def own_upload(server, key):
    upload = created(server, key, 4)
    return upload["id"], added(server, key, upload, b"mine")


def others_upload(server, _):
    return own_upload(server, server.any_key)


def expired_upload(server, key):
    upload_id, part_id = own_upload(server, key)
    with opened(server.storage):
        Upload.update(expires_at=clock.now()).where(Upload.id == upload_id).execute()
    return upload_id, part_id


FOREIGN_UPLOADS = {
    "other's": others_upload,
    "unknown": lambda *_: (NO_UPLOAD, ""),
    "expired": expired_upload,
    "malformed": lambda *_: ("upload_abc", ""),
    "with a slash": lambda *_: ("a/b", ""),
    "another route's path": lambda *_: (f"{NO_UPLOAD}/parts", ""),
    "a file's": lambda server, key: (own(server, key), ""),
    "other's in lower case": lambda server, key: (others_upload(server, key)[0].lower(), ""),
}


def test_every_route_of_uploads_is_known_here(app):
    assert {path.rsplit("/", 1)[1] for path in upload_calls(app)} == set(BODIES)


def test_ones_own_upload_is_served_on_every_route(app, server, key):
    for path in upload_calls(app):
        assert ask(server, path, key, *own_upload(server, key)).status == 200, path


@pytest.mark.parametrize("kind", FOREIGN_UPLOADS.values(), ids=FOREIGN_UPLOADS)
def test_every_other_upload_is_the_same_404_on_every_route(app, server, key, kind):
    for path in upload_calls(app):
        upload_id, part_id = kind(server, key)
        answer, pattern = ask(server, path, key, upload_id, part_id), ask(server, path, key, NO_UPLOAD)
        assert answer.error == (404, "upload_not_found", "upload_id")
        assert answer.body == pattern.body.replace(NO_UPLOAD.encode(), upload_id.encode())
        names = [name for name in answer.headers if name not in ("Content-Length", "x-request-id", "Date")]
        assert [(name, answer.headers[name]) for name in names] == [(name, pattern.headers[name]) for name in names]


def test_another_keys_upload_and_parts_stay_as_they_are(app, server, key):
    upload_id, part_id = others_upload(server, key)
    for path in upload_calls(app):
        ask(server, path, key, upload_id, part_id)
    mine = created(server, key, 4)
    assert ask(server, "/v1/uploads/{}/complete", key, mine["id"], part_id).error == (400, "invalid_request", "part_ids")
    added(server, server.any_key, {"id": upload_id}, b"mine")  # still pending: completing once more would be 200 anyway
    assert ask(server, "/v1/uploads/{}/complete", server.any_key, upload_id, part_id).status == 200
    assert cancel(server, key, mine).status == 200


def test_a_refused_key_learns_nothing_from_an_upload(app, server):
    upload_id, part_id = others_upload(server, None)
    for path in upload_calls(app):
        for sent in (None, "sk-lazu-wrong", ""):
            answer = ask(server, path, sent, upload_id, part_id)
            assert answer.error == (401, "invalid_api_key", None)
            assert upload_id.encode() not in answer.body
