"""A real HTTP server in the test process, in the place of the model server: it records what comes and answers as told."""

import http.client
import json
import socket
import ssl
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: What the OpenAI SDKs take for a response.
RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "error": None,
    "incomplete_details": None, "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1,
    "tool_choice": "auto", "tools": [], "top_p": 1,
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "A paper.", "annotations": []}]}],
}  # fmt: skip

#: What `streamed` says of `/models`.
MODELS = b'{"object": "list", "data": [{"id": "qwen3"}, {"id": "llava"}]}'


@dataclass
class Received:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        double = self.server.double
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = b"" if double.eager else self.body(double.keeps_bodies)
        double.received.append(Received(self.command, self.path, headers, body))
        double.script(self)

    def body(self, kept):
        left, pieces = int(self.headers.get("Content-Length", 0)), []
        while left and (piece := self.rfile.read(min(left, 2**20))):
            left -= len(piece)
            pieces += [piece] if kept else []
        return b"".join(pieces)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, *_):
        pass

    def send(self, status=200, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def start_events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, data):
        text = f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def end_events(self):
        self.wfile.write(b"0\r\n\r\n")

    def reset(self):
        """Break off at once, as a killed server does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def wait_for_end(self, seconds):
        """Whether the caller closes the connection within `seconds`."""
        self.connection.settimeout(seconds)
        try:
            return self.connection.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def completed(handler):
    handler.send(body=json.dumps(RESPONSE).encode())


def streamed(*deltas, after=lambda: None, ends=True):
    """A script: the models, or an answer in pieces; `after` is called after each, `ends` says whether it comes to its end."""

    def script(handler):
        if handler.path.endswith("/models"):
            handler.send(body=MODELS)
            return
        handler.start_events()
        for delta in deltas:
            handler.event({"type": "response.output_text.delta", "delta": delta})
            after()
        if ends:
            handler.event({"type": "response.completed", "response": {}})
            handler.end_events()
        else:
            handler.reset()

    return script


@dataclass
class Double:
    """The server; `script` answers each request, when the body was read, or before if it is `eager`."""

    script: object = completed
    received: list[Received] = field(default_factory=list)
    keeps_bodies: bool = True
    eager: bool = False
    url: str = ""

    @property
    def last(self):
        return self.received[-1]

    @property
    def env(self):
        """The settings of a Lazu before it."""
        return {"LAZU_UPSTREAM_URL": self.url, "LAZU_UPSTREAM_API_KEY": "upstream-secret"}


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    #: More than calls come at once: one that finds the queue full is tried again after seconds.
    request_queue_size = 1024

    def handle_error(self, *_):
        """Broken connections are what some tests are about."""


@contextmanager
def running(certificate=None):
    """The double, at work; with `certificate`, a file that also holds its key, under TLS as `localhost`."""
    server = _Quiet(("127.0.0.1", 0), Handler)
    server.double = Double(url=f"http://127.0.0.1:{server.server_port}/v1")
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.double.url = f"https://localhost:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def upload(client, data, name="a.pdf"):
    """The id of a file that `client`, the SDK's, uploads."""
    return client.files.create(file=(name, data), purpose="user_data").id


class Front:
    """A client of Lazu with one key, which says what it sends and gets back what comes."""

    def __init__(self, server, key):
        self.server = server
        self.key = key

    @cached_property
    def sdk(self):
        return self.server.client(self.key)

    def upload(self, name, data, purpose="user_data"):
        return self.sdk.files.create(file=(name, data), purpose=purpose).id

    def post(self, path, body, **headers):
        """The status, the headers and the JSON of the answer; `body` is JSON, or bytes that may be none."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.connected() as connection:
            connection.request("POST", path, data, {**self.headers, **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())

    def ask(self, *parts, **more):
        """Send a message of `parts` to /v1/responses."""
        return self.post("/v1/responses", {"model": "m", "input": [{"role": "user", "content": list(parts)}], **more})

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}

    @contextmanager
    def connected(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            yield connection
        finally:
            connection.close()

    def close(self):
        if "sdk" in self.__dict__:
            self.sdk.close()
