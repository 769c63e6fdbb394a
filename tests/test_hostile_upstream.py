"""Answers of a model server that are no HTTP: each is 502 and takes nothing with it; what is HTTP, but odd, passes."""

import http.client
import json
import socket
from contextlib import closing

import pytest

from helpers.edge import Edge
from helpers.raw_upstream import raw
from helpers.server import Server
from lazu.gateway import framing

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\n"

#: Control characters, as they may stand in a name, in a value and in the status line. LF ends a line, HT is a space.
CONTROLS = [bytes([code]) for code in (*range(0x20), 0x7F) if code not in (0x09, 0x0A)]

NO_STATUS = [
    b"", b"220 smtp ready\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.2 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 099 X\r\n\r\n", b"HTTP/1.1 600 X\r\n\r\n", b"HTTP/1.1 -20 X\r\n\r\n", b"HTTP/1.1  200 OK\r\n\r\n", b"http/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200OK\r\n\r\n", b"\r\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 \xb2\xb0\xb0 OK\r\n\r\n", b"HTTP/1.1 2\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n",
]  # fmt: skip
LENGTHS = [
    b"Content-Length: abc", b"Content-Length: -5", b"Content-Length: 2, 2", b"Content-Length: +2", b"Content-Length: 0x2", b"Content-Length: 2 2",
    b"Content-Length:", b"Content-Length: \xb2", b"Content-Length: 9999999999999999999", b"Content-Length: 2\r\nContent-Length: 2",
    b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding:",
]  # fmt: skip
NAMES = [b"X[a]: 1", b"X : 1", b": 1", b"X", b"X Y: 1", b"X\xe9: 1", b'"X": 1', b"X(a): 1"]
CHUNKS = [
    b"zz\r\n", b"-2\r\n{}\r\n", b"0x2\r\n{}\r\n", b"+2\r\n{}\r\n", b" 2\r\n{}\r\n", b"2\n{}\n0\n\n", b"\r\n\r\n", b"2;\x00\r\n{}\r\n",
    b"F" * 17 + b"\r\n", b"2\r\n{", b'8\r\n{"a": 1}', b'8\r\n{"a": 1}\r\n0\r\n', b'8\r\n{"a": 1}xx0\r\n\r\n', b"0\r\n" + b"X: 1\r\n" * 5000,
    b"0\r\n" + b"X: 1\r\n" * 5000 + b"\r\n", b'8\r\n{"a": 1}xx\r\n0\r\n\r\n',
]  # fmt: skip

HOSTILE = (
    NO_STATUS
    + [OK + line + b"\r\n\r\n{}" for line in (*LENGTHS, *NAMES)]
    + [OK + b"X: a%bb\r\nContent-Length: 2\r\n\r\n{}" % code for code in CONTROLS]
    + [OK + b"X%bY: a\r\nContent-Length: 2\r\n\r\n{}" % code for code in CONTROLS]
    + [b"HTTP/1.1 200 O%bK\r\nContent-Length: 2\r\n\r\n{}" % code for code in CONTROLS]
    + [OK + b" folded: first\r\n\r\n", OK + b"X: " + b"a" * 70_000 + b"\r\n\r\n", OK + b"X: a\r\n" * 20_000 + b"\r\n"]
    + [b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, OK]
    + [b"HTTP/1.1 100 Continue\r\n\r\n" * 4000 + OK + b"Content-Length: 2\r\n\r\n{}"]
)

SIZED = OK + JSON + b'Content-Length: 8\r\n\r\n{"a": 1}'
ODD = {
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + SIZED,
    "no reason": SIZED.replace(b" OK", b" "),
    "not even its space": SIZED.replace(b" OK", b""),
    "bare line ends in the head": SIZED.replace(b"\r\n", b"\n"),
    "more than its length": SIZED + b"HTTP/1.1 200 OK\r\n\r\n",
    "until the end": OK + JSON + b'\r\n{"a": 1}',
    "of HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + JSON + b'\r\n{"a": 1}',
    "chunks with extensions and trailers": OK + JSON + b'Transfer-Encoding: Chunked\r\n\r\n5;a=b\r\n{"a":\r\n03  \r\n 1}\r\n0;c\r\nX-Trailer: 1\r\n\r\n',
    "a folded header": SIZED.replace(JSON, b"X-Folded: a\r\n  b\r\n" + JSON),
    "a header in UTF-8": SIZED.replace(JSON, "X-Word: größe\r\n".encode() + JSON),
}


