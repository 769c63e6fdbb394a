"""The way to the model server and back: events as they come, both ends may leave, and no key or order crosses."""

import http.client
import json
import os
import resource
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

import openai
import pytest

from helpers.server import free_port
from helpers.upstream import RESPONSE, running
from helpers.waiting import until
from helpers.wire import dial, head, request, rest, stored

ASK = {"model": "m", "input": "x"}


def opened(client, **more):
    """A raw connection on which a request was sent and nothing read."""
    sock = socket.create_connection(("127.0.0.1", client.server.port), 30)
    body = json.dumps({**ASK, "stream": True}).encode()
    head = "POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {client.key}\r\nContent-Length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body)
    return sock


def outcome(client, path="/v1/responses", **body):
    status, headers, answer = client.post(path, {**ASK, **body})
    return status, answer["error"]["code"], headers.get("x-should-retry")


# Events


def test_each_event_comes_before_the_next_is_sent(native, double):
    heard = threading.Semaphore(0)

    def script(handler):
        handler.start_events()
        for number in range(3):
            handler.event({"type": "response.output_text.delta", "delta": str(number), "item_id": "i", "output_index": 0,
                           "content_index": 0, "sequence_number": number, "logprobs": []})  # fmt: skip
            assert heard.acquire(timeout=10)  # only a client that has heard this event lets the next one be sent
        handler.event({"type": "response.completed", "sequence_number": 3, "response": RESPONSE})
        handler.end_events()

    double.script = script
    seen = []
    for event in native.sdk.responses.create(**ASK, stream=True):
        seen.append(event.type)
        heard.release()
    assert seen == ["response.output_text.delta"] * 3 + ["response.completed"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", "/v1/responses/resp_1/cancel")])
def test_an_answer_does_not_wait_for_a_body_that_nobody_reads(native, double, method, path):
    began = time.monotonic()
    with closing(dial(native.server, head(native.key, method, path, 10) + b"12345")) as sock:
        answer = rest(sock)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in answer
        assert time.monotonic() - began < 4, "gunicorn waits for 5 s"
    with closing(dial(native.server, head(native.key, method, path, 8_000_000))) as sock:
        for _ in range(8):
            sock.sendall(b"x" * 1_000_000)
        assert rest(sock).startswith(b"HTTP/1.1 200 ")


def test_the_headers_come_before_the_first_event(native, double):
    heard = threading.Event()

    def script(handler):
        handler.start_events()
        assert heard.wait(10)
        handler.end_events()

    double.script = script
    with closing(opened(native)) as sock:
        head = sock.recv(4096)
        assert head.startswith(b"HTTP/1.1 200")
        assert b"text/event-stream" in head
        assert b"X-Accel-Buffering: no" in head
        heard.set()


def test_what_is_no_multiple_of_an_event_comes_too(native, double):
    def script(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for piece in (b'{"a"', b":", b"1}"):
            handler.wfile.write(piece)
        handler.close_connection = True

    double.script = script
    assert native.post("/v1/responses", ASK)[2] == {"a": 1}


def test_a_pause_longer_than_a_body_may_make_is_no_fault(serve, double):
    def script(handler):
        time.sleep(1.5)
        handler.start_events()
        time.sleep(1.5)
        handler.event({"type": "response.completed", "sequence_number": 0, "response": RESPONSE})
        handler.end_events()

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_BODY_TIMEOUT="1")
    with server.client("k") as client:
        assert [event.type for event in client.responses.create(**ASK, stream=True)] == ["response.completed"]


# Leaving


@pytest.mark.parametrize("when", ["before the headers", "between events"])
def test_a_client_that_leaves_ends_the_call(native, double, when):
    ended, ready = threading.Event(), threading.Event()

    def script(handler):
        if when == "between events":
            handler.start_events()
            handler.event({"type": "ping"})
        ready.set()
        if handler.wait_for_end(10):
            ended.set()

    double.script = script
    sock = opened(native)
    assert ready.wait(10)
    if when == "between events":
        while b"ping" not in sock.recv(4096):
            pass
    sock.close()
    assert ended.wait(5), "the call went on although nobody listens"


def break_off(handler):
    handler.start_events()
    handler.event({"type": "ping"})
    handler.close_connection = True  # without the last chunk
    handler.connection.shutdown(socket.SHUT_RDWR)


def reset(handler):
    handler.start_events()
    handler.event({"type": "ping"})
    time.sleep(0.1)
    handler.reset()


def short(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"output":')
    handler.close_connection = True


@pytest.mark.parametrize("script", [break_off, reset, short])
def test_an_answer_that_breaks_off_does_not_look_complete(native, double, script):
    double.script = script
    with native.connected() as connection:
        connection.request("POST", "/v1/responses", json.dumps(ASK), native.headers)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            connection.getresponse().read()


@pytest.mark.parametrize("script", [break_off, reset])
def test_nor_does_it_to_a_client_of_http_1_0(native, double, script):
    """nginx is one unless told otherwise; there the end of the connection is the end of the answer."""
    double.script = script
    with closing(socket.create_connection(("127.0.0.1", native.server.port), 30)) as sock:
        head = f"POST /v1/responses HTTP/1.0\r\nAuthorization: Bearer {native.key}\r\nContent-Length: 2\r\n\r\n"
        sock.sendall(head.encode() + b"{}")
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: sock.recv(4096), b""))


