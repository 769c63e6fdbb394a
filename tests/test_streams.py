"""Many calls of the model at once: they take no threads, hold nothing back, starve nobody, and are told truly.

LAZU_LONG_TESTS=1 runs them with the numbers of a team: 1,000 streams, 2,000 aborts.
"""

import http.client
import json
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import openai
import pytest

from bench.listeners import Audience
from helpers import ports
from helpers.ports import free_port
from helpers.raw_upstream import raw
from helpers.server import PROJECT, Server
from helpers.waiting import until
from helpers.wire import PURPOSE, part, request, upload
from test_metrics import samples

LONG = bool(os.environ.get("LAZU_LONG_TESTS"))
MANY = 1000 if LONG else 200
ABORTS = 2000 if LONG else 240

ASK = {"model": "m", "input": "x"}


@pytest.fixture(scope="module")
def ticker():
    """The settings of a Lazu before a model server that can stream to a thousand (bench/contenders/ticker.py)."""
    port = free_port()
    process = subprocess.Popen([sys.executable, PROJECT / "bench/contenders/ticker.py", str(port)])
    with closing(socket.socket()) as probe:
        until(lambda: probe.connect_ex(("127.0.0.1", port)) == 0)
    yield {"LAZU_UPSTREAM_URL": f"http://127.0.0.1:{port}/v1", "LAZU_API_KEY": "k"}
    process.terminate()
    process.wait()


@contextmanager
def listening(server, streams, events):
    """An audience of so many streams, all begun; a thread hears them until the `with` ends."""
    audience, done = Audience(server.port, "k"), threading.Event()
    for _ in range(streams):
        audience.ask(events)
    audience.gather(120)

    def run():
        while not done.is_set() and audience.open:
            audience.hear(0.5)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield audience
    finally:
        done.set()
        thread.join()
        audience.leave()


def running(server):
    return samples(server)[("lazu_upstream_calls_running",)]


def outcomes(server):
    counted = samples(server).items()
    return {dict(labels)["outcome"]: value for (name, *labels), value in counted if name == "lazu_upstream_calls_total"}


def told(server):
    """The outcomes of calls of the model in the log, in their order."""
    return re.findall(r" upstream=(\w+)", server.log.read_text())


# Many


def slow(server, key):
    """Seconds of the slowest of 40 requests that have nothing to do with streams."""
    seconds = []
    for path in ("/v1/files", "/v1/models", "/healthz", "/v1/files?limit=1") * 10:
        began = time.monotonic()
        request(server, "GET", path, key)
        seconds.append(time.monotonic() - began)
    return statistics.quantiles(seconds, n=20)[-1]


def test_many_streams_are_all_heard_and_cost_little(serve, ticker):
    server = serve(**ticker)
    slow(server, "k")
    idle = server.rss()
    with listening(server, MANY, 60) as audience:
        most = server.rss()
        until(lambda: not audience.open)
        assert [ear.status for ear in audience.ears] == [200] * MANY
        assert [ear.events for ear in audience.ears] == [60] * MANY
        assert all(ear.whole for ear in audience.ears)
    assert (most - idle) / MANY < 256 * 1024
    until(lambda: outcomes(server) == {"answered": MANY + 10})  # with the models


def test_a_burst_of_streams_leaves_few_connections_of_the_database(serve, ticker):
    """Each of its threads had one, with two descriptors and 200 KiB, also long after."""
    server = serve(**ticker, LAZU_WORKERS="1", LAZU_THREADS="4")
    with listening(server, MANY, 600):
        _, worker = server.pids()
        opened = [os.readlink(each) for each in Path(f"/proc/{worker}/fd").iterdir()]
        assert sum(each.endswith("/lazu.sqlite3") for each in opened) < MANY / 4


def test_beside_many_streams_others_are_served_as_before(serve, ticker):
    server = serve(**ticker)
    idle = [slow(server, "k") for _ in range(3)]
    with listening(server, MANY, 3000) as audience:
        ratios = []
        until(lambda: ratios.append(slow(server, "k") / statistics.median(idle)) or min(ratios) <= 3, 120)
        assert len(audience.open) == MANY
    until(lambda: running(server) == 0)


# The limit


@pytest.fixture
def held(double):
    """Calls are answered when this is set; looking up models is answered at once."""
    gate = threading.Event()

    def script(handler):
        if handler.command == "POST":
            handler.start_events()
            handler.event({"type": "ping"})
            gate.wait(120)
            handler.end_events()
        else:
            handler.send(body=b'{"object":"list","data":[]}')

    double.script = script
    yield gate
    gate.set()


