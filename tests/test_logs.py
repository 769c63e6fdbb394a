"""Logs: one line a request, one for each deed, nothing secret and nothing that a client could forge."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from contextlib import closing
from datetime import datetime

import pytest
from peewee import SQL

from helpers.in_process import descriptors
from helpers.server import PROJECT, Server, opened
from helpers.waiting import until
from helpers.wire import PURPOSE, dial, head, part, request, stored, upload
from lazu import ids, logs
from lazu.store.files import PIECE
from lazu.store.tables import File


def lines(server):
    """What the server wrote about requests."""
    return [line for line in server.log.read_text().splitlines() if " seconds=" in line or '"seconds"' in line]


def line_of(server, answer):
    """The line of a request; it is written when the answer has left."""
    return until(lambda: next((line for line in lines(server) if answer.headers["x-request-id"] in line), None))


def audit(server):
    """The audit log, each line as its facts, without the time."""
    path = server.storage / "audit.log"
    rows = [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []
    return [(event, dict(fact.split("=", 1) for fact in facts)) for _, event, *facts in rows]


def test_a_request_is_one_line_with_what_it_was_and_cost(serve):
    server = serve()
    key = server.new_key("alice")
    answer = upload(server, key, PURPOSE, part("file", b"hello", "a.txt"))
    request(server, "GET", f"/v1/files/{answer.json['id']}/content", key)
    assert " GET /v1/files 200 key=alice " in line_of(server, request(server, "GET", "/v1/files", key))
    server.stop()
    posted, got = (line for line in lines(server) if " GET /v1/files " not in line)
    pattern = r"2\S+\+08:00 POST /v1/files 200 key=alice in=\d+ out=%d seconds=\d+\.\d+ request=%s"
    assert re.fullmatch(pattern % (len(answer.body), answer.headers["x-request-id"]), posted)
    assert " GET /v1/files/<file_id>/content 200 key=alice " in got
    assert " out=5 " in got


def test_a_request_of_another_method_has_its_route_and_an_unknown_url_has_none(server):
    path = "/v1/files/file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX"
    for method, target, written in [("PUT", path, "PUT /v1/files/<file_id> 405"), ("WHAT", "/v1/files", "WHAT /v1/files 405"), ("GET", "/v1/secret", "GET - 404")]:
        assert f" {written} key=- " in line_of(server, request(server, method, target))


def test_a_client_that_left_before_its_turn_has_a_line_and_is_counted(serve):
    server = serve(LAZU_WORKERS="1")

    def left():
        with closing(dial(server, head(server.any_key, "GET"))):
            pass
        return [line for line in lines(server) if " GET - 499 key=- " in line]

    until(left)
    assert b'lazu_requests_total{method="GET",route="-",status="499"}' in request(server, "GET", "/metrics").body


def test_lines_are_json_in_utc_when_asked_for(serve):
    server = serve(LAZU_LOG_FORMAT="json", LAZU_LOG_TIMEZONE="utc")
    answer = request(server, "GET", "/v1/files")
    server.stop()
    [line] = map(json.loads, lines(server))
    assert datetime.fromisoformat(line.pop("time")).utcoffset().total_seconds() == 0
    assert (line.pop("seconds"), line.pop("in")) > (0, 0)
    assert line == {
        "method": "GET", "route": "/v1/files", "status": 401, "key": "-", "out": len(answer.body),
        "request": answer.headers["x-request-id"],
    }  # fmt: skip
    assert all(json.loads(each)["message"] for each in server.log.read_text().splitlines() if '"level"' in each)


@pytest.mark.parametrize(("sent", "out"), [({}, 2_000_000), ({"Range": "bytes=10-19"}, 10), ({"If-None-Match": "*"}, 0)])
def test_bytes_of_a_download_are_counted_though_they_pass_no_python(server, sent, out):
    key = server.new_key()
    file = stored(server, key, b"q" * 2_000_000, "q.txt")
    answer = request(server, "GET", f"/v1/files/{file['id']}/content", key, headers=sent)
    assert f" out={out} " in line_of(server, answer)


def test_a_download_that_breaks_off_counts_what_went(serve):
    server = serve(LAZU_WORKERS="1")
    key = server.new_key()
    file = stored(server, key, b"q" * 50_000_000, "q.txt")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET /v1/files/{file['id']}/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        got = 0
        while got < 100_000:
            got += len(client.recv(65536))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: any("/content" in line for line in lines(server)))
    [line] = [line for line in lines(server) if "/content" in line]
    assert 0 < int(re.search(r" out=(\d+) ", line)[1]) < 50_000_000


EVIL = "x\r\n2026-01-01T00:00:00+08:00 GET /forged 200 \x1b[31m\u202e"


def test_nothing_a_client_sends_can_forge_a_line(serve):
    server = serve()
    key = server.new_key()
    stored(server, key, b"hello", "a\u202e forged=1.txt")
    raw = EVIL.encode("utf-8")
    for text in (
        b"GET /" + raw + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%0d%0aforged%1b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Evil: " + raw + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: \x1b[31mforged\r\nConnection: close\r\n\r\n",
        b"FORGED\x1b / HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(text)
            client.recv(1000)
    server.stop()
    for path in (server.log, server.storage / "audit.log"):
        text = path.read_text()
        assert text.isascii()
        assert "\x1b" not in text
        assert "forged" not in text.lower()
    for line in server.log.read_text().splitlines():
        assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00 (info|warning|error|critical|GET|POST|-) ", line), line


def test_no_key_gets_into_a_log_not_even_a_malformed_one(serve):
    server = serve()
    key = server.new_key()
    stored(server, key)
    request(server, "GET", f"/v1/files?key={key}")
    request(server, "GET", f"/v1/{key}", key)
    for header in (b"Authorization: Bearer %s\x00", b"Authorization : Bearer %s", b"\x01: %s", b" %s"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + header % key.encode() + b"\r\n\r\n")
            client.recv(1000)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"%s /%s NONSENSE\r\n\r\n" % (key.encode(), key.encode()))
        client.recv(1000)
    server.stop()
    for path in (server.log, server.storage / "audit.log"):
        assert key not in path.read_text()
        assert key[8:20] not in path.read_text()


def test_a_bug_stands_in_the_log_under_its_request(serve):
    server = serve()
    key = server.new_key()
    file = stored(server, key)
    with opened(server.storage):  # a row that nobody thought of
        File.update(content_type="a\nb").execute()
    answer = request(server, "GET", f"/v1/files/{file['id']}/content", key)
    assert answer.error == (500, "internal_error", None)
    [told] = [line for line in server.log.read_text().splitlines() if " error " in line]
    assert answer.headers["x-request-id"] in told
    assert "\n  | ValueError" in server.log.read_text()


def test_every_deed_is_in_the_audit_log_whoever_did_it(serve):
    server = serve()
    key = server.flask("keys", "create", "alice").stdout.strip()
    first = upload(server, key, PURPOSE, part("file", b"one", "one.txt"))
    second, third = stored(server, key, b"two"), stored(server, key, b"three")
    gone = request(server, "DELETE", f"/v1/files/{second['id']}", key)
    expire(server, third["id"])
    server.flask("purge")
    server.flask("keys", "rotate", "alice")
    server.flask("keys", "quota", "alice", "5")
    server.flask("keys", "revoke", "alice", "--delete-files")
    told = audit(server)
    assert [event for event, _ in told] == [
        "key-created", "upload", "upload", "upload", "delete", "expiry", "key-rotated", "key-quota", "key-revoked", "delete",
    ]  # fmt: skip
    assert {facts["key"] for _, facts in told} == {"alice"}
    assert told[1][1] == {"key": "alice", "file": first.json["id"], "bytes": "3", "request": first.headers["x-request-id"]}
    assert told[4][1] == {"key": "alice", "file": second["id"], "request": gone.headers["x-request-id"]}
    assert told[5][1] == {"key": "alice", "file": third["id"]}
    assert told[9][1] == {"key": "alice", "file": first.json["id"]}
    assert stat.S_IMODE((server.storage / "audit.log").stat().st_mode) == 0o600


def expire(server, file_id):
    from lazu.store.tables import File

    with opened(server.storage):
        File.update(expires_at=1).where(File.id == file_id).execute()


def test_what_was_refused_is_no_deed(serve):
    server = serve(LAZU_KEY_QUOTA_BYTES="3")
    key = server.new_key("alice")
    upload(server, key, PURPOSE, part("file", b"four", "a.txt"))
    upload(server, "wrong", PURPOSE, part("file", b"one", "a.txt"))
    request(server, "DELETE", "/v1/files/file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX", key)
    assert [event for event, _ in audit(server)] == ["key-created"]


def test_a_rotated_audit_log_goes_on_without_a_signal(serve):
    server = serve()
    key = server.new_key()
    stored(server, key)
    (server.storage / "audit.log").rename(server.storage / "audit.log.1")
    stored(server, key, b"more")
    assert [event for event, _ in audit(server)] == ["upload"]


def test_a_line_stands_apart_from_one_that_a_full_disk_cut(serve):
    server = serve()
    key = server.new_key()
    with (server.storage / "audit.log").open("a") as log:
        log.write("2026-05-24T09:56:04+08:00 upload key=al")
    file = stored(server, key)
    *_, (_, cut), (event, whole) = audit(server)
    assert cut == {"key": "al"}
    assert (event, whole["file"]) == ("upload", file["id"])


def test_a_line_that_can_not_be_written_fails_nobody_and_stands_in_the_log(serve, tmp_path):
    place = tmp_path / "gone"
    place.mkdir()
    server = serve(LAZU_AUDIT_LOG=str(place / "audit.log"))
    key = server.flask("keys", "create", "alice").stdout.strip()
    shutil.rmtree(place)
    file = stored(server, key)
    assert request(server, "DELETE", f"/v1/files/{file['id']}", key).status == 200
    told = [line for line in server.log.read_text().splitlines() if "The audit log can't be written" in line]
    assert [(file["id"] in line, "LAZU_AUDIT_LOG" in line) for line in told] == [(True, True)] * 2
    assert "Traceback" not in server.log.read_text()


def test_a_worker_starts_and_a_command_does_what_it_is_told_where_no_line_can_be_written(serve, tmp_path):
    """As when its disk is away, or a command's user may not write it: a key is there or revoked all the same."""
    place = tmp_path / "gone"
    place.mkdir()
    server = serve(LAZU_AUDIT_LOG=str(place / "audit.log"), LAZU_WORKERS="1")
    shutil.rmtree(place)
    _, before = server.pids()
    os.kill(before, signal.SIGKILL)
    until(lambda: set(server.pids()) - {server.process.pid, before})
    made = server.flask("keys", "create", "alice")
    [told] = made.stderr.splitlines()
    assert "(LAZU_AUDIT_LOG" in told
    assert "key-created key=alice" in told
    assert stored(server, made.stdout.strip())


