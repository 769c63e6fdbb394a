"""The door to the object store, on a real SeaweedFS, through a proxy that breaks calls as networks and servers do."""

import errno
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from botocore.response import StreamingBody
from freezegun import freeze_time
from urllib3.exceptions import SSLError

from helpers import between as wire
from helpers.broken import failing
from helpers.seaweed import BUCKET, KEY, SECRET, credentials
from helpers.server import PROJECT
from lazu.store import bucket as door
from lazu.store import bucket_client
from lazu.store.bucket import Bucket
from lazu.store.bucket_errors import ObjectStoreFailed

pytestmark = pytest.mark.slow

CONTENT = os.urandom(3_000_000)


@pytest.fixture
def place(seaweed, monkeypatch):
    """The address of an empty place in the store, with its credentials in the environment."""
    for name, value in seaweed.env.items():
        monkeypatch.setenv(name, value)
    return seaweed.prefix()


@pytest.fixture
def bucket(place):
    return Bucket(place)


@pytest.fixture
def shaken(place, proxy, monkeypatch):
    """The same place through the proxy, by a client that waits half a second."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    return Bucket(place, silence=0.5)


@pytest.fixture
def source(tmp_path):
    """A file on the box, and the hash of its bytes."""
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        yield file.fileno(), len(CONTENT), hashlib.sha256(CONTENT).hexdigest()


def read(bucket, name):
    with bucket.open(name, len(CONTENT)) as reader:
        return reader.read()


def test_an_object_comes_back_whole_from_any_place_and_goes(bucket, source):
    bucket.put("ab/one", *source)
    assert bucket.size("ab/one") == len(CONTENT)
    with bucket.open("ab/one", len(CONTENT)) as reader:
        assert reader.read() == CONTENT
        assert reader.seek(-10, os.SEEK_END) == len(CONTENT) - 10
        assert reader.read() == CONTENT[-10:]
        assert reader.seek(1_000_000) == reader.tell()
        assert reader.read(5) == CONTENT[1_000_000:1_000_005]
    with bucket.open("ab/one", len(CONTENT), 3, 100_000) as reader:
        assert reader.begin().read() == CONTENT[3:100_000]
    with closing(bucket.get("ab/one", range(3, 10), len(CONTENT))) as sent:
        assert sent.read() == CONTENT[3:10], "what nobody reads is not asked for"
    bucket.delete("ab/one")
    assert bucket.size("ab/one") is None
    bucket.delete("ab/one")


def test_the_bytes_of_a_put_do_not_pass_through_the_process(bucket, source, monkeypatch):
    """Without TLS: sendfile(2) takes a third of the CPU (docs/decisions/0070-botocore.md)."""
    monkeypatch.setattr(os, "pread", None)
    bucket.put("a", *source)
    monkeypatch.undo()
    assert bucket.size("a") == len(CONTENT)


def test_a_put_goes_on_where_sendfile_can_not(bucket, source):
    """As on some file systems."""
    with failing(os, "sendfile", errno.EINVAL):
        bucket.put("a", *source)
    assert read(bucket, "a") == CONTENT


def test_an_empty_object_is_put_as_any_other(shaken, source):
    """As `flask fsck` does with what a power cut left; the proxy asks for the body with 100 Continue, as some stores do."""
    shaken.put("a", source[0], 0, hashlib.sha256(b"").hexdigest())
    assert shaken.size("a") == 0


def test_an_object_that_is_not_there_is_a_missing_file(bucket):
    with bucket.open("ab/none", 10) as reader, pytest.raises(FileNotFoundError):
        reader.read(1)


@pytest.mark.parametrize("act", [read, Bucket.size, Bucket.delete])
def test_a_404_that_is_no_stores_is_not_a_missing_object(shaken, proxy, act):
    """A balancer whose server is away: objects that were there counted as gone, and files were deleted for it."""
    proxy.rule = lambda *_: (404, {"Content-Type": "text/html"}, b"<html><h1>404 page not found</h1></html>")
    with pytest.raises(ObjectStoreFailed, match="404"):
        act(shaken, "ab/object")


def test_a_listing_pages_through_one_prefix_in_order(bucket, seaweed, tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"x")
    names = [f"{n:02x}/{n:04d}" for n in range(8)]
    with path.open("rb") as file:
        for name in reversed(names):
            bucket.put(name, file.fileno(), 1, hashlib.sha256(b"x").hexdigest())
    seaweed.client().put_object(Bucket=BUCKET, Key=f"{bucket.url.rpartition('/')[2]}-beside/other", Body=b"y")
    assert [(entry.name, entry.bytes) for page in bucket.pages(3) for entry in page] == [(name, 1) for name in names]
    for below, found in {"00/0": ["00/0000"], "0": []}.items():
        assert [entry.name for page in bucket.pages(3, below) for entry in page] == found, "none behind a further slash"


def test_bytes_with_another_hash_are_refused(bucket, source):
    fd, size, _ = source
    with pytest.raises(ObjectStoreFailed):
        bucket.put("ab/wrong", fd, size, hashlib.sha256(b"other").hexdigest())
    assert bucket.size("ab/wrong") is None


@pytest.mark.parametrize("what", [wire.BUSY, wire.SILENCE, wire.CUT_BODY, wire.LOSE_ANSWER])
@pytest.mark.parametrize("verb", ["PUT", "GET", "DELETE"])
def test_a_call_that_goes_wrong_twice_is_repeated(shaken, proxy, source, verb, what):
    if verb != "PUT":
        shaken.put("ab/object", *source)
    proxy.only(what, verb, times=2)
    {
        "PUT": lambda: shaken.put("ab/object", *source),
        "GET": lambda: read(shaken, "ab/object") == CONTENT,
        "DELETE": lambda: shaken.delete("ab/object"),
    }[verb]()
    assert [method for method, _ in proxy.calls].count(verb) == 3
    proxy.rule = wire.passing
    assert shaken.size("ab/object") == (None if verb == "DELETE" else len(CONTENT))


@pytest.mark.parametrize("what", [wire.BUSY, wire.SILENCE, wire.CUT_BODY])
def test_a_put_that_goes_wrong_each_time_fails_and_leaves_nothing(shaken, proxy, source, what):
    proxy.only(what, "PUT")
    with pytest.raises(ObjectStoreFailed):
        shaken.put("ab/object", *source)
    proxy.rule = wire.passing
    assert shaken.size("ab/object") is None


def test_a_body_that_ends_early_goes_on_where_it_broke(shaken, proxy, source):
    shaken.put("ab/object", *source)
    proxy.only(wire.EARLY_END, "GET", times=2)
    assert read(shaken, "ab/object") == CONTENT


def test_a_body_that_never_comes_is_an_error_and_no_short_file(shaken, proxy, source):
    shaken.put("ab/object", *source)
    proxy.only(wire.SILENCE, "GET")
    with pytest.raises(ObjectStoreFailed):
        read(shaken, "ab/object")


def test_an_error_that_breaks_off_is_one_of_the_stores(shaken, proxy, source):
    """urllib3's own came through: 500, and a trace of `flask fsck`."""
    shaken.put("ab/object", *source)
    proxy.rule = lambda *_: wire.CUT_ERROR
    for act in (read, Bucket.size, Bucket.delete, lambda bucket, _: list(bucket.pages())):
        with pytest.raises(ObjectStoreFailed):
            act(shaken, "ab/object")