def stream(server, key):
    """A call whose answer has begun; its status."""
    body = json.dumps({**ASK, "stream": True})
    head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    sock = socket.create_connection(("127.0.0.1", server.port), 60)
    sock.sendall((head + body).encode())
    return sock, int(sock.recv(65536).split()[1])


def test_the_limit_is_the_boxs_and_has_its_name(serve, double, held):
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_UPSTREAM_CALLS="3", LAZU_WORKERS="1")
    socks = [stream(server, "k") for _ in range(2)]
    server.process.send_signal(signal.SIGHUP)  # the old worker goes on with these two, and takes no more
    until(lambda: len(server.pids()) == 3 and server.log.read_text().count("Booting worker") == 2)
    time.sleep(1)
    socks += [stream(server, "k") for _ in range(2)]
    assert [status for _, status in socks] == [200] * 3 + [503]
    answer = request(server, "POST", "/v1/responses", "k", json.dumps(ASK).encode())
    assert answer.error == (503, "overloaded", None)
    assert "LAZU_UPSTREAM_CALLS" in answer.json["error"]["message"]
    assert answer.headers["Retry-After"]
    assert "503: 3 calls of the model server are running, as many as LAZU_UPSTREAM_CALLS allows" in server.log.read_text()
    until(lambda: outcomes(server) == {"overloaded": 2})
    assert told(server) == ["overloaded"] * 2
    now = samples(server)
    assert (now[("lazu_upstream_calls_running",)], now[("lazu_upstream_calls_limit",)]) == (3, 3)
    assert request(server, "GET", "/v1/models", "k").status == 200
    for sock, _ in socks:
        sock.close()
    until(lambda: running(server) == 0)


def test_where_few_files_may_be_open_calls_are_fewer_and_leave_connections_for_files(tmp_path, double, held):
    """They took all of them, and then nobody got an answer, nor the operator a line."""
    few = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
    server = Server(tmp_path / "storage", {**double.env, "LAZU_API_KEY": "k", "LAZU_WORKERS": "1"}, under=few).start()
    try:
        with ExitStack() as streams:
            statuses = []
            while 503 not in statuses and len(statuses) < 25:
                sock, status = stream(server, "k")
                streams.callback(sock.close)
                statuses.append(status)
            assert statuses == [200] * 16 + [503]
            assert upload(server, "k", PURPOSE, part("file", b"words", "a.txt")).status == 200
            assert samples(server)[("lazu_upstream_calls_limit",)] == 16
        told = [line for line in server.log.read_text().splitlines() if "LimitNOFILE" in line]
        assert len(told) == 1
        assert "LAZU_UPSTREAM_CALLS is 16, not 1000" in told[0]
    finally:
        server.stop()


def test_a_stored_response_that_is_streamed_is_a_call_and_hides_no_models(serve, double):
    """`client.responses.retrieve(id, stream=True)`: it lasts as long as the model works on it."""

    def script(handler):
        if handler.path.endswith("/models"):
            handler.send(body=b'{"object":"list","data":[]}')
        else:
            handler.start_events()
            handler.event({"type": "ping"})
            handler.wait_for_end(60)

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_UPSTREAM_CALLS="2")
    with ExitStack() as watching:
        for _ in range(2):
            sock = watching.enter_context(socket.create_connection(("127.0.0.1", server.port), 60))
            sock.sendall(b"GET /v1/responses/resp_1?stream=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n")
            assert b" 200 " in sock.recv(100)
        until(lambda: running(server) == 2)
        for query in ("stream=true", "stream=false&stream=true"):
            assert request(server, "GET", f"/v1/responses/resp_1?{query}", "k").error == (503, "overloaded", None)
        for _ in range(5):
            assert request(server, "GET", "/v1/models", "k").status == 200
    until(lambda: running(server) == 0)


def look_up(server):
    """A look-up that is on its way; its connection."""
    sock = socket.create_connection(("127.0.0.1", server.port), 60)
    sock.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n")
    return sock


