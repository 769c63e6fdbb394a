"""The shipped nginx file: the same stories through it, downloads that nginx sends, and what nginx itself refuses."""

import http.client
import os
import re
import select
import socket

import pytest

from helpers.server import PROJECT
from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, dial, form, head, part, request, stored, upload
from test_content import *  # noqa: F403  the stories of downloads, told again through nginx
from test_content import BYTES
from test_upload import *  # noqa: F403  and those of uploads

# Those that are about a server without nginx.
del test_behind_nginx_the_answer_names_the_blob_only  # noqa: F821


@pytest.fixture
def server(edge):
    return edge


@pytest.fixture
def serve(deploy):
    return deploy


def raw(edge, data):
    """The answer to `data`, on a connection of its own: nginx may keep that for a while, to see more come."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as sock:
        sock.sendall(data)
        got = b""
        while not got.endswith(b"}\n") and (chunk := sock.recv(65536)):
            got += chunk
        return got


def test_nginx_sends_the_bytes_and_lazu_does_not(edge, key, file):
    answer = request(edge, "GET", f"/v1/files/{file['id']}/content", key)
    assert answer.body == BYTES
    assert "X-Accel-Redirect" not in answer.headers
    until(lambda: answer.headers["x-request-id"] in edge.log.read_text())  # the line is written after the answer


@pytest.mark.one_box("a bucket's objects have no time that Lazu sets; tests/test_cluster.py has its downloads")
def test_the_time_of_the_blob_stays_hidden(edge, key):
    content = os.urandom(1000)
    stored(edge, edge.new_key(), content)
    [blob] = [path for path in edge.blobs() if path.stat().st_size == 1000 and path.read_bytes() == content]
    os.utime(blob, (1_000_000_000, 1_000_000_000))
    path = f"/v1/files/{stored(edge, key, content)['id']}/content"
    plain = request(edge, "GET", path, key)
    assert "2001" not in str(plain.headers)
    assert plain.headers["ETag"] == f'"{blob.name}"'
    # As of the file, which is younger than the blob: not one of them is about 2001.
    for date in ("Sun, 09 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 2001 01:46:39 GMT", "Sun, 09 Sep 2040 01:46:40 GMT"):
        later = "2040" in date
        for name, status in {"If-Modified-Since": 304 if later else 200, "If-Unmodified-Since": 200 if later else 412, "If-Range": 200}.items():
            assert request(edge, "GET", path, key, headers={name: date}).status == status, (name, date)
    assert request(edge, "GET", path, key, headers={"If-Match": '"3b9aca00-3e8"'}).status == 412


@pytest.mark.one_box("in a cluster the object store knows the size")
def test_a_blob_that_lost_its_end_is_not_sent_as_a_whole_file(edge, key):
    """nginx sent what was left, with its length."""
    file = stored(edge, key, b"sixteen bytes, or")
    [blob] = [blob for blob in edge.blobs() if blob.read_bytes() == b"sixteen bytes, or"]
    os.truncate(blob, 3)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        request(edge, "GET", f"/v1/files/{file['id']}/content", key)
    stored(edge, key, b"sixteen bytes, or")
    assert request(edge, "GET", f"/v1/files/{file['id']}/content", key).body == b"sixteen bytes, or"


PROBES = [
    "/_blobs/lazu.sqlite3", "/_blobs/../lazu.sqlite3", "/_blobs/..%2flazu.sqlite3", "/_blobs/", "/_blobs",
    "/_blobs/ab/", "/_blobs/ab/" + "0" * 64, "/v1/../_blobs/ab/" + "0" * 64, "//_blobs/ab/" + "0" * 64,
]  # fmt: skip


@pytest.mark.parametrize("path", PROBES)
def test_no_client_reaches_the_internal_location(edge, path):
    edge.server.new_key()
    assert request(edge, "GET", path).error[:2] == (404, "not_found")


def test_a_blob_is_out_of_reach_by_its_name(edge, key, file):
    for blob in edge.blobs():
        assert request(edge, "GET", f"/_blobs/{blob.parent.name}/{blob.name}", key).status == 404


@pytest.mark.one_box("in a cluster nginx has no files beside it")
def test_the_database_is_out_of_reach_even_for_lazu(edge):
    """Whatever path an answer named, the location matches names of blobs only."""
    from helpers.edge import site

    text = site(edge.server, 1)
    pattern = text.split('location ~ "')[1].split('"')[0].replace("?<blob>", "?P<blob>")
    import re

    for path in ("/_blobs/lazu.sqlite3", "/_blobs/ab/../../lazu.sqlite3", "/_blobs/ab/" + "0" * 64 + "/x", "/_blobs/AB/" + "0" * 64):
        assert not re.search(pattern, path)
    assert re.search(pattern, "/_blobs/ab/" + "0" * 64)


REFUSED = {
    "a body too large": (b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n", 413, "file_too_large"),
    "a header too long": (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20000 + b"\r\n\r\n", 400, "invalid_request"),
    "a URL too long": (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "invalid_request"),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400, "invalid_request"),
    "no method": (b"\x16\x03\x01\r\n\r\n", 400, "invalid_request"),
    "a NUL": (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid_request"),
    "length and chunked": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "invalid_request"),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, "invalid_request"),
    "another encoding": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "invalid_request"),
    "another version": (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, "invalid_request"),
    "a large body for no URL": (b"POST /v1/file HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n", 404, "not_found"),
    "a large body for a URL of JSON": (
        b"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n", 413, "file_too_large"),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_what_nginx_refuses_has_the_one_shape(edge, data, status, code):
    answer = parsed(raw(edge, data))
    assert answer.error == (status, code, None)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "Retry-After" not in answer.headers
    assert answer.headers.get("x-should-retry") == ("false" if status > 500 else None), "the SDKs repeat every 5xx"


@pytest.mark.parametrize(("path", "most"), [("files", "512 MB"), ("uploads", "1 MB"), ("responses", "128 MB")])
def test_a_body_that_nginx_refuses_is_told_the_limit_of_its_url(edge, path, most):
    answer = parsed(raw(edge, f"POST /v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n".encode()))
    assert (answer.status, most in answer.json["error"]["message"]) == (413, True)


END = b"\r\nHost: x\r\nConnection: close\r\n\r\n"
LONG = {"URL": (b"GET /v1/files/", b" HTTP/1.1" + END), "headers": (b"GET /healthz HTTP/1.1\r\nRange: ", END)}


@pytest.mark.one_box("nginx and gunicorn are the same ones")
@pytest.mark.parametrize("what", LONG)
def test_what_is_too_long_is_told_so_in_json_whatever_its_length(edge, what):
    """Past 8 KB gunicorn would answer, by another status."""
    before, after = LONG[what]
    told = [parsed(raw(edge, before + b"x" * length + after)) for length in (8000, *range(8160, 8192), 9000, 16_000)]
    assert all(answer.headers["Content-Type"] == "application/json" for answer in told)
    assert {answer.status for answer in told} == {"URL": {401, 414}, "headers": {200, 400}}[what]
    assert what in told[-1].json["error"]["message"]


def parsed(data):
    """An HTTP answer from its bytes."""
    import http.client
    import io

    from helpers.wire import Answer

    class Fake:
        def makefile(self, *_):
            return io.BytesIO(data)

    response = http.client.HTTPResponse(Fake())
    response.begin()
    return Answer(response.status, response.headers, response.read())


def test_a_lazu_that_is_down_is_overloaded(deploy):
    edge = deploy()
    edge.server.stop()
    answer = request(edge, "GET", "/v1/files", "k")
    assert answer.error == (503, "overloaded", None)
    assert answer.headers["Retry-After"] == "2"


def test_one_address_may_not_take_every_connection(deploy):
    edge = deploy(LAZU_BODY_TIMEOUT="30")
    key = edge.new_key()
    open_ones = [dial(edge, head(key, length=5)) for _ in range(65)]
    until(lambda: select.select(open_ones, [], [], 0)[0])  # one was refused, and all others are held

    def send():
        return upload(edge, key, PURPOSE, part("file", b"words", "a.txt"))

    assert send().error == (503, "overloaded", None)
    assert request(edge, "GET", "/v1/files", key).status == 200  # what is no upload has a count of its own
    for each in open_ones:
        each.close()
    until(lambda: send().status == 200)


def test_metrics_are_for_this_machine_only(edge):
    text = edge.prefix.joinpath("site.conf").read_text()
    place = text.split("location = /metrics")[1].split("}")[0]
    assert "deny all;" in place


def test_a_message_of_many_lines_is_kept_out_of_the_upload(edge, key):
    """A whole form arrives whole through nginx, in whichever pieces."""
    body = form(PURPOSE, part("file", os.urandom(300_000), "a.dat"))
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    pieces = (body[i : i + 7919] for i in range(0, len(body), 7919))
    assert request(edge, "POST", "/v1/files", key, pieces, headers).json["bytes"] == 300_000


def test_no_location_of_the_file_loses_the_headers_that_lazu_needs():
    """One that sets a header for its proxy inherits none of the server's (nginx, proxy_set_header)."""
    text = (PROJECT / "deploy/nginx.conf").read_text()
    for place, body in re.findall(r"^    location ([^\n]*) \{\n(.*?)^    \}", text, re.MULTILINE | re.DOTALL):
        assert "proxy_set_header" not in body or "proxy_set_header Host $host;" in body, place
