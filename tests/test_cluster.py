"""Several boxes through the front door: the same API on PostgreSQL and S3, and what it says while one of them is away."""

import base64
import json
import re
import secrets
import select
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from io import BytesIO

import pytest

from bench import client, servers
from helpers import between as wire
from helpers import uploads as uploads_http
from helpers.clocks import ahead
from helpers.documents import RED, pages
from helpers.in_store import create, first_answer_lost, put
from helpers.seaweed import BUCKET, ELSEWHERE
from helpers.server import PLACES, Server, free_port, opened, variables
from helpers.waiting import until
from helpers.wire import PURPOSE, dial, form, head, part, request, stored, upload
from lazu.application import create_app
from lazu.config import Settings, read
from lazu.errors import Busy, CannotStart, InsufficientStorage, InvalidApiKey, InvalidRequest, NotReady, Unanswered
from lazu.routes import content
from lazu.store import counts, rows, upload_rows
from lazu.store.opening import open_store, require_ready
from lazu.store.postgresql import engine
from lazu.store.postgresql.database import database
from lazu.store.postgresql.engine import Postgresql
from lazu.store.tables import File, Upload, UploadPart
from lazu.store.uploads import Completion, Declared
from lazu.upkeep import engines
from lazu.upkeep.purge import ClockJump, purge

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


def test_what_one_box_stores_the_other_serves_and_deletes(boxes, proxy):
    here, there = boxes(), boxes(AWS_ENDPOINT_URL=proxy.endpoint)
    content = secrets.token_bytes(300_000)
    file = stored(here, KEY, content, "größe.bin")
    path = f"/v1/files/{file['id']}"
    assert get(there, path).json == file
    assert get(there, "/v1/files").json["data"] == [file]
    whole = get(there, f"{path}/content")
    assert (whole.status, whole.body) == (200, content)
    some = get(there, f"{path}/content", Range="bytes=100000-100009")
    assert (some.status, some.body) == (206, content[100_000:100_010])
    assert proxy.ranges == ["bytes=100000-100009"], "what the store was asked for"
    assert get(there, f"{path}/content", **{"If-None-Match": whole.headers["ETag"]}).status == 304
    assert request(there, "HEAD", f"{path}/content", KEY).headers["Content-Length"] == "300000"
    assert request(there, "DELETE", path, KEY).json["deleted"]
    assert get(here, f"{path}/content").error == (404, "file_not_found", "file_id")


def test_bytes_that_the_store_has_lost_come_back_by_an_upload_to_any_box(boxes, cluster, tmp_path):
    """It joined them: acknowledged by 200, and unreadable."""
    here, there = boxes(), boxes()
    first, content = stored(here, KEY, b"lost"), "/v1/files/{id}/content"
    store = open_store(Settings(storage_dir=tmp_path / "here", min_free_bytes=0, **cluster))
    store.contents.bucket.delete(store.contents.objects.stored(File.get_by_id(first["id"]).sha256).name)
    database.close_all()
    assert get(here, content.format(**first)).error == (404, "file_not_found", "file_id")
    again = stored(there, KEY, b"lost")
    assert [get(box, content.format(**file)).body for box in (here, there) for file in (first, again)] == [b"lost"] * 4
    assert json.loads(here.flask("fsck", "--rehash", "--repair", "--json").stdout)["problems"] == []


def test_a_part_of_bytes_that_the_store_has_cut_is_a_loss_that_the_same_bytes_mend(boxes, cluster, tmp_path):
    """A range past the end of what is left is 416 there; it was 503 here for ever, and nothing was marked."""
    here = boxes()
    file, content = stored(here, KEY, secrets.token_bytes(100_000)), "/v1/files/{id}/content"
    whole = get(here, content.format(**file)).body
    store = open_store(Settings(storage_dir=tmp_path / "here", min_free_bytes=0, **cluster))
    objects = store.contents.objects
    with objects.spool.stage(10, 10) as staged:
        staged.write(whole[:10])
        objects.bucket.put(objects.stored(File.get_by_id(file["id"]).sha256).name, staged.fd, staged.size, staged.sha256)
    database.close_all()
    assert get(here, content.format(**file), Range="bytes=50000-50009").status == 503
    stored(here, KEY, whole)
    assert get(here, content.format(**file), Range="bytes=50000-50009").body == whole[50000:50010]


def test_a_request_costs_as_many_statements_as_the_docs_say(boxes, cluster, postgres):
    """docs/cluster.md has them as a table."""
    with postgres.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {cluster['database_url'].rpartition('/')[2]} SET log_statement = 'all'")
    box = boxes()
    file = stored(box, KEY, b"once")
    path = f"/v1/files/{file['id']}"
    until(lambda: "last_used_at" in postgres.log().rpartition("UPDATE")[2])  # which is written beside a first request
    acts = {
        "metadata": lambda: get(box, path), "list": lambda: get(box, "/v1/files?limit=1"), "download": lambda: get(box, f"{path}/content"),
        "known": lambda: stored(box, KEY, b"once"), "new": lambda: stored(box, KEY, b"never before"), "DELETE": lambda: request(box, "DELETE", path, KEY),
        "again": lambda: request(box, "DELETE", path, KEY),
    }  # fmt: skip
    counted = {}
    for name, act in acts.items():
        before = len(postgres.log())
        act()
        said = postgres.log()[before:].splitlines()
        counted[name] = sum("statement: " in line or " execute " in line for line in said)
    assert counted == {"metadata": 1, "list": 1, "download": 2, "known": 6, "new": 9, "DELETE": 5, "again": 8}


def test_the_floor_of_the_bench_answers_as_a_box_does(boxes, cluster, tmp_path, monkeypatch):
    """Else its figure in docs/cluster.md says nothing."""
    monkeypatch.setenv("BENCH_DIR", str(tmp_path / "bench"))
    box = boxes()
    file, _ = stored(box, KEY, b"a file"), stored(box, KEY, b"another one")
    with servers.bare("bare_rows", BENCH_DATABASE=cluster["database_url"]) as floor:
        for path in (f"/v1/files/{file['id']}", "/v1/files?limit=1"):
            assert client.ask(floor.port, "GET", path) == get(box, path).json


