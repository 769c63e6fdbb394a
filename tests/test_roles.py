"""Credentials of a role: found as every AWS client finds them, taken up when they change, shown to nobody."""

import json
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from helpers.edge import Edge
from helpers.in_store import put
from helpers.roles import CONTAINER, roles
from helpers.seaweed import ELSEWHERE, KEY, SECRET
from helpers.server import PLACES, Server, free_port
from helpers.waiting import until
from helpers.wire import request, stored
from lazu.application import create_app
from lazu.config import Settings
from lazu.slots import Slots, Turn
from lazu.store import object_rows
from lazu.store.bucket import Bucket
from lazu.store.bucket_errors import ObjectStoreFailed
from lazu.store.postgresql.database import database

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(ELSEWHERE), reason="LAZU_TEST_S3: its key is not the one of this helper")]


def found(kind, metadata):
    """How a process is told where its credentials are."""
    if kind == "container":
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata}/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN": CONTAINER}
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata, "AWS_EC2_METADATA_DISABLED": "false"}


@pytest.mark.parametrize("kind", ["instance", "container"])
def test_credentials_that_come_after_the_start_are_found(seaweed, monkeypatch, tmp_path, kind):
    """The service that gives them was away, as the store may be."""
    for name in seaweed.env:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    away = f"http://127.0.0.1:{free_port()}"
    for name, value in found(kind, away).items():
        monkeypatch.setenv(name, value)
    with roles(seaweed.endpoint) as (_, metadata, store, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", store)
        bucket = Bucket(seaweed.prefix())
        for call in (lambda: bucket.size("none"), lambda: bucket.presigned("none", 60)):
            with pytest.raises(ObjectStoreFailed, match="credentials"):
                call()
        for name, value in found(kind, metadata).items():
            monkeypatch.setenv(name, value)
        until(lambda: found_nothing(bucket))


def test_threads_of_one_key_that_renew_credentials_do_not_lock_each_other(seaweed, monkeypatch, tmp_path):
    """These last for a minute, so each call asks for them anew, under a lock of botocore's."""
    for name in seaweed.env:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    pool, told = Slots(1, 1), []
    with roles(seaweed.endpoint) as (_, metadata, store, _):
        for name, value in {**found("container", metadata), "AWS_ENDPOINT_URL": store}.items():
            monkeypatch.setenv(name, value)
        bucket = Bucket(seaweed.prefix())

        def ask():
            with Turn(pool, 1, lambda: False):
                told.append(bucket.size("none"))

        for _ in range(8):
            threading.Thread(target=ask, daemon=True).start()
        until(lambda: told == [None] * 8)


def credentials(minutes):
    """What a `credential_process` prints."""
    ends = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "Expiration": ends})


def program(place, words):
    place.write_text(f"#!/bin/sh\necho '{words}'\n")
    place.chmod(0o755)


@pytest.mark.parametrize("meanwhile", [None, "words", credentials(-1)], ids=["away", "no JSON", "over"])
def test_credentials_that_are_not_given_for_a_while_are_a_store_that_is_away(seaweed, cluster, monkeypatch, tmp_path, renewing, meanwhile):
    """The missing program was a missing object: downloads were 404, deletes forgot theirs, and a start blamed the disk."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {tmp_path / 'gives'}\n")
    program(tmp_path / "gives", credentials(1))  # which are asked for before each call
    settings = Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **cluster)
    app = create_app(settings)
    asked = {"Authorization": f"Bearer {app.extensions['lazu'].keys.create('alice')}"}
    kept, gone = (put(app.extensions["lazu"], data) for data in (b"kept", b"gone"))
    (tmp_path / "gives").unlink() if meanwhile is None else program(tmp_path / "gives", meanwhile)
    if meanwhile == "words":
        with pytest.raises(ObjectStoreFailed, match=r"credentials from an AWS_ variable or ~/\.aws: they can't be read \(JSONDecodeError\)"):
            Bucket(cluster["blobs_url"]).size("none")
    for _ in range(2):
        answer = app.test_client().get(f"/v1/files/{kept.id}/content", headers=asked)
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        assert app.test_client().get("/readyz").json["error"]["message"] == "The object store can't be reached."
        app = create_app(settings)  # as well as one that is started now
    assert app.test_client().delete(f"/v1/files/{gone.id}", headers=asked).status_code == 200
    program(tmp_path / "gives", credentials(1))
    assert app.test_client().get(f"/v1/files/{kept.id}/content", headers=asked).data == b"kept"
    assert object_rows.doomed(""), "the purge will remove it"
    database.close_all()


def found_nothing(bucket):
    with suppress(ObjectStoreFailed):
        return bucket.size("none") is None
    return False


@pytest.mark.parametrize("kind", ["instance", "container"])
def test_a_box_works_by_its_role_and_takes_up_new_credentials(tmp_path, cluster, seaweed, kind, monkeypatch):
    for name in seaweed.env:
        monkeypatch.delenv(name, raising=False)
    with roles(seaweed.endpoint) as (role, metadata, store, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", store)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        env = {**found(kind, metadata), "HOME": str(tmp_path), "LAZU_WORKERS": "1", "LAZU_ACCEL_LOCATION": "/_objects/"}
        PLACES[tmp_path / "box"] = cluster
        box = Server(tmp_path / "box", env).start()
        edge = Edge(box, tmp_path / "nginx").start()
        try:
            key = box.new_key()
            for content in (b"first", b"second"):
                path = f"/v1/files/{stored(edge, key, content)['id']}"
                through = request(edge, "GET", f"{path}/content", key)
                direct = request(edge, "GET", f"{path}/content", key, headers={"Range": "bytes=0-2,"})  # not by nginx
                assert (through.body, direct.body) == (content, content[:3])
                assert not [name for name, value in through.headers.items() if role.token in value]
                told = box.flask("doctor", check=False)
                assert "ok    bucket" in told.stdout, told
                assert role.secret not in told.stdout + told.stderr
                if kind == "container":
                    role.turn()
            assert set(seen) == {"header", "query"}, "by Lazu itself, and by nginx with what Lazu signed"
        finally:
            edge.stop()
            box.stop()
        logs = "".join(each.read_text() for each in (box.log, *(tmp_path / "nginx").glob("*.log")))
        assert "secret-of-the-role" not in logs
        assert "session-token" not in logs
