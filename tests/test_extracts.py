"""For model servers that take no files: their text and pictures instead."""

import base64
import os
from pathlib import Path

import pytest

from helpers.documents import RED, pages, words
from helpers.office import docx, paragraph
from helpers.samples import PNG, data_url
from test_responses import error

CASES = Path(__file__).parent / "pdf"
PAPER = pages(words("First page"), words("Second"))
SCAN = pages(RED, RED)


@pytest.fixture
def images(front):
    return front("images")


def sent(client, double, name, data, part="input_file"):
    """The parts that stand for a file."""
    status, headers, body = client.ask({"type": part, "file_id": client.upload(name, data)})
    assert status == 200, body
    return double.last.json["input"][0]["content"], headers["X-Lazu-Files"].partition(";")[2]


# What stands for a file


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", b"some words", "some words"),
        ("a.py", b'print("\\n")\r\n', 'print("\\n")\r\n'),
        ("bom.txt", "Grüße".encode("utf-8-sig"), "Grüße"),
        ("wide.txt", "Grüße, wide".encode("utf-16"), "Grüße, wide"),
        ("far.txt", "\U0001f600 \u2028 你好".encode(), "\U0001f600 \u2028 你好"),
    ],
)  # fmt: skip
def test_a_text_goes_as_text_under_its_name(text, double, name, data, expected):
    parts, told = sent(text, double, name, data)
    assert parts == [{"type": "input_text", "text": f"[File: {name}]\n\n{expected}"}]
    assert told == "as=text"


def test_a_guessed_encoding_is_told(text, double):
    letter = "Der Bär läßt grüßen, schöne Grüße aus München."
    (part,), told = sent(text, double, "old.txt", letter.encode("latin-1"))
    assert part["text"] == f"[File: old.txt]\n\n{letter}"
    assert told == "as=text;charset=windows-1252"
    assert sent(text, double, "again.txt", letter.encode("latin-1"))[1] == told  # also from what is kept


def test_the_same_bytes_are_a_page_or_plain_text_as_their_name_says(text, double):
    page = b"<h1>Tea</h1>"
    assert sent(text, double, "a.html", page)[0][0]["text"] == "[File: a.html]\n\n# Tea\n"
    assert sent(text, double, "a.txt", page)[0][0]["text"] == "[File: a.txt]\n\n<h1>Tea</h1>"


def test_a_document_goes_as_markdown(text, double):
    (part,), told = sent(text, double, "plan.docx", docx(paragraph("Dig.")))
    assert part["text"] == "[File: plan.docx]\n\nDig.\n"
    assert told == "as=text"


def test_a_pdf_goes_as_its_text_page_by_page(text, double):
    (part,), told = sent(text, double, "paper.pdf", PAPER)
    assert part["text"].startswith("[File: paper.pdf]\n\n[Page 1 of 2]\nFirst page")
    assert "[Page 2 of 2]\nSecond" in part["text"]
    assert told == "as=text"


def test_an_image_stays_an_image(text, double):
    parts, told = sent(text, double, "dot.png", PNG, "input_image")
    assert parts == [{"type": "input_image", "image_url": data_url("image/png", PNG), "detail": "auto"}]
    assert told == "as=image"


