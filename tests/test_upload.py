"""POST /v1/files: what is taken, and every way in which it is refused."""

import hashlib
import json
import re
import socket
from contextlib import closing

import pytest

from helpers.wire import BOUNDARY, PURPOSE, dial, form, head, part, request, stored, upload

pytestmark = pytest.mark.both_stores

FILE = part("file", b"hello", "hello.txt")


def test_an_upload_answers_with_the_file_object(server, key):
    file = stored(server, key, b"hello", "hello.txt")
    assert re.fullmatch(r"file-lazu-[0-7][0-9A-HJKMNP-TV-Z]{25}", file["id"])
    assert file == {
        "id": file["id"],
        "object": "file",
        "bytes": 5,
        "created_at": file["created_at"],
        "expires_at": file["created_at"] + 30 * 86400,
        "filename": "hello.txt",
        "purpose": "user_data",
        "status": "processed",
    }


def test_created_at_is_the_time_in_the_id(server, key):
    file = stored(server, key)
    number = 0
    for character in file["id"].removeprefix("file-lazu-")[:10]:
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    assert number // 1000 == file["created_at"]


@pytest.mark.parametrize("parts", [(PURPOSE, FILE), (FILE, PURPOSE)], ids=["purpose first", "file first"])
@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
def test_fields_come_in_any_order(server, key, parts, chunked):
    body = form(*parts)
    answer = upload(server, key, body=iter([body[:50], body[50:]]) if chunked else body)
    assert answer.status == 200
    assert answer.json["bytes"] == 5


def test_a_request_sent_behind_an_upload_is_not_taken_for_its_body(server, key):
    body = form(PURPOSE, FILE)
    head = f"Host: a\r\nAuthorization: Bearer {key}\r\n"
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n"
    post = f"POST /v1/files HTTP/1.1\r\n{head}{kind}\r\n".encode() + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(post + post + f"GET /v1/files HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert len(json.loads(answers.rpartition(b"\r\n\r\n")[2])["data"]) == 2


def test_unknown_fields_are_ignored(server, key):
    extra = [part("colour", "red"), part("attachment", b"x" * 1000, "other.dat")]
    assert upload(server, key, *extra, PURPOSE, FILE).json["filename"] == "hello.txt"


def test_a_body_in_tiny_chunks_is_stored_exactly(server, key):
    content = bytes(range(256)) + f"\r\n--{BOUNDARY}".encode()[:-1] * 3
    body = form(PURPOSE, part("file", content, "a.dat"))
    file = upload(server, key, body=(body[i : i + 1] for i in range(len(body)))).json
    assert request(server, "GET", f"/v1/files/{file['id']}/content", key).body == content


REFUSED = {
    "no purpose": ([FILE], (400, "missing_required_parameter", "purpose")),
    "no file": ([PURPOSE], (400, "missing_required_parameter", "file")),
    "no parts": ([], (400, "missing_required_parameter", "purpose")),
    "batch": ([part("purpose", "batch"), FILE], (400, "purpose_not_supported", "purpose")),
    "fine-tune": ([part("purpose", "fine-tune"), FILE], (400, "purpose_not_supported", "purpose")),
    "assistants, after the file": ([FILE, part("purpose", "assistants")], (400, "purpose_not_supported", "purpose")),
    "empty purpose": ([part("purpose", ""), FILE], (400, "purpose_not_supported", "purpose")),
    "empty file": ([PURPOSE, part("file", b"", "a.txt")], (400, "invalid_request", "file")),
    "two files": ([PURPOSE, FILE, FILE], (400, "invalid_request", "file")),
    "two purposes": ([PURPOSE, PURPOSE, FILE], (400, "invalid_request", "purpose")),
    "file without filename": ([PURPOSE, part("file", b"hello")], (400, "invalid_request", "file")),
    "file with an empty filename": ([PURPOSE, part("file", b"hello", "")], (400, "invalid_request", "file")),
    "nine parts": ([*[part("a", "b")] * 7, PURPOSE, FILE], (400, "invalid_request", None)),
    "a long field": ([part("purpose", "x" * 2**20), FILE], (400, "invalid_request", None)),
    "a long unknown field": ([part("note", "x" * 2**20), PURPOSE, FILE], (400, "invalid_request", None)),
    "a purpose without end": ([part("purpose", "x" * 70_000), FILE], (400, "invalid_request", None)),
    "a field that is not UTF-8": ([part("purpose", b"\xff"), FILE], (400, "invalid_request", "purpose")),
    "two dispositions": (
        [PURPOSE, part("file", b"x", "a.txt", 'Content-Disposition: form-data; name="purpose"\r\n')],
        (400, "invalid_request", None),
    ),
    "anchor missing": (
        [PURPOSE, part("expires_after[seconds]", "3600"), FILE],
        (400, "invalid_request", "expires_after[anchor]"),
    ),
    "seconds missing": (
        [PURPOSE, part("expires_after[anchor]", "created_at"), FILE],
        (400, "invalid_request", "expires_after[seconds]"),
    ),
}


@pytest.mark.parametrize(("parts", "error"), REFUSED.values(), ids=REFUSED)
def test_a_form_that_breaks_a_rule_is_refused(server, key, parts, error):
    before = server.blobs()
    assert upload(server, key, *parts).error == error
    assert server.blobs() == before
    assert request(server, "GET", "/v1/files", key).json["data"] == []


def test_the_message_names_the_supported_purposes(server, key):
    message = upload(server, key, part("purpose", "batch"), FILE).json["error"]["message"]
    assert "'user_data'" in message
    assert "'vision'" in message


WHOLE = form(PURPOSE, FILE)
MALFORMED = {
    "no closing boundary": WHOLE.removesuffix(f"--{BOUNDARY}--\r\n".encode()),
    "cut in the file": WHOLE[:-60],
    "cut in a header": WHOLE[:30],
    "other boundary": WHOLE.replace(BOUNDARY.encode(), b"other"),
    "empty": b"",
    "no blank line": WHOLE.replace(b"\r\n\r\n", b"\r\n"),
    "bare line feeds": WHOLE.replace(b"\r\n", b"\n"),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_body_stores_nothing(server, key, body):
    assert upload(server, key, body=body).error == (400, "invalid_request", None)
    assert request(server, "GET", "/v1/files", key).json["data"] == []


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "multipart/form-data", "multipart/form-data; boundary=", "text/plain; boundary=x",
     f"multipart/form-data; boundary={'b' * 71}", 'multipart/form-data; boundary="a\\b"', ""],
)  # fmt: skip
def test_a_body_without_a_usable_boundary_is_refused(server, key, content_type):
    assert upload(server, key, body=WHOLE, content_type=content_type).error == (400, "invalid_request", None)