@pytest.mark.parametrize("verb", ["PUT", "GET", "DELETE"])
def test_the_body_of_an_error_is_waited_for_briefly(place, proxy, source, monkeypatch, verb):
    """Its status says what to do: as much patience as for an object cost each call of an ailing store 20 seconds."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket, began = Bucket(place, silence=60), time.monotonic()
    proxy.rule = lambda *_: wire.SLOW_ERROR
    act = {"PUT": lambda: bucket.put("ab/object", *source), "GET": lambda: read(bucket, "ab/object"), "DELETE": lambda: bucket.delete("ab/object")}
    with pytest.raises(ObjectStoreFailed, match="503"):
        act[verb]()
    assert time.monotonic() - began < 30


def test_a_body_that_breaks_in_any_way_goes_on_where_it_broke(bucket, source, monkeypatch):
    """As by a broken record of TLS, for which botocore has no error of its own."""
    bucket.put("ab/object", *source)
    readinto, broken = StreamingBody.readinto, [SSLError("bad record mac")]
    monkeypatch.setattr(StreamingBody, "readinto", lambda *args: _raise(broken.pop()) if broken else readinto(*args))
    assert read(bucket, "ab/object") == CONTENT
    assert not broken


def _raise(error):
    raise error


HTML = (200, {"Content-Type": "text/html"}, b"<html>Please log in</html>")


@pytest.mark.parametrize("answer", [HTML, (204, {}, b""), (404, {}, b"")], ids=["a page", "nothing", "404"])
def test_a_put_counts_only_when_a_store_says_so(shaken, proxy, source, answer):
    proxy.only(answer, "PUT")
    with pytest.raises(ObjectStoreFailed):
        shaken.put("ab/object", *source)


@pytest.mark.parametrize(
    ("start", "answer"),
    [
        (0, HTML), (0, (204, {}, b"")), (0, (200, {"Content-Length": "many"}, b"")), (7, (200, {}, CONTENT[7:])),
        (7, (206, {"Content-Range": f"bytes 0-{len(CONTENT) - 8}/{len(CONTENT)}"}, CONTENT[:-7])),
    ],
    ids=["a page", "nothing", "no number", "no range", "another range"],
)  # fmt: skip
def test_an_answer_about_other_bytes_is_no_content_and_is_known_before_any_is_given(shaken, proxy, source, start, answer):
    """As a proxy between that ignores ranges gives one: a download that went on after a break would be altered."""
    shaken.put("ab/object", *source)
    proxy.only(answer, "GET")
    with shaken.open("ab/object", len(CONTENT), start) as reader, pytest.raises(ObjectStoreFailed):
        reader.begin()


TRUNCATED = b"<IsTruncated>true</IsTruncated>"
AGAIN = b"<NextContinuationToken>always the same</NextContinuationToken>"


@pytest.mark.parametrize(
    "body",
    [HTML[2], b"", b"<L>%s</L>" % TRUNCATED, b"<L><Contents><Size>x</Size></Contents></L>", b"<L>%s%s</L>" % (TRUNCATED, AGAIN)],
)
def test_what_is_no_listing_is_an_error_and_no_empty_bucket(shaken, proxy, body):
    """`flask fsck --repair` would take each object for lost."""
    proxy.only((200, {}, body), "GET")
    with pytest.raises(ObjectStoreFailed):
        list(shaken.pages())


def test_a_listing_that_goes_round_ends(shaken, proxy):
    """It was read for ever, by `flask purge` too."""
    asked = []

    def rule(*_):
        asked.append("A" if len(asked) % 2 else "B")
        assert len(asked) < 10
        return 200, {}, b"<L>%s<NextContinuationToken>%s</NextContinuationToken></L>" % (TRUNCATED, asked[-1].encode())

    proxy.rule = rule
    with pytest.raises(ObjectStoreFailed, match="again"):
        list(shaken.pages())


def test_a_store_that_takes_a_body_slowly_is_not_away(place, proxy, tmp_path, monkeypatch):
    """The seconds for connecting are for that only; more bytes than sockets hold."""
    monkeypatch.setattr(bucket_client, "_CONNECT_SECONDS", 0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    content = bytes(2**25)
    (tmp_path / "large").write_bytes(content)
    proxy.only(wire.TAKE_LATE, "PUT", times=2)
    bucket = Bucket(place)
    with (tmp_path / "large").open("rb") as file:
        for _ in range(2):  # on a new connection, and on one that is kept
            bucket.put("ab/large", file.fileno(), len(content), hashlib.sha256(content).hexdigest())
    assert [verb for verb, _ in proxy.calls] == ["PUT"] * 2


def test_a_silent_store_is_waited_for_once(place, proxy, source, monkeypatch):
    """The first call waits as long as a store under load may take; those after it do not, until the store answers."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(door, "BRISK_SECONDS", 0.2)
    shaken, seconds = Bucket(place, silence=2), []
    proxy.only(wire.SILENCE, "PUT", times=2)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(ObjectStoreFailed):
            shaken.put("ab/object", *source)
        seconds.append(time.monotonic() - began)
    assert seconds[1] < 2 <= seconds[0]
    shaken.put("ab/object", *source)