@pytest.mark.parametrize("place", ["cluster"], indirect=True, scope="module")
def test_nginx_fetches_downloads_from_the_store(edge, place, seaweed):
    """As it does from the disk (test_conditions.py); no header of the store comes through, and none of its errors."""
    key, content = edge.new_key(), secrets.token_bytes(300_000)
    file = stored(edge, key, content, "größe.bin")
    path = f"/v1/files/{file['id']}/content"
    direct, through = (request(each, "GET", path, key) for each in (edge.server, edge))
    assert direct.headers["X-Accel-Redirect"].startswith("/_objects/lazu/")
    assert (through.status, through.body) == (200, content)
    for name in ("ETag", "Last-Modified", "Content-Type", "Content-Disposition", "Content-Security-Policy"):
        assert through.headers.get_all(name) == direct.headers.get_all(name), name
    with opened(edge.storage) as store:
        name = store.contents.objects.stored(File.get_by_id(file["id"]).sha256).name
        key_of_store = f"{PLACES[edge.storage]['blobs_url'].removeprefix(f's3://{BUCKET}/')}/{name}"
        marks = {"ChecksumAlgorithm": "CRC32", "CacheControl": "max-age=60", **({} if ELSEWHERE else {"StorageClass": "STANDARD_IA"})}
        seaweed.client().put_object(Bucket=BUCKET, Key=key_of_store, Body=content, **marks)
        marked = request(edge, "GET", path, key)
        for answer in (through, marked):
            assert {each.lower() for each in answer.headers} - {each.lower() for each in direct.headers} == set()
        assert (marked.body, marked.headers.get_all("Cache-Control")) == (content, direct.headers.get_all("Cache-Control"))
        store.contents.bucket.delete(name)
        assert request(edge, "GET", path, key).error == (404, "file_not_found", "file_id")
    request(edge, "DELETE", f"/v1/files/{file['id']}", key)


def test_a_download_that_meets_the_last_delete_of_its_bytes_is_not_found(cluster, tmp_path, monkeypatch):
    """Between the look at the file and the one at its object."""
    place = {"storage_dir": tmp_path / "box", "min_free_bytes": 0, "api_key": KEY, "accel_location": "/_objects/"}
    app = create_app(Settings(**place, **cluster))
    store, asked = app.extensions["lazu"], content.agreed
    store.keys.create("alice")
    file = put(store, b"gone")
    File.update(key=store.keys.find("default").id).execute()
    monkeypatch.setattr(content, "agreed", lambda part: store.files.delete(store.keys.find("default"), file.id) or asked(part))
    answer = app.test_client().get(f"/v1/files/{file.id}/content", headers={"Authorization": f"Bearer {KEY}"})
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "file_not_found")
    database.close_all()


def test_a_range_of_bytes_that_went_and_came_again_meanwhile_is_that_range(cluster, tmp_path, monkeypatch):
    """Their object has another name then."""
    app = create_app(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **cluster))
    store = app.extensions["lazu"]
    secret, objects = store.keys.create("alice"), store.contents.objects
    gone, kept = put(store, b"0123456789"), objects.stored
    before = [kept(gone.sha256)]
    store.files.delete(store.keys.find("alice"), gone.id)
    file = put(store, b"0123456789")
    monkeypatch.setattr(objects, "stored", lambda sha256: before.pop() if before else kept(sha256))
    answer = app.test_client().get(f"/v1/files/{file.id}/content", headers={"Authorization": f"Bearer {secret}", "Range": "bytes=3-5"})
    assert (answer.status_code, answer.data, before) == (206, b"345", [])
    database.close_all()


@pytest.mark.parametrize("mode", ["native", "text"])
def test_a_model_is_given_files_of_the_object_store(mode, boxes, double):
    """In `text` mode twice: a reader process reads it out of a copy, then the text is an object beside it."""
    box = boxes(**double.env, LAZU_UPSTREAM_FILES=mode)
    words = b"Words of the store. " * 20_000
    part_of = {"type": "input_file", "file_id": stored(box, KEY, words, "words.txt")["id"]}
    asked = json.dumps({"model": "m", "input": [{"role": "user", "content": [part_of]}]}).encode()
    for _ in range(2):
        answer = request(box, "POST", "/v1/responses", KEY, asked, {"Content-Type": "application/json"})
        assert answer.status == 200, answer.body
        [given] = double.received[-1].json["input"][0]["content"]
        if mode == "text":
            assert words.decode().strip() in given["text"]
        else:
            assert base64.b64decode(given["file_data"].partition("base64,")[2]) == words


@pytest.mark.parametrize("first", [wire.BUSY, wire.EARLY_END])
def test_a_store_that_fails_while_a_model_is_given_a_file_is_told_as_always(first, boxes, double, seaweed):
    """When the file is opened, or in its midst: nothing of an answer has gone out."""
    with wire.between(seaweed.endpoint) as proxy:
        box = boxes(**double.env, AWS_ENDPOINT_URL=proxy.endpoint)
        part_of = {"type": "input_file", "file_id": stored(box, KEY, secrets.token_bytes(300_000), "a.bin")["id"]}
        asked = json.dumps({"model": "m", "input": [{"role": "user", "content": [part_of]}]}).encode()
        said = [first]
        proxy.rule = lambda method, _: wire.PASS if method != "GET" else said.pop() if said else wire.BUSY
        assert request(box, "POST", "/v1/responses", KEY, asked).error == (503, "overloaded", None)
        until(lambda: " upstream=overloaded" in box.log.read_text())


def asking(box, name="words.txt", data=b"Words of the store. " * 20_000):
    """Ask the model about a new file, at each call; gives its answer."""
    part_of = {"type": "input_file", "file_id": stored(box, KEY, data, name)["id"]}
    body = json.dumps({"model": "m", "input": [{"role": "user", "content": [part_of]}]}).encode()
    return lambda: request(box, "POST", "/v1/responses", KEY, body, {"Content-Type": "application/json"})


