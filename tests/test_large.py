"""512 MB, no more, and memory that does not notice."""


import pytest

from helpers.large import BLOCK, LIMIT, MB, Peak, body, content_hash, download_hash
from helpers.uploads import FORM, added, completed, created
from helpers.wire import BOUNDARY, PURPOSE, form, part, request, upload

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
def test_a_512_mb_file_goes_in_and_out_in_flat_memory(serve, chunked):
    server = serve()
    key = server.new_key()
    upload(server, key, PURPOSE, part("file", b"warm", "a.txt"))
    idle = server.rss()
    with Peak(server) as peak:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        if not chunked:
            headers["Content-Length"] = str(sum(map(len, body(LIMIT))))
        file = request(server, "POST", "/v1/files", key, body(LIMIT), headers).json
        assert file["bytes"] == LIMIT
        assert download_hash(server, key, file) == content_hash(LIMIT)
    assert peak.most - idle < 64 * MB


def test_one_byte_over_512_mb_is_413(server):
    key = server.new_key()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = request(server, "POST", "/v1/files", key, body(LIMIT + 1), headers)
    assert answer.error == (413, "file_too_large", "file")
    assert request(server, "GET", "/v1/files", key).json["data"] == []


def test_512_mb_in_64_mb_parts_become_a_file_in_flat_memory(serve):
    server = serve()
    key = server.new_key()
    small = created(server, key, 4)
    completed(server, key, small, [added(server, key, small, b"warm")])
    big = created(server, key, LIMIT)
    head, tail = form(part("data", b"%%", "part")).split(b"%%")

    def send(_):
        pieces = (head, *[BLOCK] * 64, tail)
        return request(server, "POST", f"/v1/uploads/{big['id']}/parts", key, iter(pieces), FORM).json["id"]

    idle = server.rss()
    with Peak(server) as peak:
        file = completed(server, key, big, [send(number) for number in range(8)])["file"]
        assert download_hash(server, key, file) == content_hash(LIMIT)
    assert peak.most - idle < 64 * MB