def test_no_error_shows_a_secret(place, proxy, monkeypatch, source):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(ObjectStoreFailed) as refused:
        Bucket(place).put("ab/object", *source)
    shown = f"{refused.value!r} {refused.value.__cause__!r}"
    assert "403" in shown
    assert "not-the-secret" not in shown


def test_without_credentials_each_call_says_so(place, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(ObjectStoreFailed, match="credentials"):
        Bucket(place).size("ab/object")


def test_credentials_come_from_the_files_of_the_aws_tools(seaweed, place, monkeypatch, tmp_path):
    known = seaweed.env
    for name in known.keys() - {"AWS_EC2_METADATA_DISABLED"}:
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        f"[lazu]\naws_access_key_id = {known['AWS_ACCESS_KEY_ID']}\naws_secret_access_key = {known['AWS_SECRET_ACCESS_KEY']}\n"
    )
    (tmp_path / "config").write_text(f"[profile lazu]\nendpoint_url = {seaweed.endpoint}\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lazu")
    assert Bucket(place).size("ab/none") is None


def test_keys_that_are_rotated_in_their_file_are_taken_up_when_the_store_refuses_the_old_ones(place, monkeypatch, tmp_path, renewing):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    lines = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"
    (tmp_path / "keys").write_text(lines.format("AKIAGONE", "secret-of-before"))
    bucket = Bucket(place)
    with pytest.raises(ObjectStoreFailed, match="403 InvalidAccessKeyId"):
        list(bucket.pages())
    (tmp_path / "keys").write_text(lines.format(KEY, SECRET))
    assert list(bucket.pages()) == [[]]