def test_a_boundary_of_70_characters_is_fine(server, key):
    boundary = "b" * 70
    body = WHOLE.replace(BOUNDARY.encode(), boundary.encode())
    assert upload(server, key, body=body, content_type=f"multipart/form-data; boundary={boundary}").status == 200


EXPIRY = part("expires_after[anchor]", "created_at")


@pytest.mark.parametrize(("seconds", "lifetime"), [("3600", 3600), ("2592000", 2592000), ("86400", 86400), ("604800.0", 604800)])
def test_expires_after_shortens_a_life(server, key, seconds, lifetime):
    """A whole number is one however it is written: Python's `timedelta.total_seconds()` has a `.0`, which was 400."""
    file = stored(server, key, b"x", "a.txt", EXPIRY, part("expires_after[seconds]", seconds))
    assert file["expires_at"] - file["created_at"] == lifetime


def test_expires_after_never_lengthens_the_retention(serve):
    server = serve(LAZU_RETENTION_DAYS="1")
    file = stored(server, server.new_key(), b"x", "a.txt", EXPIRY, part("expires_after[seconds]", "2592000"))
    assert file["expires_at"] - file["created_at"] == 86400


@pytest.mark.parametrize("seconds", ["3599", "2592001", "-1", "1e5", "3600.5", "3600.", " 3600", "٣٦٠٠", "", "9" * 30])
def test_expires_after_outside_its_bounds_is_refused(server, key, seconds):
    answer = upload(server, key, PURPOSE, EXPIRY, part("expires_after[seconds]", seconds), FILE)
    assert answer.error == (400, "invalid_request", "expires_after[seconds]")


LIFE = '{"anchor": "created_at", "seconds": 3600}'
JSON = "Content-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("parts", "lifetime"),
    [
        ([part("expires_after", LIFE, more=JSON)], 3600),
        ([part("expires_after", LIFE, "blob", more=JSON)], 3600),
        ([part("expires_after", LIFE), EXPIRY, part("expires_after[seconds]", "3600")], 3600),
        ([part("expires_after", "null", more=JSON)], 30 * 86400),
        ([part("expires_after", LIFE.replace("3600", "3.6e3"))], 3600),
        ([part("expires", "3600"), part("after[seconds]", "1")], 30 * 86400),
    ],
    ids=["json", "json with a filename", "both ways alike", "null", "a float", "other fields"],
)
def test_expires_after_is_read_as_openai_ruby_sends_it(server, key, parts, lifetime):
    file = stored(server, key, b"x", "a.txt", *parts)
    assert file["expires_at"] - file["created_at"] == lifetime


