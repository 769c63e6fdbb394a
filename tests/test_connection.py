"""A client's connection, one by one: what it counts, where it breaks off, and how it ends."""

import socket
import threading
import time
from contextlib import ExitStack, closing

import pytest

from helpers.raw_upstream import raw
from helpers.waiting import until
from helpers.wire import rest
from lazu.config import Settings
from lazu.server import connection as connections
from lazu.server.connection import Connection
from lazu.server.heads import _over


@pytest.fixture
def pair(tmp_path):
    """Both ends of a connection, of which ours is the server's."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        client = socket.create_connection(listener.getsockname(), 60)
        plain, _ = listener.accept()
    with closing(client), closing(Connection(plain, Settings(storage_dir=tmp_path, min_free_bytes=0))) as connection:
        yield connection, client


def test_what_is_offered_counts_when_the_client_has_taken_it(pair):
    """A reader of a long stream was let go as one who takes nothing."""
    connection, _ = pair
    assert connection.offer(b"x" * 1000) == 1000
    until(lambda: connection.taken() == 1000)


def test_a_client_that_still_sends_is_listened_to_for_a_while(pair):
    """Else it is reset, and many clients do not look for an answer then."""
    connection, client = pair
    connection.sendall(b"answer")
    ending = threading.Thread(target=connection.linger, daemon=True)
    client.sendall(b"x" * 1000)
    ending.start()
    assert [client.recv(100), client.recv(100)] == [b"answer", b""]
    for _ in range(5):
        client.sendall(b"x" * 1000)
        time.sleep(0.02)
    client.close()
    ending.join()


@pytest.fixture
def hasty(monkeypatch):
    """A client that says nothing is waited for a moment."""
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.1)


def test_who_says_nothing_more_is_not_listened_to_for_long(pair, hasty):
    ending = threading.Thread(target=pair[0].linger, args=(600, 2**20), daemon=True)
    ending.start()
    ending.join(60)
    assert not ending.is_alive()


def test_who_sends_a_body_may_pause(pair, hasty):
    connection, client = pair
    client.sendall(b"x")
    ending = threading.Thread(target=connection.linger, args=(600, 2**20), daemon=True)
    ending.start()
    time.sleep(0.5)
    assert ending.is_alive()
    client.close()
    ending.join()


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: a\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, len(HEALTH)])
def test_a_head_is_over_at_its_end_however_it_comes(size):
    for began in range(size):
        ends = [*range(began or size, len(HEALTH), size), len(HEALTH)]
        told = [_over(bytearray(HEALTH[:end]), seen) for seen, end in zip([0, *ends], ends, strict=False)]
        assert told == [False] * (len(ends) - 1) + [True]


def test_each_request_of_a_connection_is_counted_for_itself(pair):
    connection, client = pair
    for size in (10, 20):
        connection.setblocking(True)  # as gunicorn does before each
        client.sendall(b"x" * size)
        assert connection.recv(100) == b"x" * size
        assert connection.received == size


@pytest.fixture
def ask(serve):
    """Send a call of the model with `more` in its head, the answer of which is `{"a": 1}`; gives the connection."""
    with raw() as upstream, ExitStack() as stack:
        upstream.said = [b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}']
        server = serve(**upstream.env, LAZU_WORKERS="1")

        def ask(more=b""):
            sock = stack.enter_context(closing(socket.create_connection(("127.0.0.1", server.port), 60)))
            head = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: 2\r\n"
            sock.sendall(head + more + b"\r\n{}")
            return sock

        yield ask


def test_a_client_that_wants_the_end_gets_it_after_an_answer_of_the_model(ask):
    answer = rest(ask(b"Connection: close\r\n"))
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b'{"a": 1}')


def test_after_an_answer_of_the_model_a_request_that_is_none_is_told_so(ask):
    """What is sent first is held until a body comes: this has none."""
    sock, got = ask(), b""
    while not got.endswith(b'{"a": 1}'):
        got += sock.recv(65536) or pytest.fail(f"ended after {got}")
    sock.sendall(b"no request at all\r\n\r\n")
    assert rest(sock).startswith(b"HTTP/1.1 400 ")