def test_look_ups_have_room_where_few_calls_may_run_and_a_limit_with_words_of_its_own(serve, double):
    """Six people who asked a slow model server for its models were told that two calls were running, of none."""
    gate = threading.Event()

    def script(handler):
        gate.wait(60)
        handler.send(body=b'{"object":"list","data":[]}')

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_UPSTREAM_CALLS="2")
    with ExitStack() as asking:
        socks = [asking.enter_context(closing(look_up(server))) for _ in range(64)]
        until(lambda: len(double.received) == 64)
        answer = request(server, "GET", "/v1/models", "k")
        assert answer.error == (503, "overloaded", None)
        words = "64 look-ups of models and stored responses are running"
        assert answer.json["error"]["message"].startswith(words)
        assert f"answered by 503: {words}" in server.log.read_text()
        now = samples(server)
        assert [now[(f"lazu_upstream_{name}",)] for name in ("calls_running", "calls_limit", "lookups_running", "lookups_limit")] == [0, 2, 64, 64]
        gate.set()
        assert all(b" 200 " in sock.recv(100) for sock in socks)


def test_one_key_does_not_shut_the_others_out(serve, double, held):
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_UPSTREAM_CALLS="16", LAZU_WORKERS="2")
    socks = [stream(server, "k") for _ in range(20)]
    assert [status for _, status in socks].count(200) == 16
    others = [stream(server, server.new_key()) for _ in range(4)]
    assert [status for _, status in others].count(200) == 2  # an eighth more, for all others together
    for sock, _ in socks + others:
        sock.close()


def test_a_worker_that_dies_gives_its_places_back(serve, double, held):
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_UPSTREAM_CALLS="4", LAZU_WORKERS="1")
    socks = [stream(server, "k")[0] for _ in range(4)]
    os.kill(server.pids()[1], signal.SIGKILL)
    until(lambda: len(server.pids()) == 2 and running(server) == 0)
    socks.append(stream(server, "k")[0])  # which waits for no place
    assert running(server) == 1
    for sock in socks:
        sock.close()


# Leaving


def descriptors(server):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in server.pids()[1:])


#: Threads of a worker at rest: the main one, the relay, as many as LAZU_THREADS (gunicorn's setting `threads`).
AT_REST = 18
#: Descriptors of a thread's connection of the database.
PER_THREAD = 3


def threads(server):
    return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in server.pids()[1:])


STAGES = ["in the body", "before the head", "in the stream"]


