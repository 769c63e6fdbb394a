"""Requests that carry a file: the same bytes as a multipart form and as a bare PUT."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from bench.client import Request

BOUNDARY = "lazu-bench-2f9d7c"
FIELDS = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="data.dat"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n"
).encode()
END = f"\r\n--{BOUNDARY}--\r\n".encode()
TYPE = f"multipart/form-data; boundary={BOUNDARY}"

serial = count()


def form_file(path: Path, content: Path) -> Path:
    """The whole body of a form around `content`, written to `path`."""
    with path.open("wb") as out, content.open("rb") as data:
        out.write(FIELDS)
        while piece := data.read(1 << 20):
            out.write(piece)
        out.write(END)
    return path


def tail_file(path: Path, size: int, content: bytes = b"") -> Path:
    """A form's body after the file's first 16 bytes; `post` puts 16 new ones before it, so no two files are alike.

    Random bytes, or `content` again and again.
    """
    repeated = content * (size // len(content)) if content else os.urandom(size)
    path.write_bytes(repeated[: size - 16] + END)
    return path


def post(key: str, tail: Path) -> Iterator[Request]:
    """Uploads without end, each of other bytes."""
    length = len(FIELDS) + 16 + tail.stat().st_size
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {TYPE}\r\nContent-Length: {length}\r\n\r\n"
    ).encode() + FIELDS
    while True:
        yield whole(head, tail, length)


def put(tail: Path) -> Iterator[Request]:
    """The same for a server that takes PUT: a name of its own each time, the form's end counted as file."""
    length = 16 + tail.stat().st_size
    while True:
        head = f"PUT /{next(serial)} HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n\r\n".encode()
        yield whole(head, tail, length)


def whole(head: bytes, tail: Path, length: int) -> Request:
    """Small requests as one piece of bytes, large ones with their tail sent from the file."""
    if length > 1 << 16:
        return Request(head + os.urandom(8).hex().encode(), tail)
    return Request(head + os.urandom(8).hex().encode() + tail.read_bytes())