@pytest.mark.parametrize("whole", [0, 1], ids=["from its start", "from its midst"])
def test_a_kept_text_that_the_store_can_not_read_is_made_anew(whole, boxes, double, proxy):
    """A byte of it changed in the store: each call about its file was 503, and no command told of it or helped."""
    box = boxes(**double.env, LAZU_UPSTREAM_FILES="text", AWS_ENDPOINT_URL=proxy.endpoint, AWS_MAX_ATTEMPTS="1")
    ask = asking(box)
    assert ask().status == 200
    first, damaged, made = [wire.EARLY_END] * 2 * whole, [(500, {}, b"<Error><Code>InternalError</Code></Error>")], []

    def rule(method, path):
        if ".plain-" not in path or "list-type" in path:
            return wire.PASS
        made.append(method)
        if method == "DELETE":
            damaged.clear()
        return (first.pop() if first else damaged[0]) if damaged and method == "GET" else wire.PASS

    proxy.rule = rule
    answers = [ask().status for _ in range(1 + whole)]
    assert answers == [503] * whole + [200]
    assert made.index("DELETE") < made.index("PUT")
    made.clear()
    assert ask().status == 200
    assert "PUT" not in made
    assert "Words of the store." in double.received[-1].json["input"][0]["content"][0]["text"]


def test_a_kept_text_that_makes_room_while_a_call_reads_it_is_503_and_a_repeat_works(boxes, double, seaweed, proxy):
    """Before the second and third time that it is fetched (for its length, to be sent), and in their midst."""
    box, fetched = boxes(**double.env, LAZU_UPSTREAM_FILES="text", AWS_ENDPOINT_URL=proxy.endpoint), []
    ask = asking(box)
    assert ask().status == 200
    for number, breaks in ((2, 0), (3, 0), (2, 1), (3, 1)):

        def rule(method, path, number=number, breaks=breaks):
            if method == "GET" and ".plain-" in path:
                fetched.append(path)
                if len(fetched) == number + breaks:
                    seaweed.client().delete_object(Bucket=BUCKET, Key=path.removeprefix(f"/{BUCKET}/"))
                elif len(fetched) == number:
                    return wire.EARLY_END
            return wire.PASS

        proxy.rule = rule
        assert ask().error[:2] == (503, "overloaded"), (number, breaks)
        assert len(fetched) >= number
        proxy.rule = wire.passing
        assert ask().status == 200
        fetched.clear()


def test_a_kept_picture_of_a_page_is_asked_for_alone(boxes, double, proxy):
    box = boxes(**double.env, LAZU_UPSTREAM_FILES="images", AWS_ENDPOINT_URL=proxy.endpoint)
    part_of = {"type": "input_file", "file_id": stored(box, KEY, pages(RED, RED), "scan.pdf")["id"]}
    asked = json.dumps({"model": "m", "input": [{"role": "user", "content": [part_of]}]}).encode()
    for _ in range(2):
        proxy.ranges.clear()
        assert request(box, "POST", "/v1/responses", KEY, asked).status == 200
    urls = [each["image_url"] for each in double.received[-1].json["input"][0]["content"] if "image_url" in each]
    sizes = [len(base64.b64decode(url.partition(",")[2])) for url in urls]
    ranges = [re.findall(r"\d+", each) for each in proxy.ranges[-2:]]
    assert [int(last) + 1 - int(first) for first, last in ranges] == sizes


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


@pytest.fixture
def alice(cluster, tmp_path):
    """A store and a key of it."""
    store = open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **cluster))
    store.keys.create("alice")
    yield store, store.keys.find("alice")
    database.close_all()


def at_once(monkeypatch, module, question, *acts):
    """What two acts raise, each of which has the answer to its question before the other goes on, if nothing keeps it out."""
    ask, meet = getattr(module, question), threading.Barrier(2)

    def asking(*values):
        found = ask(*values)
        with suppress(threading.BrokenBarrierError):
            meet.wait(1)
        return found

    monkeypatch.setattr(module, question, asking)
    with ThreadPoolExecutor(2) as pool:
        return {type(done.exception()) for done in [pool.submit(act) for act in acts]}


def test_parts_that_come_to_all_boxes_at_once_keep_the_limit_of_their_upload(alice, monkeypatch, limits):
    """Each had seen room for itself."""
    store, key = alice
    begun = store.uploads.create(key, Declared("a.txt", 2, "user_data", None))

    def add(data):
        with store.contents.stage(10) as place:
            place.write(data)
            return store.uploads.add_part(key, begun, place)

    limits(MAX_PARTS=1)
    raised = at_once(monkeypatch, upload_rows, "count_parts", lambda: add(b"a"), lambda: add(b"b"))
    assert raised == {type(None), InvalidRequest}
    assert UploadPart.select().count() == 1


def test_uploads_that_are_begun_on_all_boxes_at_once_keep_their_number(alice, monkeypatch, limits):
    """Of a key without a quota, which nobody else's requests kept out: 123 of a hundred."""
    store, key = alice
    limits(MAX_PENDING=1)
    begin = partial(store.uploads.create, key, Declared("a.txt", 2, "user_data", None))
    assert at_once(monkeypatch, upload_rows, "pending", begin, begin) == {type(None), InvalidRequest}
    assert Upload.select().count() == 1


def test_uploads_that_a_new_quota_met_on_their_way_keep_it_together(alice, monkeypatch):
    """Their requests began when the key had none, so they shared it."""
    store, _ = alice
    coming = [partial(create, store, store.keys.find("alice"), data) for data in (b"123456", b"abcdef")]
    store.keys.limit("alice", 10)
    assert at_once(monkeypatch, counts, "held", *coming) == {type(None), InsufficientStorage}
    assert File.select().count() == 1


@pytest.mark.parametrize("meanwhile", ["full", "revoked"])
def test_a_commit_whose_answer_was_lost_does_not_refuse_what_it_stored(cluster, tmp_path, meanwhile):
    """Known bytes: retried, the transaction finds the quota full with its own file, or the key revoked since."""
    store = open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, key_quota_bytes=10, **cluster))
    try:
        store.keys.create("alice")
        put(store, b"known")
        with first_answer_lost(store, lambda: meanwhile == "revoked" and store.keys.revoke("alice")):
            file = put(store, b"known")
        assert rows.has_row(file.id)
        with pytest.raises((InsufficientStorage, InvalidApiKey)):
            put(store, b"known")
    finally:
        database.close_all()


@pytest.mark.parametrize(("hours", "left"), [(-7 * 24, 1), (2, 1), (0, 0)])
def test_a_box_whose_clock_is_ahead_removes_nothing_that_is_not_over_for_the_database(cluster, tmp_path, hours, left):
    """The object store would refuse it only after the rows were gone; here it does not, its signatures are of the true time."""
    store = open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **cluster))
    try:
        store.keys.create("alice")
        put(store, b"here")
        File.update(expires_at=time.time() + (3600 if left else -1)).execute()
        refused = pytest.raises(ClockJump, match="ahead of the database's") if hours > 0 else nullcontext()
        with ahead(hours * 3600), refused:
            purge(store)
        assert File.select().count() == left
    finally:
        database.close_all()


