"""What HTTP asks of every answer, directly and behind nginx: hosts, methods, caches, encodings, URLs that are none."""

import gzip
import http.client
import re
import socket
import threading
from collections import Counter
from contextlib import contextmanager

import pytest

from helpers.server import opened
from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, dial, form, head, part, request, rest, stored, upload
from lazu.store.tables import File
from test_nginx import parsed, raw


@pytest.fixture(params=["direct", "nginx"])
def either(request, server, edge):
    """A Lazu alone, and one behind nginx."""
    return server if request.param == "direct" else edge


HOSTS = {
    "none": b"",
    "a space": b"Host: a b\r\n",
    "a path": b"Host: a/b\r\n",
    "a user": b"Host: me@a\r\n",
    "a port that is none": b"Host: a:b\r\n",
    "half an address": b"Host: [::1\r\n",
    "two": b"Host: a\r\nHost: a\r\n",
    "empty": b"Host:\r\n",
    "a port alone": b"Host: :80\r\n",
}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("path", [b"/healthz", b"/v1/files"])
def test_a_host_that_is_none_is_400(server, host, path):
    answer = raw(server, b"GET " + path + b" HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


GET = b"GET /v1/files HTTP/1.1\r\nHost: x\r\n"
MALFORMED = {
    "an expectation": (GET + b"Expect: 200-ok", 417, "100-continue"),
    "no request": (b"hello", 400, "malformed"),
    "a long URL": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x", 414, "too long"),
    "a long header": (GET + b"X: " + b"x" * 17_000, 431, "too long"),
    "long headers": (GET + b"X: 1\r\n" * 20_000, 431, "too long"),
    "a transfer coding": (GET + b"Transfer-Encoding: x", 501, "not supported"),
    "a version": (b"GET /v1/files HTTP/9.9\r\nHost: x", 400, "malformed"),
    "two hosts": (GET + b"Host: x", 400, "malformed"),
    "two lengths": (GET + b"Transfer-Encoding: chunked\r\nContent-Length: 5", 400, "malformed"),
    "a folded header": (GET + b"Authorization: Bearer\r\n secret", 400, "malformed"),
}


@pytest.mark.parametrize(("data", "status", "told"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_request_is_told_so_in_the_one_shape(server, data, status, told):
    with dial(server, data + b"\r\n\r\n") as client:
        answer = parsed(rest(client))
    kind, code = ("server_error", "invalid_request") if status == 501 else ("invalid_request_error", "invalid_request")
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json")
    assert answer.json == {"error": {"message": answer.json["error"]["message"], "type": kind, "param": None, "code": code}}
    assert told in answer.json["error"]["message"]
    assert "secret" not in str(answer.json)
    assert (answer.headers["Connection"], answer.headers["Cache-Control"]) == ("close", "no-store")
    assert answer.headers["x-should-retry"] == ("false" if status == 501 else None)
    request_id = answer.headers["x-request-id"]
    method = "GET" if data.startswith(b"GET ") else "-"
    line = rf"(?m) {method} - {status} key=- in=[1-9]\d* out={len(answer.body)} seconds=[\d.]+ request={request_id}$"
    until(lambda: re.search(line, server.log.read_text()))


#: More than what the buffers on the way hold: who is not listened to can't send it.
BODY = b"\r\nContent-Length: 20971520\r\n\r\n" + b"x" * 20 * 2**20


@pytest.mark.parametrize(("data", "status", "_told"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_request_is_told_so_after_all_of_its_body(server, data, status, _told):
    """Clients that send all before they listen saw a reset."""
    with dial(server, data + BODY) as client:
        assert parsed(rest(client)).status == status


def test_through_nginx_too_it_is_told_so_and_not_503(edge):
    """nginx took the reset for a server that is gone, in half of the cases; the SDKs repeat 503."""
    for _ in range(8):
        assert parsed(raw(edge, GET + b"X: 1\r\n" * 101 + BODY)).error == (431, "invalid_request", None)


def test_what_is_refused_is_counted_and_head_has_no_body(serve):
    server = serve()
    asked = [(data, status) for data, status, _ in MALFORMED.values() if data.startswith(b"GET ")]
    for data, status in asked:
        with dial(server, b"\r\nHEAD" + data.removeprefix(b"GET") + b"\r\n\r\n") as client:
            got = rest(client)
        assert got.startswith(f"HTTP/1.1 {status} ".encode())
        assert got.endswith(b"\r\n\r\n"), "it has a body"
        assert (status == 501) == (b" Not Implemented\r\n" in got)
    for status, count in Counter(status for _, status in asked).items():
        told = f'lazu_requests_total{{method="HEAD",route="-",status="{status}"}} {count}.0'.encode()
        until(lambda told=told: told in request(server, "GET", "/metrics").body)


@pytest.mark.parametrize("host", [b"a", b"a.b:80", b"[::1]:8000", b"127.0.0.1", b"a:"])
def test_any_host_that_is_one_is_served(server, host):
    assert parsed(raw(server, b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")).status == 200


def test_http_1_0_needs_no_host(server):
    assert raw(server, b"GET /healthz HTTP/1.0\r\n\r\n").startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))


SCHEMES = ["X-Forwarded-Ssl: on", "X-Forwarded-Protocol: ssl", "X-Forwarded-Proto: https", "X-Forwarded-Proto: http\r\nX-Forwarded-Proto: https"]


@pytest.mark.parametrize("told", SCHEMES)
def test_what_a_balancer_tells_of_tls_is_no_affair_of_lazus(either, told):
    """Each request with a scheme besides the one that nginx tells was 400."""
    with dial(either, head(either.any_key, "GET")[:-2] + f"X-Forwarded-Ssl: off\r\n{told}\r\nConnection: close\r\n\r\n".encode()) as client:
        assert parsed(rest(client)).status == 200


KEEPS = [
    ("1.1", "TE", True), ("1.1", "TE, close", False), ("1.1", "Close ,te", False), ("1.1", "TE\r\nConnection: close", False),
    ("1.1", "keep-alive, close", False), ("1.1", "closed", True), ("1.0", "TE", False), ("1.0", "TE, Keep-Alive", True),
]  # fmt: skip


@pytest.mark.parametrize(("version", "options", "kept"), KEEPS)
def test_a_client_tells_in_a_list_whether_its_connection_is_kept(server, version, options, kept):
    """RFC 9110 §7.6.1, RFC 9112 §9.3."""
    asked = f"GET /healthz HTTP/{version}\r\nHost: x\r\nConnection: {{}}\r\n\r\n"
    with dial(server, (asked.format(options) + asked.format("close")).encode()) as client:
        answers = rest(client)
    assert answers.count(b" 200 OK\r\n") == 1 + kept
    assert answers.count(b"\r\nConnection: close\r\n") == 1


@pytest.mark.parametrize("body", [b"0", b"00", b"0;x", b"3\r\nabc\r\n0", b"0\r\nX: y", b"3\r\nabc\r\n000;x=y:z\r\nX: y\r\nZ:"])
def test_an_answer_to_a_chunked_body_that_nobody_reads_is_the_end(server, body):
    with dial(server, b"GET /v1/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"\r\n\r\n") as client:
        client.settimeout(20)  # else it comes after LAZU_BODY_TIMEOUT, 30 s
        assert rest(client).startswith(b"HTTP/1.1 401 ")


def test_what_looks_like_trailers_within_a_chunk_that_nobody_reads_is_no_fault(serve):
    server = serve()
    with dial(server, b"GET /v1/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n\r\n\r\nX: y\r\n\r\n") as client:
        assert client.recv(65536).startswith(b"HTTP/1.1 401 ")
        client.sendall(b"\r\n0\r\n\r\n")
        rest(client)
    server.stop()
    assert "Traceback" not in server.log.read_text()


def test_an_answer_comes_in_one_piece(server):
    key = server.new_key()
    path = f"/v1/files/{stored(server, key)['id']}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        for _ in range(20):  # two pieces are seen apart nearly every time
            client.sendall(head(key, "GET", path))
            assert client.recv(65536).endswith(b"}\n"), "the client woke for a head alone"
        client.sendall(head(key, "HEAD", path))
        assert client.recv(65536).endswith(b"\r\n\r\n"), "an answer without a body is sent too"


WAITS_LONG = """
import runpy
from lazu.server import worker
globals().update(runpy.run_path("gunicorn.conf.py"))
worker.FOLLOW_SECONDS = 600
"""


def test_a_request_that_came_with_another_one_is_answered_at_once(serve, tmp_path):
    """Its thread waited at the socket for it, though it had been read."""
    (tmp_path / "own.py").write_text(WAITS_LONG)
    server = serve(GUNICORN_CMD_ARGS=f"--config {tmp_path}/own.py")
    with dial(server, 100 * b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        got = b""
        while got.count(b"HTTP/1.1 200 ") < 100 or not got.endswith(b"}\n"):
            got += client.recv(65536)


ALLOWED = {
    "/v1/files": "GET, HEAD, POST",
    "/v1/files?limit=1": "GET, HEAD, POST",
    "/v1/files/file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX": "DELETE, GET, HEAD",
    "/v1/files/file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX/content": "GET, HEAD",
    "/v1/responses": "POST",
    "/v1/responses/resp_1": "DELETE, GET, HEAD",
    "/v1/responses/resp_1/cancel": "POST",
    "/v1/chat/completions": "POST",
    "/v1/models": "GET, HEAD",
    "/v1/uploads": "POST",
    "/v1/uploads/upload_1/parts": "POST",
    "/healthz": "GET, HEAD",
}


@pytest.mark.parametrize(("path", "methods"), ALLOWED.items())
def test_a_method_that_is_none_of_a_url_is_told_those_that_are(either, path, methods):
    answer = request(either, "TRACE", path)
    assert answer.error == (405, "method_not_allowed", None)
    assert answer.headers["Allow"] == methods


def test_answers_in_json_are_not_kept_by_caches(either):
    key = either.new_key()
    file = stored(either, key)
    for method, path in (("GET", "/v1/files"), ("GET", f"/v1/files/{file['id']}"), ("DELETE", f"/v1/files/{file['id']}"), ("GET", "/v1/files/x"), ("GET", "/x"), ("GET", "/healthz")):
        assert request(either, method, path, key).headers["Cache-Control"] == "no-store", path


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, identity", "x-unknown"])
def test_a_compressed_body_is_told_to_come_plain(either, encoding):
    key = either.new_key()
    body = gzip.compress(form(PURPOSE, part("file", b"hello", "a.txt")))
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Content-Encoding": encoding}
    answer = request(either, "POST", "/v1/files", key, body, headers)
    assert answer.error == (415, "unsupported_encoding", None)
    assert answer.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("codings", ["gzip, chunked", "Deflate ,chunked", "identity, compress, chunked"])
def test_a_body_compressed_on_its_way_is_told_to_come_plain(server, codings):
    """Not through nginx, which answers 501 itself."""
    body = gzip.compress(form(PURPOSE, part("file", b"hello", "a.txt")))
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Transfer-Encoding": codings}
    answer = request(server, "POST", "/v1/files", server.any_key, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), headers)
    assert answer.error == (415, "unsupported_encoding", None)


@pytest.mark.parametrize("encoded", ["Content-Transfer-Encoding: base64", "content-transfer-encoding: Quoted-Printable", "Content-Encoding: gzip"])
def test_an_encoded_part_of_a_form_is_told_to_come_plain(server, encoded):
    """Else its base64 would be the file, in silence: `curl -F "file=@a.txt;encoder=base64"` sends one."""
    answer = upload(server, server.any_key, PURPOSE, part("file", b"aGVsbG8=", "a.txt", f"{encoded}\r\n"))
    assert answer.error == (415, "unsupported_encoding", None)
    assert encoded.split(":")[0].lower() in answer.json["error"]["message"].lower()


@pytest.mark.parametrize("plain", ["Content-Transfer-Encoding: binary", "Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: 7BIT", "Content-Encoding: identity"])
def test_a_part_that_says_it_is_plain_is_taken(server, plain):
    assert upload(server, server.any_key, PURPOSE, part("file", b"hello", "a.txt", f"{plain}\r\n")).status == 200


def test_a_compressed_request_to_the_model_is_told_so(front, double):
    native = front("native")
    for path in ("/v1/responses", "/v1/chat/completions", "/v1/embeddings"):
        status, _, body = native.post(path, gzip.compress(b"{}"), **{"Content-Encoding": "gzip"})
        assert (status, body["error"]["code"]) == (415, "unsupported_encoding")
    assert native.post("/v1/responses", b"{}", **{"Content-Encoding": "identity"})[0] == 200
    assert len(double.received) == 1


@pytest.mark.parametrize("purpose", ["batch", "x" * 64, "%ff", "%00"])
def test_an_unknown_purpose_has_no_files(server, purpose):
    assert request(server, "GET", f"/v1/files?purpose={purpose}", server.any_key).json["data"] == []


UNKNOWN = {
    "/files": "base_url ends in /v1, once",
    "/files/file-abc": "base_url ends in /v1, once",
    "/responses": "base_url ends in /v1, once",
    "/v1/v1/files": "base_url ends in /v1, once",
    "/v1/v1/chat/completions": "base_url ends in /v1, once",
    "/v1/completions": "/v1/chat/completions",
    "/v1/vector_stores": "nothing else",
    "/": "/v1/files",
    "/filesystem": "/v1/files",
}


@pytest.mark.parametrize(("path", "told"), UNKNOWN.items())
def test_an_unknown_url_is_told_what_would_be_right(either, path, told):
    answer = request(either, "GET", path, either.any_key)
    assert answer.error == (404, "not_found", None)
    assert told in answer.json["error"]["message"]


@contextmanager
def without_bytes(server, file):
    """As between a DELETE's commit, or its unlinking, and what reads on: the row was read, the blob is gone."""
    with opened(server.storage) as store:
        sha256 = File.get_by_id(file["id"]).sha256
        path = store.contents.blobs.root / sha256[:2] / sha256
    path.rename(path.with_suffix(".away"))
    try:
        yield
    finally:
        path.with_suffix(".away").rename(path)


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-1"}, {"Range": "bytes=\t0-1"}, {"If-Match": "*"}], ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_download_whose_bytes_went_meanwhile_is_not_found(either, method, headers):
    key = either.new_key()
    file = stored(either, key, b"soon to go")
    with without_bytes(either, file):
        answer = request(either, method, f"/v1/files/{file['id']}/content", key, headers=headers)
    assert answer.status == 404
    assert answer.headers.get_content_type() == "application/json"
    if method == "GET":
        error = answer.json["error"]
        assert (error["code"], error["param"], error["message"]) == ("file_not_found", "file_id", f"No such File object: {file['id']}")


def test_readers_that_race_a_delete_see_the_file_or_404(either):
    """Six threads read a file while it is deleted; 9 of 29,933 were a 500."""
    key, seen, files, done = either.new_key(), set(), [], threading.Event()

    def read():
        connection = http.client.HTTPConnection("127.0.0.1", either.port, timeout=60)
        while not done.is_set():
            if files:
                connection.request("GET", f"/v1/files/{files[-1]}/content", headers={"Authorization": f"Bearer {key}"})
                answer = connection.getresponse()
                seen.add((answer.status, answer.read() == b"racing" * 1000 or answer.status != 200))
        connection.close()

    threads = [threading.Thread(target=read) for _ in range(6)]
    for each in threads:
        each.start()
    for _ in range(60):
        files.append(stored(either, key, b"racing" * 1000, "a.txt")["id"])
        assert request(either, "DELETE", f"/v1/files/{files[-1]}", key).status == 200
    done.set()
    for each in threads:
        each.join()
    assert seen <= {(200, True), (404, True)}
    assert seen


def test_connections_are_kept_however_many_threads_there_are(serve):
    connection = http.client.HTTPConnection("127.0.0.1", serve(LAZU_THREADS="2000", LAZU_WORKERS="1").port, timeout=60)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    assert (answer.status, answer.will_close) == (200, False)
    connection.close()