def test_chat_gets_text_in_its_own_way(text, double):
    file_id = text.upload("a.txt", b"some words")
    body = {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": file_id}}]}]}
    assert text.post("/v1/chat/completions", body)[0] == 200
    assert double.last.json["messages"][0]["content"] == [{"type": "text", "text": "[File: a.txt]\n\nsome words"}]


@pytest.mark.parametrize(("name", "data"), [("scan.pdf", SCAN), ("a.zip", b"PK\x03\x04" + os.urandom(400)), ("broken.pdf", PAPER[:90])])
def test_a_file_without_text_is_refused_never_dropped(text, double, name, data):
    status, _, body = text.ask({"type": "input_file", "file_id": text.upload(name, data)})
    assert (status, body["error"]["code"]) == (400, "unsupported_file_type")
    assert body["error"]["param"] == "input[0].content[0].file_id"
    assert double.received == []


def jpegs(parts):
    found = [part["image_url"] for part in parts if part["type"] == "input_image"]
    assert all(url.startswith("data:image/jpeg;base64,") for url in found)
    return [base64.b64decode(url.partition(",")[2], validate=True) for url in found]


def test_pages_go_along_as_pictures(images, double):
    parts, told = sent(images, double, "paper.pdf", PAPER)
    assert [part["type"] for part in parts] == ["input_text", "input_text", "input_image", "input_image"]
    assert "First page" in parts[0]["text"]
    assert parts[1]["text"] == "[File: paper.pdf, pictures of all 2 pages]"
    assert all(jpeg.startswith(b"\xff\xd8") and jpeg.endswith(b"\xff\xd9") for jpeg in jpegs(parts))
    assert told == "as=pages"


def test_a_scan_goes_as_pictures_alone(images, double):
    parts, _ = sent(images, double, "scan.pdf", SCAN)
    assert [part["type"] for part in parts] == ["input_text", "input_image", "input_image"]


def test_pages_beyond_the_twentieth_are_told_of(images, double):
    parts, _ = sent(images, double, "long.pdf", pages(*[words(f"Page {n}") for n in range(23)]))
    assert parts[1]["text"] == "[File: long.pdf, pictures of the first 20 of 23 pages]"
    assert len(jpegs(parts)) == 20


def test_a_page_that_can_not_be_read_is_named_and_the_others_are_shown(images, double):
    parts, _ = sent(images, double, "odd.pdf", (CASES / "one-unreadable-page.pdf").read_bytes())
    assert "[Page 2 of 2]\n(this page could not be read)" in parts[0]["text"]
    assert parts[1]["text"] == "[File: odd.pdf, pictures of all 2 pages but page 2, which can't be read]"
    assert len(jpegs(parts)) == 1


@pytest.mark.parametrize("case", ["images-500-empty-cropbox", "invalid-boxes"])
def test_a_page_of_no_size_is_no_fault_of_the_server(images, double, case):
    parts, told = sent(images, double, "box.pdf", (CASES / f"{case}.pdf").read_bytes())
    assert told == "as=pages"
    assert jpegs(parts)


def test_parts_around_a_pdf_keep_their_order(images, double):
    scan, note = images.upload("scan.pdf", SCAN), images.upload("note.txt", b"note")
    say = [{"type": "input_text", "text": word} for word in "abc"]
    images.ask(say[0], {"type": "input_file", "file_id": scan}, say[1], {"type": "input_file", "file_id": note}, say[2])
    order = [part.get("text", "picture") for part in double.last.json["input"][0]["content"]]
    assert order == ["a", "[File: scan.pdf, pictures of all 2 pages]", "picture", "picture", "b", "[File: note.txt]\n\nnote", "c"]


def test_images_mode_in_chat(images, double):
    file_id = images.upload("scan.pdf", SCAN)
    images.post("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": file_id}}]}]})
    content = double.last.json["messages"][0]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "image_url"]
    assert content[1]["image_url"]["url"].startswith("data:image/jpeg;base64,")


def test_what_grows_beyond_64_mb_is_refused(text, double):
    part = {"type": "input_file", "file_id": text.upload("grows.txt", ("\u4e00" * 2_500_000).encode("utf-16"))}
    assert error(text.ask(*[part] * 10)) == (400, "file_too_large", "input[0].content[1].file_id")
    assert double.received == []


def test_a_text_that_is_too_long_for_a_model_is_refused_with_the_limit(text, double):
    status, _, body = text.ask({"type": "input_file", "file_id": text.upload("long.txt", b"word " * (8 * 2**20 // 5 + 1))})
    assert (status, body["error"]["code"]) == (400, "unsupported_file_type")
    assert "more than 8 MB" in body["error"]["message"]
    assert double.received == []


def test_what_json_escapes_is_not_what_files_grow_by(text, double):
    """Each byte of this one becomes two: 35 MB of a table with quotes are 70 MB of JSON, and 64 MB of files may come."""
    double.keeps_bodies = False
    part = {"type": "input_file", "file_id": text.upload("quoted.txt", (b'"' * 79 + b"\n") * 87_500)}
    assert text.ask(*[part] * 5)[0] == 200
    assert int(double.last.headers["content-length"]) > 64 << 20
