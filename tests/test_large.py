"""512 MB, no more, and memory that does not notice."""

import hashlib
import http.client
import os
import threading

import pytest

from wire import BOUNDARY, PURPOSE, form, part, request, upload

MB = 2**20
LIMIT = 512 * MB
BLOCK = os.urandom(MB)


def body(size):
    """A form whose file has `size` bytes, in chunks that never are in memory together."""
    whole = form(PURPOSE, part("file", b"%%", "large.dat"))
    head, tail = whole.split(b"%%")
    yield head
    for _ in range(size // MB):
        yield BLOCK
    yield BLOCK[: size % MB]
    yield tail


class Peak:
    """The most memory that the server's processes had, while the `with` lasts."""

    def __init__(self, server):
        self.server, self.most, self.done = server, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, self.server.rss())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
def test_a_512_mb_file_goes_in_and_out_in_flat_memory(serve, chunked):
    server = serve()
    key = server.new_key()
    upload(server, key, PURPOSE, part("file", b"warm", "a.txt"))
    idle = server.rss()
    with Peak(server) as peak:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        if not chunked:
            headers["Content-Length"] = str(sum(map(len, body(LIMIT))))
        file = request(server, "POST", "/v1/files", key, body(LIMIT), headers).json
        assert file["bytes"] == LIMIT
        assert download_hash(server, key, file) == content_hash(LIMIT)
    assert peak.most - idle < 64 * MB


def content_hash(size):
    digest = hashlib.sha256()
    for _ in range(size // MB):
        digest.update(BLOCK)
    return digest.hexdigest()


def download_hash(server, key, file):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"/v1/files/{file['id']}/content", headers={"Authorization": f"Bearer {key}"})
    digest = hashlib.file_digest(connection.getresponse(), "sha256").hexdigest()
    connection.close()
    return digest


def test_one_byte_over_512_mb_is_413(server):
    key = server.new_key()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = request(server, "POST", "/v1/files", key, body(LIMIT + 1), headers)
    assert answer.error == (413, "file_too_large", "file")
    assert request(server, "GET", "/v1/files", key).json["data"] == []
