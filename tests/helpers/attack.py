"""Clients that want too much, as a process of their own: `python attack.py KIND PORT KEYS [RATE]`, until it is ended.

Each kind is what a stranger found (docs/security.md): it goes on as fast as it can, on many connections at once, or
with RATE bytes a second on all of them together. They use the KEYS, which commas divide, in turn. For each line on its
standard input it says what it has sent: seconds on its clock, connections, bytes.
"""

import json
import math
import socket
import sys
import threading
import time
from contextlib import suppress
from itertools import count, cycle, islice
from pathlib import Path

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from helpers.documents import hard
from helpers.wire import BOUNDARY, PURPOSE, form, part

#: Not that of the others: nginx has a limit for each.
ADDRESS = "127.0.0.3"

FORM = f"multipart/form-data; boundary={BOUNDARY}"

numbers = count(time.time_ns())


def head(key, method="POST", path="/v1/files", *more, kind=FORM):
    lines = [f"{method} {path} HTTP/1.1", "Host: lazu", f"Content-Type: {kind}"]
    return "\r\n".join([*lines, f"Authorization: Bearer {key}", *more, "", ""]).encode()


def asked(key, path):
    return head(key, "GET", path)


def upload(key, content, filename="a.dat"):
    body = form(PURPOSE, part("file", content, filename))
    return head(key, "POST", "/v1/files", f"Content-Length: {len(body)}") + body


def chunked(key, *sizes):
    """The beginning of a chunked upload, and what it goes on with for ever: chunks of these sizes in turn."""
    start = PURPOSE + part("file", b"", "a.dat").removesuffix(b"\r\n")
    first = head(key, "POST", "/v1/files", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(start), start)
    chunks = (b"%x\r\n%s\r\n" % (size, b"y" * size) for size in cycle(sizes))
    return first, b"".join(islice(chunks, len(sizes) * max(1, 2**18 // sum(sizes))))


def malformed(*_):
    """An upload with more headers than gunicorn takes."""
    return head("-", "POST", "/v1/files", *["X: 1"] * 101, "Content-Length: 600000000"), b"y" * 2**18


def document(key, port):
    """A call of the model that names a document of its own, which takes a reader all the time it may have."""
    with connect(port) as sock:
        sock.sendall(upload(key, hard(next(numbers)), "hard.pdf"))
        file_id = json.loads(answered(sock))["id"]
    asks = {"model": "m", "input": [{"role": "user", "content": [{"type": "input_file", "file_id": file_id}]}]}
    body = json.dumps(asks).encode()
    return head(key, "POST", "/v1/responses", f"Content-Length: {len(body)}", kind="application/json") + body, None


#: How many connections at once; what each sends first, and then for ever; whether it waits for the answer.
KINDS = {
    "metrics, abandoned": (120, lambda *_: (asked("-", "/metrics"), None), False),
    "lists, abandoned": (100, lambda key, _: (asked(key, "/v1/files?limit=10000"), None), False),
    "lists": (100, lambda key, _: (asked(key, "/v1/files?limit=10000"), None), True),
    "metadata": (100, lambda key, _: (asked(key, "/v1/files?limit=1"), None), True),
    "documents, abandoned": (60, document, False),
    "line ends": (100, lambda key, _: (upload(key, b"\n" * 2**16), None), True),
    "small uploads": (100, lambda key, _: (upload(key, b"hello"), None), True),
    "a fast upload": (40, lambda key, _: chunked(key, 2**16), True),
    "1-byte chunks": (40, lambda key, _: chunked(key, 1), True),
    "1-byte chunks, no key": (40, lambda *_: chunked("-", 1), True),
    "chunks of 1 and 2 bytes": (40, lambda key, _: chunked(key, 1, 2), True),
    "a refused upload, no key": (40, lambda *_: chunked("-", 2**16), True),
    "malformed uploads, no key": (40, malformed, True),
    "heads without end": (300, lambda *_: (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-Header: value\r\n" * 500), True),
    "heads byte by byte": (100, lambda *_: (b"GET / HTTP/1.1\r\n", b"X"), True),
    "healthz": (100, lambda *_: (asked("-", "/healthz"), None), True),
}


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 60, source_address=(ADDRESS, 0))


class Attacker:
    """One connection after the other, with so many bytes a second; counts both."""

    def __init__(self, rate):
        self.rate = rate
        self.connections = self.bytes = 0

    def attack(self, port, make, key, waits):
        first, rest = make(key, port)
        self.began = time.monotonic()
        while True:
            with suppress(OSError), connect(port) as sock:
                self.connections += 1
                self.send(sock, first)
                while rest:
                    self.send(sock, rest)
                if waits:
                    answered(sock)
                else:
                    time.sleep(0.05)
            time.sleep(0 if waits else 0.2)

    def send(self, sock, data):
        time.sleep(max(0, self.began + self.bytes / self.rate - time.monotonic()))
        sock.sendall(data)
        self.bytes += len(data)


def answered(sock):
    """The body of an answer, read to its end; with its chunks' sizes if it comes in chunks."""
    data = b""
    while b"\r\n\r\n" not in data and (piece := sock.recv(2**16)):
        data += piece
    start, _, body = data.partition(b"\r\n\r\n")
    if b"\r\nTransfer-Encoding: chunked" in start:
        while not body.endswith(b"\r\n0\r\n\r\n") and (piece := sock.recv(2**20)):
            body += piece
    length = next((int(line.split(b":")[1]) for line in start.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
    while len(body) < length and (piece := sock.recv(2**20)):
        body += piece
    return body


def main(kind, port, keys, rate=math.inf):
    number, make, waits = KINDS[kind]
    attackers = [Attacker(float(rate) / number) for _ in range(number)]
    for each, key in zip(attackers, cycle(keys.split(",")), strict=False):
        threading.Thread(target=each.attack, args=(int(port), make, key, waits)).start()
    tell("attacking")
    for _ in sys.stdin:
        tell(time.monotonic(), sum(each.connections for each in attackers), sum(each.bytes for each in attackers))


def tell(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
