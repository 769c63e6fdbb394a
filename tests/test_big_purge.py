"""A purge of many expired files, while the server goes on answering: LAZU_TEST_EXPIRED=100000 for the full figure."""

import hashlib
import json
import os
import sys
import threading
import time

import pytest

from helpers.server import opened
from helpers.wire import request, stored
from lazu.store.sqlite.engine import database
from lazu.store.tables import File

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("LAZU_TEST_EXPIRED", "10000"))


def expired(server):
    """Rows that have expired, each with a blob of its own."""
    with opened(server.storage) as store:
        key, root = store.keys.find("default"), store.contents.blobs.root
        rows = []
        for i in range(COUNT):
            sha256 = hashlib.sha256(b"%d" % i).hexdigest()
            (root / sha256[:2] / sha256).write_bytes(b"1")
            rows.append((f"file-lazu-{i:026}", key.id, sha256, 1, "a.txt", "user_data", "text/plain", 1, 2))
        names = [File.id, File.key, File.sha256, File.bytes, File.filename, File.purpose, File.content_type]
        with database.atomic():
            for start in range(0, COUNT, 2000):
                File.insert_many(rows[start : start + 2000], [*names, File.created_at, File.expires_at]).execute()


def test_requests_hardly_wait_while_many_files_are_purged(serve):
    server = serve(LAZU_API_KEY="k")
    stored(server, "k")  # the server has made its key
    expired(server)
    done, waits = threading.Event(), {"read": [], "upload": [], "delete": []}

    def timed(what, action):
        began = time.monotonic()
        result = action()
        waits[what].append(time.monotonic() - began)
        return result

    def use(name):
        count = 0
        while not done.is_set():
            file = timed("upload", lambda: stored(server, "k", b"%d" % count + name))  # noqa: B023
            for _ in range(3):
                assert timed("read", lambda: request(server, "GET", f"/v1/files/{file['id']}", "k")).status == 200  # noqa: B023
            assert timed("delete", lambda: request(server, "DELETE", f"/v1/files/{file['id']}", "k")).status == 200  # noqa: B023
            count += 1

    threads = [threading.Thread(target=use, args=(name,)) for name in (b"a", b"b")]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    try:
        removed = json.loads(server.flask("purge", "--json").stdout)
    finally:
        took = time.monotonic() - began
        done.set()
        for thread in threads:
            thread.join()
    assert (removed["files"], removed["blobs"]) == (COUNT, COUNT)
    sys.stdout.write(f"purge: {took:.1f} s\n")
    for what, each in waits.items():
        each.sort()
        middle, high = each[len(each) // 2], each[int(len(each) * 0.99)]
        sys.stdout.write(f"{what}: {len(each)}, median {middle * 1e3:.0f} ms, p99 {high * 1e3:.0f} ms, longest {each[-1] * 1e3:.0f} ms\n")
        assert each[-1] < 5, f"{what} waited {each[-1]:.1f} s"
