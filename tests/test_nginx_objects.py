"""nginx between a client and the object store: what is no file never passes, and no signed address is shown or written down."""

import http.client
import secrets
from contextlib import suppress

import pytest

from helpers import between as wire
from helpers.waiting import until
from helpers.wire import request, stored

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("place", ["cluster"], indirect=True, scope="module")]

CONTENT = secrets.token_bytes(100_000)
#: In an address that is signed.
SIGNED = "X-Amz-Signature"


@pytest.fixture
def shaken(deploy, seaweed, place, monkeypatch):
    """A box behind nginx, and what stands between both and the store."""
    with wire.between(seaweed.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield deploy(), proxy


def shown(edge):
    """What nginx has written down."""
    return "".join(path.read_text() for path in edge.prefix.glob("*.log"))


ANSWERS = [
    *((status, {"Location": f"http://elsewhere/object?{SIGNED}=hidden"}, b"") for status in (301, 302, 303, 307, 308)),
    (304, {}, b""), (400, {}, b"<Error><Code>ExpiredToken</Code><Token-0>hidden</Token-0></Error>"),
    (401, {}, b"hidden"), (403, {}, b"hidden"), (404, {}, b"hidden"), (405, {}, b"hidden"),
    (409, {}, b"hidden"), (410, {}, b"hidden"), (412, {}, b"hidden"), (416, {"Content-Range": "bytes */7"}, b"hidden"), (429, {}, b"hidden"),
    (451, {}, b"hidden"), (500, {}, b"hidden"), (503, {"Retry-After": "7"}, b"hidden"), (504, {}, b"hidden"),
]  # fmt: skip


def test_whatever_the_store_says_that_is_no_file_lazu_answers_itself(shaken):
    edge, proxy = shaken
    key = edge.new_key()
    file = stored(edge, key, CONTENT, "größe.bin")
    path = f"/v1/files/{file['id']}/content"
    for status, headers, body in ANSWERS:
        proxy.rule = lambda _, asked, answer=(status, headers, body): answer if SIGNED in asked else wire.PASS
        for asked, expected in (({}, (200, CONTENT)), ({"Range": "bytes=7-9"}, (206, CONTENT[7:10]))):
            direct, through = (request(each, "GET", path, key, headers=asked) for each in (edge.server, edge))
            assert (through.status, through.body) == expected, status
            assert "hidden" not in str(through.headers), status
            assert through.headers["ETag"] == direct.headers["ETag"], status
        for asked, expected in (({"If-None-Match": direct.headers["ETag"]}, 304), ({"If-Match": '"x"'}, 412), ({"Range": "bytes=999999-"}, 416)):
            assert request(edge, "GET", path, key, headers=asked).status == expected, status
    assert SIGNED not in shown(edge)


def test_a_store_that_breaks_off_is_written_down_without_the_signature(shaken):
    edge, proxy = shaken
    key = edge.new_key()
    path = f"/v1/files/{stored(edge, key, CONTENT)['id']}/content"
    for what in (wire.EARLY_END, (200, {"Content-Length": "none"}, b"")):
        proxy.rule = lambda _, asked, what=what: what if SIGNED in asked else wire.PASS
        with suppress(OSError, http.client.IncompleteRead):
            request(edge, "GET", path, key)
    until(lambda: shown(edge).count(f"GET {path}") == 2)
    assert SIGNED not in shown(edge)


def test_what_a_copy_of_an_object_says_of_its_coding_reaches_no_client(shaken):
    """`aws s3 sync` keeps the headers of what it copies, among them `aws-chunked` of botocore's own way to send."""
    edge, proxy = shaken
    key = edge.new_key()
    path = f"/v1/files/{stored(edge, key, CONTENT)['id']}/content"
    said = {"Content-Encoding": "aws-chunked", "Content-Language": "de"}
    proxy.rule = lambda _, asked: (200, said, CONTENT) if SIGNED in asked else wire.PASS
    through = request(edge, "GET", path, key)
    assert (through.status, through.body) == (200, CONTENT)
    assert not {*said} & {*through.headers}
    assert any(SIGNED in asked for _, asked in proxy.calls)
