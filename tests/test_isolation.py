"""Keys are isolated: every route that takes a file id, generated from the URL map, for every kind of id and of key."""

import secrets

import pytest

from helpers.server import opened
from helpers.wire import request, stored
from lazu import clock
from lazu.store.tables import File

UNKNOWN = "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX"


def calls(app):
    """Method and path of every route that takes a file id; `{}` stands for the id."""
    for rule in app.url_map.iter_rules():
        if "file_id" in rule.arguments:
            for method in sorted(rule.methods - {"OPTIONS"}):
                yield method, rule.rule.replace("<file_id>", "{}")


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
    "other's in lower case": lambda server, key: others(server, key).lower(),
}


@pytest.fixture
def key(server):
    return server.new_key()


def test_the_url_map_has_routes_that_take_an_id(app):
    assert {("GET", "/v1/files/{}"), ("DELETE", "/v1/files/{}"), ("GET", "/v1/files/{}/content")} <= set(calls(app))


def test_ones_own_id_is_served_on_every_route(app, server, key):
    for method, path in calls(app):
        assert request(server, method, path.format(own(server, key)), key).status == 200, (method, path)


@pytest.mark.parametrize("kind", FOREIGN.values(), ids=FOREIGN)
def test_every_other_id_is_the_same_404_on_every_route(app, server, key, kind):
    for method, path in calls(app):
        file_id = kind(server, key)
        answer = request(server, method, path.format(file_id), key)
        pattern = request(server, method, path.format(UNKNOWN), key)
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
            answer = request(server, method, path.format(file_id), sent)
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert file_id.encode() not in answer.body


def test_another_keys_request_changes_nothing(app, server, key):
    file_id = others(server, key)
    for method, path in calls(app):
        request(server, method, path.format(file_id), key)
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