@pytest.mark.parametrize(
    "parts",
    [
        [part("expires_after", "3600")],
        [part("expires_after", "")],
        [part("expires_after", "created_at")],
        [part("expires_after", "[3600]")],
        [part("expires_after", '{"anchor": "created_at", "seconds": 3600')],
        [part("expires_after", '{"anchor": "created_at", "seconds": "3600"}')],
        [part("expires_after", '{"anchor": "created_at", "seconds": 3599}')],
        [part("expires_after", '{"anchor": "now", "seconds": 3600}')],
        [part("expires_after", '{"seconds": 3600}')],
        [part("expires_after", LIFE), part("expires_after", LIFE)],
        [part("expires_after", LIFE), EXPIRY, part("expires_after[seconds]", "7200")],
        [part("expires_after.anchor", "created_at"), part("expires_after.seconds", "3600")],
        [part("expires_after[second]", "3600")],
        [part("expires_after%5Banchor%5D", "created_at"), part("expires_after%5Bseconds%5D", "3600")],
        [part("expiresAfter[anchor]", "created_at"), part("expiresAfter[seconds]", "3600")],
        [part("Expires_After[anchor]", "created_at"), part("Expires_After[seconds]", "3600")],
        [part("expires_after_seconds", "3600")],
        [part("expires-after", LIFE)],
    ],
)
def test_a_lifetime_that_is_not_understood_is_refused(server, key, parts):
    """The file would stay for 30 days, and the client believe that it is gone."""
    for order in ([PURPOSE, *parts, FILE], [FILE, PURPOSE, *parts]):
        assert upload(server, key, *order).error == (400, "invalid_request", "expires_after")


NAMES = {
    "plain.txt": "plain.txt",
    "with space.txt": "with space.txt",
    "../../etc/passwd": "passwd",
    "C:\\\\Users\\\\me\\\\paper.pdf": "paper.pdf",
    "a/b\\\\c.txt": "c.txt",
    "résumé ☃.txt": "résumé ☃.txt",
    "tab\there.txt": "tabhere.txt",
    "\u202egpj.txt": "gpj.txt",
    "line\u2028sep.txt": "linesep.txt",
    "dir/": "upload",
    "...": "upload",
    ". .": "upload",
    ".hidden": ".hidden",
    "é" * 200: "é" * 127,
    "☃" * 100: "☃" * 85,
    "quote%22d.txt": 'quote"d.txt',
}


@pytest.mark.parametrize(("sent", "kept"), NAMES.items())
def test_a_filename_is_one_clean_segment(server, key, sent, kept):
    assert stored(server, key, b"x", sent)["filename"] == kept


def test_exactly_the_limit_passes_and_one_byte_more_does_not(server, key):
    limit = 20 * 2**20
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(limit - 16)
    vision = part("purpose", "vision")
    assert upload(server, key, vision, part("file", png, "a.png")).json["bytes"] == limit
    assert upload(server, key, vision, part("file", png + b"\0", "a.png")).error == (413, "file_too_large", "file")
    assert upload(server, key, part("file", png + b"\0", "a.png"), vision).error == (413, "file_too_large", "file")


BEGUN = form(part("purpose", "vision"), part("file", b"", "a.png")).removesuffix(b"\r\n" + form())


@pytest.mark.parametrize(("megabytes", "begun"), [(513, b""), (21, BEGUN)], ids=["of any purpose", "of a purpose that came"])
def test_a_file_that_announces_too_much_is_refused_before_it_comes(server, key, megabytes, begun):
    with closing(dial(server, head(key, length=megabytes * 2**20) + begun)) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_equal_bytes_of_two_keys_are_stored_once(server, key):
    before = len(server.blobs())
    content = b"the same bytes"
    first, second = stored(server, key, content, "a.txt"), stored(server, server.new_key(), content, "b.txt")
    assert first["id"] != second["id"]
    assert [path.name for path in server.blobs()].count(hashlib.sha256(content).hexdigest()) == 1
    assert len(server.blobs()) == before + 1


@pytest.mark.one_box("modes of files")
def test_blobs_and_database_have_the_documented_modes(server, key):
    stored(server, key, b"modes")
    for blob in server.blobs():
        assert blob.stat().st_mode & 0o7777 == 0o640
        assert blob.parent.stat().st_mode & 0o7777 == 0o750
    for name in ("", "-wal", "-shm"):
        assert (server.storage / f"lazu.sqlite3{name}").stat().st_mode & 0o7777 == 0o600


def test_an_upload_that_would_cross_the_free_space_floor_is_refused(serve):
    server = serve(LAZU_MIN_FREE_BYTES=str(2**60))
    answer = upload(server, server.new_key(), PURPOSE, FILE)
    assert answer.error == (507, "insufficient_storage", None)
    assert answer.headers["x-should-retry"] == "false"
