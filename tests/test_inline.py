"""Files that come along in a request, as half of the clients send them, are read like stored ones; `native` leaves them."""

import base64
import io
import json
import os
import tracemalloc
import zipfile

import pytest

from helpers.documents import RED, pages, words
from helpers.large import Peak
from helpers.office import docx, paragraph
from helpers.samples import PNG, data_url
from helpers.upstream import completed
from lazu.gateway.inline import received, size
from lazu.gateway.references import Reference, Spot
from test_responses import error

PAPER = pages(words("First page"), words("Second"))


def file(data, kind="application/pdf", name="paper.pdf", **more):
    return {"type": "input_file", "filename": name, "file_data": data_url(kind, data), **more}


def chat(client, given):
    return client.post("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "file", "file": given}]}]})


def content(double):
    return double.last.json["input"][0]["content"]


def said(double):
    return content(double)[0]["text"]


def test_a_file_that_came_along_is_read_like_a_stored_one(text, double):
    status, headers, _ = text.ask(file(PAPER))
    assert (status, headers["X-Lazu-Files"]) == (200, "inline;as=text")
    inline = content(double)
    text.ask({"type": "input_file", "file_id": text.upload("paper.pdf", PAPER)})
    assert inline == content(double)
    assert "[Page 2 of 2]\nSecond" in said(double)


def test_the_same_in_chat_and_without_a_data_url(text, double):
    bare = base64.b64encode(PAPER).decode()
    status, _, _ = chat(text, {"filename": "paper.pdf", "file_data": bare})
    assert status == 200
    (part,) = double.last.json["messages"][0]["content"]
    assert part["type"] == "text"
    assert part["text"].startswith("[File: paper.pdf]\n\n[Page 1 of 2]\nFirst page")


LETTER = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("name", "data", "kind", "told"),
    [
        ("/home/ada/paper.pdf", PAPER, "application/pdf", "paper.pdf"),  # LlamaIndex
        ("paper", docx(paragraph("First page")), "application/octet-stream", "paper"),  # Strands
        ("filename.docx", docx(paragraph("First page")), LETTER, "filename.docx"),  # Pydantic AI
        ("169ec8fd70d3.pdf", PAPER, "application/pdf", "169ec8fd70d3.pdf"),  # llm -a
    ],
    ids=["a path", "octet-stream", "no name of its own", "a hash"],
)
def test_a_file_as_client_libraries_send_it(text, double, name, data, kind, told):
    status, _, _ = chat(text, {"file_data": data_url(kind, data), "filename": name})
    assert status == 200
    (part,) = double.last.json["messages"][0]["content"]
    assert part["text"].startswith(f"[File: {told}]\n\n")
    assert "First page" in part["text"]


@pytest.mark.parametrize(
    "encoded",
    [
        base64.encodebytes(PAPER).decode(),
        base64.b64encode(PAPER).decode().rstrip("="),
        base64.urlsafe_b64encode(PAPER).decode(),
        "DATA:;base64," + base64.b64encode(PAPER).decode(),
        "data:application/pdf;name=a.pdf;base64," + base64.encodebytes(PAPER).decode(),
    ],
    ids=["lines", "unpadded", "urlsafe", "upper case", "parameters"],
)
def test_base64_as_clients_write_it(text, double, encoded):
    assert text.ask({"type": "input_file", "filename": "a.pdf", "file_data": encoded})[0] == 200
    assert "First page" in said(double)


def test_a_long_file_comes_whole(text, double):
    lines = "".join(f"line {number} ü\n" for number in range(100_000))
    assert text.ask(file(lines.encode(), "text/plain", "long.txt"))[0] == 200
    assert said(double) == f"[File: long.txt]\n\n{lines}"


def test_what_a_file_is_its_content_says_not_the_client(text, double):
    assert text.ask(file(PAPER, "text/plain", "paper.txt"))[0] == 200
    assert "[Page 1 of 2]" in said(double)
    assert text.ask(file(b"some words", "application/pdf", "words.pdf"))[0] == 200
    assert said(double) == "[File: words.pdf]\n\nsome words"


def test_a_file_without_a_name_has_one(text, double):
    part = file(b"some words", "text/plain")
    del part["filename"]
    assert text.ask(part)[0] == 200
    assert said(double) == "[File: upload]\n\nsome words"


