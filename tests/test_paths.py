"""One path, one reading: every spelling of every route, with Lazu alone and through the shipped nginx."""

import http.client
import io
import re
import socket
import string

import pytest

from helpers.upstream import completed, running
from helpers.wire import Answer, head
from lazu.application import create_app
from lazu.config import Settings

#: Not the address that may read /metrics.
STRANGER = "127.0.0.2"


def ask(server, method, target, key, source=STRANGER, more=""):
    """The answer to a request for `target`, sent as it stands."""
    with socket.create_connection(("127.0.0.1", server.port), 30, source_address=(source, 0)) as sock:
        sock.sendall(head(key, method, target)[:-2] + f"{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    response = http.client.HTTPResponse(type("Sock", (), {"makefile": lambda *_: io.BytesIO(data)})())
    response.begin()
    return Answer(response.status, response.headers, response.read())


def spellings(path):
    """Other ways to write `path`, most of which some server or proxy takes for it."""
    for front in ("/", "//", "/.", "/%2f", "%2f", "/%2e", "/x/..", "/v1/..", "/x/%2e%2e", "/x%2f..", "/..", "/%5c", "/;", "http://x/", "http://x//"):
        yield front + path
    yield "/" + path.lstrip("/").replace("/", "//")
    yield path[0] + path[1:].replace("/", "%2f")
    yield path[0] + path[1:].replace("/", "\\")
    yield path[0] + path[1:].replace("/", "/./")
    yield path[0] + path[1:].replace("/", "/%2e/")
    yield path[0] + path[1:].replace("/", "/%252e%252e/x/")
    for place, letter in enumerate(path):
        if letter in string.ascii_letters:
            yield f"{path[:place]}%{ord(letter):02x}{path[place + 1 :]}"
    for end in ("/", "/.", "/%2e", "/x/..", "//", "%2f", "%20", ";x", ".", "\\", "%00", "%23", "%3f", "%0a"):
        yield path + end
    yield path.upper()


def routes(tmp_path):
    """A method and the path of every route, its variables filled in; no file has this id."""
    values = {"file_id": "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX", "model": "m", "response_id": "resp_1"}
    app = create_app(Settings(storage_dir=tmp_path / "routes"))
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found[1], "x"), rule.rule)
        yield min(rule.methods - {"OPTIONS", "HEAD"}), path


@pytest.fixture
def asked(deploy):
    """Lazu before the double of a model server, behind nginx."""
    with running() as double:
        double.script = completed
        edge = deploy(**double.env)
        edge.double = double
        yield edge


def test_nginx_and_lazu_read_every_spelling_alike(asked, tmp_path):
    key, tried = asked.new_key(), 0
    for method, path in routes(tmp_path):
        for target in spellings(path):
            alone = ask(asked.server, method, target, key)
            through = ask(asked, method, target, key)
            same = (through.status, through.body) == (alone.status, alone.body)
            assert same or through.status in (400, 403, 404, 405), (method, target, alone, through)
            assert b"lazu_" not in through.body, target
            tried += 1
    assert tried > 1000
    assert not [each.path for each in asked.double.received if re.search(r"(?i)(/|%2f|%5c)(\.|%2e){1,2}($|[/?]|%2f|%5c)", each.path)]


EXACT = ["/metrics", "/healthz", "/openapi.json", "/v1/files"]


@pytest.mark.parametrize("path", EXACT)
def test_only_the_exact_path_is_a_route(server, path):
    assert ask(server, "GET", path, server.any_key).status == 200
    assert ask(server, "GET", f"http://lazu.example.com{path}", server.any_key).status == 200
    for target in set(spellings(path)) - {path}:
        answer = ask(server, "GET", target, server.any_key)
        assert answer.status in (400, 404), (target, answer)
        if answer.json["error"]["code"] != "invalid_request" and not target.startswith("%"):  # that is no request at all
            assert answer.error in ((404, "not_found", None), (404, "file_not_found", "file_id")), (target, answer)


