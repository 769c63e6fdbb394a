"""A database or an object store that has no room: which of them it is, the client, the log and `/readyz` say."""

import os
import re
import secrets
from contextlib import contextmanager

import pytest

from helpers import between as wire
from helpers.server import Server, variables
from helpers.waiting import until
from helpers.wire import PURPOSE, part, upload
from helpers.wire import request as ask
from lazu import clock

pytestmark = pytest.mark.slow

KEY = "the-key-of-all-boxes"
REFUSED = (507, {}, b"<Error><Code>InsufficientStorage</Code><Message>no</Message></Error>")
#: What PostgreSQL says when its disk is full, for a new row of a file.
NO_ROOM = """CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file "base/1/2"' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER no_room BEFORE INSERT ON file EXECUTE FUNCTION no_room()"""


@pytest.fixture(params=["database", "object store"])
def engine(request, cluster, postgres, seaweed):
    """An engine: its name, what it says, the settings of a box, and `without_room()`, for the `with`."""
    with wire.between(seaweed.endpoint) as proxy, postgres.connect(cluster["database_url"].rpartition("/")[2]) as admin:

        @contextmanager
        def without_room():
            if request.param == "database":
                admin.execute(NO_ROOM)
            else:
                proxy.only(REFUSED, "PUT")
            yield
            proxy.rule = wire.passing
            admin.execute("DROP FUNCTION IF EXISTS no_room CASCADE")

        told = {"database": "53100 could not extend file", "object store": "PutObject: 507 InsufficientStorage"}
        env = {**seaweed.env, **variables(cluster), "AWS_ENDPOINT_URL": proxy.endpoint, "LAZU_API_KEY": KEY}
        yield request.param, told[request.param], env, without_room


@pytest.fixture
def box(tmp_path, engine):
    box = Server(tmp_path / "box", {**engine[2], "LAZU_WORKERS": "2"}).start()
    yield box
    box.stop()


def store_one(box):
    return upload(box, KEY, PURPOSE, part("file", secrets.token_bytes(20_000).hex().encode(), "a.txt"))


def test_an_upload_that_an_engine_has_no_room_for_names_it_to_client_and_log(box, engine):
    """It was told of the server's disk, and the log of nothing."""
    name, why, _, without_room = engine
    with without_room():
        refused = store_one(box)
    assert refused.error[:2] == (507, "insufficient_storage")
    assert refused.json["error"]["message"] == f"The {name} is full."
    [line] = [line for line in box.log.read_text().splitlines() if "answered by 507" in line]
    assert f"The {name} is full. {why}" in line.replace("\\", "")
    assert KEY not in line
    assert store_one(box).status == 200


def test_a_box_is_not_ready_for_a_minute_after_an_engine_was_full(box, engine):
    """`/readyz` was 200, and doctor content. What ended only by an upload would last: a load balancer sends none to a box that is not ready."""

    def ready():
        """What all its processes say; each connection may come to another one."""
        [said] = {(answer.status, answer.json.get("error", {}).get("message")) for answer in (ask(box, "GET", "/readyz") for _ in range(12))}
        return said

    name, _, _, without_room = engine
    assert ready() == (200, None)
    with without_room():
        assert store_one(box).status == 507
        assert ready() == (503, f"The {name} is full.")
        told = box.flask("doctor", check=False).stdout
        assert re.search(f"^fail  {name.replace('object store', 'bucket')} .*\n +→ make room there", told, re.MULTILINE), told
    [mark] = box.storage.glob("full-*")
    os.utime(mark, (clock.now() - 5, clock.now() - 5))
    assert ready()[0] == 503
    os.utime(mark, (clock.now() - 61, clock.now() - 61))
    assert ready() == (200, None)
    assert store_one(box).status == 200
    assert ready() == (200, None)


def test_a_store_that_lists_and_takes_no_writes_is_not_ready_until_it_does(cluster, seaweed, tmp_path):
    """SeaweedFS has no word for it, whether its disk is full or somebody forbade writes: 500, and all else goes on."""
    place = cluster["blobs_url"].removeprefix("s3:/")
    box = Server(tmp_path / "box", {**seaweed.env, **variables(cluster), "LAZU_API_KEY": KEY, "AWS_MAX_ATTEMPTS": "2"}).start()
    try:
        assert store_one(box).status == 200
        seaweed.shell(f"fs.configure -locationPrefix=/buckets{place} -readOnly -apply")
        until(lambda: store_one(box).status == 503)
        assert {(answer.status, answer.json["error"]["message"]) for answer in (ask(box, "GET", "/readyz") for _ in range(12))} == {(503, "The object store takes no writes.")}
        told = box.flask("doctor", check=False).stdout
        assert re.search(r"^fail  bucket  .*500.*\n +→ is there room", told, re.MULTILINE), told
        seaweed.shell(f"fs.configure -locationPrefix=/buckets{place} -delete -apply")
        until(lambda: store_one(box).status == 200)
        assert ask(box, "GET", "/readyz").status == 200
    finally:
        box.stop()
