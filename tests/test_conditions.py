"""Ranges and preconditions of downloads: each answer is that of RFC 9110, and the same with nginx in front."""

import http.client
import random
from email.utils import formatdate

import pytest

from helpers.wire import Answer, request, stored

pytestmark = pytest.mark.both_stores

SIZE = 1000
BYTES = bytes(n % 251 for n in range(SIZE))
RANGES = 1500


class Line:
    """A kept-alive connection on which the content of a new file is asked for."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.server, self.key = server, server.new_key()
        self.file = stored(server, self.key, BYTES, "data.dat")
        self.path = f"/v1/files/{self.file['id']}/content"

    def get(self, method="GET", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, self.path, headers={"Authorization": f"Bearer {self.key}", **named})
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())


@pytest.fixture
def lines(server, edge):
    """The same bytes, from a Lazu alone and from one behind nginx."""
    both = [Line(server), Line(edge)]
    yield both
    for line in both:
        line.connection.close()


def seen(answer):
    """What a client can tell of an answer."""
    names = ("Content-Range", "Content-Length", "Content-Type", "ETag", "Accept-Ranges", "Cache-Control")
    return answer.status, {name: answer.headers[name] for name in names}, answer.body


def generated():
    """Ranges right and wrong, most of them next to something that a parser may get wrong."""
    dice = random.Random(4)
    numbers = ["", "0", "1", "00", "007", "999", "1000", "1001", "5", "500", "-1", "+1", "x", "1e3", "٣",
               *map(str, (2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**17, 10**18, 10**30))]  # fmt: skip
    spaces = ["", "", "", "", " ", "\t", "  "]
    for _ in range(RANGES // 5):
        yield f"bytes={dice.choice(numbers)}-{dice.choice(numbers)}".encode()
    for _ in range(RANGES * 4 // 5):
        one = [f"{dice.choice(spaces)}{dice.choice(numbers)}{dice.choice(spaces)}-{dice.choice(numbers)}" for _ in range(dice.choice([1, 1, 1, 1, 2, 5]))]
        text = dice.choice(["bytes=", "bytes=", "bytes=", "bytes=", "Bytes=", "bytes =", "bytes", "items=", ""]) + dice.choice([",", ", ", ",,"]).join(one)
        yield (text + dice.choice(["", "", "", ",", " ", "\t"])).encode()


def right(text):
    """Status and bytes for the one range that RFC 9110 allows in `text`; None where it leaves a choice."""
    import re

    match = re.fullmatch(rb"bytes=([0-9]*)-([0-9]*)", text)
    if not match or match.group(0) == b"bytes=-":
        return None
    first, last = (int(each) if each else None for each in match.groups())
    if first is None:
        return (206, BYTES[-last:]) if last else (416, None)
    if last is not None and last < first:
        return (200, BYTES)
    return (206, BYTES[first : SIZE if last is None else last + 1]) if first < SIZE else (416, None)


def test_every_range_has_one_answer_directly_and_behind_nginx(lines):
    checked = 0
    for text in generated():
        direct, through = (line.get(Range=text) for line in lines)
        assert direct.status in (200, 206, 416), text
        if direct.status == 416:
            assert direct.error == through.error == (416, "range_not_satisfiable", None), text
            assert direct.headers["Content-Range"] == through.headers["Content-Range"] == f"bytes */{SIZE}"
        else:
            assert seen(direct) == seen(through), text
        if expected := right(text):
            checked += 1
            assert direct.status == expected[0], text
            assert expected[1] in (None, direct.body), text
    assert checked > RANGES / 10


def when(file, seconds):
    return formatdate(file["created_at"] + seconds, usegmt=True)


OTHER = f'"{"0" * 64}"'


def conditions(file, etag):
    """Headers and the status that RFC 9110 §13.2.2 gives them."""
    before, same, after = (when(file, seconds) for seconds in (-1, 0, 1))
    return [
        ({"If_Match": etag}, 200), ({"If_Match": "*"}, 200), ({"If_Match": f"{OTHER}, {etag}"}, 200),
        ({"If_Match": OTHER}, 412), ({"If_Match": f"W/{etag}"}, 412), ({"If_Match": ""}, 200), ({"If_None_Match": ""}, 200),
        ({"If_Unmodified_Since": same}, 200), ({"If_Unmodified_Since": after}, 200), ({"If_Unmodified_Since": before}, 412),
        ({"If_Unmodified_Since": "yesterday"}, 200), ({"If_Unmodified_Since": "Sun, 06 Nov 99999999999999999999 08:49:37 GMT"}, 200),
        ({"If_Unmodified_Since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 412), ({"If_Unmodified_Since": "Sun Nov  6 08:49:37 1994"}, 412),
        ({"If_Match": etag, "If_Unmodified_Since": before}, 200), ({"If_Match": OTHER, "If_Unmodified_Since": after}, 412),
        ({"If_None_Match": etag}, 304), ({"If_None_Match": f"W/{etag}"}, 304), ({"If_None_Match": "*"}, 304), ({"If_None_Match": OTHER}, 200),
        ({"If_Modified_Since": same}, 304), ({"If_Modified_Since": after}, 304), ({"If_Modified_Since": before}, 200),
        ({"If_Modified_Since": "never"}, 200), ({"If_Modified_Since": ""}, 200),
        ({"If_None_Match": OTHER, "If_Modified_Since": after}, 200), ({"If_None_Match": etag, "If_Modified_Since": before}, 304),
        ({"If_Match": etag, "If_None_Match": etag}, 304), ({"If_Match": OTHER, "If_None_Match": etag}, 412),
        ({"If_Match": etag, "Range": "bytes=0-1"}, 206), ({"If_Match": OTHER, "Range": "bytes=0-1"}, 412), ({"If_Match": OTHER, "Range": "bytes=9999-"}, 412),
        ({"If_None_Match": etag, "Range": "bytes=0-1"}, 304), ({"If_Modified_Since": before, "Range": "bytes=0-1"}, 206),
        ({"If_Range": etag, "Range": "bytes=0-1"}, 206), ({"If_Range": OTHER, "Range": "bytes=0-1"}, 200), ({"If_Range": same, "Range": "bytes=0-1"}, 206),
        ({"If_Range": before, "Range": "bytes=0-1"}, 200), ({"If_Range": after, "Range": "bytes=0-1"}, 200), ({"If_Range": OTHER, "Range": "bytes=9999-"}, 200),
    ]  # fmt: skip


def test_every_precondition_has_its_answer_directly_and_behind_nginx(lines):
    etag = lines[0].get().headers["ETag"]
    for (headers, status), (others, _) in zip(*(conditions(line.file, etag) for line in lines), strict=True):
        direct, through = lines[0].get(**headers), lines[1].get(**others)
        assert direct.status == through.status == status, headers
        if status == 412:
            assert direct.error == through.error == (412, "precondition_failed", None)
        else:
            assert seen(direct) == seen(through), headers
        if "Range" not in headers:
            head = lines[0].get("HEAD", **headers), lines[1].get("HEAD", **others)
            assert [each.status for each in head] == [status, status], headers
            assert [each.body for each in head] == [b"", b""]


def test_a_file_that_is_gone_is_not_found_whatever_its_conditions(lines):
    for line in lines:
        request(line.server, "DELETE", f"/v1/files/{line.file['id']}", line.key)
        for headers in ({"If_Match": "*"}, {"If_None_Match": "*"}, {"Range": "bytes=9999-"}):
            assert line.get(**headers).error == (404, "file_not_found", "file_id")


def test_a_text_is_never_compressed_on_its_way(edge):
    """Debian's nginx compresses texts; a weak ETag would break If-Range."""
    key = edge.new_key()
    file = stored(edge, key, b"the same words, over and over\n" * 1000, "a.md")
    whole = request(edge, "GET", f"/v1/files/{file['id']}/content", key, headers={"Accept-Encoding": "gzip"})
    assert (whole.headers["Content-Encoding"], whole.headers["Content-Length"]) == (None, "30000")
    assert whole.headers["Content-Type"] == "text/markdown; charset=utf-8"
    part = request(edge, "GET", f"/v1/files/{file['id']}/content", key, headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9", "If-Range": whole.headers["ETag"]})
    assert (part.status, part.body) == (206, b"the same w")