def test_a_database_that_answers_late_does_not_make_this_clock_one_that_is_off(cluster, tmp_path, monkeypatch):
    store = open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **cluster))
    ask = database.execute_sql

    def ask_late(sql, *values):
        answer = ask(sql, *values)
        if "clock_timestamp" in sql:
            clock.tick(90)
        return answer

    try:
        with ahead(0) as clock:
            with monkeypatch.context() as patch:
                patch.setattr(database, "execute_sql", ask_late)
                assert abs(store.engine.ahead()) < 1
            assert store.engine.ahead() > 89, "as it is now"
    finally:
        database.close_all()


def refusal(status, code):
    return status, {}, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


DIAGNOSES = [
    ("PUT", refusal(403, "RequestTimeTooSkewed"), 1, "fail", "RequestTimeTooSkewed", "set the clock"),
    ("GET", refusal(404, "NoSuchKey"), 2, "fail", "has not what it was just given", "do not use it"),
    ("GET", refusal(403, "AccessDenied"), 1, "fail", "ListObjectsV2: 403 AccessDenied", "list"),
    ("PUT", refusal(503, "SlowDown"), 2, "fail", "503 SlowDown", "is it running"),
    ("PUT", (200, {"ETag": '"x"'}, b""), 2, "warn", "changed on their way", "docs/cluster.md"),
    ("PUT", wire.PASS, 2, "ok", "refuses changed bytes", ""),
]