def test_calls_aborted_at_every_stage_leave_nothing(serve):
    with raw() as upstream:
        upstream.stays = True
        server = serve(**upstream.env)

        def abort(stage, hard):
            upstream.said = [] if stage == "before the head" else [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"]
            body = json.dumps(ASK)
            length = len(body) + (stage == "in the body")
            head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {length}\r\n\r\n"
            with closing(socket.create_connection(("127.0.0.1", server.port), 60)) as sock:
                calls = upstream.calls
                sock.sendall((head + body).encode())
                if stage == "before the head":
                    until(lambda: upstream.calls > calls)
                elif stage == "in the stream":
                    while b"hi" not in sock.recv(4096):
                        pass
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", hard, 0))

        for stage in STAGES * 5:
            abort(stage, True)
        until(lambda: running(server) == upstream.open == 0)
        before = descriptors(server)
        for number, stage in enumerate(STAGES * (ABORTS // 3)):
            abort(stage, hard=number // 3 % 2)
        until(lambda: running(server) == upstream.open == 0)
        until(lambda: threads(server) <= 2 * AT_REST and descriptors(server) <= before + 2 * AT_REST * PER_THREAD)
        assert set(outcomes(server)) == {"client_left"}


def test_a_reload_breaks_no_stream(serve, ticker):
    server = serve(**ticker)
    with listening(server, MANY, 60) as audience:
        before = server.pids()[1:]
        server.process.send_signal(signal.SIGHUP)
        until(lambda: not audience.open)
        assert [(ear.status, ear.whole) for ear in audience.ears] == [(200, True)] * MANY
        until(lambda: not set(before) & set(server.pids()))


def half_begun(double):
    def script(handler):
        if "begun" in str(double.last.json):
            handler.start_events()
            handler.event({"type": "ping"})
        handler.wait_for_end(60)

    return script


@contextmanager
def reloading(server, double):
    """The new workers, while an old one still has a stream."""
    double.script = half_begun(double)
    with closing(stream_of(server, "begun")) as begun:
        while b"ping" not in begun.recv(65536):
            pass
        old = booted(server)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(booted(server)) == 2 * len(old) and len(set(old) & set(server.pids())) == 1)
        yield booted(server)[len(old) :]


def booted(server):
    """Its workers so far, from the first one."""
    return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", server.log.read_text())]


def wedge(worker):
    """Let it do nothing any more, and seem to have done nothing for long: gunicorn looks at the time of a file."""
    os.kill(worker, signal.SIGSTOP)
    [alive] = [path for path in Path(f"/proc/{worker}/fd").iterdir() if "lazu-worker" in os.readlink(path)]
    os.utime(alive, (0, 0))


def test_what_follows_a_stream_on_its_connection_is_answered_also_after_a_reload(serve, double):
    gate = threading.Event()

    def script(handler):
        handler.start_events()
        handler.event({"type": "ping"})
        gate.wait(60)
        handler.end_events()

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k")
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as client:
        client.request("POST", "/v1/responses", json.dumps(ASK), {"Authorization": "Bearer k"})
        stream, old = client.getresponse(), booted(server)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(booted(server)) == 2 * len(old) and len(set(old) & set(server.pids())) == 1)
        gate.set()
        assert stream.read()
        assert not stream.will_close
        client.request("GET", "/v1/files", headers={"Authorization": "Bearer k"})
        answer = client.getresponse()
        assert (answer.status, answer.will_close) == (200, True)
    until(lambda: not set(old) & set(server.pids()))


@pytest.mark.parametrize("lose", [lambda worker: os.kill(worker, signal.SIGKILL), wedge], ids=["killed", "wedged"])
def test_workers_that_are_lost_while_a_reload_waits_are_replaced(serve, double, lose):
    """As the OOM killer takes them: nobody was served until the stream of the old one had ended."""
    server = serve(**double.env, LAZU_API_KEY="k")
    with reloading(server, double) as new:
        for worker in new:
            lose(worker)
        assert request(server, "GET", "/healthz").status == 200
        assert set(booted(server)[2:4]) == set(new)
        assert running(server) == 1


def test_they_are_while_a_stop_waits_for_the_reload_too(serve, double):
    """They had its signal from the master, and ended at once."""
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_WORKERS="1")
    with reloading(server, double) as [new]:
        server.process.terminate()
        os.kill(new, signal.SIGKILL)
        assert request(server, "GET", "/healthz").status == 200
    assert server.process.wait(60) == 0
    assert len(booted(server)) == 3


def test_what_a_restart_has_to_end_is_told(serve, double):
    double.script = half_begun(double)
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_WORKERS="1", GUNICORN_CMD_ARGS="--graceful-timeout 8")
    with closing(stream_of(server, "silent")) as silent, closing(stream_of(server, "begun")) as begun:
        until(lambda: len(double.received) == 2)
        while b"ping" not in begun.recv(65536):
            pass
        server.process.send_signal(signal.SIGHUP)
        assert begun.recv(65536) == b""
        assert b" 503 " in silent.recv(65536)
    until(lambda: outcomes(server) == {"stopped": 2} and running(server) == 0)
    assert told(server) == ["stopped"] * 2


def test_workers_whose_master_was_killed_leave_the_port_at_once_and_tell_of_what_they_end(serve, double):
    double.script = half_begun(double)
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_WORKERS="1", GUNICORN_CMD_ARGS="--graceful-timeout 8")
    with closing(stream_of(server, "begun")) as begun:
        while b"ping" not in begun.recv(65536):
            pass
        server.process.kill()
        server.process.wait()
        after = Server(server.storage, server.env, server.port).start()
        try:
            assert begun.recv(65536) == b""
            until(lambda: ports.listening(after.port))
            assert after.process.poll() is None, "found the port free"
        finally:
            after.stop()
    assert told(server) == ["stopped"]


# What came of it


def test_outcomes_are_true(serve, double):
    """The SDK closes at [DONE]; a user says stop; the model server breaks off."""

    def script(handler):
        handler.start_events()
        handler.wfile.write(b"8\r\ndata: 1\n\r\n2\r\n\n\n\r\n")
        if "whole" in str(double.last.json):
            handler.wfile.write(b"c\r\ndata: [DONE]\r\n2\r\n\n\n\r\n")
            time.sleep(0.05)
            handler.end_events()
        elif "breaks" in str(double.last.json):
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.wait_for_end(30)

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k")
    with server.client("k") as client:
        for _ in range(30):
            assert len(list(client.chat.completions.create(model="whole", messages=[], stream=True))) == 1
        for _ in range(5):
            next(iter(client.chat.completions.create(model="stopped", messages=[], stream=True).response.iter_raw()))
    for _ in range(5):
        with closing(stream_of(server, "breaks")) as sock:
            while sock.recv(4096):
                pass
    expected = {"answered": 30, "client_left": 5, "broke_off": 5}
    until(lambda: outcomes(server) == expected)
    assert {word: told(server).count(word) for word in set(told(server))} == expected
    assert server.log.read_text().count("the upstream broke off") == 5


