"""A proxy before the object store that misbehaves as told: it delays calls past their caller's patience, loses answers, ends
bodies early, says 503, or nothing at all."""

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: What the proxy does with a call; a `float` is a delay in seconds, before it is carried out; status, headers and body are
#: its own answer, and nothing is carried out.
PASS, BUSY, SILENCE, CUT_BODY, EARLY_END, LOSE_ANSWER = "pass", "busy", "silence", "cut body", "early end", "lose answer"
#: 503, whose body breaks off.
CUT_ERROR = "cut error"
#: 503, whose body takes minutes.
SLOW_ERROR = "slow error"
#: The body is left alone for a second, then the call is carried out.
TAKE_LATE = "take late"
What = str | float | tuple[int, dict[str, str], bytes]
Rule = Callable[[str, str], What]


def passing(method: str, path: str) -> str:
    return PASS


class Between:
    """`rule(method, path)` says what becomes of each call; `calls` are those that came, `ranges` the parts of objects that were asked for."""

    def __init__(self, endpoint: str) -> None:
        self.behind = urlsplit(endpoint)
        self.rule: Rule = passing
        self.calls: list[tuple[str, str]] = []
        self.ranges: list[str] = []
        self.released = threading.Event()
        self.late: list[threading.Thread] = []

    def only(self, what: What, method: str, times: int = 1000) -> None:
        """Do `what` with the next `times` calls of `method`, and let all others pass."""
        left = [what] * times

        def rule(asked: str, path: str) -> What:
            return left.pop() if asked == method and left else PASS

        self.rule = rule

    def forward(self, handler: BaseHTTPRequestHandler, body: bytes, cut: bool = False) -> tuple[int, list, bytes]:
        """Carry the call out; gives status, headers and body of the answer."""
        with closing(http.client.HTTPConnection(self.behind.hostname, self.behind.port, timeout=120)) as line:
            line.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in ("expect", "connection"):
                    line.putheader(name, value)
            line.endheaders()
            line.send(body[: len(body) // 2] if cut else body)
            if cut:
                return 0, [], b""
            answer = line.getresponse()
            return answer.status, answer.getheaders(), answer.read()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def carry(self) -> None:
        proxy: Between = self.server.proxy
        proxy.calls.append((self.command, self.path))
        proxy.ranges += self.headers.get_all("Range", [])
        what = proxy.rule(self.command, self.path)
        time.sleep(what == TAKE_LATE)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if isinstance(what, float):
            self.later(proxy, body, what)
        elif isinstance(what, tuple):
            self.reply(what[0], list(what[1].items()), what[2])
        elif what == BUSY:
            self.reply(503, [("Retry-After", "1")], b"<Error><Code>SlowDown</Code><Message>busy</Message></Error>")
        elif what == CUT_ERROR:
            self.wfile.write(b"HTTP/1.1 503 Slow Down\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n<Error>")
            self.close_connection = True
        elif what == SLOW_ERROR:
            self.wfile.write(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 600\r\n\r\n<Error>")
            while not proxy.released.wait(0.2):
                self.wfile.write(b" ")
        elif what == SILENCE:
            proxy.released.wait(120)
            self.close_connection = True
        else:
            self.now(proxy, body, what)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = carry  # noqa: N815

    def now(self, proxy: Between, body: bytes, what: str) -> None:
        status, headers, answer = proxy.forward(self, body, cut=what == CUT_BODY)
        if what in (CUT_BODY, LOSE_ANSWER):
            self.close_connection = True
        else:
            self.reply(status, headers, answer[: len(answer) // 2] if what == EARLY_END else answer, what == EARLY_END)

    def later(self, proxy: Between, body: bytes, seconds: float) -> None:
        """The caller's connection breaks now; what it asked for is carried out later."""

        def carry() -> None:
            time.sleep(seconds)
            with suppress(OSError, http.client.HTTPException):
                proxy.forward(self, body)

        proxy.late.append(threading.Thread(target=carry, daemon=True))
        proxy.late[-1].start()
        self.close_connection = True

    def reply(self, status: int, headers: list, body: bytes, early: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding") and (early or name.lower() != "content-length"):
                self.send_header(name, value)
        if not early and self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        elif self.command == "HEAD":
            self.send_header("Content-Length", dict(headers).get("Content-Length", "0"))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = early

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A caller that hung up is what some tests are about."""


@contextmanager
def between(endpoint: str):
    """A proxy before `endpoint`; its own address is `proxy.endpoint`."""
    proxy = Between(endpoint)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.proxy = proxy
        proxy.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.released.set()
            for late in proxy.late:
                late.join()
            server.shutdown()
