"""Clients that want too much, as a process of their own: `python attack.py KIND PORT KEY`, until it is ended.

Each kind is what a stranger found (docs/security.md): it goes on as fast as it can, on many connections at once.
"""

import socket
import sys
import threading
import time
from contextlib import suppress

#: Not that of the others: nginx has a limit for each.
ADDRESS = "127.0.0.3"

BOUNDARY = "----lazu-test-boundary"


def head(key, method="POST", path="/v1/files", *more):
    lines = [f"{method} {path} HTTP/1.1", "Host: lazu", f"Content-Type: multipart/form-data; boundary={BOUNDARY}"]
    return "\r\n".join([*lines, f"Authorization: Bearer {key}", *more, "", ""]).encode()


def form(content, filename="a.dat"):
    start = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    start += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
    return start.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def asked(key, path):
    return head(key, "GET", path)


def upload(key, content):
    body = form(content)
    return head(key, "POST", "/v1/files", f"Content-Length: {len(body)}") + body


def chunked(key, size):
    """The beginning of a chunked upload, and what it goes on with for ever."""
    start = form(b"x").split(b"x\r\n--")[0]
    first = head(key, "POST", "/v1/files", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(start), start)
    return first, (b"%x\r\n%s\r\n" % (size, b"y" * size)) * max(1, 2**18 // size)


#: How many connections at once; what each sends first, and then for ever; whether it waits for the answer.
KINDS = {
    "metrics, abandoned": (120, lambda _: (asked("-", "/metrics"), None), False),
    "lists, abandoned": (100, lambda key: (asked(key, "/v1/files?limit=10000"), None), False),
    "lists": (100, lambda key: (asked(key, "/v1/files?limit=10000"), None), True),
    "metadata": (100, lambda key: (asked(key, "/v1/files?limit=1"), None), True),
    "line ends": (100, lambda key: (upload(key, b"\n" * 2**16), None), True),
    "small uploads": (100, lambda key: (upload(key, b"hello"), None), True),
    "a fast upload": (40, lambda key: chunked(key, 2**16), True),
    "1-byte chunks": (40, lambda key: chunked(key, 1), True),
    "1-byte chunks, no key": (40, lambda _: chunked("-", 1), True),
    "a refused upload, no key": (40, lambda _: chunked("-", 2**16), True),
    "heads without end": (300, lambda _: (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-Header: value\r\n" * 500), True),
    "heads byte by byte": (100, lambda _: (b"GET / HTTP/1.1\r\n", b"X"), True),
    "healthz": (100, lambda _: (asked("-", "/healthz"), None), True),
}


def attack(port, first, rest, waits):
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 60, source_address=(ADDRESS, 0)) as sock:
            sock.sendall(first)
            while rest:
                sock.sendall(rest)
            if waits:
                answered(sock)
            else:
                time.sleep(0.05)
        time.sleep(0 if waits else 0.2)


def answered(sock):
    """Read an answer to its end, by Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data and (piece := sock.recv(2**16)):
        data += piece
    start, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in start.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
    while len(body) < length and (piece := sock.recv(2**20)):
        body += piece


def main(kind, port, key):
    count, make, waits = KINDS[kind]
    first, rest = make(key)
    threads = [threading.Thread(target=attack, args=(int(port), first, rest, waits)) for _ in range(count)]
    for thread in threads:
        thread.start()
    sys.stdout.write("attacking\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