def test_the_sdk_hears_of_a_stream_that_broke(native, double):
    double.script = break_off
    with pytest.raises((openai.APIConnectionError, openai.APIError)) as heard:
        list(native.sdk.responses.create(**ASK, stream=True))
    assert heard.value is not None


# Faults


def test_no_upstream_is_said_so(server):
    with server.client() as client, pytest.raises(openai.APIStatusError) as refused:
        client.responses.create(**ASK)
    assert (refused.value.status_code, refused.value.code) == (503, "upstream_not_configured")
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_an_upstream_that_does_not_listen(serve):
    server = serve(LAZU_UPSTREAM_URL=f"http://127.0.0.1:{free_port()}/v1", LAZU_API_KEY="k")
    with server.client("k") as client, pytest.raises(openai.APIStatusError) as refused:
        client.responses.create(**ASK)
    assert (refused.value.status_code, refused.value.code) == (502, "upstream_error")


def test_an_upstream_that_says_nothing(serve, double):
    double.script = lambda handler: handler.wait_for_end(10)
    server = serve(**double.env, LAZU_UPSTREAM_TIMEOUT="1", LAZU_API_KEY="k")
    began = time.monotonic()
    with server.client("k") as client, pytest.raises(openai.APIStatusError) as refused:
        client.responses.create(**ASK)
    assert (refused.value.status_code, refused.value.code) == (504, "upstream_timeout")
    assert time.monotonic() - began < 5


def garbage(handler):
    handler.wfile.write(b"220 smtp ready\r\n")
    handler.close_connection = True


FAULTS = {
    "closes at once": (lambda handler: handler.connection.shutdown(socket.SHUT_RDWR), None),
    "resets": (lambda handler: handler.reset(), None),
    "speaks no HTTP": (garbage, None),
    "redirects": (lambda handler: handler.send(307, Location="http://127.0.0.1:1/"), "false"),
    "redirects a GET": (lambda handler: handler.send(302, Location="/elsewhere"), "false"),
    "refuses Lazu's key": (lambda handler: handler.send(401, b'{"error":{"message":"Incorrect key: upstr***cret"}}'), "false"),
    "switches protocols": (lambda handler: handler.send(101), "false"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_upstream_is_its_own(native, double, fault):
    double.script, retry = FAULTS[fault]
    assert outcome(native) == (502, "upstream_error", retry)
    assert len(double.received) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422, 429, 500, 503])
