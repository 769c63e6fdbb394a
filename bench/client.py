"""The clients: curl for one big body, forked processes with bare sockets for many requests."""

import json
import multiprocessing
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.procs import HOST

fork = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Request:
    """Bytes to send: the head, then `path` from its start to its end, if there is one."""

    head: bytes
    path: Path | None = None


@dataclass(frozen=True)
class Load:
    """What came of a load: wall seconds from the first request to the last answer, and each request's seconds."""

    seconds: float
    latencies: tuple[float, ...]
    bodies: tuple[bytes, ...]


def curl(*words: object, allow: str = "2") -> tuple[float, bytes]:
    """curl's own total time, and the body it got; any other status than `allow` begins with is an error."""
    argv = ["curl", "-sS", "--noproxy", "*", "-H", "Expect:", "-w", "\n%{http_code} %{time_total}", *map(str, words)]
    out = subprocess.run(argv, capture_output=True, check=False)
    body, _, tail = out.stdout.rpartition(b"\n")
    code, seconds = tail.decode().split()
    if out.returncode or not code.startswith(allow):
        raise RuntimeError(f"curl said {out.returncode}, HTTP {code}: {out.stderr.decode()} {body[:500]!r}")
    return float(seconds), body


def load(port: int, plans: Sequence[Sequence[Request]]) -> Load:
    """One forked client and one kept connection for each plan; all start together."""
    return spread([(port, plan) for plan in plans])


def spread(plans: Sequence[tuple[int, Sequence[Request]]]) -> Load:
    """The same with a port for each plan."""
    gate, results = fork.Barrier(len(plans)), fork.SimpleQueue()
    clients = [fork.Process(target=client, args=(port, plan, gate, results)) for port, plan in plans]
    for process in clients:
        process.start()
    told = [results.get() for _ in clients]
    for process in clients:
        process.join()
    failed = [text for text, *_ in told if text]
    if failed:
        raise RuntimeError(failed[0])
    seconds = max(end for _, _, end, _, _ in told) - min(start for _, start, *_ in told)
    return Load(seconds, tuple(x for row in told for x in row[3]), tuple(x for row in told for x in row[4]))


def client(port: int, plan: Sequence[Request], gate: Any, results: Any) -> None:
    latencies: list[float] = []
    bodies: list[bytes] = []
    gate.wait(60)
    start = time.monotonic()
    try:
        for seconds, body in talk(port, plan):
            latencies.append(seconds)
            bodies.append(body)
        results.put(("", start, time.monotonic(), latencies, bodies))
    except (OSError, RuntimeError, ValueError) as error:
        results.put((repr(error), start, start, [], []))


def talk(port: int, plan: Sequence[Request]) -> Iterator[tuple[float, bytes]]:
    connection = connect(port)
    for request in plan:
        start = time.monotonic()
        send(connection, request)
        body, keep = receive(connection)
        yield time.monotonic() - start, body
        if not keep:
            connection.close()
            connection = connect(port)
    connection.close()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=120)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(connection: socket.socket, request: Request) -> None:
    connection.sendall(request.head)
    if request.path:
        with request.path.open("rb") as file:
            connection.sendfile(file)


def receive(connection: socket.socket) -> tuple[bytes, bool]:
    """The body of one answer, and whether the connection stays."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise RuntimeError(f"the server closed after {data!r}")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    if b"transfer-encoding: chunked" in lines:
        body = b"".join(chunks(connection, body))
    body += receive_rest(connection, max(0, length - len(body)))
    if not lines[0].startswith(b"http/1.1 2"):
        raise RuntimeError(f"{lines[0]!r} {body[:500]!r}")
    return body, b"connection: close" not in lines


def chunks(connection: socket.socket, data: bytes) -> Iterator[bytes]:
    """The chunks of a body that begins with `data`; without trailers."""
    while True:
        while b"\r\n" not in data:
            data += receive_some(connection)
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16) + 2
        data += receive_rest(connection, max(0, size - len(data)))
        if size == 2:
            return
        yield data[: size - 2]
        data = data[size:]


def receive_some(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    if not piece:
        raise RuntimeError("the answer ended early")
    return piece


def receive_rest(connection: socket.socket, length: int) -> bytes:
    rest = bytearray(length)
    view = memoryview(rest)
    while view:
        got = connection.recv_into(view)
        if not got:
            raise RuntimeError("the answer ended early")
        view = view[got:]
    return bytes(rest)


def ask(port: int, method: str, path: str, key: str = "", body: Any = None) -> Any:
    """One small JSON request, its JSON answer."""
    data = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
    if data:
        head += "Content-Type: application/json\r\n"
    [(_, answer)] = talk(port, [Request(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)])
    return json.loads(answer)


def remove(port: int, key: str, bodies: Sequence[bytes]) -> None:
    """Delete the files whose objects an upload got back."""
    for body in bodies:
        ask(port, "DELETE", f"/v1/files/{json.loads(body)['id']}", key)


def random_file(path: Path, size: int) -> Path:
    """A file of random bytes, in the page cache when this returns; its beginning is no program by chance."""
    with path.open("wb") as out:
        for start in range(0, size, 1 << 20):
            out.write(os.urandom(min(1 << 20, size - start)))
        out.seek(0)
        out.write(b"bench " * 10)
    return path