def test_an_audit_log_may_be_named_in_a_storage_that_is_not_there_yet(tmp_path):
    """The first start makes the storage; it was refused for it, and so was doctor."""
    server = Server(tmp_path / "storage", {"LAZU_AUDIT_LOG": str(tmp_path / "storage/audit.log"), "LAZU_WORKERS": "1"})
    assert server.flask("doctor", check=False).returncode == 0
    server.start().stop()


def test_a_full_disk_does_not_keep_the_server_from_starting_with_its_audit_log_there(serve):
    server = serve(LAZU_AUDIT_LOG="/dev/full")
    assert stored(server, server.flask("keys", "create", "alice").stdout.strip())
    assert "No space left on device" in server.log.read_text()


def test_a_line_for_which_the_disk_has_no_room_stands_in_the_log_and_costs_nothing(tmp_path, monkeypatch, caplog):
    written, write, before = logs._AuditLog(), os.write, descriptors()
    written.keep(tmp_path / "audit.log", logs.Style("text", "utc"))
    monkeypatch.setattr(os, "write", lambda fd, line: write(fd, line[:9]))
    for number in range(3):
        written.add({"event": "upload", "file": f"file-{number}"})
    assert [f"file=file-{number}" in caplog.text for number in range(3)] == [True] * 3
    assert descriptors() == before