#: How vLLM, SGLang and LiteLLM (`json.dumps`) and llama.cpp (compact) tell of an error in the midst of a stream, and some a bare word.
ERRORS = [b'{"error": {"message": "out of memory", "code": 500}}', b'{"error":{"code":500,"message":"a"}}', b'{"error": "out of memory"}']

#: How OpenRouter does.
ROUTED = b'{"id":"gen-1","object":"chat.completion.chunk","model":"m","error":{"code":502,"message":"a"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}'

#: At which the SDK reads on, or breaks off by itself.
NO_ERRORS = [
    b'{"error": null, "delta": "a"}', b'{"error": {}}', b'{"id": 1, "error": ""}', b'{"a": {"error": {"code": 1}}, "finish_reason": "error"}',
    b'{"error"}', b'{"error": ' + b"[" * 10_000, b'{"error": "\xff"}', b'["error"]',
]  # fmt: skip

#: What a client has of a stream when it leaves, in pieces, and whether that is the whole answer.
ENDS = [
    ([b"data: [DONE]\n\n: ping\n\n"], True),
    ([b'data: {"delta": "data: [DONE]"}\n\n'], False),
    ([b'data: {"delta": "data: [DONE]', b'"}\n\n'], False),
    *(([b'data: 1\n\nevent: %b\ndata: {"a": 1}\n\n' % name], True) for name in (b"response.completed", b"response.incomplete", b"response.failed", b"error")),
    ([b'data: {"type":"response.completed","response":{}}\r\n\r\n: ping\r\n\r\n'], True),
    ([b"event: response.completed\n", b'data: {"a": 1}', b"\n\n"], True),
    ([b'event: response.completed\ndata: {"a": 1}\n\n', b": ping, and ping again\n\n"], True),
    ([b"data: [DONE]\n\n", b": ping, and ping again\n\n"], True),
    ([b'data: 1\n\nevent: error\n', b'data: {"a": 1}\n\n', b": ping, and ping again\n\n"], True),
    ([b'data: 1\n\nevent: error\n', b"data: 1"], False),
    ([b"data: 1\n\nevent: resp", b'onse.completed\ndata: {"a": 1}\n\n: ping'], True),
    ([b'data: {"type":', b'"response.completed", "a": 1}\n', b"\n: ping, and ping again\n\n"], True),
    ([b'data: 1\n\ndata: {"type": "response.incomplete', b'", "a": 1}\n\n: ping'], True),
    ([b'data: {"delta": "', b'event: error"}\n\n: ping, and ping again\n\n'], False),
    *(([b"data: 1\n\n", b"data: %b\n\n" % error, b": ping, and ping again\n\n"], True) for error in ERRORS),
    *(([b"data: 1\n\ndata: " + error[:9], error[9:] + b"\n\n"], True) for error in ERRORS),
    ([b'data: {"error": {"message": "', b"x" * 200_000, b'"}}\n'], False),
    *(([b"data: 1\n\ndata: " + ROUTED[:cut], ROUTED[cut:], b"\r\n\r\n: ping, and ping again\n\n"], True) for cut in (0, 30, 75, len(ROUTED))),
    ([b'data: {"delta": "', b"x" * 200_000, b'"}\n\n', b"data: %b\n\n" % ROUTED], True),
    ([b"data: %b\n" % ROUTED], False),
    *(([b"data: %b\n\n" % data], False) for data in NO_ERRORS),
    ([b'data: {"delta": "data: {\\"error\\": {"}\n\n'], False),
    ([b'data: 1\n\nevent: response.completed\ndata: {"a": "', b"x" * 200_000, b'"}\n\n'], True),
    ([b'data: 1\n\nevent: response.completed\ndata: {"a": "', b"x" * 200_000, b'"}\n'], False),
    ([b'data: 1\n\nevent: response.completed\ndata: {"a'], False),
    ([b'event: response.output_text.delta\ndata: {"delta": "event: response.completed"}\n\n'], False),
]  # fmt: skip


