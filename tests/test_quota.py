"""Quotas: what one key may hold, exactly, also when uploads race."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from freezegun import freeze_time

from helpers.in_process import AUTH, put, use_key
from helpers.uploads import added, complete, created
from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, dial, form, head, part, request, stored, upload

pytestmark = pytest.mark.both_stores

MB = 2**20


def refused(answer):
    assert answer.error == (507, "insufficient_storage", None)
    assert answer.headers["x-should-retry"] == "false"
    return True


def test_a_key_may_hold_exactly_its_quota(limited):
    key = limited.new_key()
    file = stored(limited, key, b"a" * MB)
    assert refused(upload(limited, key, PURPOSE, part("file", b"b", "b.txt")))
    assert request(limited, "DELETE", f"/v1/files/{file['id']}", key).status == 200
    assert stored(limited, key, b"b" * (MB - 1))
    assert refused(upload(limited, key, PURPOSE, part("file", b"cc", "c.txt")))
    assert stored(limited, key, b"c")


def test_files_count_by_their_size_also_when_they_share_bytes(limited):
    key = limited.new_key()
    for _ in range(2):
        stored(limited, key, b"d" * (MB // 2))
    assert refused(upload(limited, key, PURPOSE, part("file", b"d" * (MB // 2), "d.txt")))


def test_one_key_does_not_fill_anothers_quota(limited):
    for _ in range(2):
        stored(limited, limited.new_key(), b"e" * MB)


def test_a_known_length_is_refused_before_the_body_is_sent(limited):
    """The client waits for the answer and sends no body at all."""
    with closing(dial(limited, head(limited.new_key(), length=2 * MB))) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 507 ")


def test_a_chunked_upload_is_refused_at_its_end(limited):
    key = limited.new_key()
    body = form(PURPOSE, part("file", b"f" * (MB + 1), "f.txt"))
    assert refused(upload(limited, key, body=[body[:MB], body[MB:]]))
    assert request(limited, "GET", "/v1/files", key).json["data"] == []


def test_uploads_at_once_can_not_cross_it_together(limited):
    """Each would fit alone; all are checked before any is stored."""
    key = limited.new_key()
    with ThreadPoolExecutor(8) as pool:
        bodies = [b"%04d" % number * (MB // 16) for number in range(12)]
        answers = list(pool.map(lambda body: upload(limited, key, PURPOSE, part("file", body, "g.txt")), bodies))
    assert sorted(answer.status for answer in answers) == [200] * 4 + [507] * 8
    assert sum(file["bytes"] for file in request(limited, "GET", "/v1/files", key).json["data"]) == MB


def begun(server, key, size, path="/v1/files", name="file"):
    """An upload of `size` bytes whose last byte is still to come, or what answers it at once."""
    body = form(PURPOSE, part(name, b"k" * size, "k.dat"))
    sock = dial(server, head(key, path=path, length=len(body))[:-2] + b"Expect: 100-continue\r\n\r\n")
    status = sock.recv(65536).split()[1]
    if status == b"100":  # it counts from here on
        sock.sendall(body[:-1])
    return sock, status


@pytest.mark.parametrize("chunked", [False, True])
def test_uploads_on_their_way_count_and_no_more_when_they_end(limited, chunked):
    """On any worker. What is sent in chunks counts as it comes."""
    key = limited.new_key()
    first, _ = begun(limited, key, 600_000)
    with closing(first):
        more = form(PURPOSE, part("file", b"l" * 600_000, "l.dat"))
        for _ in range(4):
            assert refused(upload(limited, key, body=[more] if chunked else more))
        assert stored(limited, limited.new_key(), b"m" * 600_000)
        first.sendall(b"\n")
        assert first.recv(65536).startswith(b"HTTP/1.1 200 ")
    with closing(begun(limited, key, 400_000)[0]):
        pass  # it broke off
    until(lambda: upload(limited, key, PURPOSE, part("file", b"n" * 400_000, "n.dat")).status == 200)


def test_parts_that_arrive_at_once_take_no_more_room_than_is_declared_and_one_part(server):
    """Each is within the limit of its upload; only when all have come would their sum be known."""
    key = server.new_key()
    path = f"/v1/uploads/{created(server, key, 1)['id']}/parts"
    first, said = begun(server, key, 40 * MB, path, "data")
    with closing(first):
        assert said == b"100"
        second, said = begun(server, key, 40 * MB, path, "data")
        second.close()
        assert said == b"503"
        first.sendall(b"\n")
        assert first.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_keys_own_quota_wins_at_once(limited):
    key = limited.new_key("with-own")
    assert limited.flask("keys", "quota", "with-own", "2MB").stdout == "with-own may hold 2 MB\n"
    stored(limited, key, b"h" * 2 * MB)
    assert limited.flask("keys", "quota", "with-own", "default").stdout == "with-own may hold 1 MB\n"
    assert refused(upload(limited, key, PURPOSE, part("file", b"i", "i.txt")))
    limited.flask("keys", "quota", "with-own", "0")
    stored(limited, key, b"j")


def test_a_new_quota_counts_for_what_is_on_its_way(server):
    """A file that arrives, a part that does, and an upload of which all parts are there."""
    key = server.new_key("on-the-way")
    pending = created(server, key, 2000)
    ids = [added(server, key, pending, bytes(2000))]
    places = ("/v1/files", "file"), (f"/v1/uploads/{created(server, key, 2000)['id']}/parts", "data")
    coming = [begun(server, key, 2000, *place)[0] for place in places]
    server.flask("keys", "quota", "on-the-way", "1000")
    for sock in coming:
        with closing(sock):
            sock.sendall(b"\n")
            assert sock.recv(65536).startswith(b"HTTP/1.1 507 ")
    assert refused(complete(server, key, pending, ids))
    assert request(server, "GET", "/v1/files", key).json["data"] == []
    server.flask("keys", "quota", "on-the-way", "0")
    assert complete(server, key, pending, ids).status == 200


def test_a_key_is_made_with_a_quota(limited):
    key = limited.flask("keys", "create", "small", "--quota", "3").stdout.strip()
    assert stored(limited, key, b"abc")
    assert refused(upload(limited, key, PURPOSE, part("file", b"d", "d.txt")))


@pytest.mark.parametrize("size", ["-1", "many", "1.5GB", "1PB", "٣"])
def test_a_wrong_size_is_a_wrong_call(limited, size):
    wrong = limited.flask("keys", "quota", "with-own", "--", size, check=False)
    assert wrong.returncode == 2
    assert "is no size" in wrong.stderr


def test_expired_files_do_not_count(app, http):
    hold(app, "5")
    body = form(PURPOSE, part("file", b"hello", "a.txt"))

    def status():
        with http.post("/v1/files", data=body, headers=AUTH, content_type=f"multipart/form-data; boundary={BOUNDARY}") as answer:
            return answer.status_code

    with freeze_time("2026-05-24") as clock:
        assert (status(), status()) == (200, 507)
        clock.tick(30 * 86400)
        assert status() == 200


def hold(app, quota):
    """Let the key of the application in this process hold so much."""
    assert app.test_cli_runner().invoke(args=["keys", "quota", "default", quota]).exit_code == 0


def test_an_upload_asks_once_about_all_pending_ones(app, http, caplog):
    """It asked about each of them, with the write lock of the whole store held."""
    hold(app, "1MB")
    use_key(app)

    def statements(content):
        caplog.clear()
        with caplog.at_level("DEBUG", "peewee"):
            put(http, content)
        return len([record for record in caplog.records if record.name == "peewee"])

    declared = {"filename": "a.txt", "bytes": 9, "purpose": "user_data"}
    alone = statements(b"alone")
    for _ in range(20):
        assert http.post("/v1/uploads", json=declared, headers=AUTH).status_code == 200
    assert statements(b"beside") == alone > 0