def test_many_that_are_refused_at_once_make_new_clients_once(place, monkeypatch):
    made, make = [], bucket_client.make_clients
    monkeypatch.setattr(bucket_client, "make_clients", lambda *seconds: made.append(seconds) or make(*seconds))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAGONE")

    def refused(_):
        with pytest.raises(ObjectStoreFailed, match="403"):
            bucket.size("ab/object")

    with freeze_time() as clock, ThreadPoolExecutor(8) as pool:
        bucket = Bucket(place)
        clock.tick(bucket_client.RENEW_SECONDS)
        list(pool.map(refused, range(24)))
    assert len(made) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_TOKEN", "hidden\n"), ("ACCESS_KEY_ID", "hid\rden"), ("ENDPOINT_URL", "http://u:hidden@127.0.0.1:9"), ("ENDPOINT_URL", "http://[hidden"),
        ("ENDPOINT_URL", "http://127.0.0.1:9  AWS_SECRET_ACCESS_KEY=hidden"), ("ENDPOINT_URL", "http://127.0.0.1:9\nhidden"), ("ENDPOINT_URL", "hidden"),
        ("ENDPOINT_URL", "http://127.0.0.1:hidden"), ("ENDPOINT_URL", "http://127.0.0.1:9?hidden"), ("REGION", "us-east-1 AWS_SECRET_ACCESS_KEY=hidden"),
    ],
)  # fmt: skip
def test_a_secret_that_can_not_be_sent_is_not_quoted(place, monkeypatch, caplog, name, value):
    """Neither by the error nor by its trace, which the log has of some."""
    monkeypatch.setenv(f"AWS_{name}", value)
    try:
        Bucket(place).size("ab/none")
    except ObjectStoreFailed:
        logging.getLogger().exception("failed")
    assert "ObjectStoreFailed" in caplog.text
    assert not [word for word in ("hidden", "hid\\r", "\rden") if word in caplog.text]


@pytest.mark.parametrize(
    "value",
    [
        "socks5://user:hidden@127.0.0.1:9", "http://user:hidden@127.0.0.1:9", "http://user:hid/den@127.0.0.1:9", "http://user:hidden#@127.0.0.1:9",
        "user:hidden@:9x", "http://user:hidden@[127.0.0.1:9",
    ],
)  # fmt: skip
def test_a_proxys_password_is_not_quoted(place, monkeypatch, caplog, value):
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", value)
    try:
        Bucket(place).size("ab/none")
    except ObjectStoreFailed:
        logging.getLogger().exception("failed")
    assert not [word for word in ("hidden", "user:hid", "den@") if word in caplog.text]
    assert "HTTP_PROXY" in caplog.text