def test_who_leaves_with_the_last_event_has_the_answer(serve):
    with raw() as upstream:
        upstream.stays, expected = True, []
        server = serve(**upstream.env)
        for pieces, whole in ENDS:
            upstream.said = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", *pieces]
            expected.append("answered" if whole else "client_left")
            with closing(stream_of(server, "m")) as sock:
                got = b""
                while unchunked(got) != b"".join(pieces):
                    got += sock.recv(2**20) or pytest.fail(f"ended after {got[-200:]}")
            until(lambda: len(told(server)) == len(expected))
            assert told(server) == expected, pieces


def test_who_leaves_at_an_error_of_the_model_server_has_the_answer(serve, double):
    """`data: {"error": …}` was no last event: the SDK raises and hangs up there, which was told as `client_left`."""

    def script(handler):
        handler.start_events()
        for event in (b"1", ERRORS[0]):
            handler.wfile.write(b"%x\r\ndata: %b\n\n\r\n" % (len(event) + 8, event))
        handler.wait_for_end(30)

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k")
    with server.client("k") as client, pytest.raises(openai.APIError, match="out of memory"):
        list(client.chat.completions.create(model="m", messages=[], stream=True))
    until(lambda: told(server) == ["answered"])


def unchunked(got):
    """The content so far of an answer in chunks."""
    rest, content = got.partition(b"\r\n\r\n")[2], b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        content, rest = content + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return content


def test_silence_within_an_answer_is_no_breaking_off(serve, double):
    def script(handler):
        handler.start_events()
        handler.event({"type": "ping"})
        handler.wait_for_end(60)

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_UPSTREAM_TIMEOUT="1")
    with closing(stream_of(server, "m")) as sock:
        heard = b"".join(iter(lambda: sock.recv(4096), b""))
    assert b"ping" in heard
    assert not heard.endswith(b"0\r\n\r\n")
    until(lambda: outcomes(server) == {"upstream_timeout": 1})
    assert told(server) == ["upstream_timeout"]


def stream_of(server, model):
    body = json.dumps({**ASK, "model": model})
    head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}\r\n\r\n"
    sock = socket.create_connection(("127.0.0.1", server.port), 60)
    sock.sendall((head + body).encode())
    return sock


def test_the_log_has_the_bytes_and_seconds_of_a_stream(serve, double):
    def script(handler):
        handler.start_events()
        time.sleep(1)
        handler.event({"type": "ping"})
        handler.end_events()

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k")
    body = request(server, "POST", "/v1/responses", "k", json.dumps(ASK).encode()).body
    until(lambda: told(server))
    [line] = [line for line in server.log.read_text().splitlines() if " POST /v1/responses 200 " in line]
    assert f" out={len(body)} " in line
    assert 1 <= float(re.search(r"seconds=([\d.]+)", line)[1]) < 30
    assert " key=default " in line
    assert re.search(r"request=req_\w+$", line)


# Connections