@pytest.fixture(scope="module")
def upstream():
    with raw() as made:
        yield made


@pytest.fixture(scope="module")
def server(upstream, tmp_path_factory):
    """With two calls at a time, so that two places that are not given back show at once."""
    env = {**upstream.env, "LAZU_UPSTREAM_CALLS": "2", "LAZU_WORKERS": "1"}
    server = Server(tmp_path_factory.mktemp("hostile") / "storage", env).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def edge(server, tmp_path_factory):
    edge = Edge(server, tmp_path_factory.mktemp("edge") / "nginx").start()
    yield edge
    edge.stop()


def ask(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", "/v1/responses", b"{}", {"Authorization": "Bearer k", "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


def test_what_is_no_http_is_an_error_of_the_upstream_and_takes_nothing_with_it(server, upstream):
    calls = upstream.calls
    for said in HOSTILE:
        upstream.said = [said]
        status, headers, body = ask(server)
        assert (status, body["error"]["code"]) == (502, "upstream_error"), said[:200]
        assert headers["x-request-id"].startswith("req_")
    assert upstream.calls - calls == len(HOSTILE) > 100
    assert " 500 " not in server.log.read_text()


@pytest.mark.parametrize("odd", ODD)
def test_what_is_http_but_odd_passes(server, upstream, odd):
    upstream.said = [ODD[odd]]
    status, headers, body = ask(server)
    assert (status, body) == (200, {"a": 1})
    assert headers.get("X-Folded", "a b") == "a b"
    assert headers.get("X-Trailer") is None


@pytest.mark.parametrize("odd", ODD)
def test_it_may_come_byte_by_byte(server, upstream, odd):
    upstream.said = [ODD[odd][at : at + 1] for at in range(len(ODD[odd]))]
    assert ask(server)[::2] == (200, {"a": 1})


def test_chunks_that_go_wrong_after_the_beginning_break_the_connection(server, upstream):
    for wrong in CHUNKS:
        upstream.said = [OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n", wrong]
        try:
            status, _, body = ask(server)  # wrong from its first packet on
            assert (status, body["error"]["code"]) == (502, "upstream_error"), wrong
        except (http.client.IncompleteRead, ConnectionResetError):
            pass


def test_a_line_of_chunks_that_does_not_end_is_not_waited_for():
    """Else it would be held, and looked through at each piece."""
    body = framing.Chunked()
    for _ in range(framing.MAX_LINE - 1):
        body.feed(b"1")
    with pytest.raises(framing.Malformed):
        body.feed(b"1")


@pytest.mark.parametrize("status", [101, 204, 301, 401])
def test_answers_without_a_body_or_for_the_operator(server, upstream, status):
    upstream.said = [b"HTTP/1.1 %d X\r\nUpgrade: x\r\n\r\n" % status]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/v1/responses", b"{}", {"Authorization": "Bearer k"})
    answer = connection.getresponse()
    assert (answer.status, len(answer.read()) > 0) == ((204, False) if status == 204 else (502, True))
    connection.request("GET", "/healthz")  # the connection goes on
    assert connection.getresponse().status == 200
    connection.close()


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
#: What is asked, and with which body, the upstream's answer, the body that the client gets.
FRAMINGS = {
    "no body after HEAD": (b"HEAD /v1/models", b"", OK + CHUNKED, b""),
    "no body of 204": (b"POST /v1/responses", b"{}", b"HTTP/1.1 204 No Content\r\n" + CHUNKED + b"0\r\n\r\n", b""),
    "a length of the connection's": (b"POST /v1/responses", b"{}", SIZED.replace(JSON, JSON + b"Connection: close, Content-Length, Content-Type\r\n"), b'{"a": 1}'),
}  # fmt: skip


@pytest.mark.parametrize("through", ["server", "edge"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_next_answer_begins_where_this_one_ends(server, edge, upstream, framing, through):
    asked, sent, said, body = FRAMINGS[framing]
    upstream.said = [said]
    with closing(socket.create_connection(("127.0.0.1", {"server": server, "edge": edge}[through].port), 30)) as sock:
        sock.sendall(b"%b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n%b" % (asked, len(sent), sent))
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, rest = b"".join(iter(lambda: sock.recv(65536), b"")).partition(b"\r\n\r\n")
    assert rest.startswith(body + b"HTTP/1.1 200 OK\r\n"), rest
    assert (b"content-length: 8" in head.lower(), b"transfer-encoding" in head.lower()) == (bool(body), False)
