"""The relay and its calls, one step after the other: what waits for whom, and what came of it."""

import logging
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import pytest
from freezegun import freeze_time

from helpers.raw_upstream import raw
from helpers.server import PROJECT
from helpers.waiting import until
from helpers.wire import request
from lazu import logs
from lazu.gateway.answer import Asked
from lazu.gateway.exchange import Exchange
from lazu.gateway.relay import Relay
from lazu.gateway.upstream import Call


class Blocked:
    """A call whose client does not read; the far ends of its connections are `theirs`."""

    blocked = True

    def __init__(self, held):
        self.over, self.begun, self.reads, self.closed = False, False, 0, False
        self.ours, self.theirs = zip(*(map(held.enter_context, socket.socketpair()) for _ in range(2)), strict=True)
        self.client_fd, self.server_fd = (each.fileno() for each in self.ours)
        self.ours[0].setblocking(False)
        with suppress(BlockingIOError):
            while self.ours[0].send(b"x" * 65536):
                pass

    def begin(self):
        self.begun = True

    def read(self):
        self.reads += 1

    def leave(self):
        self.over = True

    def close(self):
        self.closed = True

    def check(self, now):
        """It takes long, and may."""


@pytest.fixture(scope="module")
def relay():
    relay = Relay()
    relay.start()
    return relay


def test_a_call_whose_client_does_not_read_costs_nothing_and_is_forgotten_when_it_leaves(relay):
    """The end of the answer woke the relay again and again."""
    with ExitStack() as held:
        calls = [Blocked(held) for _ in range(20)]
        for call in calls:
            call.theirs[1].close()
            relay.join(call)
            until(lambda call=call: call.begun)
        assert sum(call.reads for call in calls) == 0
        for call in calls:
            call.theirs[0].close()
        until(lambda: all(call.closed for call in calls))
    assert not relay._blocked
    assert not relay._members


FAILING = """
import logging, threading
from lazu.gateway.relay import Relay

logging.setLogRecordFactory(None)  # no line can be made any more
relay = Relay()
relay.start()
[thread] = set(threading.enumerate()) - {threading.main_thread()}
relay.join(None)  # a bug
thread.join()
"""


def test_a_relay_that_fails_ends_its_process_though_no_line_can_be_written():
    """The line raised, and a worker without a relay went on: its callers waited for ever."""
    assert subprocess.run([sys.executable, "-c", FAILING], cwd=PROJECT, capture_output=True, timeout=60).returncode == 1


class Line:
    """The upstream's connection: what it gives when it is asked, piece by piece."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def fileno(self):
        return -1

    def receive(self, _):
        return self.pieces.pop(0) if self.pieces else None

    def pending(self):
        return False

    def close(self):
        """Nothing to do."""


class Client:
    """A client's connection, on which `room` bytes fit."""

    def __init__(self, room):
        self.room, self.got = room, b""

    def offer(self, data):
        taken = data[: self.room]
        self.got, self.room = self.got + taken, self.room - len(taken)
        return len(taken)

    def slow_reader(self):
        return SimpleNamespace(check=lambda: None, end=lambda: None)

    def brittle(self, _):
        """It ends well here."""


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"


def calling(line, client, **facts):
    """A call that has begun in the relay."""
    upstream = SimpleNamespace(ask=lambda *_: line, timeout=60, relay=SimpleNamespace(join=Exchange.begin))
    call = Exchange(upstream, Call(1, "POST", "/responses"), client, Asked("POST", old=False, facts=facts))
    call.send()
    call.start(lambda: True, lambda _: None)
    return call


def test_who_read_slowly_does_not_make_the_upstream_silent():
    """As long as nobody asked it, it can't be late."""
    line, client = Line(HEAD + b"x" * 1000), Client(500)
    with freeze_time() as clock:
        call = calling(line, client)
        call.read()
        assert call.blocked
        clock.tick(100)
        client.room = 10_000
        call.flush()
        clock.tick(1)
        call.check(time.monotonic())
        assert not call.over
    line.pieces = [b"x" * 1000]
    call.read()
    assert (call.outcome, call.sent) == ("answered", 2000)


def test_what_tls_holds_already_comes_when_the_client_reads_on():
    """No event tells of it."""
    client = Client(500)
    call = calling(Line(HEAD + b"x" * 1000, b"x" * 1000), client)
    call.read()
    client.room = 10_000
    call.flush()
    assert call.outcome == "answered"
    assert client.got.count(b"x") == 2000


def test_who_leaves_when_the_end_is_there_has_the_answer():
    call = calling(Line(HEAD + b"x" * 1000, b"x" * 1000), Client(10_000))
    call.read()
    call.leave()
    assert call.outcome == "answered"


def test_who_leaves_before_it_has_read_the_end_has_no_answer():
    call = calling(Line(HEAD + b"x" * 2000), Client(500))
    call.read()
    call.leave()
    assert call.outcome == "client_left"


def test_an_answer_that_is_no_http_stands_in_the_log_under_its_request(serve):
    with raw() as upstream:
        upstream.said = [b"220 smtp ready\r\n\r\n"]
        server = serve(**upstream.env)
        answer = request(server, "POST", "/v1/responses", "k", b"{}")
    assert answer.status == 502
    [told] = [line for line in server.log.read_text().splitlines() if "the upstream broke off" in line]
    assert answer.headers["x-request-id"] in told


def test_later_lines_of_the_relay_do_not_bear_the_id_of_a_call_that_broke_off(caplog):
    """Each thread's lines bear the id that was set last."""
    caplog.handler.setFormatter(logs.Formatter(logs.Style("text", "utc")))
    call = calling(Line(b"220 smtp ready\r\n\r\n"), Client(10_000), **{"lazu.request_id": "req_one"})
    with logs.about(None):  # as the relay's thread begins
        call.read()
        logging.getLogger("lazu").warning("something else")
    broken, later = caplog.text.splitlines()
    assert "broke off" in broken
    assert broken.endswith(" request=req_one")
    assert later.endswith("something else\"")
