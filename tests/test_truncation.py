"""Stored bytes are the sent bytes, or there is no file: connections cut anywhere, contents full of false boundaries."""

import hashlib
import os
import random
import socket
import struct
from contextlib import suppress

import pytest

from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, form, part, request, upload
from lazu.routes import multipart

pytestmark = pytest.mark.slow

MARK = f"\r\n--{BOUNDARY}".encode()

#: What looks like the boundary and is not, glued in every order.
FRAGMENTS = [MARK[:n] for n in range(1, len(MARK))] + [
    MARK[:-1] + b"X", MARK[2:] + b"x", b"\n" + MARK[2:], b"\r" + MARK[2:], MARK.upper(), b"\r\n--", b"--", b"\r\r\n\n",
    MARK[:-1] + b"--", MARK[:-1] + b"\r\n", b"\r\n-" + MARK[2:],
]  # fmt: skip


def fragments(count, seed=0):
    """Bytes made of `count` fragments in an order that `seed` fixes."""
    order = random.Random(seed)
    made = bytearray(b"\r\n")
    for _ in range(count):
        piece = order.choice(FRAGMENTS)
        # Glued together two may make a true boundary, which no client would choose for this content.
        if MARK not in made[-len(MARK) :] + piece:
            made += piece
    return bytes(made[2:])


CONTENT = fragments(8000)
WHOLE = form(PURPOSE, part("file", CONTENT, "a.dat"))
START = WHOLE.index(CONTENT)
END = START + len(CONTENT)
OFFSETS = sorted({0, 1, 20, START - 3, START - 1, START, START + 1, START + 4096, (START + END) // 2, END - 1, END, END + 1, END + 2,
                  *range(len(WHOLE) - 12, len(WHOLE))})  # fmt: skip


def fin(sock):
    sock.close()


def rst(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def half(sock):
    """Ends the sending only, and listens."""
    sock.shutdown(socket.SHUT_WR)
    try:
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    except ConnectionResetError:
        answer = b""  # nginx takes a half-closed connection for an abandoned one
    sock.close()
    assert not answer or answer.startswith(b"HTTP/1.1 400 "), answer


def send_cut(server, key, chunked, end, offset):
    """The first `offset` bytes of the body, then the end."""
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(WHOLE)}"
    head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n{framing}\r\n\r\n"
    data = WHOLE[:offset]
    if chunked and data:
        data = b"%X\r\n%s\r\n" % (len(data), data)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        sock.sendall(head.encode() + data)
        end(sock)


def download(edge, key, file):
    """The bytes, through nginx: alone, this server would only name the blob."""
    return request(edge, "GET", f"/v1/files/{file['id']}/content", key).body


def held(server):
    """Open descriptors of the server's processes that hold staged bytes."""
    count = 0
    for pid in server.pids():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                count += f"{server.storage}/blobs/#" in os.readlink(f"/proc/{pid}/fd/{fd}")
    return count


def test_one_who_ends_only_the_sending_hears_why(edge):
    key = edge.new_key()
    head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(WHOLE)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", edge.server.port), timeout=20) as sock:
        sock.sendall(head.encode() + WHOLE[: START + 10])
        sock.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert f"ended after {START + 10} of {len(WHOLE)} bytes".encode() in answer


@pytest.mark.parametrize("through", ["direct", "nginx"])
@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
@pytest.mark.parametrize("end", [fin, rst, half])
def test_a_cut_upload_leaves_no_file_and_nothing_else(edge, through, chunked, end):
    server = edge if through == "nginx" else edge.server
    key = server.new_key()
    before = edge.blobs()
    for offset in [*OFFSETS, len(WHOLE)] if chunked else OFFSETS:  # chunked, the last chunk is missing even then
        send_cut(server, key, chunked, end, offset)
    until(lambda: held(edge) == 0)
    assert request(server, "GET", "/v1/files", key).json["data"] == []
    assert edge.blobs() == before


@pytest.mark.parametrize("through", ["direct", "nginx"])
def test_the_whole_of_it_is_stored(edge, through):
    """The bodies that are cut above are good ones."""
    server = edge if through == "nginx" else edge.server
    key = server.new_key()
    file = upload(server, key, body=WHOLE).json
    assert download(edge, key, file) == CONTENT


@pytest.mark.parametrize("through", ["direct", "nginx"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 23, 24, 25, 26, 27, 1000, 8191, 8192, 8193])
def test_false_boundaries_are_stored_at_every_chunk_size(edge, through, size):
    server = edge if through == "nginx" else edge.server
    key = server.new_key()
    content = fragments(40 if size < 10 else 4000, size)
    body = form(PURPOSE, part("file", content, "a.dat"))
    file = upload(server, key, body=(body[i : i + size] for i in range(0, len(body), size))).json
    assert download(edge, key, file) == content


@pytest.mark.parametrize("through", ["direct", "nginx"])
def test_false_boundaries_across_the_readers_own_border(edge, through):
    server = edge if through == "nginx" else edge.server
    key = server.new_key()
    empty = len(form(PURPOSE, part("file", b"", "a.dat"))) - len(MARK) - 4
    for shift in range(-len(MARK) - 3, 4):
        content = b"x" * (multipart.READ_BYTES - empty + shift) + MARK[:-1] + b"!" + fragments(20, shift + 50)
        file = upload(server, key, PURPOSE, part("file", content, "a.dat")).json
        got = download(edge, key, file)
        assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest(), shift
        assert request(server, "DELETE", f"/v1/files/{file['id']}", key).status == 200


@pytest.mark.parametrize("size", range(1, 120))
def test_the_reader_takes_any_size_of_chunk(size):
    content = fragments(300, size)
    body = form(PURPOSE, part("file", content, "a.dat"))
    pieces = iter([body[i : i + size] for i in range(0, len(body), size)])
    parts = multipart.parts(lambda _: next(pieces, b""), f"multipart/form-data; boundary={BOUNDARY}")
    assert [(each.name, b"".join(each.chunks)) for each in parts] == [("purpose", b"user_data"), ("file", content)]