def test_a_connection_goes_on_after_a_stream(serve, double):
    """Also when the next request was there before its end."""

    def script(handler):
        handler.start_events()
        handler.event({"type": "ping"})
        time.sleep(0.2)
        handler.end_events()

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_WORKERS="1")
    head = "POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: 2\r\n\r\n{}"
    with closing(socket.create_connection(("127.0.0.1", server.port), 60)) as sock:
        sock.sendall(head.encode() * 3 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b"".join(iter(lambda: sock.recv(65536), b""))
    assert got.count(b"HTTP/1.1 200 OK") == 4
    assert got.count(b"\r\n0\r\n\r\n") == 3
    assert got.endswith(b'{"status":"ok"}\n')


def test_http_1_0_gets_the_plain_body_and_its_end(serve, double):
    def script(handler):
        handler.start_events()
        handler.event({"type": "ping"})
        handler.end_events()

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k")
    with closing(socket.create_connection(("127.0.0.1", server.port), 60)) as sock:
        sock.sendall(b"POST /v1/responses HTTP/1.0\r\nAuthorization: Bearer k\r\nContent-Length: 2\r\n\r\n{}")
        got = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body == b'event: ping\ndata: {"type": "ping"}\n\n'


def test_a_reader_that_does_not_read_is_let_go(serve):
    with raw() as upstream:
        upstream.said = [b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", *([b"x" * 1_000_000] * 100)]
        server = serve(**upstream.env, LAZU_BODY_TIMEOUT="1")
        with closing(socket.socket()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: 2\r\n\r\n{}")
            until(lambda: told(server) == ["client_left"])
            until(lambda: upstream.open == 0)
        assert running(server) == 0


def test_a_reader_that_is_slow_gets_everything(serve):
    with raw() as upstream:
        upstream.said = [b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", *([b"x" * 1_000_000] * 10)]
        server = serve(**upstream.env)
        with closing(socket.socket()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(b"POST /v1/responses HTTP/1.0\r\nAuthorization: Bearer k\r\nContent-Length: 2\r\n\r\n{}")
            got = 0
            while piece := sock.recv(200_000):
                got += len(piece)
                time.sleep(0.01)
        assert got > 10_000_000
        until(lambda: told(server) == ["answered"])


def test_a_call_of_a_client_that_has_gone_never_reaches_the_model(serve):
    """It left while its body was looked at: here, while the server stood still."""
    with raw() as upstream:
        server = serve(**upstream.env, LAZU_WORKERS="1")
        assert request(server, "GET", "/v1/models", "k").status == 502  # it says nothing, but it is called
        upstream.calls, worker = 0, server.pids()[1]
        os.kill(worker, signal.SIGSTOP)
        for _ in range(20):
            stream_of(server, "m").close()
        os.kill(worker, signal.SIGCONT)
        for _ in range(50):
            assert request(server, "GET", "/v1/files", "k").status == 200
        assert (upstream.calls, running(server)) == (0, 0)


def test_a_call_that_nobody_waits_for_may_be_a_workers_first(serve):
    """The body and the client's end come together, when the body is read already."""
    with raw() as upstream:
        upstream.said = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]
        server = serve(**upstream.env, LAZU_WORKERS="1")
        head = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        with closing(socket.create_connection(("127.0.0.1", server.port), 60)) as sock:
            sock.sendall(head)
            assert b" 100 " in sock.recv(4096)
            sock.send(b"{}", socket.MSG_MORE)
            sock.shutdown(socket.SHUT_WR)
            until(lambda: told(server) == ["client_left"])
        before = server.pids()
        assert request(server, "POST", "/v1/responses", "k", b"{}").status == 200
        assert (server.pids(), upstream.calls) == (before, 1)


# Through nginx


def test_an_application_server_streams_through_nginx_and_starves_nobody(deploy, ticker):
    """All of it from one address: streams, beside them uploads, lists, health."""
    edge = deploy(**ticker)
    with listening(edge, 150, 50) as audience:
        for number in range(10):
            assert upload(edge, "k", PURPOSE, part("file", b"words %d" % number, "a.txt")).status == 200
            assert request(edge, "GET", "/v1/files?limit=1", "k").status == 200
            assert request(edge, "GET", "/healthz").status == 200
        until(lambda: not audience.open)
        assert [(ear.status, ear.events, ear.whole) for ear in audience.ears] == [(200, 50, True)] * 150


def test_slow_readers_of_files_starve_nothing_else(deploy):
    edge = deploy(LAZU_API_KEY="k")
    stored = upload(edge, "k", PURPOSE, part("file", os.urandom(8_000_000), "a.bin")).json["id"]
    head = f"GET /v1/files/{stored}/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n".encode()
    with ExitStack() as readers:
        for _ in range(64):
            sock = readers.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", edge.port))
            sock.sendall(head)
            assert b" 200 " in sock.recv(100)
        assert request(edge, "GET", f"/v1/files/{stored}/content", "k").error == (503, "overloaded", None)
        for path in ("/v1/files", f"/v1/files/{stored}", "/healthz"):
            assert request(edge, "GET", path, "k").status == 200


def test_a_large_head_of_the_model_server_comes_through_nginx(deploy):
    """What nginx can't pass on it answers with 503, and the SDKs ask the model again."""
    fields = b"".join(b"X-Trace-%d: %s\r\n" % (number, b"x" * 6000) for number in range(10))
    with raw() as upstream:
        upstream.said = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s\r\n{}" % fields]
        edge = deploy(**upstream.env)
        for method, path, body in (("POST", "/v1/responses", b"{}"), ("GET", "/v1/models", None)):
            answer = request(edge, method, path, "k", body)
            assert (answer.status, answer.headers["X-Trace-9"]) == (200, "x" * 6000)
