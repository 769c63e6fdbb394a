"""Slow and stalled clients: they are let go in time, and nobody waits for them meanwhile."""

import os
import socket
import time
from contextlib import ExitStack, closing

import pytest

from helpers.attack import malformed
from helpers.uploads import created
from helpers.wire import PURPOSE, dial, form, head, part, request, rest, stored

pytestmark = pytest.mark.slow

#: Few slots, so that there are many more slow clients than slots; short times, so that the test is.
FEW = {"LAZU_WORKERS": "1", "LAZU_THREADS": "2", "LAZU_BODY_TIMEOUT": "3", "LAZU_BODY_MIN_RATE": "65536"}
SLOW = 60
BIG = os.urandom(2**20) * 32
WHOLE = form(PURPOSE, part("file", b"x" * 200_000, "a.txt"))


def slowest(server, key):
    """The longest of the metadata requests made one after the other for a second, in seconds."""
    times = []
    end = time.monotonic() + 1
    while time.monotonic() < end or len(times) < 10:
        began = time.monotonic()
        assert request(server, "GET", "/v1/files", key).status == 200
        times.append(time.monotonic() - began)
    return max(times)


@pytest.fixture
def few(serve):
    return serve(**FEW)


SLOW_KINDS = {
    "uploads that stall": lambda key, _: (head(key, length=len(WHOLE)) + WHOLE[:5000], None),
    "refused uploads that stall": lambda _, __: (head("wrong", length=len(WHOLE)) + WHOLE[:5000], None),
    "malformed uploads that stall": lambda *_: (malformed()[0] + WHOLE[:5000], None),
    "headers that stall": lambda key, _: (head(key)[:-20], None),
    "connections that say nothing": lambda _, __: (b"", None),
    "readers that stall": lambda key, file: (head(key, "GET", f"/v1/files/{file['id']}/content"), 4096),
}


@pytest.mark.parametrize("kind", SLOW_KINDS.values(), ids=SLOW_KINDS)
def test_more_slow_clients_than_slots_keep_nobody_waiting(few, kind):
    key = few.new_key()
    data, receive = kind(key, stored(few, key, BIG, "big.dat"))
    bound = max(1, 10 * slowest(few, key))
    with ExitStack() as stack:
        for _ in range(SLOW):
            stack.enter_context(closing(dial(few, data, receive)))
        assert slowest(few, key) < bound


def test_through_nginx_too(deploy):
    edge = deploy(**FEW)
    key = edge.new_key()
    bound = max(1, 10 * slowest(edge, key))
    with ExitStack() as stack:
        for _ in range(SLOW):
            stack.enter_context(closing(dial(edge, head(key, length=len(WHOLE)) + WHOLE[:5000])))
        assert slowest(edge, key) < bound


@pytest.mark.parametrize("through", ["direct", "nginx"])
def test_a_stalled_upload_ends_with_408(serve, deploy, through):
    server = deploy(**FEW) if through == "nginx" else serve(**FEW)
    key = server.new_key()
    began = time.monotonic()
    with closing(dial(server, head(key, length=len(WHOLE)) + WHOLE[:5000])) as sock:
        answer = rest(sock)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"request_timeout"' in answer
    assert 2.5 < time.monotonic() - began < 8
    assert request(server, "GET", "/v1/files", key).json["data"] == []


def test_a_stalled_body_of_json_ends_with_408_through_nginx_too(deploy):
    """nginx hung up after its own minute, without a word, where it waited for the whole body."""
    edge = deploy(**FEW)
    key = edge.new_key()
    upload = created(edge, key, 5)["id"]
    with ExitStack() as stack:
        socks = [
            stack.enter_context(closing(dial(edge, head(key, "POST", path, length=100) + b"{")))
            for path in ("/v1/uploads", f"/v1/uploads/{upload}/complete", f"/v1/uploads/{upload}/cancel")
        ]
        answers = [rest(sock) for sock in socks]
    assert [answer[9:12] for answer in answers] == [b"408", b"408", b"200"]  # to cancel there is nothing to read