def test_images_mode_shows_its_pages(front, double):
    client = front("images")
    status, headers, _ = client.ask(file(pages(RED), detail="low"))
    assert (status, headers["X-Lazu-Files"]) == (200, "inline;as=pages")
    assert [(part["type"], part.get("detail")) for part in content(double)] == [("input_text", None), ("input_image", "low")]
    status, _, _ = chat(client, {"filename": "dot.png", "file_data": data_url("image/png", PNG)})
    assert status == 200
    assert double.last.json["messages"][0]["content"] == [{"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}}]


@pytest.mark.parametrize("mode", ["native", "text"])
def test_stored_files_stand_beside_those_that_came_along(front, double, mode):
    client = front(mode)
    part = file(b"brought", "text/plain", "b.txt")
    assert client.ask(part, {"type": "input_file", "file_id": client.upload("s.txt", b"stored")})[0] == 200
    first, second = content(double)
    assert first == (part if mode == "native" else {"type": "input_text", "text": "[File: b.txt]\n\nbrought"})
    assert second != first


def test_native_sends_it_on_byte_for_byte(front, double):
    body = b'{ "model":"m", "input" : [{"role":"user","content":[%s]}] }' % json.dumps(file(b"\x7fELF?", "x/y", "a.exe")).encode()
    assert front("native").post("/v1/responses", body)[0] == 200
    assert double.last.body == body


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (file(b"PK\x03\x04" + bytes(400), "application/zip", "a.zip"), "unsupported_file_type"),
        (file(pages(RED)), "unsupported_file_type"),
        (file(PNG, "image/png", "a.png"), "unsupported_file_type"),
        (file(b"MZ" + bytes(200), "text/plain", "a.txt"), "unsupported_file_type"),
        (file(b"words", "text/plain", "a.exe"), "unsupported_file_type"),
        (file(b""), "invalid_request"),
        ({"type": "input_file", "file_data": ""}, "invalid_request"),
        ({"type": "input_file", "file_data": 3}, "invalid_request"),
        ({"type": "input_file", "file_data": [], "file_url": "https://example.org/a.pdf"}, "invalid_request"),
        ({"type": "input_file", "file_data": "not base64!"}, "invalid_request"),
        ({"type": "input_file", "file_data": "data:text/plain,plain"}, "invalid_request"),
    ],
    ids=["zip", "scan", "picture", "program", "program's name", "empty", "no data", "a number", "a list", "no base64", "plain data URL"],
)
def test_what_can_not_be_read_is_refused_at_its_place(text, double, part, code):
    assert error(text.ask({"type": "input_text", "text": "read"}, part)) == (400, code, "input[0].content[1].file_data")
    assert double.received == []


def test_the_refusal_in_chat_names_the_place(text):
    for data in ("PK!", "", {}):
        assert error(chat(text, {"filename": "a.zip", "file_data": data})) == (400, "invalid_request", "messages[0].content[0].file.file_data")


def test_64_mb_count_for_files_of_both_kinds(text, double):
    stored = {"type": "input_file", "file_id": text.upload("large.txt", b"x" * (60 << 20))}
    assert error(text.ask(stored, file(b"y" * (5 << 20), "text/plain", "b.txt"))) == (400, "file_too_large", "input")
    assert double.received == []


WRITTEN = {
    "one line": lambda data: base64.b64encode(data).decode(),
    "a data URL": lambda data: data_url("application/pdf", data),
    "many lines": lambda data: "data:application/pdf;name=a.pdf;base64," + base64.encodebytes(data).decode(),
    "lines of mail": lambda data: base64.encodebytes(data).decode().replace("\n", "\r\n"),
    "no padding": lambda data: base64.b64encode(data).decode().rstrip("="),
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("count", [1, 2, 3, 1000, 1001, 1002])
def test_what_counts_is_the_bytes_however_they_are_written(write, count):
    """So that a file of exactly the limit passes, as a stored one."""
    given = Reference("input_file", "", "file_data", Spot([{"file_data": write(bytes(count))}], 0, ""), inline=True)
    assert size(given) == count


def test_nothing_of_it_stays_on_disk(front, double):
    client = front("images")
    before = client.server.blobs()
    assert client.ask(file(pages(words("passing by"))))[0] == 200
    assert client.server.blobs() == before


def test_its_bytes_are_on_disk_not_in_memory(text, double):
    """The JSON is held three times while it is parsed, what its base64 stands for never; who waits for the model holds neither."""
    letter = with_photo(docx(paragraph("See the photo")), 45 << 20)
    body = json.dumps({"model": "m", "input": [{"role": "user", "content": [file(letter, "application/zip", "letter.docx")]}]}).encode()
    assert text.ask(file(PAPER))[0] == 200
    idle, waiting = text.server.rss(), []

    def script(handler):
        waiting.append(text.server.rss() - idle)
        completed(handler)

    double.script = script
    with Peak(text.server) as peak:
        assert text.post("/v1/responses", body)[0] == 200
    assert said(double) == "[File: letter.docx]\n\nSee the photo\n"
    assert waiting[0] < 16 << 20
    assert peak.most - idle < 3 * len(body) + (24 << 20)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.encodebytes], ids=["one line", "many lines"])
def test_it_is_decoded_piece_by_piece(app, encode):
    data = os.urandom(12 << 20)
    part = {"file_data": encode(data).decode(), "filename": "a.bin"}
    reference = Reference("input_file", "", "file_data", Spot([part], 0, ""), inline=True)
    tracemalloc.start()
    try:
        attachment = received(app.extensions["lazu"].contents, reference)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with attachment.content.open() as file:
        assert file.read() == data
    assert most < 4 << 20


def with_photo(letter, size):
    """A docx with a picture of so many bytes in it, which nobody reads."""
    whole = io.BytesIO(letter)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("word/media/photo.jpg", os.urandom(size))
    return whole.getvalue()