NO_URLS = [
    "://h/metrics", "x/y://h/metrics", "*://h/metrics", "%68ttp://h/metrics", "ftp://h/metrics", "x?://h/metrics", "http:///metrics", "http://@/metrics",
    "http://me@h/metrics", "http://:80/metrics", "http://h:x/metrics", "http://[::1/metrics", "http://h\\/metrics",
]  # fmt: skip


@pytest.mark.parametrize("target", NO_URLS)
def test_what_is_no_url_is_no_way_to_a_route(server, target):
    assert ask(server, "GET", target, server.any_key).error == (400, "invalid_request", None)


@pytest.mark.parametrize("origin", ["http://h", "HTTPS://h", "http://h:", "http://h.example:80", "http://127.0.0.1", "http://[::1]:80"])
def test_a_whole_url_is_as_good_as_its_path(server, origin):
    """RFC 9112 §3.2.2."""
    for more, status in {"/metrics": 200, "/metrics?x": 200, "/metrics?http://": 200, "": 404, "?/metrics": 404, "//metrics": 404}.items():
        assert ask(server, "GET", f"{origin}{more}", server.any_key).status == status, more


def test_no_dot_segment_is_passed_on_however_often_encoded(asked):
    name = "../files"
    for _ in range(8):
        for server in (asked, asked.server):
            for path in (f"/v1/models/{name}", f"/v1/models/org/{name}", f"/v1/responses/{name}", f"/v1/models/{name[:-5]}"):
                assert ask(server, "GET", path, server.any_key).status == 404
        name = name.replace("%", "%25").replace(".", "%2e").replace("/", "%2f")
    assert asked.double.received == []


def test_a_models_name_may_have_slashes_and_dots(asked):
    for path in ("/v1/models/org/model-1.5", "/v1/models/org%2Fmodel-1.5", "/v1/models/...", "/v1/models/a..b"):
        assert ask(asked, "GET", path, asked.any_key).status == 200
    assert [each.path for each in asked.double.received] == [
        "/v1/models/org%2Fmodel-1.5", "/v1/models/org%2Fmodel-1.5", "/v1/models/...", "/v1/models/a..b"]  # fmt: skip


def test_a_name_in_a_path_is_utf_8_that_is_encoded(asked):
    assert ask(asked.server, "GET", "/v1/models/caf%c3%a9%ff", asked.any_key).status == 200
    assert [each.path for each in asked.double.received] == ["/v1/models/caf%C3%A9%EF%BF%BD"]
    assert ask(asked.server, "GET", "/v1/models/café", asked.any_key).status == 400


def test_a_route_without_a_variable_hides_no_name_from_other_methods(asked):
    assert ask(asked.server, "GET", "/v1/responses/compact", asked.any_key).status == 200
    assert [(each.method, each.path) for each in asked.double.received] == [("GET", "/v1/responses/compact")]
    refused = ask(asked.server, "PUT", "/v1/responses/compact", asked.any_key)
    assert (refused.status, refused.headers["Allow"]) == (405, "DELETE, GET, HEAD, POST")


def test_no_route_is_at_a_star(server):
    """`OPTIONS *` asks of the whole server (RFC 9110 §9.3.7)."""
    assert ask(server, "OPTIONS", "*", server.any_key).error[:2] == (404, "not_found")


@pytest.mark.parametrize("header", ["SCRIPT_NAME", "PATH_INFO", "Script-Name", "X-Forwarded-Prefix", "X-Original-URL", "X-Rewrite-URL"])
def test_no_header_moves_a_route(server, header):
    assert ask(server, "GET", "/x/metrics", server.any_key, "127.0.0.1", f"{header}: /x\r\n").status == 404
    assert ask(server, "GET", "/metrics", server.any_key, "127.0.0.1", f"{header}: /v1\r\n").status == 200
