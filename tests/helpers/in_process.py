"""The application in this process, for tests that move the clock: its key is `test-key`."""

import gc
import os
from contextlib import contextmanager

from helpers.server import objects
from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, form, part
from lazu.store import rows
from lazu.store.blobs import is_blob

START = "2026-05-24 01:56:04"

AUTH = {"Authorization": "Bearer test-key"}


def put(http, content=b"words", *more):
    body = form(PURPOSE, *more, part("file", content, "a.txt"))
    answer = http.post("/v1/files", data=body, content_type=f"multipart/form-data; boundary={BOUNDARY}", headers=AUTH)
    assert answer.status_code == 200, answer.json
    return answer.json


def use_key(app):
    """The key is used, and that is written: no other request of today does so beside its own work."""
    app.test_client().get("/v1/files", headers=AUTH)
    with app.extensions["lazu"].engine.connected():
        until(lambda: rows.find_key("default").last_used_at)


def content(http, file):
    with http.get(f"/v1/files/{file['id']}/content", headers=AUTH) as answer:
        return answer.data


def blobs(app):
    store = app.extensions["lazu"]
    if store.settings.blobs_url:
        return objects(store)
    root = store.contents.blobs.root
    return [path.name for path in root.glob("??/*") if is_blob(path.parent.name, path.name)]


def purge(app, *options):
    done = app.test_cli_runner().invoke(args=["purge", *options])
    assert done.exit_code == 0, done.output
    return done.output


@contextmanager
def uncollected():
    """Python looks for no cycles meanwhile: what goes does so because nothing refers to it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def descriptors():
    """How many are open."""
    return len(os.listdir("/proc/self/fd"))