#: A program that gives credentials: none, or such as end at once and then none.
NONE, ONCE = "echo hidden >&2; exit 3", """test -e {0} && echo hidden >&2 && exit 3; touch {0}
    echo '{{"Version": 1, "AccessKeyId": "AK", "SecretAccessKey": "S", "Expiration": "2020-01-01T00:00:00Z"}}'"""


@pytest.mark.parametrize(
    ("env", "program", "named"),
    [
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://user:hidden@127.0.0.1:9/hidden?hidden"}, "", "container-role"),
        ({}, NONE, "custom-process"), ({}, ONCE, "custom-process"),
        ({"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": __file__, "AWS_ENDPOINT_URL_STS": "http://user:hidden@127.0.0.1:9"}, "", "EndpointConnectionError"),
    ],
    ids=["container", "process", "process, later", "role"],
)  # fmt: skip
def test_what_gives_credentials_is_named_and_not_quoted(place, monkeypatch, caplog, tmp_path, env, program, named):
    """Its address, or what a program says, may have a secret: the commands and the log showed it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "program").write_text(program.format(tmp_path / "asked"))
    (tmp_path / "config").write_text(f"[default]\nregion = us-east-1\n{'credential_process = /bin/sh ' * bool(program)}{tmp_path / 'program' if program else ''}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(logging.getLogger("botocore"), "propagate", False)  # nothing of Lazu's prints that
    bucket = Bucket(place)
    for act in (bucket.size, lambda name: bucket.presigned(name, 60)):
        with pytest.raises(ObjectStoreFailed, match=named):
            act("ab/none")
        try:
            act("ab/none")
        except ObjectStoreFailed:
            logging.getLogger().exception("failed")
    assert "ObjectStoreFailed" in caplog.text
    assert "hidden" not in caplog.text


def test_a_proxy_that_works_is_used(seaweed, place, proxy, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.endpoint.replace("//", "//user:pass%2Fword@"))
    Bucket(place).size("ab/none")
    assert proxy.calls[0][1].startswith(seaweed.endpoint)


def test_processes_that_share_a_bucket_share_no_connection(place):
    """As those of `gunicorn --preload`: they took each other's answers."""
    code = """if True:
        import os, sys
        from contextlib import suppress
        from lazu.store.bucket import Bucket
        def sockets():
            found = set()
            for fd in os.listdir("/proc/self/fd"):
                with suppress(FileNotFoundError):
                    found.add(os.readlink(f"/proc/self/fd/{fd}"))
            return {each for each in found if each.startswith("socket:")}
        bucket = Bucket(sys.argv[1])
        list(bucket.pages())
        before = sockets()
        assert before
        if not os.fork():
            list(bucket.pages())
            os._exit(not sockets() - before)
        sys.exit(os.wait()[1] != 0)
    """
    subprocess.run([sys.executable, "-c", code, place], cwd=PROJECT, check=True, timeout=60)


def test_an_unreachable_store_is_an_error_that_names_no_file(place, monkeypatch):
    for name, value in credentials("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ObjectStoreFailed, match=r"127\.0\.0\.1:9"):
        Bucket(place).size("ab/none")


def test_a_presigned_address_opens_one_object_without_a_key(bucket, seaweed, source):
    bucket.put("ab/object", *source)
    with urllib.request.urlopen(bucket.presigned("ab/object", 60)) as answer:
        assert answer.read() == CONTENT


def test_credentials_may_stand_in_the_env_file(seaweed, place, tmp_path):
    """Beside the settings. What is in the environment wins, and nothing else of the file gets there."""
    shutil.copytree(PROJECT, tmp_path / "lazu", ignore=shutil.ignore_patterns(".*", "node_modules", "tests", "bench", "docs"))
    lines = [f"{name}={value}" for name, value in {**seaweed.env, "AWS_REGION": "nowhere", "PGUSER": "lazu", "HOME": "/x"}.items()]
    (tmp_path / "lazu/.env").write_text("\n".join([*lines, f"LAZU_BLOBS_URL={place}", "LAZU_DATABASE_URL=postgresql://db/lazu"]))
    code = """if True:
        import os
        from lazu import config
        from lazu.store.bucket import Bucket
        print(Bucket(config.read().use().blobs_url).size("none"), os.environ["AWS_REGION"], os.environ["PGUSER"], os.environ["HOME"])
    """
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_REGION": "us-east-1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "lazu", env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"None us-east-1 lazu {tmp_path}\n"