def test_two_values_never_look_the_same():
    values = ["é", r'"\u00e9"', "a b", '"a', "", '""', "é ", "-"]
    assert len({logs.plain(value) for value in values}) == len(values)


def test_a_trace_can_not_pass_for_lines(tmp_path):
    """Whatever an exception says: each of its lines is marked as belonging to the one before."""
    script = (
        "import logging, sys; from lazu import logs\n"
        "handler = logging.StreamHandler(sys.stdout); handler.setFormatter(logs.Formatter(logs.Style(False, 'utc')))\n"
        "log = logging.getLogger('x'); log.addHandler(handler)\n"
        "try: raise ValueError('a\\n2026 GET /forged 200\\r\\x1b\\u2028b')\n"
        "except ValueError: log.exception('said\\nforged %s', '\\n')\n"
    )
    told = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    first, *trace = told.stdout.split("\n")[:-1]
    assert first.endswith(r'error "said\nforged \n"')
    assert all(line.startswith("  | ") for line in trace)
    assert told.stdout.replace("\n", "").isprintable()


def test_a_list_that_breaks_off_says_why_under_its_request(serve):
    server = serve()
    key = server.new_key()
    stored(server, key)
    with opened(server.storage):
        row = File.get().__data__
        rows = [{**row, "id": ids.new_file_id(number)} for number in range(PIECE + 1)]
        File.insert_many(rows).execute()
        File.update(filename=SQL("CAST(x'ff' AS TEXT)")).where(File.id == rows[0]["id"]).execute()  # last in the list
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with closing(line):
        line.request("GET", "/v1/files", headers={"Authorization": f"Bearer {key}"})
        answer = line.getresponse()
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
    [told] = until(lambda: [text for text in server.log.read_text().splitlines() if " error " in text])
    assert answer.headers["x-request-id"] in told
    with opened(server.storage):
        File.update(filename="a.txt").execute()