def test_an_answer_after_which_the_connection_ends_says_so(few):
    """It said `keep-alive`, and a client with another request at hand sent that into the end."""
    key = few.new_key()
    requests = [head(key, path=path, length=100_000) + b"{" for path in ("/v1/files", "/v1/uploads")]
    with ExitStack() as stack:
        ended, *stalled = [stack.enter_context(closing(dial(few, data))) for data in (requests[0], *requests)]
        ended.shutdown(socket.SHUT_WR)
        answers = [rest(sock) for sock in (ended, *stalled)]
    assert [answer[9:12] for answer in answers] == [b"400", b"408", b"408"]
    assert all(b"\r\nConnection: close\r\n" in answer for answer in answers)


def drip(sock, data, seconds, step=1024):
    """Send `data`, `step` bytes a tenth of a second, until an answer or the end comes, or so long is over."""
    sock.setblocking(False)
    end = time.monotonic() + seconds
    for i in range(0, len(data), step):
        try:
            return sock.recv(4096)
        except BlockingIOError:
            if time.monotonic() > end:
                break
            sock.send(data[i : i + step])
            time.sleep(0.1)
    return b""


def test_an_upload_below_the_floor_ends_with_408(few):
    with closing(dial(few, head(few.new_key(), length=len(WHOLE)))) as sock:
        answer = drip(sock, WHOLE, 10)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close\r\n" in answer


def test_an_upload_above_the_floor_takes_its_time(serve):
    server = serve(**FEW | {"LAZU_BODY_MIN_RATE": "2000", "LAZU_BODY_TIMEOUT": "1"})
    data = form(PURPOSE, part("file", b"x" * 30_000, "a.txt"))
    with closing(dial(server, head(server.new_key(), length=len(data)))) as sock:
        drip(sock, data, 10)
        sock.settimeout(5)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_headers_that_drip_are_let_go(few):
    data = head(few.new_key())[:-2] + b"".join(b"X-%d: 1\r\n" % i for i in range(90))
    began = time.monotonic()
    with closing(dial(few, data[:10])) as sock:
        assert drip(sock, data[10:], 10, step=1) == b""
    assert time.monotonic() - began < 8


@pytest.fixture
def brief(serve):
    """Nobody waits for a client longer than a second."""
    return serve(**FEW | {"LAZU_BODY_TIMEOUT": "1"})


def test_a_reader_that_stalls_is_let_go(brief):
    key = brief.new_key()
    file = stored(brief, key, BIG, "big.dat")
    with closing(dial(brief, head(key, "GET", f"/v1/files/{file['id']}/content"), 4096)) as sock:
        time.sleep(3)
        assert len(rest(sock)) < len(BIG)


def test_a_reader_below_the_floor_is_let_go(brief):
    key = brief.new_key()
    file = stored(brief, key, BIG, "big.dat")
    with closing(dial(brief, head(key, "GET", f"/v1/files/{file['id']}/content"), 4096)) as sock:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            sock.recv(500)
            time.sleep(0.05)
        assert len(rest(sock)) < len(BIG) - 2**20


def test_a_slow_reader_above_the_floor_gets_everything(serve):
    server = serve(**FEW | {"LAZU_BODY_TIMEOUT": "1", "LAZU_BODY_MIN_RATE": "100000"})
    key = server.new_key()
    content = BIG[: 8 * 2**20]
    file = stored(server, key, content, "a.dat")
    with closing(dial(server, head(key, "GET", f"/v1/files/{file['id']}/content"), 65536)) as sock:
        sock.settimeout(5)
        got = bytearray()
        while not got.endswith(content):  # about 2.5 MB/s: several times the time limit
            piece = sock.recv(32768)
            assert piece, f"the answer broke off after {len(got)} bytes"
            got += piece
            time.sleep(0.01)


def test_the_log_has_a_line_and_no_trace_for_a_slow_client(few):
    key = few.new_key()
    with closing(dial(few, head(key, length=len(WHOLE)) + WHOLE[:5000])) as body, closing(dial(few, head(key)[:-20])) as headers:
        rest(body)
        rest(headers)
    assert "Traceback" not in few.log.read_text()
    assert " 408 " in few.log.read_text()
