"""LAZU_CORS_ORIGINS: which answers say that a page of another origin may read them (a real one does in test_page_elsewhere.py)."""

import signal

import pytest

from helpers.server import Server, free_port
from helpers.waiting import until
from helpers.wire import request, stored

ORIGIN = "https://chat.example.com"
ASKS = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.fixture(scope="module")
def _open(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("cors") / "storage", {"LAZU_CORS_ORIGINS": f" {ORIGIN}:443/, http://localhost:3000"}).start()
    yield server
    server.stop()


@pytest.fixture
def opened(_open):
    return _open


def granted(answer):
    return answer.headers["Access-Control-Allow-Origin"]


def test_by_default_no_page_elsewhere_may_call(server):
    for method, headers in (("OPTIONS", ASKS), ("GET", {"Origin": ORIGIN})):
        answer = request(server, method, "/v1/files", server.any_key, headers=headers)
        assert [name for name in answer.headers if name.startswith("Access-Control")] == []
    assert request(server, "OPTIONS", "/v1/files", headers=ASKS).error == (405, "method_not_allowed", None)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/x/content", "/v1/responses", "/files", "/v1/v1/files", "/nowhere"])
def test_a_preflight_lets_every_header_and_method_through_to_every_url(opened, path):
    """An unknown URL had 404 for its preflight: the page read "Failed to fetch" for the 404 that speaks of /v1, and for the 405 to PUT."""
    answer = request(opened, "OPTIONS", path, headers=ASKS)
    assert (answer.status, granted(answer), answer.headers["Vary"]) == (204, ORIGIN, "Origin")
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert answer.headers["Access-Control-Allow-Headers"] == "*, Authorization"


def test_without_a_page_that_asks_an_unknown_url_stays_unknown(server, opened):
    for asked, headers in ((server, ASKS), (opened, {}), (opened, {**ASKS, "Origin": "https://evil.example"})):
        assert request(asked, "OPTIONS", "/nowhere", headers=headers).error == (404, "not_found", None)


def test_an_origin_that_is_not_listed_gets_nothing(opened):
    for origin in ("https://evil.example", f"{ORIGIN}.evil.example", "http://chat.example.com", f"{ORIGIN}:8443", "null", "*"):
        assert request(opened, "OPTIONS", "/v1/files", headers={**ASKS, "Origin": origin}).status == 405
        answer = request(opened, "GET", "/v1/files", opened.any_key, headers={"Origin": origin})
        assert (answer.status, granted(answer), answer.headers["Vary"]) == (200, None, "Origin"), origin


def test_errors_can_be_read_too_with_their_request_id(opened, tmp_path):
    key = opened.any_key
    for status, method, path, who in [(401, "GET", "/v1/files", "no"), (404, "GET", "/v1/files/file-abc", key), (404, "GET", "/nowhere", key),
                                      (405, "DELETE", "/v1/files", key), (400, "POST", "/v1/files", key), (503, "GET", "/v1/models", key)]:  # fmt: skip
        answer = request(opened, method, path, who, headers={"Origin": ORIGIN})
        assert (answer.status, granted(answer)) == (status, ORIGIN)
        assert {"x-request-id", "x-upstream-request-id", "x-should-retry", "retry-after", "retry-after-ms"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))


def test_cookies_are_never_allowed(serve, opened):
    anyone = serve(LAZU_CORS_ORIGINS="*")
    for server, grant in ((anyone, "*"), (opened, ORIGIN)):
        for method, headers in (("OPTIONS", ASKS), ("GET", {"Origin": ORIGIN, "Cookie": "a=b"})):
            answer = request(server, method, "/v1/files", server.any_key, headers=headers)
            assert granted(answer) == grant
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_the_model_server_has_no_say(front, double):
    """Ollama and others let every origin read their answers; Lazu's owner decides that here."""
    double.script = lambda handler: handler.send(body=b"{}", Access_Control_Allow_Origin="*", Access_Control_Allow_Credentials="true")
    answer = request(front().server, "GET", "/v1/models", "client-secret", headers={"Origin": ORIGIN})
    assert (answer.status, granted(answer), answer.headers["Access-Control-Allow-Credentials"]) == (200, None, None)


def test_a_download_that_nginx_sends_can_be_read(deploy):
    edge = deploy(LAZU_CORS_ORIGINS=ORIGIN)
    file = stored(edge, edge.any_key)
    answer = request(edge, "GET", f"/v1/files/{file['id']}/content", edge.any_key, headers={"Origin": ORIGIN})
    assert (answer.body, granted(answer), answer.headers["Vary"]) == (b"hello", ORIGIN, "Origin")
    assert "content-disposition" in answer.headers["Access-Control-Expose-Headers"]


def test_what_nginx_itself_answers_can_be_read_by_the_origins_of_its_own_list(deploy):
    edge = deploy()
    edge.server.stop()
    config = edge.prefix / "site.conf"
    assert granted(request(edge, "GET", "/v1/files", headers={"Origin": ORIGIN})) is None
    config.write_text(config.read_text().replace('# "https://chat.example.com"', '"https://chat.example.com"'))
    edge.process.send_signal(signal.SIGHUP)
    until(lambda: granted(request(edge, "GET", "/v1/files", headers={"Origin": ORIGIN})) == ORIGIN)
    assert granted(request(edge, "GET", "/v1/files", headers={"Origin": "https://evil.example"})) is None


@pytest.mark.parametrize("value", ["chat.example.com", "https://a.example/path", "https://a.example,", "https://u@a.example", "*, https://a.example", "https://*.a.example", "https://a.example:", "https://a.example:0443"])
def test_an_origin_that_is_none_stops_the_start(tmp_path, value):
    with pytest.raises(AssertionError, match="LAZU_CORS_ORIGINS must be"):
        Server(tmp_path / "storage", {"LAZU_CORS_ORIGINS": value}, free_port()).start()
