"""GET /v1/files/{id}/content: the exact bytes, in part or on condition, and inert in a browser."""

import pytest

from helpers.in_process import AUTH, put
from helpers.wire import request, stored

pytestmark = pytest.mark.both_stores

BYTES = bytes(reversed(range(256))) * 40


@pytest.fixture
def file(server, key):
    return stored(server, key, BYTES, "data.dat")


@pytest.fixture
def get(server, key, file):
    """GET the content with further headers."""

    def send(method="GET", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(server, method, f"/v1/files/{file['id']}/content", key, headers=named)

    return send


def test_the_bytes_come_back_with_inert_headers(get):
    answer = get()
    assert (answer.status, answer.body) == (200, BYTES)
    expected = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(len(BYTES)),
        "Content-Disposition": 'attachment; filename="data.dat"',
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }
    assert {name: answer.headers[name] for name in expected} == expected


@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=0-9,20-29"}, {"Range": "bytes=0-9", "If_Range": '"x"'}])
def test_that_ranges_are_taken_is_said_once(get, asked):
    for method in ("GET", "HEAD"):
        assert get(method, **asked).headers.get_all("Accept-Ranges") == ["bytes"]


def test_last_modified_is_the_files_own_time(server, get, key, file):
    from email.utils import parsedate_to_datetime

    other = stored(server, server.new_key(), BYTES, "again.dat")
    assert parsedate_to_datetime(get().headers["Last-Modified"]).timestamp() == file["created_at"]
    assert other["created_at"] >= file["created_at"]


RANGES = {
    "bytes=0-0": (0, 1),
    "bytes=100-199": (100, 200),
    "bytes=10000-": (10000, 10240),
    "bytes=-1": (10239, 10240),
    "bytes=-99999": (0, 10240),
    "bytes=0-": (0, 10240),
    "bytes=0-10239": (0, 10240),
    f"bytes=0-{2**64}": (0, 10240),
    f"bytes=-{10**30}": (0, 10240),
    "bytes=\t0-5": (0, 6),
    "Bytes=0-5": (0, 6),
    "bytes=, 0-5 ,": (0, 6),
    "bytes=10000-99999": (10000, 10240),
}


@pytest.mark.parametrize(("sent", "bounds"), RANGES.items())
def test_a_single_range_is_served(get, sent, bounds):
    start, end = bounds
    answer = get(Range=sent)
    assert answer.body == BYTES[start:end]
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(BYTES)}"


@pytest.mark.parametrize("sent", ["bytes=10240-", "bytes=99999-100000", "bytes=-0", f"bytes={2**63}-", f"bytes={2**64}-{2**65}", "bytes=1" + "0" * 5000 + "-"])
def test_a_range_outside_the_file_is_416(get, sent):
    answer = get(Range=sent)
    assert answer.error == (416, "range_not_satisfiable", None)
    assert answer.headers["Content-Range"] == "bytes */10240"


@pytest.mark.parametrize("sent", ["bytes=0-1,5-6", "items=0-1", "bytes=5-1", "bytes=x", "bytes=-", "bytes=--1", "bytes=0x1-", "bytes= 1 - 2", "nonsense"])
def test_a_range_that_is_none_gets_the_whole_file(get, sent):
    answer = get(Range=sent)
    assert (answer.status, answer.body) == (200, BYTES)


def test_of_a_range_no_more_is_read(app):
    """Where no server beneath cuts an answer to its length."""
    http = app.test_client()
    file = put(http, BYTES)
    with http.get(f"/v1/files/{file['id']}/content", headers={**AUTH, "Range": "bytes=3-9"}) as answer:
        assert (answer.status_code, answer.data) == (206, BYTES[3:10])


def test_if_range_serves_the_part_only_of_the_same_bytes(get):
    etag = get().headers["ETag"]
    date = get().headers["Last-Modified"]
    assert get(Range="bytes=0-9", If_Range=etag).status == 206
    assert get(Range="bytes=0-9", If_Range=date).status == 206
    assert get(Range="bytes=0-9", If_Range='"other"').status == 200
    assert get(Range="bytes=0-9", If_Range=f"W/{etag}").status == 200
    assert get(Range="bytes=99999-", If_Range='"other"').body == BYTES


def test_if_none_match_spares_the_bytes(get):
    etag = get().headers["ETag"]
    for sent in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = get(If_None_Match=sent)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
    assert get(If_None_Match='"x"').body == BYTES


def test_head_is_get_without_the_bytes(get):
    whole, head = get(), get("HEAD")
    assert head.body == b""
    for answer in (whole, head):
        del answer.headers["x-request-id"], answer.headers["Date"]
    assert dict(head.headers) == dict(whole.headers)


def test_a_download_that_began_finishes_after_the_delete(server, key):
    import http.client

    content = b"still here " * 3_000_000
    file = stored(server, key, content, "big.dat")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", f"/v1/files/{file['id']}/content", headers={"Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    first = response.read(1000)
    assert request(server, "DELETE", f"/v1/files/{file['id']}", key).status == 200
    assert first + response.read() == content
    connection.close()


@pytest.mark.one_box("in a cluster it names an address that is signed: tests/test_cluster.py")
def test_behind_nginx_the_answer_names_the_blob_only(serve):
    server = serve(LAZU_ACCEL_LOCATION="/_blobs/")
    key = server.new_key()
    file = stored(server, key, BYTES, "data.dat")
    answer = request(server, "GET", f"/v1/files/{file['id']}/content", key)
    [blob] = server.blobs()
    assert answer.headers["X-Accel-Redirect"] == f"/_blobs/{blob.parent.name}/{blob.name}"
    assert answer.body == b""


def test_a_location_that_was_left_from_the_other_kind_of_store_costs_no_download(deploy, place):
    """Each was 404 through nginx after a move, and doctor content: nginx has no bytes there."""
    left, right = {"box": ("/_objects/", "/_blobs/"), "cluster": ("/_blobs/", "/_objects/")}[place]
    edge = deploy(LAZU_ACCEL_LOCATION=left)
    key = edge.new_key()
    file = stored(edge, key, BYTES, "data.dat")
    answer = request(edge, "GET", f"/v1/files/{file['id']}/content", key)
    assert (answer.status, answer.body) == (200, BYTES)
    for said in (edge.server.log.read_text(), edge.flask("doctor").stdout):
        assert f"LAZU_ACCEL_LOCATION={left} " in said
        assert f"LAZU_ACCEL_LOCATION={right}" in said
