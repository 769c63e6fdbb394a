"""Hostile requests: a 4xx in well under a second, no memory, never a 500; directly and through nginx."""

import http.client
import io
import itertools
import select
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.uploads import created
from helpers.wire import BOUNDARY, PURPOSE, Answer, form, head, part, request, rest, stored, upload
from lazu.errors import InvalidRequest
from lazu.routes import multipart

pytestmark = pytest.mark.slow

MB = 2**20
#: Nobody needs to send more before the answer comes than what the buffers on the way hold.
ENOUGH = 64 * MB


class Bytes:
    """An answer's bytes, as http.client wants them."""

    def __init__(self, data):
        self.makefile = lambda *_: io.BytesIO(data)


def parsed(data):
    response = http.client.HTTPResponse(Bytes(data))
    response.begin()
    return Answer(response.status, response.headers, response.read())


def hit(server, data, pieces=()):
    """Send `data` and then `pieces` until the answer begins; gives the answer and the seconds it took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(data)
        sent = 0
        for piece in pieces:
            while not select.select([sock], [sock], [], 10)[1]:
                pass
            if select.select([sock], [], [], 0)[0] or sent > ENOUGH:
                break
            sock.sendall(piece)
            sent += len(piece)
        sock.settimeout(10)
        answer = sock.recv(65536)
        seconds = time.monotonic() - began
        while b"\r\n\r\n" not in answer or not answer.rstrip().endswith((b"}", b">")):
            chunk = sock.recv(65536)
            if not chunk:
                break
            answer += chunk
    return parsed(answer), seconds


MARK = f"--{BOUNDARY}\r\n".encode()
FILE = part("file", b"hello", "hello.txt")

#: What follows the head of an upload, whose Content-Length promises far more.
BODIES = {
    "50,000 parts": lambda: [part("a", "b") * 1000] * 50,
    "endless parts": lambda: itertools.repeat(part("a", "b") * 1000),
    "endless part headers": lambda: itertools.chain([MARK], itertools.repeat(b"X-Header: value\r\n" * 1000)),
    "an endless header line": lambda: itertools.chain([MARK, b"X-Header: "], itertools.repeat(b"x" * 65536)),
    "an endless preamble": lambda: itertools.repeat(b"preamble\r\n" * 6000),
    "an endless line": lambda: itertools.repeat(b"x" * 65536),
    "a flood of boundaries": lambda: itertools.repeat(MARK * 2000),
    "a flood of line ends": lambda: itertools.repeat(b"\r\n" * 30000),
    "a flood of dashes": lambda: itertools.repeat(b"-" * 65536),
    "an endless purpose": lambda: itertools.chain([part("purpose", "x")[:-3]], itertools.repeat(b"x" * 65536)),
    "an endless unknown field": lambda: itertools.chain([part("note", "x")[:-3]], itertools.repeat(b"x" * 65536)),
    "an endless epilogue": lambda: itertools.chain([form(PURPOSE, FILE)], itertools.repeat(b"x" * 65536)),
    "parts after the end": lambda: itertools.chain([form(PURPOSE, FILE)], itertools.repeat(FILE * 1000)),
}


@pytest.mark.parametrize("through", ["direct", "nginx"])
@pytest.mark.parametrize("pieces", BODIES.values(), ids=BODIES)
def test_a_hostile_body_is_refused_while_it_comes(edge, pieces, through):
    server = edge if through == "nginx" else edge.server
    key = server.new_key()
    upload(server, key, PURPOSE, FILE)
    idle = edge.rss()
    answer, seconds = hit(server, head(key, length=500 * MB), pieces())
    assert answer.error == (400, "invalid_request", None)
    assert seconds < 10
    assert edge.rss() - idle < 48 * MB  # of 500: threads that were new, and their buffers


@pytest.mark.parametrize("pieces", BODIES.values(), ids=BODIES)
def test_a_hostile_part_of_an_upload_is_refused_while_it_comes(edge, pieces):
    key = edge.server.new_key()
    path = f"/v1/uploads/{created(edge.server, key, MB)['id']}/parts"
    idle = edge.rss()
    answer, seconds = hit(edge.server, head(key, path=path, length=60 * MB), pieces())
    assert answer.error == (400, "invalid_request", None)
    assert seconds < 10
    assert edge.rss() - idle < 48 * MB


TYPES = {
    "no boundary": "multipart/form-data",
    "a huge boundary": "multipart/form-data; boundary=" + "b" * 8000,
    "an empty boundary": 'multipart/form-data; boundary=""',
    "a boundary of spaces": 'multipart/form-data; boundary="   "',
    "a quoted line end": 'multipart/form-data; boundary="a\\nb"',
    "options without end": "multipart/form-data" + "; a=b" * 1500 + "; boundary",
    "quotes without end": 'multipart/form-data; boundary="' + '\\"' * 3000,
    "mixed": "multipart/mixed; boundary=" + BOUNDARY,
    "urlencoded": "application/x-www-form-urlencoded",
    "no type": ";;;;",
    "latin-1": "multipart/form-data; boundary=\xe9",
}


@pytest.mark.parametrize("through", ["direct", "nginx"])
@pytest.mark.parametrize("content_type", TYPES.values(), ids=TYPES)
def test_a_hostile_content_type_is_refused(edge, content_type, through):
    server = edge if through == "nginx" else edge.server
    began = time.monotonic()
    answer = upload(server, server.any_key, PURPOSE, FILE, content_type=content_type)
    assert answer.error == (400, "invalid_request", None)
    assert time.monotonic() - began < 10


NAMES = {
    "filename*": "filename*=UTF-8''%2e%2e%2fpasswd.txt",
    "filename* in another charset": "filename*=utf-7''+AC8-etc",
    "filename* broken": "filename*=UTF-8''%zz%",
    "filename twice": 'filename="a.txt"; filename="b.txt"',
    "both": "filename=\"a.txt\"; filename*=UTF-8''b.txt",
    "unquoted": "filename=a b c",
    "an open quote": 'filename="a.txt',
    "a NUL": 'filename="a\0.txt"',
    "long": 'filename="' + "x" * 3000 + '"',
    "bytes that are no UTF-8": 'filename="\xff\xfe.txt"',
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_filename_becomes_a_plain_one_or_400(edge, name):
    key = edge.new_key()
    disposition = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; {name}\r\n\r\nhello\r\n'.encode("latin-1")
    answer = upload(edge, key, body=form(PURPOSE, disposition))
    assert answer.status in (200, 400)
    if answer.status == 200:
        saved = answer.json["filename"]
        assert not set(saved) & set('/\\\0\r\n')
        assert 0 < len(saved.encode()) <= 255
    else:
        assert answer.error[1] == "invalid_request"


# Shapes that made servers disagree about where a request ends (RFC 9112 §6.3, §7.1, §11.2).
POST = b"POST /v1/files HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /v1/files/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
SHAPES = {
    "length and chunked": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked in disguise": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "a length in hex": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "lengths in a list": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length below zero": POST + b"Content-Length: -1\r\n\r\n",
    "a folded header": POST + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a bare CR": POST + b"X: a\rContent-Length: 5\r\n\r\nhello",
    "a NUL in a header": POST + b"X: a\0b\r\n\r\n",
    "two hosts": b"GET /v1/files HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a space in the URL": b"GET /v1/files x HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/9.9": b"GET /v1/files HTTP/9.9\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("through", ["direct", "nginx"])
@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_nothing_is_smuggled_behind_an_ambiguous_request(edge, data, through):
    server = edge if through == "nginx" else edge.server
    mark = len(edge.log.read_text())
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(data + SMUGGLED)
        got = bytearray()
        sock.settimeout(1)
        try:
            while chunk := sock.recv(65536):
                got += chunk
        except (TimeoutError, ConnectionResetError):
            pass
    statuses = [int(line.split()[1]) for line in bytes(got).split(b"\r\n") if line.startswith(b"HTTP/1.")]
    assert statuses
    assert all(400 <= status < 600 and status != 500 for status in statuses)
    assert edge.log.read_text()[mark:].count(" /v1/files/<file_id> ") == 0


CHUNKS = {
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "a size below zero": b"-5\r\nhello\r\n0\r\n\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "no line end after the bytes": b"5\r\nhelloXX0\r\n\r\n",
    "a huge size": b"F" * 32 + b"\r\nhello",
    "an endless size": b"0" * 20000,
    "an endless extension": b"5;" + b"x" * 20000,
    "bare line feeds": b"5\nhello\n0\n\n",
    "trailers without end": b"0\r\n" + b"X: y\r\n" * 20000,
}


@pytest.mark.parametrize("through", ["direct", "nginx"])
@pytest.mark.parametrize("data", CHUNKS.values(), ids=CHUNKS)
def test_bad_chunks_are_400(edge, data, through):
    server = edge if through == "nginx" else edge.server
    start = head(server.any_key)[:-2] + f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n".encode()
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(start + b"Transfer-Encoding: chunked\r\n\r\n" + data)
        time.sleep(0.05)
        sock.shutdown(socket.SHUT_WR)
        answer = rest(sock)
    assert time.monotonic() - began < 10
    if answer or through == "direct":  # nginx takes one that has ended its sending for gone
        assert parsed(answer).error == (400, "invalid_request", None)


IDS = [
    "..", "../keys", "..%2f..%2flazu.sqlite3", "%2e%2e/%2e%2e", "a/b", "a//b", "%00", "file-lazu-%00", "x" * 4096, "%F0%9F%92%A9", "%ff",
    "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX%0d%0aX-Evil:%201", "file-lazu-01ksbv4mc6thz9tczem38kpyrx", "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX ",
    "'%20OR%201=1--", "%25s%25n", "file-lazu-" + "8" * 26, "file-lazu-", "*", "{id}", "%E2%80%AE",
]  # fmt: skip


@pytest.mark.parametrize("through", ["direct", "nginx"])
@pytest.mark.parametrize("tail", ["", "/content"])
@pytest.mark.parametrize("file_id", IDS, ids=range(len(IDS)))
def test_a_hostile_id_is_404(edge, file_id, tail, through):
    server = edge if through == "nginx" else edge.server
    for method in ("GET", "DELETE") if not tail else ("GET",):
        answer = request(server, method, f"/v1/files/{file_id.replace(' ', '%20')}{tail}", server.any_key)
        # A path may be no id at all; and nginx itself refuses a NUL.
        assert answer.status in ((400,) if "%00" in file_id and through == "nginx" else (404, 405))
        assert "X-Evil" not in answer.headers


@pytest.mark.parametrize("through", ["direct", "nginx"])
@pytest.mark.parametrize("upload_id", IDS, ids=range(len(IDS)))
def test_a_hostile_upload_id_is_404(edge, upload_id, through):
    server = edge if through == "nginx" else edge.server
    for tail in ("parts", "complete", "cancel"):
        answer = request(server, "POST", f"/v1/uploads/{upload_id.replace(' ', '%20')}/{tail}", server.any_key, b"")
        assert answer.status in ((400,) if "%00" in upload_id and through == "nginx" else (404, 405))
        assert "X-Evil" not in answer.headers


def test_headers_that_come_twice_change_nobodys_mind(edge):
    key, other = edge.new_key(), edge.new_key()
    file = stored(edge, key)
    path = f"/v1/files/{file['id']}"
    for first, second in ((key, other), (other, key)):
        data = head(first, "GET", path)[:-2] + f"Authorization: Bearer {second}\r\n\r\n".encode()
        answer, _ = hit(edge.server, data)
        assert answer.error[:2] == (401, "invalid_api_key")


TOKENS = [
    MARK, MARK[:-2], MARK[2:], f"--{BOUNDARY}--".encode(), f"--{BOUNDARY}--\r\n".encode(), b"\r\n", b"\n", b"\r", b"--", b":", b";", b"=", b'"',
    b"Content-Disposition: form-data; ", b'name="file"', b'name="purpose"', b'; filename="a.txt"', b"filename*=UTF-8''%41", b"user_data",
    b"Content-Type: text/plain", b"\r\n\r\n", PURPOSE, FILE, b"\0", b"\xff", b"x" * 3000,
]  # fmt: skip
BODY = st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=40)), max_size=30).map(b"".join)
CUTS = st.lists(st.integers(1, 200), min_size=1, max_size=20)


def read(body, cuts):
    """What the reader makes of `body` in pieces of these sizes, over and over."""
    sizes = itertools.cycle(cuts)
    stream = io.BytesIO(body)
    parts = multipart.parts(lambda _: stream.read(next(sizes)), f"multipart/form-data; boundary={BOUNDARY}")
    try:
        return [(each.name, each.filename, b"".join(each.chunks)) for each in parts]
    except InvalidRequest:
        return None


@settings(max_examples=1500, deadline=None)
@given(BODY, CUTS)
def test_any_bytes_make_parts_or_400_however_they_are_cut(body, cuts):
    pieces, whole = read(body, cuts), read(body, [2**20])
    # What stands before the first boundary, the parser judges by pieces; no client sends any.
    assert pieces == whole or not body.startswith(MARK[:-2])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=7), CUTS)
def test_what_a_form_holds_comes_out_of_it(contents, cuts):
    contents = [content for content in contents if f"--{BOUNDARY}".encode() not in content]
    body = form(*(part(f"f{i}", content) for i, content in enumerate(contents)))
    found = read(body, cuts)
    assert found is None or [content for _, _, content in found] == contents
    assert contents == [] or found is not None
