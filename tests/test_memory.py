"""Memory is flat: many large uploads and downloads at once cost little more than none.

LAZU_LONG_TESTS=1 does it with 511 MB each; --log-cli-level=INFO shows the figure, docs/security.md has it.
"""

import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pysqlite3
import pytest

from helpers.large import BLOCK, MB, Peak, content_hash, download_hash
from helpers.wire import BOUNDARY, PURPOSE, dial, form, part, request, stored
from lazu import ids

pytestmark = pytest.mark.slow

SIZE = (511 if os.environ.get("LAZU_LONG_TESTS") else 96) * MB
AT_ONCE = 8


def body(number):
    """A form with a file of its own."""
    head, tail = form(PURPOSE, part("file", b"%%", "a.dat")).split(b"%%")
    yield head + b"%16d" % number
    for _ in range(SIZE // MB):
        yield BLOCK
    yield tail


@pytest.mark.parametrize("through", ["direct", "nginx"])
def test_eight_uploads_and_eight_downloads_at_once_stay_flat(serve, deploy, through):
    server = deploy() if through == "nginx" else serve()
    key = server.new_key()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

    def send(number):
        return request(server, "POST", "/v1/files", key, body(number), headers).json

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: stored(server, key), range(AT_ONCE)))
        idle = server.rss()
        with Peak(server) as peak:
            files = list(pool.map(send, range(AT_ONCE)))
            hashes = set(pool.map(lambda file: download_hash(server, key, file), files))
    assert len(hashes) == AT_ONCE
    assert content_hash(SIZE) not in hashes
    grown = (peak.most - idle) / MB
    logging.getLogger(__name__).info("%s: %d x %d MB: %.1f MiB over idle", through, AT_ONCE, SIZE // MB, grown)
    assert grown < 64


FILES, READERS = 10_000, 40


def multiply(server, file):
    """Give the key of `file` many files of the same bytes, with long names, while the server rests."""
    server.stop()
    with pysqlite3.connect(server.storage / "lazu.sqlite3") as database:
        for number in range(FILES - 1):
            values = (ids.new_file_id(1000 * file["created_at"] + number), f"{number:0200}.dat", file["id"])
            database.execute(
                "INSERT INTO file (id, key_id, sha256, bytes, filename, purpose, content_type, created_at, expires_at)"
                " SELECT ?, key_id, sha256, bytes, ?, purpose, content_type, created_at, expires_at FROM file WHERE id = ?", values)  # fmt: skip
    database.close()
    server.start()


def held_by_the_kernel(server):
    """Bytes of answers that clients have not taken (proc(5), /proc/net/tcp)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(line[4].split(":")[0], 16) for line in lines if line[1].endswith(f":{server.port:04X}"))


def taken(sock, size):
    """The next `size` bytes."""
    got = bytearray()
    while len(got) < size:
        got += sock.recv(size - len(got))
    return bytes(got)


def test_readers_of_lists_that_stop_keep_little_memory(serve):
    """Of a list of 4 MB each holds a piece, in Lazu and in the kernel; and it is whole when they read on."""
    server = serve()
    key = server.new_key()
    multiply(server, stored(server, key))
    assert len(request(server, "GET", "/v1/files", key).json["data"]) == FILES
    idle = server.rss()
    asks = f"GET /v1/files HTTP/1.0\r\nHost: lazu\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    with ExitStack() as open_until_end:
        readers = [open_until_end.enter_context(dial(server, asks, receive=2**16)) for _ in range(READERS)]
        begun = [taken(reader, 3 * MB) for reader in readers]
        assert {start[:12] for start in begun} == {b"HTTP/1.0 200"}
        before = -1
        while before != (before := held_by_the_kernel(server)):
            time.sleep(1)
        assert (server.rss() - idle) / READERS < 2.5 * MB
        assert before / READERS < MB
        with readers[0].makefile("rb") as answer:
            assert len(json.loads((begun[0] + answer.read()).partition(b"\r\n\r\n")[2])["data"]) == FILES