@pytest.mark.parametrize(("verb", "answer", "number", "state", "found", "cure"), DIAGNOSES, ids=["clock", "not there", "no list", "busy", "any hash", "sound"])
def test_doctor_says_what_the_store_did_and_what_to_do(cluster, tmp_path, seaweed, monkeypatch, verb, answer, number, state, found, cure):
    """The second PUT has a wrong hash: only a refusal says that the store compares them, not that it was busy just then."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with wire.between(seaweed.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        store, seen = open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **cluster)), []

        def rule(method, path):
            seen.append(method)
            return answer if method == verb and seen.count(verb) == number else wire.PASS

        proxy.rule = rule
        try:
            told = {each.check: each for each in engines.look(store.settings)}
            proxy.rule = wire.passing
            assert list(store.contents.look()) == [], "nothing of doctor's is in the way"
        finally:
            database.close_all()
    assert told["bucket"].state == state
    assert found in told["bucket"].found
    assert cure in told["bucket"].cure


@pytest.mark.parametrize(
    ("env", "blamed", "lines"),
    [
        ({"AWS_ENDPOINT_URL": "store.internal:8333"}, "LAZU_BLOBS_URL or an AWS_", {"ok    database", "fail  bucket"}),
        ({"LAZU_DATABASE_URL": "{powerless}"}, "LAZU_DATABASE_URL can't", {"fail  database", "ok    bucket", "→ GRANT it to the role"}),
        ({"LAZU_DATABASE_URL": "postgresql:///lazu?sslmode=bogus"}, "LAZU_DATABASE_URL, or a", {"ok    bucket", "→ correct LAZU_DATABASE_URL or"}),
        ({"LAZU_DATABASE_URL": "postgresql://lazu:50%@db/lazu"}, "LAZU_DATABASE_URL must", {"ok    bucket", "→ correct LAZU_DATABASE_URL or"}),
        ({"LAZU_BLOBS_URL": "{other}"}, "LAZU_DATABASE_URL and", {"ok    database", "ok    bucket", "→ correct LAZU_DATABASE_URL or"}),
    ],
    ids=["store", "database", "parameter", "url", "of another store"],
)
def test_a_start_that_fails_blames_the_setting_and_doctor_asks_both_engines(cluster, postgres, seaweed, tmp_path, env, blamed, lines):
    """It blamed the storage directory, and doctor said nothing of the engines, or sent away from the setting."""
    role, url = f"powerless_{secrets.token_hex(6)}", cluster["database_url"]
    with postgres.connect(url.rpartition("/")[2]) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    other = seaweed.prefix()
    open_store(Settings(storage_dir=tmp_path / "other", database_url=postgres.database(), blobs_url=other))
    database.close_all()
    env = {name: value.format(powerless=url.replace("lazu@", f"{role}@"), other=other) for name, value in env.items()}
    box = Server(tmp_path / "box", {**variables(cluster), **env})
    box.flask("stats", check=False)  # the first to come makes a store of the two
    told = box.flask("doctor", check=False).stdout
    assert [line for line in lines if line not in told] == [], told
    assert f"fail  store        Lazu can't start: {blamed}" in told
    assert ("fail  database" in told) == ("fail  database" in lines), told


def test_a_database_that_takes_no_writes_is_not_ready_and_doctor_says_so(cluster, postgres, tmp_path):
    """As some services set one whose disk is full: both said that all was well, and each upload was 503."""
    box = Server(tmp_path / "box", variables(cluster))
    box.flask("keys", "create", "alice")
    name = cluster["database_url"].rpartition("/")[2]
    with postgres.connect("postgres") as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert re.search("^fail  database .* takes no writes", box.flask("doctor", check=False).stdout, re.MULTILINE)
    store = open_store(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, **cluster))
    with pytest.raises(NotReady, match="database takes no writes"):
        require_ready(store)
    database.close_all()


def test_a_database_that_is_put_back_under_a_running_box_is_503_until_it_is_whole(boxes, postgres, cluster):
    """Gone, then empty: each answer was 500, with a trace."""
    box, name = boxes(), cluster["database_url"].rpartition("/")[2]
    file = stored(box, KEY)
    leave = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    with postgres.connect("postgres") as admin:
        for told in (f"ALTER DATABASE {name} RENAME TO {name}_kept", f"CREATE DATABASE {name}"):
            admin.execute(leave)
            admin.execute(told)
            answers = [*(get(box, path) for path in ("/v1/files", "/readyz")), upload(box, KEY, *form_of(b"more"))]
            assert [each.error[:2] for each in answers] == [(503, "overloaded")] * 3, told
            assert b"\nlazu_database_up 0.0\n" in get(box, "/metrics").body, told
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.execute(f"ALTER DATABASE {name}_kept RENAME TO {name}")
    assert get(box, f"/v1/files/{file['id']}").json == file
    assert get(box, "/readyz").status == 200
    assert "Traceback" not in box.log.read_text()


def test_doctor_says_of_a_bucket_that_keeps_what_is_deleted(cluster, seaweed, tmp_path):
    """It was content; each deleted file stayed whole, as an old version."""
    name = f"versioned-{secrets.token_hex(4)}"
    seaweed.client().create_bucket(Bucket=name)
    seaweed.client().put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    told = Server(tmp_path / "box", {**variables(cluster), "LAZU_BLOBS_URL": f"s3://{name}"}).flask("doctor", check=False).stdout
    assert re.search("^warn  bucket .* keeps versions", told, re.MULTILINE), told


def test_doctor_says_when_no_commit_waits_for_the_standby_that_there_is(cluster, postgres, tmp_path):
    """It was content, and a failover forgets what was acknowledged."""
    box = Server(tmp_path / "box", variables(cluster))
    with postgres.connect("postgres") as admin:
        admin.execute(f"ALTER DATABASE {cluster['database_url'].rpartition('/')[2]} SET synchronous_commit = local")
    assert re.search("^ok    database ", box.flask("doctor", check=False).stdout, re.MULTILINE)
    with postgres.waiting_for_a_standby():
        told = box.flask("doctor", check=False).stdout
    assert re.search("^fail  database .* waits for no standby", told, re.MULTILINE), told


@pytest.mark.parametrize("command", ["create", "rotate"])
def test_a_key_whose_commit_was_not_answered_is_told_to_be_there_perhaps_and_gets_a_secret(cluster, postgres, tmp_path, command):
    """The command said "the connection is closed"; the key was there, and nobody had its secret."""
    box = Server(tmp_path / "box", variables(cluster))
    box.flask(*("keys", "create", "alice") if command == "rotate" else ["stats"])
    with ThreadPoolExecutor(1) as pool, postgres.waiting_for_a_standby(), postgres.connect("postgres") as admin:
        made = pool.submit(box.flask, "keys", command, "alice", check=False)
        until(lambda: admin.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchone())
        postgres.terminate(cluster["database_url"])
        told = made.result()
    assert (told.returncode, told.stderr.count("\n")) == (1, 1), told.stderr
    assert "alice may have a new secret, see 'flask keys list'; if it is there, 'flask keys rotate alice'" in told.stderr
    assert "alice" in box.flask("keys", "list").stdout
    assert box.flask("keys", "rotate", "alice").stdout.startswith("sk-lazu-")


def test_doctor_says_of_a_store_without_its_engines_no_more_than_that_it_opens(cluster, tmp_path):
    away = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}", "AWS_MAX_ATTEMPTS": "1"}
    told = Server(tmp_path / "box", {**variables(cluster), **away}).flask("doctor", check=False).stdout
    assert re.search("^fail  bucket .*^warn  store +opens, without", told, re.MULTILINE | re.DOTALL), told


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_is_not_unicode_stops_the_start(cluster, postgres, tmp_path, encoding):
    """The one gave traces, the other 500 for a name that it has no letters for."""
    name = f"lazu_{secrets.token_hex(6)}"
    with postgres.connect("postgres") as admin:
        admin.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    box = Server(tmp_path / "box", variables({**cluster, "database_url": postgres.url(name)}))
    failed, told = box.flask("stats", check=False), box.flask("doctor", check=False).stdout
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1), failed.stderr
    assert "LAZU_DATABASE_URL can't be used: the database's encoding is not UTF8" in failed.stderr
    assert re.search("^fail  database +the database's encoding is not UTF8\n +→? *createdb -E UTF8", told, re.MULTILINE), told


def test_without_the_libraries_of_a_cluster_each_command_says_what_installs_them(tmp_path):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "botocore.py").write_text("raise ModuleNotFoundError(\"No module named 'botocore'\")")
    engines = {"LAZU_DATABASE_URL": "postgresql://db/lazu", "LAZU_BLOBS_URL": "s3://lazu"}
    box = Server(tmp_path / "box", {**engines, "PYTHONPATH": str(tmp_path / "hidden")})
    for command in ("stats", "doctor"):
        done = box.flask(command, check=False)
        assert "'scripts/venv requirements-cluster.txt' installs it" in done.stdout + done.stderr
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr


def form_of(content):
    return PURPOSE, part("file", content, "a.txt")


def test_commands_on_any_box_are_about_the_whole_store(boxes):
    here, there = boxes(), boxes()
    file = stored(here, KEY, b"counted")
    there.flask("keys", "create", "bob")
    assert json.loads(there.flask("stats", "--json").stdout)["files"] == 1
    assert re.search("^blobs .* in objects\n(.*\n)*free .* here, uploads stop at ", there.flask("stats").stdout, re.MULTILINE)
    found = {each["check"]: each["state"] for each in json.loads(there.flask("doctor", "--json", check=False).stdout)}
    assert (found["database"], found["bucket"], found["clocks"]) == ("ok", "ok", "ok")
    assert there.flask("fsck", "--rehash").returncode == 0
    request(here, "DELETE", f"/v1/files/{file['id']}", KEY)
    assert there.flask("purge").returncode == 0
    figures = request(here, "GET", "/metrics").body.decode()
    assert "lazu_object_calls_total" in figures
    assert "\nlazu_intents 0.0\n" in figures


def test_a_purge_that_may_not_delete_says_so_in_a_line_and_fails(boxes, proxy):
    """It said "removed 0 files" and left with 0, after a trace of botocore's for each object."""
    box = boxes(AWS_ENDPOINT_URL=proxy.endpoint)
    files = [stored(box, KEY, b"%d" % number)["id"] for number in range(6)]
    proxy.only((403, {}, b"<Error><Code>AccessDenied</Code></Error>"), "DELETE")
    for file in files:
        assert request(box, "DELETE", f"/v1/files/{file}", KEY).status == 200
    assert "Traceback" not in box.log.read_text()
    said = box.flask("purge", check=False)
    assert (said.returncode, "removed 0 files, 0 blobs" in said.stdout) == (1, True)
    why, told = said.stderr.splitlines()
    assert "DeleteObject: 403 AccessDenied" in why
    assert told == "Error: 6 objects could not be deleted; the next purge tries again"
    assert json.loads(box.flask("purge", "--json", check=False).stdout)["left"] == 6
    proxy.rule = wire.passing
    assert " removed 0 files, 6 blobs, 6 bytes" in box.flask("purge").stdout


