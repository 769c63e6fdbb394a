"""What a careless operator does, and a key that is taken away at the wrong moment."""

import os
import time
from contextlib import closing

import pytest

from helpers.server import opened
from helpers.wire import PURPOSE, dial, form, head, part, request, stored


@pytest.mark.parametrize("change", ["revoke", "rotate"])
def test_a_key_that_is_taken_away_while_its_upload_runs_gets_no_file(server, change):
    name = f"taken-{change}"
    key = server.new_key(name)
    body = form(PURPOSE, part("file", b"x" * 100_000, "a.txt"))
    with closing(dial(server, head(key, length=len(body)) + body[:50_000])) as sock:
        time.sleep(0.3)  # the upload has begun
        with opened(server.storage) as store:
            getattr(store.keys, change)(name)
        sock.sendall(body[50_000:])
        sock.settimeout(30)
        assert b" 401 " in sock.recv(65536)
    with opened(server.storage) as store:
        assert store.files.delete_all(store.keys.find(name)) == 0


def test_a_backup_is_not_restored_beside_a_server(serve, tmp_path):
    server = serve()
    stored(server, server.new_key())
    server.flask("backup", str(tmp_path / "backup"))
    other = serve()
    refused = other.flask("restore", str(tmp_path / "backup"), check=False)
    assert refused.returncode == 1
    assert "a server is running" in refused.stderr
    assert refused.stderr.count("\n") == 1
    other.stop()
    assert other.flask("restore", str(tmp_path / "backup")).returncode == 0


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_blob_that_is_no_file_is_never_opened(serve, kind):
    server = serve()
    key = server.new_key()
    file = stored(server, key, b"the bytes")
    [blob] = server.blobs()
    content = blob.read_bytes()
    blob.unlink()
    if kind == "link":
        blob.symlink_to("/etc/passwd")
    else:
        os.mkfifo(blob)
    answer = request(server, "GET", f"/v1/files/{file['id']}/content", key)
    assert answer.status in (404, 500)
    assert b"root:" not in answer.body
    told = server.flask("fsck", "--rehash", check=False)
    assert told.returncode == 1
    assert blob.name in told.stdout + told.stderr or file["id"] in told.stdout
    blob.unlink()
    blob.write_bytes(content)