def test_what_the_upstream_says_of_a_request_comes_back_as_it_is(native, double, status):
    said = b'{"error":{"message":"no","type":"x","param":null,"code":"y"},"more":1}'
    double.script = lambda handler: handler.send(status, said, Retry_After="7", X_RateLimit_Remaining_Tokens="3")
    got, headers, body = native.post("/v1/responses", ASK)
    assert (got, body) == (status, json.loads(said))
    assert (headers["Retry-After"], headers["x-ratelimit-remaining-tokens"]) == ("7", "3")


def test_an_answer_before_the_end_of_the_body_arrives(native, double):
    file_id = native.upload("big.dat", os.urandom(20 * 2**20))

    def script(handler):
        handler.send(413, b'{"error":"too much"}', Connection="close")
        handler.close_connection = True

    double.eager, double.script = True, script
    status, _, body = native.ask({"type": "input_file", "file_id": file_id})
    assert (status, body) == (413, {"error": "too much"})


@contextmanager
def reads_no_more(listener, said, tls, closes):
    """A model server, plain or with `tls`: it says `said` when the head of a request has come, and reads no more of it."""

    def answer():
        with ExitStack() as opened:
            sock = opened.enter_context(listener.accept()[0])
            if tls:
                sock = opened.enter_context(tls.wrap_socket(sock, server_side=True))
            sock.recv(4096)
            time.sleep(0.3)  # until nothing more fits
            sock.sendall(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}" % said)
            if not closes:
                done.wait(60)

    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        answered = pool.submit(answer)
        yield
        done.set()
        answered.result()


@pytest.mark.parametrize("closes", [True, False], ids=["closes", "stays"])
@pytest.mark.parametrize(("said", "status"), [(b"413 Too Large", 413), (b"307 Temporary Redirect", 502), (b"200 OK", 200)])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_an_answer_comes_though_the_upstream_reads_no_more(serve, certificate, secure, said, status, closes):
    """A server that begins a success and stays may be reading on: Lazu sends on, and gives up when nothing is taken."""
    tls = context(certificate) if secure else None
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(60)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        url = f"{'https' if secure else 'http'}://localhost:{listener.getsockname()[1]}/v1"
        env = {"LAZU_UPSTREAM_URL": url, "LAZU_UPSTREAM_TIMEOUT": "2", "SSL_CERT_FILE": str(certificate.with_name("public.pem"))}
        server = serve(**env, LAZU_API_KEY="k")
        with reads_no_more(listener, said, tls, closes):
            answer = request(server, "POST", "/v1/responses", "k", b'{"input": "%s"}' % (b"x" * 16_000_000))
    assert answer.status == (504 if status == 200 and not closes else status)
    assert b"broke off" not in answer.body


def test_calls_that_wait_take_nothing_from_files(serve, double):
    gate = threading.Event()

    def script(handler):
        gate.wait(30)
        handler.send(body=json.dumps(RESPONSE).encode())

    double.script = script
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_WORKERS="1", LAZU_THREADS="2")
    with server.client("k") as client:
        waiting = [threading.Thread(target=client.responses.create, kwargs=ASK) for _ in range(20)]
        for thread in waiting:
            thread.start()
        until(lambda: len(double.received) == 20)
        assert client.files.list().data == []
        gate.set()
        for thread in waiting:
            thread.join()


# Keys, headers, routes


def test_neither_key_crosses(native, double):
    double.script = lambda handler: handler.send(body=json.dumps(dict(handler.headers)).encode())
    sent = {"Cookie": "client-secret", "api-key": "client-secret", "x-api-key": "client-secret",
            "Proxy-Authorization": "client-secret", "X-Forwarded-For": "10.0.0.1", "OpenAI-Organization": "client-secret",
            "OpenAI-Beta": "responses=v1", "X-Stainless-Lang": "python"}  # fmt: skip
    native.post("/v1/responses?a=1&b=%2F", ASK, **sent)
    received = double.last.headers
    assert received["authorization"] == "Bearer upstream-secret"
    assert "client-secret" not in str(double.last)
    assert (received["openai-beta"], received["x-stainless-lang"]) == ("responses=v1", "python")
    assert "x-forwarded-for" not in received
    assert received["host"] == double.url.split("/")[2]
    assert double.last.path == "/v1/responses?a=1&b=%2F"
    assert "upstream-secret" not in native.server.log.read_text()