def test_the_object_of_a_folder_is_no_problem(boxes, cluster, proxy):
    """The console of AWS makes an empty one, `prod/`, for the prefix: `flask fsck` had a problem without a name for ever."""
    box, prefix = boxes(AWS_ENDPOINT_URL=proxy.endpoint), cluster["blobs_url"].split("/", 3)[3]
    entry = "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
    folders = "".join(entry.format(f"{prefix}/{name}", size) for name, size in [("", 0), ("ab/", 0), ("theirs/", 1)])
    listed = f"<ListBucketResult><IsTruncated>false</IsTruncated>{folders}</ListBucketResult>".encode()
    answers = {"GET": (200, {"Content-Type": "application/xml"}, listed), "HEAD": (200, {}, b"")}
    proxy.rule = lambda method, path: wire.PASS if "store-" in path else answers.get(method, wire.PASS)
    [problem] = json.loads(box.flask("fsck", "--json", check=False).stdout)["problems"]
    assert problem["about"] == "theirs/"


def test_doctor_tells_once_that_the_database_is_away(cluster, tmp_path):
    away = {**variables(cluster), "LAZU_DATABASE_URL": f"postgresql://lazu@127.0.0.1:{free_port()}/lazu"}
    told = Server(tmp_path / "box", away).flask("doctor", check=False).stdout
    assert told.count("fail  database") == 1, told


def test_a_command_without_a_database_says_so_in_one_line(tmp_path):
    away = {"LAZU_DATABASE_URL": f"postgresql://lazu:hidden-word@127.0.0.1:{free_port()}/lazu", "LAZU_BLOBS_URL": "s3://lazu"}
    done = Server(tmp_path / "box", away).flask("stats", check=False)
    assert done.returncode == 1
    assert "the database can't be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden-word" not in done.stderr


def test_a_box_waits_for_its_database(boxes, postgres):
    """It answers 503 meanwhile, also when it was started before; and nothing has to be started again."""
    box = boxes()
    postgres.stop()
    try:
        late = boxes()
        for each in (box, late):
            assert get(each, "/healthz").status == 200
            for path in ("/readyz", "/v1/files"):
                answer = get(each, path)
                assert (answer.error[:2], answer.headers["Retry-After"]) == ((503, "overloaded"), "2")
            told = get(each, "/metrics").body.decode()
            assert "\nlazu_database_up 0.0\n" in told
            assert re.search(r"^lazu_requests_total\{.*/readyz", told, re.MULTILINE), "what the box counts is there"
            assert "\nlazu_free_bytes " in told
            assert "\nlazu_files " not in told
    finally:
        postgres.run()
        postgres.wait()
    for each in (box, late):
        until(lambda each=each: "\nlazu_database_up 1.0\n" in get(each, "/metrics").body.decode())
        until(lambda each=each: get(each, "/readyz").status == 200)
        assert get(each, "/v1/files").json["data"] == []


def test_without_the_object_store_metadata_goes_on_and_uploads_wait(boxes, seaweed):
    box = boxes()
    file = stored(box, KEY, b"before")
    seaweed.stop(signal.SIGKILL)
    try:
        answer = get(box, "/readyz")
        assert (answer.error[:2], answer.headers["Retry-After"]) == ((503, "overloaded"), "2")
        with ThreadPoolExecutor(2) as pool:  # each is waited with for a while
            refused = pool.submit(upload, box, KEY, *form_of(b"meanwhile")), pool.submit(get, box, f"/v1/files/{file['id']}/content")
            assert get(box, f"/v1/files/{file['id']}").json == file
            stored(box, KEY, b"before")
            assert [each.result().error[:2] for each in refused] == [(503, "overloaded")] * 2
    finally:
        seaweed.run()
        seaweed.wait()
    until(lambda: get(box, "/readyz").status == 200)
    assert get(box, f"/v1/files/{file['id']}/content").body == b"before"
    stored(box, KEY, b"meanwhile")


def test_calls_of_a_store_that_says_nothing_keep_nobody_waiting(boxes, seaweed):
    """A machine that is paused: more downloads wait for it than a key may work on at once."""
    with wire.between(seaweed.endpoint) as proxy, ThreadPoolExecutor(8) as pool:
        box = boxes(AWS_ENDPOINT_URL=proxy.endpoint)
        file = stored(box, KEY, b"before")
        path = f"/v1/files/{file['id']}"
        proxy.only(wire.SILENCE, "GET")
        downloads = [pool.submit(get, box, f"{path}/content") for _ in range(8)]
        until(lambda: [verb for verb, _ in proxy.calls].count("GET") >= 8)
        assert get(box, path).json == file
        stored(box, KEY, b"before")
        assert not any(each.done() for each in downloads)
        proxy.rule = wire.passing
        proxy.released.set()
        assert {each.result().body for each in downloads} == {b"before"}


def test_a_client_is_not_slow_while_the_database_is(boxes, cluster, postgres):
    """Its upload waited for its key to be looked up, longer than a client may send nothing."""
    box = boxes(LAZU_BODY_TIMEOUT="3", LAZU_BODY_MIN_RATE="1000000")
    stored(box, KEY, b"first")
    with postgres.connect(cluster["database_url"].rpartition("/")[2]) as connection, ThreadPoolExecutor(1) as pool:
        connection.execute("BEGIN; LOCK TABLE key IN ACCESS EXCLUSIVE MODE")
        waits = pool.submit(upload, box, KEY, *form_of(b"x" * 300_000))
        time.sleep(5)
        connection.execute("ROLLBACK")
        assert waits.result().status == 200


