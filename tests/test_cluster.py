"""Several boxes through the front door: the same API on PostgreSQL and S3, and what it says while one of them is away."""

import json
import secrets
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.server import Server
from helpers.waiting import until
from helpers.wire import PURPOSE, part, request, stored, upload
from lazu.config import load
from lazu.errors import CannotStart

pytestmark = pytest.mark.slow

KEY = "the-key-of-all-boxes"


@pytest.fixture
def boxes(tmp_path, cluster, seaweed):
    """Start a box: `boxes()`; all are of one store."""
    names = {f"LAZU_{name.upper()}": value for name, value in cluster.items()}
    env = {**seaweed.env, **names, "LAZU_API_KEY": KEY, "LAZU_WORKERS": "1"}
    started = []

    def start(**more):
        started.append(Server(tmp_path / f"box-{len(started)}", {**env, **more}).start())
        return started[-1]

    yield start
    for box in started:
        assert seaweed.env["AWS_SECRET_ACCESS_KEY"] not in box.log.read_text()
        box.stop()


def get(box, path, **headers):
    return request(box, "GET", path, KEY, headers=headers)


def test_what_one_box_stores_the_other_serves_and_deletes(boxes):
    here, there = boxes(), boxes()
    content = secrets.token_bytes(300_000)
    file = stored(here, KEY, content, "größe.bin")
    path = f"/v1/files/{file['id']}"
    assert get(there, path).json == file
    assert get(there, "/v1/files").json["data"] == [file]
    whole = get(there, f"{path}/content")
    assert (whole.status, whole.body) == (200, content)
    some = get(there, f"{path}/content", Range="bytes=100000-100009")
    assert (some.status, some.body) == (206, content[100_000:100_010])
    assert get(there, f"{path}/content", **{"If-None-Match": whole.headers["ETag"]}).status == 304
    assert request(there, "HEAD", f"{path}/content", KEY).headers["Content-Length"] == "300000"
    assert request(there, "DELETE", path, KEY).json["deleted"]
    assert get(here, f"{path}/content").error == (404, "file_not_found", "file_id")


def test_a_nul_in_an_id_is_an_unknown_id(boxes):
    box = boxes()
    assert get(box, "/v1/files/%00").status == 404
    assert get(box, "/v1/files/file-lazu-%ff").status == 404


def test_a_full_key_is_refused_by_every_box(boxes):
    here, there = boxes(LAZU_KEY_QUOTA_BYTES="100"), boxes(LAZU_KEY_QUOTA_BYTES="100")
    stored(here, KEY, b"x" * 60)
    refused = upload(there, KEY, *form_of(b"y" * 60))
    assert refused.error[:2] == (507, "insufficient_storage")
    stored(there, KEY, b"x" * 40)


def test_uploads_to_all_boxes_at_once_keep_the_quota(boxes):
    both = [boxes(LAZU_KEY_QUOTA_BYTES="100") for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: upload(both[n % 2], KEY, *form_of(b"%020d" % n)), range(16)))
    assert sorted(answer.status for answer in answers) == [200] * 5 + [507] * 11


def form_of(content):
    return PURPOSE, part("file", content, "a.txt")


def test_commands_on_any_box_are_about_the_whole_store(boxes):
    here, there = boxes(), boxes()
    file = stored(here, KEY, b"counted")
    there.flask("keys", "create", "bob")
    assert json.loads(there.flask("stats", "--json").stdout)["files"] == 1
    found = {each["check"]: each["state"] for each in json.loads(there.flask("doctor", "--json", check=False).stdout)}
    assert (found["database"], found["bucket"], found["clocks"]) == ("ok", "ok", "ok")
    assert there.flask("fsck", "--rehash").returncode == 0
    request(here, "DELETE", f"/v1/files/{file['id']}", KEY)
    assert there.flask("purge").returncode == 0
    assert "lazu_object_calls_total" in request(here, "GET", "/metrics").body.decode()


def test_a_box_waits_for_its_database(boxes, postgres):
    """It answers 503 meanwhile, also when it was started before; and nothing has to be started again."""
    box = boxes()
    postgres.stop()
    try:
        late = boxes()
        for each in (box, late):
            assert get(each, "/healthz").status == 200
            assert get(each, "/readyz").error[:2] == (503, "overloaded")
            answer = get(each, "/v1/files")
            assert (answer.error[:2], answer.headers["Retry-After"]) == ((503, "overloaded"), "2")
    finally:
        postgres.run()
        postgres.wait()
    for each in (box, late):
        until(lambda each=each: get(each, "/readyz").status == 200)
        assert get(each, "/v1/files").json["data"] == []


def test_without_the_object_store_metadata_goes_on_and_uploads_wait(boxes, seaweed):
    box = boxes()
    file = stored(box, KEY, b"before")
    seaweed.stop(signal.SIGKILL)
    try:
        assert get(box, "/readyz").error[:2] == (503, "overloaded")
        assert upload(box, KEY, *form_of(b"meanwhile")).error[:2] == (503, "overloaded")
        assert get(box, f"/v1/files/{file['id']}/content").error[:2] == (503, "overloaded")
        assert get(box, f"/v1/files/{file['id']}").json == file
        stored(box, KEY, b"before")
    finally:
        seaweed.run()
        seaweed.wait()
    until(lambda: get(box, "/readyz").status == 200)
    assert get(box, f"/v1/files/{file['id']}/content").body == b"before"
    stored(box, KEY, b"meanwhile")


@pytest.mark.parametrize("name", ["LAZU_DATABASE_URL", "LAZU_BLOBS_URL"])
def test_one_setting_of_the_two_stops_the_start(name, cluster):
    values = {"LAZU_DATABASE_URL": cluster["database_url"], "LAZU_BLOBS_URL": cluster["blobs_url"]}
    with pytest.raises(CannotStart, match="belong together"):
        load({name: values[name]})


@pytest.mark.parametrize("value", ["mysql://db/lazu", "postgresql://db", "lazu"])
def test_a_database_that_is_none_stops_the_start_and_shows_no_password(value):
    with pytest.raises(CannotStart, match="LAZU_DATABASE_URL"):
        load({"LAZU_DATABASE_URL": value, "LAZU_BLOBS_URL": "s3://lazu"})


@pytest.mark.parametrize("value", ["lazu", "s3://", "https://bucket/x", "s3://bucket/a b", "s3://key:secret@bucket"])
def test_a_bucket_that_is_none_stops_the_start(value):
    with pytest.raises(CannotStart, match="LAZU_BLOBS_URL"):
        load({"LAZU_DATABASE_URL": "postgresql://db/lazu", "LAZU_BLOBS_URL": value})