def test_the_model_server_is_asked_for_no_compression(native, double):
    """In a compressed stream nobody sees the last event: each that the SDK read to its end was `client_left`."""
    native.post("/v1/responses", ASK, **{"Accept-Encoding": "gzip, deflate"})
    assert double.last.headers["accept-encoding"] == "identity"


def test_the_upstreams_orders_to_servers_do_not_pass(native, double):
    orders = {"X_Accel_Redirect": "/_blobs/ab/abcd", "X_Accel_Buffering": "yes", "X_Sendfile": "/etc/passwd",
              "Set_Cookie": "a=b", "Keep_Alive": "timeout=5", "Server": "secret/1", "X_Hop": "1", "Connection": "close, X-Hop",
              "Strict_Transport_Security": "max-age=1", "X_Request_Id": "theirs", "X_Lazu_Files": "forged"}  # fmt: skip
    double.script = lambda handler: handler.send(body=b"{}", **orders, OpenAI_Processing_Ms="5")
    status, headers, _ = native.post("/v1/responses", ASK)
    assert status == 200
    lower = {name.lower(): value for name, value in headers.items()}
    assert not {name for name in lower if name.startswith(("x-accel", "x-sendfile", "x-hop", "set-cookie", "strict", "x-lazu"))}
    assert "secret" not in lower["server"]
    assert (lower["x-upstream-request-id"], lower["openai-processing-ms"]) == ("theirs", "5")
    assert lower["x-request-id"].startswith("req_")
    assert len(headers.get_all("Date")) == 1


PASSED = [
    ("POST", "/v1/responses"), ("POST", "/v1/chat/completions"), ("POST", "/v1/embeddings"),
    ("POST", "/v1/responses/input_tokens"), ("POST", "/v1/responses/compact"),
    ("GET", "/v1/models"), ("GET", "/v1/models/gpt-4o"), ("GET", "/v1/models/meta-llama%2FLlama-3"),
    ("GET", "/v1/responses/resp_1?include%5B%5D=x"), ("DELETE", "/v1/responses/resp_1"),
    ("POST", "/v1/responses/resp_1/cancel"), ("GET", "/v1/responses/resp_1/input_items?limit=2"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PASSED)
def test_one_base_url_serves_the_sdk(native, double, method, path):
    with native.connected() as connection:
        connection.request(method, path, "{}" if method == "POST" else None, native.headers)
        assert connection.getresponse().status == 200
    assert (double.last.method, double.last.path) == (method, path)


@pytest.mark.parametrize(("method", "path"), PASSED)
def test_nothing_passes_without_a_key(native, double, method, path):
    with native.connected() as connection:
        connection.request(method, path, "{}", {"Authorization": "Bearer upstream-secret"})
        assert connection.getresponse().status == 401
    assert double.received == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/files/../models"), ("GET", "/v1/models/.."), ("GET", "/v1/models/%2e%2e"), ("GET", "/v1/responses/.."),
     ("POST", "/v1/completions"), ("POST", "/v1/images/generations"), ("GET", "/v1/vector_stores"), ("GET", "/v1/batches"),
     ("PUT", "/v1/models"), ("GET", "/v1/responses/a/b"), ("POST", "/v1/responses/resp_1"), ("GET", "/v1/conversations/c")],
)  # fmt: skip
def test_nothing_else_passes(native, double, method, path):
    with native.connected() as connection:
        connection.request(method, path, "{}", native.headers)
        assert connection.getresponse().status in (404, 405)
    assert double.received == []


@pytest.fixture
def certificate(tmp_path):
    """With its key, in one file; `public.pem` beside it is what to trust."""
    made = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
               "-keyout", made, "-out", tmp_path / "public.pem", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    made.write_text(made.read_text() + (tmp_path / "public.pem").read_text())
    return made