@pytest.mark.parametrize("ended", ["cancelled", "completed"])
def test_a_completion_whose_upload_ended_since_it_was_read_says_how(boxes, cluster, postgres, ended):
    """By another box, or by a cancellation: its parts are gone, which is no fault of the list that the client sent."""
    box = boxes()
    begun = uploads_http.created(box, KEY, 10)
    ids = [uploads_http.added(box, KEY, begun, data) for data in (b"hello", b"world")]
    file = stored(box, KEY, b"helloworld")
    with postgres.connect(cluster["database_url"].rpartition("/")[2]) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN; LOCK TABLE upload_part IN ACCESS EXCLUSIVE MODE")
        if ended == "cancelled":
            other.execute("UPDATE upload SET cancelled_at = created_at")
        else:
            other.execute("UPDATE upload SET file_id = %s, completion = %s", (file["id"], Completion(ids, None).mark))
        other.execute("DELETE FROM upload_part")
        answer = pool.submit(uploads_http.complete, box, KEY, begun, ids)
        until(lambda: waiting(postgres, cluster, "Lock"))
        other.execute("COMMIT")
        if ended == "cancelled":
            assert answer.result().error == (400, "invalid_request", "upload_id")
        else:
            assert (answer.result().status, answer.result().json["file"]["id"]) == (200, file["id"])


@pytest.mark.parametrize("path", ["/v1/files", "/v1/uploads"])
def test_a_commit_that_nobody_answers_is_503(cluster, tmp_path, monkeypatch, path):
    """Each time it is said: the client may repeat it, as all that an engine is away for."""
    app = create_app(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, api_key=KEY, **cluster))
    monkeypatch.setattr(app.extensions["lazu"].engine, "write", unanswered)
    about = {"purpose": "user_data"}
    more = {"json": {**about, "bytes": 1, "filename": "a.txt", "mime_type": "text/plain"}}
    if path == "/v1/files":
        more = {"data": {**about, "file": (BytesIO(b"x"), "a.txt")}}
    answer = app.test_client().post(path, headers={"Authorization": f"Bearer {KEY}"}, **more)
    assert (answer.status_code, answer.json["error"]["code"], answer.headers["Retry-After"]) == (503, "overloaded", "2")
    database.close_all()


@pytest.mark.parametrize("tables", [False, True], ids=["new", "without the key"])
def test_a_box_starts_on_a_database_that_answers_no_commit(cluster, postgres, tmp_path, monkeypatch, tables):
    """Its synchronous standby is away: the box waited without end, with no port and no word. Now it works when that is back."""
    monkeypatch.setattr(engine, "OPENING_SECONDS", 1)
    if tables:
        Postgresql(cluster["database_url"]).open()
    settings = Settings(storage_dir=tmp_path / "box", min_free_bytes=0, api_key=KEY, **cluster)
    with ThreadPoolExecutor(1) as pool, postgres.waiting_for_a_standby():
        store = pool.submit(open_store, settings).result(60)
    until(lambda: serves(store))
    database.close_all()


def test_reads_go_on_while_uploads_wait_for_a_standby(boxes, postgres, cluster, tmp_path):
    """They had all connections of their process, whosever they were: metadata and lists of another key were 503."""
    box = boxes()
    file, keys = stored(box, KEY, b"known"), new_keys(cluster, tmp_path, 12)
    with postgres.waiting_for_a_standby(), uploading(box, keys):
        until(lambda: waiting(postgres, cluster, "IPC") > 5)
        for path in ("/readyz", "/v1/files", f"/v1/files/{file['id']}", f"/v1/files/{file['id']}/content"):
            assert get(box, path).status == 200


def test_a_key_that_somebody_holds_keeps_no_other_waiting(boxes, postgres, cluster, tmp_path):
    """A box that was stopped in a transaction, or an operator: uploads of that key had all connections of a process."""
    box = boxes()
    file, [other] = stored(box, KEY, b"known"), new_keys(cluster, tmp_path, 1)
    with postgres.connect(cluster["database_url"].rpartition("/")[2]) as operator, operator.transaction():
        operator.execute("SELECT 1 FROM key WHERE name = 'key-0' FOR UPDATE")
        with uploading(box, [other] * 12) as answers:
            until(lambda: waiting(postgres, cluster, "Lock") > 1)
            for _ in range(5):
                assert get(box, f"/v1/files/{file['id']}").status == 200
                stored(box, KEY, b"known")
            assert not select.select(answers, [], [], 0)[0]


def test_a_delete_waits_for_no_upload_of_the_same_bytes(boxes, postgres, cluster):
    """Of bytes that many send at once there was always one: each DELETE was 503, after half a minute."""
    box = boxes()
    files = [stored(box, KEY, b"known") for _ in range(2)]
    with postgres.connect(cluster["database_url"].rpartition("/")[2]) as uploads, uploads.transaction():
        uploads.execute("SELECT 1 FROM blob FOR KEY SHARE")  # as the row of a file has its content
        for file in files:
            assert request(box, "DELETE", f"/v1/files/{file['id']}", KEY).status == 200
    assert box.flask("purge").returncode == 0
    assert json.loads(box.flask("fsck", "--json").stdout)["problems"] == []


def new_keys(cluster, tmp_path, count):
    store = open_store(Settings(storage_dir=tmp_path / "keys", min_free_bytes=0, **cluster))
    made = [store.keys.create(f"key-{number}") for number in range(count)]
    database.close_all()
    return made


@contextmanager
def uploading(box, keys):
    """Each key has sent an upload of what the store has; gives the connections that will have the answers."""
    body = form(PURPOSE, part("file", b"known", "a.txt"))
    with ExitStack() as ends:
        yield [ends.enter_context(dial(box, head(key, length=len(body)) + body)) for key in keys]


def waiting(postgres, cluster, kind):
    """How many backends wait for something of this kind."""
    with postgres.connect(cluster["database_url"].rpartition("/")[2]) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = %s"
        return connection.execute(asked, (kind,)).fetchone()[0]


def serves(store):
    with suppress(Busy, NotReady):
        require_ready(store)
        return store.keys.authenticate(f"Bearer {KEY}").name == "default"


NEWER, POWERLESS = "CREATE TABLE schema AS SELECT 1000 AS version", "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {} LOGIN"


