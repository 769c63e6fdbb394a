"""Memory is flat: many large uploads and downloads at once cost little more than none.

LAZU_LONG_TESTS=1 does it with 511 MB each; --log-cli-level=INFO shows the figure, docs/security.md has it.
"""

import logging
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.large import BLOCK, MB, Peak, content_hash, download_hash
from helpers.wire import BOUNDARY, PURPOSE, form, part, request, stored

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