def context(certificate):
    """What a server with `certificate` needs."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    return tls


def test_events_come_through_tls_of_whatever_size(serve, certificate):
    """TLS gives its bytes by records of 16 KiB, so some are there although the socket has none left."""
    deltas = ["a" * size for size in (1, 200, 16_000, 17_000, 100_000, 1_000_000, 3)]

    def script(handler):
        handler.start_events()
        for number, delta in enumerate(deltas):
            handler.event({"type": "response.output_text.delta", "delta": delta, "item_id": "i", "output_index": 0,
                           "content_index": 0, "sequence_number": number, "logprobs": []})  # fmt: skip
            time.sleep(0.1)
        handler.end_events()

    with running(certificate) as secure:
        secure.script = script
        server = serve(**secure.env, LAZU_API_KEY="k", SSL_CERT_FILE=str(certificate.with_name("public.pem")))
        with server.client("k") as client:
            assert [event.delta for event in client.responses.create(**ASK, stream=True)] == deltas


@pytest.mark.parametrize("trusted", [True, False])
def test_an_upstream_with_tls_must_prove_who_it_is(serve, certificate, trusted):
    with running(certificate) as secure:
        trust = {"SSL_CERT_FILE": str(certificate.with_name("public.pem"))} if trusted else {}
        server = serve(**secure.env, LAZU_API_KEY="k", **trust)
        with server.client("k") as client:
            if trusted:
                assert client.responses.create(**ASK).output_text == "A paper."
            else:
                with pytest.raises(openai.APIStatusError) as refused:
                    client.responses.create(**ASK)
                assert (refused.value.status_code, refused.value.code) == (502, "upstream_error")
                assert secure.received == []


# Files that can't be had when their turn comes


@pytest.mark.parametrize("mode", ["native", "text"])
def test_a_file_that_can_not_be_opened_is_no_fault_of_the_upstream(serve, certificate, mode):
    """No descriptor is left when the call is connected. In `text` mode the length of its body stands in a file, too."""
    tls = context(certificate)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener, ThreadPoolExecutor(1) as client:
        listener.settimeout(60)
        server = serve(
            LAZU_UPSTREAM_URL=f"https://localhost:{listener.getsockname()[1]}/v1", LAZU_UPSTREAM_FILES=mode, LAZU_API_KEY="k",
            LAZU_WORKERS="1", SSL_CERT_FILE=str(certificate.with_name("public.pem")),
        )  # fmt: skip
        part = {"type": "input_file", "file_id": stored(server, "k")["id"]}
        body = json.dumps({"model": "m", "input": [{"role": "user", "content": [part]}]}).encode()
        asked, worker = client.submit(request, server, "POST", "/v1/responses", "k", body), server.pids()[1]
        with closing(listener.accept()[0]) as plain:  # before TLS the call waits
            limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, limits[1]))
            with tls.wrap_socket(plain, server_side=True):
                answer = asked.result(60)
            resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
        assert answer.error == (503, "overloaded", None)
        until(lambda: " upstream=overloaded" in server.log.read_text())


# Memory


@pytest.mark.both_stores
def test_memory_stays_flat_with_64_mb_calls(serve, double):
    double.keeps_bodies = False
    server = serve(**double.env, LAZU_API_KEY="k", LAZU_WORKERS="1", LAZU_THREADS="16")
    with server.client("k", timeout=100) as client:
        file_id = client.files.create(file=("big.dat", b"\0" + os.urandom(64 * 2**20 - 1)), purpose="user_data").id
        part = {"type": "input_file", "file_id": file_id}
        call = {"model": "m", "input": [{"role": "user", "content": [part]}]}
        client.responses.create(**call)
        before, most = server.rss(), 0
        calls = [threading.Thread(target=client.responses.create, kwargs=call) for _ in range(8)]
        for thread in calls:
            thread.start()
        while any(thread.is_alive() for thread in calls):
            most = max(most, server.rss())
            time.sleep(0.02)
        assert len(double.received) == 9
        assert most - before < 32 * 2**20, f"8 calls took {(most - before) / 2**20:.0f} MiB"