@pytest.mark.parametrize(("made", "found"), [(NEWER, "its tables are of version 1000"), (POWERLESS, "permission denied")], ids=["newer", "powerless"])
def test_a_database_that_stops_a_start_is_503_when_it_comes_after_one(cluster, postgres, tmp_path, caplog, made, found):
    """Each request was 500, with a trace."""
    name = f"lazu_{secrets.token_hex(6)}"
    url = postgres.url(name) if made == NEWER else postgres.url(name).replace("lazu@", f"{name}@")
    app = create_app(Settings(storage_dir=tmp_path / "box", min_free_bytes=0, api_key=KEY, **{**cluster, "database_url": url}))
    with postgres.connect("postgres") as admin:
        admin.execute(f"CREATE DATABASE {name}")
    with postgres.connect(name) as admin:
        admin.execute(made.format(name))
    for path, begins in (("/v1/files", "answered by 503"), ("/readyz", "not ready: the database")):
        caplog.clear()
        answer = app.test_client().get(path, headers={"Authorization": f"Bearer {KEY}"})
        assert (answer.status_code, answer.json["error"]["code"], answer.headers["Retry-After"]) == (503, "overloaded", "2")
        [told] = [line for line in caplog.text.splitlines() if found in line]
        assert begins in told
        assert "Traceback" not in caplog.text
    database.close_all()


def unanswered(work, frees=False):
    raise Unanswered("the connection is lost")


@pytest.mark.parametrize("url", ["postgresql://u:hidden%zzword@h/db", "postgresql://u:hidden%deword@h/db", "postgresql://u:hidden@[h/db"])
def test_a_url_that_libpq_can_not_read_is_not_quoted(url):
    with pytest.raises(CannotStart, match="LAZU_DATABASE_URL must be a URL") as refused:
        Postgresql(url).open()
    assert "hidden" not in str(refused.value)


SLIPS = {
    "nonsense=1": "has a parameter that libpq does not know: nonsense$",
    "password=hid&den=1": "has a parameter that libpq does not know$",
    "sslmode=hidden": "has a value for sslmode that libpq does not take$",
    "target_session_attrs=hidden": "has a value for target_session_attrs that libpq does not take$",
    "host=a,b,c&port=1,2": "has a value for port that libpq does not take$",
    "service=hidden": "has a value for service that libpq does not take$",
    "host=db.internal,hidden..internal": "has a value for host that libpq does not take$",
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_parameter_that_libpq_refuses_stops_the_start_by_its_name(slip):
    """A box waited for PostgreSQL without end."""
    with pytest.raises(CannotStart) as refused:
        Postgresql(f"postgresql://lazu:hidden@/lazu?{slip}").open()
    assert re.search(SLIPS[slip], str(refused.value).rstrip("."))
    assert not {"hid", "den", "hidden"} & set(re.findall("[a-z]+", str(refused.value)))


@pytest.mark.parametrize("right", ["", "sslrootcert=system", "service=several", "port={0},{0}&host=127.0.0.1,localhost", f"host=/run/{'long' * 16}"])
def test_what_libpq_takes_is_waited_for(right, tmp_path, monkeypatch, caplog):
    """What it takes for granted depends on the others."""
    port = free_port()
    (tmp_path / "services").write_text(f"[several]\nhost=127.0.0.1,127.0.0.1\nport={port},{port}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    host = "" if "=" in right and "ssl" not in right else f"127.0.0.1:{port}"
    Postgresql(f"postgresql://lazu@{host}/lazu?{right.format(port)}").open()
    assert "can't be used yet" in caplog.text


def test_a_variable_of_libpq_that_is_wrong_stops_the_start_too(monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "hidden")
    with pytest.raises(CannotStart, match="or a variable of libpq, has a value for sslmode that"):
        Postgresql("postgresql://lazu@db/lazu").open()


@pytest.mark.parametrize("name", ["LAZU_DATABASE_URL", "LAZU_BLOBS_URL"])
def test_one_setting_of_the_two_stops_the_start(name, cluster):
    values = {"LAZU_DATABASE_URL": cluster["database_url"], "LAZU_BLOBS_URL": cluster["blobs_url"]}
    with pytest.raises(CannotStart, match="belong together"):
        read({name: values[name]})


BARE = ["@", "/", "@@", "/@", ":x/", "?", "#", "[", "]", "[x]"]


@pytest.mark.parametrize("value", ["mysql://db/lazu", "postgresql://db", "lazu", *(f"postgresql://lazu:hid{bare}den@db/lazu" for bare in BARE)])
def test_a_database_that_is_none_stops_the_start_and_shows_no_password(value):
    """Of a password with such characters libpq takes a part for the host or the port, which each error names."""
    with pytest.raises(CannotStart, match=r"LAZU_DATABASE_URL must be .* percent-encoded") as refused:
        read({"LAZU_DATABASE_URL": value, "LAZU_BLOBS_URL": "s3://lazu"})
    assert not {"hid", "den"} & set(re.findall("[a-z]+", str(refused.value)))


GOOD = ["lazu:a:b%40%2F@db:5432/lazu", "lazu@db1:5432,db2,[::1]:5433/lazu", "/lazu?host=/run/postgresql&password=p@ss", "[::1]/lazu", "%2Frun%2Fpg/lazu"]


@pytest.mark.parametrize("value", GOOD)
def test_whatever_libpq_reads_as_it_is_meant_is_taken(value):
    assert read({"LAZU_DATABASE_URL": f"postgresql://{value}", "LAZU_BLOBS_URL": "s3://lazu"}).settings.database_url.endswith(value)


NO_BUCKETS = ["lazu", "s3://", "https://bucket/x", "s3://bucket/a b", "s3://key:secret@bucket"]
#: What a URL ends at, or a client or the store reads otherwise: the prefix was another one, or none.
CUT = ["prod?x", "prod?", "prod#x", "a//b", "a/./b", "../b", "a/..", "."]


@pytest.mark.parametrize("value", [*NO_BUCKETS, *(f"s3://bucket/{prefix}" for prefix in CUT)])
def test_a_bucket_that_is_none_stops_the_start(value):
    with pytest.raises(CannotStart, match=r"LAZU_BLOBS_URL must be s3://BUCKET .* of one or two dots\.$"):
        read({"LAZU_DATABASE_URL": "postgresql://db/lazu", "LAZU_BLOBS_URL": value})


@pytest.mark.parametrize("value", ["s3://my.bucket-1", "s3://b/", "s3://b/prod/eu.1/...", "s3://b/a/"])
def test_a_bucket_with_or_without_a_prefix_is_taken(value):
    assert read({"LAZU_DATABASE_URL": "postgresql://db/lazu", "LAZU_BLOBS_URL": value}).settings.blobs_url == value
