"""Files of many megabytes that are never in memory whole, and the memory of a server meanwhile."""

import hashlib
import http.client
import os
import threading

from helpers.wire import PURPOSE, form, part

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
