"""Requests that name files: what the model server gets instead, and what it never gets."""

import base64
import json
import os

import pytest

from helpers.samples import PDF, PNG, data_url
from helpers.server import opened
from lazu.store.tables import File

pytestmark = pytest.mark.both_stores

MB = 2**20


def error(answer):
    status, _, body = answer
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return status, body["error"]["code"], body["error"]["param"]


# What becomes of a reference


def test_a_file_goes_as_its_bytes_with_its_name(native, double):
    file_id = native.upload("paper.pdf", PDF)
    text = {"type": "input_text", "text": "Summarize this document"}
    status, headers, body = native.ask(text, {"type": "input_file", "file_id": file_id})
    assert (status, body["output"][0]["content"][0]["text"]) == (200, "A paper.")
    assert double.last.json["input"][0]["content"] == [
        text, {"type": "input_file", "filename": "paper.pdf", "file_data": data_url("application/pdf", PDF)}
    ]  # fmt: skip
    assert headers["X-Lazu-Files"] == f"{file_id};as=file"
    assert int(double.last.headers["content-length"]) == len(double.last.body)
    assert "transfer-encoding" not in double.last.headers


def test_16_files_are_told_of_and_how_many_follow(native):
    """Proxies bound the length of headers."""
    ids = [native.upload("paper.pdf", PDF) for _ in range(2)]
    first, second = ({"type": "input_file", "file_id": file_id} for file_id in ids)
    sixteen = [f"{ids[0]};as=file"] * 15 + [f"{ids[1]};as=file"]
    for more, told in (([], sixteen), ([first] * 3, [*sixteen, "more;count=3"])):
        _, headers, _ = native.ask(*[first] * 15, second, *more)
        assert headers["X-Lazu-Files"] == ", ".join(told)


def test_an_image_goes_as_a_data_url(native, double):
    file_id = native.upload("dot.png", PNG, "vision")
    native.ask({"type": "input_image", "file_id": file_id}, {"type": "input_image", "file_id": file_id, "detail": "low"})
    url = data_url("image/png", PNG)
    assert double.last.json["input"][0]["content"] == [
        {"type": "input_image", "image_url": url, "detail": "auto"},
        {"type": "input_image", "image_url": url, "detail": "low"},
    ]


def test_what_else_stands_in_a_part_stays(native, double):
    file_id = native.upload("paper.pdf", PDF)
    more = {"filename": "mine.pdf", "prompt_cache_breakpoint": {"mode": "explicit"}, "file_data": None}
    native.ask({"type": "input_file", "file_id": file_id, **more}, metadata={"file_id": "file-abc"}, temperature=0.1)
    sent = double.last.json
    assert sent["input"][0]["content"] == [{
        "type": "input_file", "filename": "mine.pdf", "file_data": data_url("application/pdf", PDF),
        "prompt_cache_breakpoint": {"mode": "explicit"},
    }]  # fmt: skip
    assert (sent["metadata"], sent["temperature"]) == ({"file_id": "file-abc"}, 0.1)


@pytest.mark.parametrize("size", [1, 2, 3, 192 * 1024 - 1, 192 * 1024, 192 * 1024 + 1, 1_000_000])
def test_bytes_of_every_length_arrive_whole(native, double, size):
    data = b"\0" + os.urandom(size - 1)
    native.ask({"type": "input_file", "file_id": native.upload("data.dat", data)})
    sent = double.last.json["input"][0]["content"][0]["file_data"]
    assert base64.b64decode(sent.partition(",")[2], validate=True) == data


def test_a_request_without_files_goes_on_byte_for_byte(native, double):
    body = '{"model":"m", "input":"Grüße \\ud83d\\ude00 1e5",  "temperature":1.0}'.encode()
    assert native.post("/v1/responses", body)[0] == 200
    assert double.last.body == body


def test_a_byte_order_mark_does_not_go_on(native, double):
    """PowerShell writes one, which RFC 8259 §8.1 lets a parser pass over; it was 400 in Python's words."""
    assert native.post("/v1/responses", b'\xef\xbb\xbf{"model":"m", "input":"x"}')[0] == 200
    assert double.last.body == b'{"model":"m", "input":"x"}'


def test_strange_text_survives_beside_a_file(native, double):
    text = "quotes \" and \\ and \0 and  and 😀 and \ud800 and lazu-0"
    native.ask({"type": "input_text", "text": text}, {"type": "input_file", "file_id": native.upload("a.txt", b"a")})
    assert double.last.json["input"][0]["content"][0]["text"] == text


# Every place


def message(part):
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}, part]}]}


FILE_PLACES = {
    "input[0].content[1]": message,
    "input[0].output[0]": lambda part: {"input": [{"type": "function_call_output", "call_id": "c", "output": [part]}]},
    "input[1].output[0]": lambda part: {
        "input": [{"type": "message", "role": "user", "content": "x"},
                  {"type": "custom_tool_call_output", "call_id": "c", "output": [part]}]
    },
    "prompt.variables.paper": lambda part: {"prompt": {"id": "p", "variables": {"name": "x", "paper": part}}},
}  # fmt: skip

IMAGE_PLACES = {
    "input[0].output": lambda part: {
        "input": [{"type": "computer_call_output", "call_id": "c", "output": {**part, "type": "computer_screenshot"}}]
    },
    "tools[0].input_image_mask": lambda part: {
        "input": "x", "tools": [{"type": "image_generation", "input_image_mask": {"file_id": part["file_id"]}}]
    },
    "input[0].tools[0].input_image_mask": lambda part: {
        "input": [{"type": "additional_tools", "role": "developer",
                   "tools": [{"type": "image_generation", "input_image_mask": {"file_id": part["file_id"]}}]}]
    },
}  # fmt: skip


def at(request, path):
    """What stands at a JSON path."""
    for step in path.replace("[", ".[").split("."):
        request = request[int(step[1:-1]) if step.startswith("[") else step]
    return request


@pytest.mark.parametrize("path", FILE_PLACES)
@pytest.mark.parametrize("mode", ["native", "text"])
def test_a_file_is_replaced_wherever_it_may_stand(front, double, path, mode):
    client = front(mode)
    part = {"type": "input_file", "file_id": client.upload("a.txt", b"some words")}
    assert client.post("/v1/responses", FILE_PLACES[path](part))[0] == 200
    expected = {
        "native": {"type": "input_file", "filename": "a.txt", "file_data": data_url("text/plain", b"some words")},
        "text": {"type": "input_text", "text": "[File: a.txt]\n\nsome words"},
    }
    assert at(double.last.json, path) == expected[mode]
    assert b"file_id" not in double.last.body


@pytest.mark.parametrize("path", [*FILE_PLACES, *IMAGE_PLACES])
@pytest.mark.parametrize("mode", ["native", "text", "images"])
def test_an_image_is_replaced_wherever_it_may_stand(front, double, path, mode):
    client = front(mode)
    part = {"type": "input_image", "file_id": client.upload("dot.png", PNG, "vision")}
    assert client.post("/v1/responses", {**FILE_PLACES, **IMAGE_PLACES}[path](part))[0] == 200
    assert at(double.last.json, path)["image_url"] == data_url("image/png", PNG)
    assert b"file_id" not in double.last.body


@pytest.mark.parametrize("path", ["/v1/responses/input_tokens", "/v1/responses/compact"])
def test_the_routes_beside_replace_files_too(native, double, path):
    part = {"type": "input_file", "file_id": native.upload("paper.pdf", PDF)}
    assert native.post(path, message(part))[0] == 200
    assert double.last.path == path
    assert double.last.json["input"][0]["content"][1]["file_data"] == data_url("application/pdf", PDF)


def test_chat_completions_name_files_in_their_own_way(native, double):
    paper, dot = native.upload("paper.pdf", PDF), native.upload("dot.png", PNG, "vision")
    parts = [{"type": "file", "file": {"file_id": paper}}, {"type": "file", "file": {"file_id": dot}}]
    body = {"model": "m", "messages": [{"role": "user", "content": parts}, {"role": "user", "content": "x"}]}
    assert native.post("/v1/chat/completions", body)[0] == 200
    assert double.last.json["messages"][0]["content"] == [
        {"type": "file", "file": {"filename": "paper.pdf", "file_data": data_url("application/pdf", PDF)}},
        {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}},
    ]


def test_history_is_left_alone(native, double):
    cited = {"type": "file_citation", "file_id": "file-abc", "filename": "x", "index": 0}
    history = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": [cited]}]},
        {"type": "file_search_call", "id": "fs", "results": [{"file_id": "file-abc", "text": "x"}]},
    ]
    native.post("/v1/responses", {"input": history})
    assert double.last.json["input"] == history


def test_urls_pass_as_they_are_and_nobody_fetches_them(native, double):
    parts = [{"type": "input_file", "file_url": f"{double.url}/secret"},
             {"type": "input_image", "image_url": f"{double.url}/secret", "file_id": None}]  # fmt: skip
    native.ask(*parts)
    assert double.last.json["input"][0]["content"] == parts
    assert [each.path for each in double.received] == ["/v1/responses"]


# What is refused, before the model server hears of it


def expired(native):
    file_id = native.upload("a.txt", b"a")
    with opened(native.server.storage):
        File.update(expires_at=1).where(File.id == file_id).execute()
    return file_id


def deleted(native):
    file_id = native.upload("a.txt", b"a")
    native.sdk.files.delete(file_id)
    return file_id


def foreign(native):
    with native.server.client() as other:
        return other.files.create(file=("a.txt", b"a"), purpose="user_data").id


GONE = {
    "expired": expired,
    "deleted": deleted,
    "another key's": foreign,
    "unknown": lambda _: "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX",
    "of another system": lambda _: "file-abc123",
    "empty": lambda _: "",
    "endless": lambda _: "file-" + "x" * 1_000_000,
}


@pytest.mark.parametrize("which", GONE)
def test_a_file_that_is_not_the_callers_is_not_found(native, double, which):
    body = message({"type": "input_file", "file_id": GONE[which](native)})
    assert error(native.post("/v1/responses", body)) == (404, "file_not_found", "input[0].content[1].file_id")
    assert double.received == []


@pytest.mark.parametrize("path", [*FILE_PLACES, *IMAGE_PLACES])
def test_no_place_lets_a_foreign_id_pass(native, double, path):
    body = {**FILE_PLACES, **IMAGE_PLACES}[path]({"type": "input_image", "file_id": "file-abc"})
    assert error(native.post("/v1/responses", body)) == (404, "file_not_found", f"{path}.file_id")
    assert double.received == []


REFUSED = {
    "both id and data": (message({"type": "input_file", "file_id": "file-abc", "file_data": "data:,x"}), "input[0].content[1].file_id"),
    "an id of another type": (message({"type": "input_file", "file_id": 7}), "input[0].content[1].file_id"),
    "a part that names no file": (message({"type": "input_audio", "file_id": "file-abc"}), "input[0].content[1].file_id"),
    "a container": ({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-abc"]}}]}, "tools[0].container.file_ids"),
    "a shell": ({"tools": [{"type": "shell", "environment": {"type": "container_auto", "file_ids": ["file-abc"]}}]}, "tools[0].environment.file_ids"),
}  # fmt: skip


@pytest.mark.parametrize("which", REFUSED)
def test_ids_that_can_not_be_replaced_are_refused(native, double, which):
    body, param = REFUSED[which]
    assert error(native.post("/v1/responses", body)) == (400, "invalid_request", param)
    assert double.received == []


def test_the_wrong_part_is_told_the_right_one(native, double):
    pdf, png = native.upload("paper.pdf", PDF), native.upload("dot.png", PNG)
    for part, right in (("input_image", "input_file"), ("input_file", "input_image")):
        status, _, body = native.ask({"type": part, "file_id": pdf if part == "input_image" else png})
        assert (status, body["error"]["code"]) == (400, "unsupported_file_type")
        assert right in body["error"]["message"]
    assert double.received == []


MALFORMED = {
    "no JSON": b"{",
    "nothing": b"",
    "a list": b"[]",
    "not UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "NaN": b'{"a":NaN}',
    "a name twice": b'{"input":"x","input":[{"role":"user","content":[{"type":"input_file","file_id":"file-abc"}]}]}',
    "a name twice, deep": b'{"input":[{"content":[{"type":"input_text","file_id":"file-abc","file_id":null}]}]}',
    "too deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number too long": b'{"a":' + b"1" * 5000 + b"}",
    "too many values": b'{"a":[' + b"{}," * 2**20 + b"{}]}",
}


@pytest.mark.parametrize("which", MALFORMED)
def test_a_body_that_can_be_read_in_two_ways_or_none_is_refused(native, double, which):
    status, _, body = native.post("/v1/responses", MALFORMED[which])
    assert (status, body["error"]["code"]) == (400, "invalid_request")
    assert double.received == []


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/uploads"])
def test_a_number_of_too_many_digits_is_told_in_our_words(native, path):
    status, _, body = native.post(path, MALFORMED["a number too long"])
    told = "The request body is not valid JSON: a whole number has more than 4,300 digits"
    assert (status, body["error"]["message"]) == (400, told)


def test_a_number_that_json_can_not_hold_is_refused(native):
    file_id = native.upload("a.txt", b"a")
    body = f'{{"temperature":1e999,"input":[{{"content":[{{"type":"input_file","file_id":"{file_id}"}}]}}]}}'
    assert native.post("/v1/responses", body.encode())[0] == 400


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_128_mb_is_refused(native, double, chunked):
    head, tail, filler = b'{"input":"', b'"}', b"x" * MB
    pieces = [head, *[filler] * 128, tail]
    with native.connected() as connection:
        headers = native.headers if chunked else {**native.headers, "Content-Length": str(sum(map(len, pieces)))}
        connection.request("POST", "/v1/responses", iter(pieces), headers, encode_chunked=chunked)
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["error"]["code"]) == (413, "file_too_large")
    assert double.received == []


# Limits


def test_64_mb_pass_and_one_byte_more_does_not(native, double):
    double.keeps_bodies = False
    half = native.upload("half.dat", b"\0" * (32 * MB))
    one = native.upload("one.dat", b"\0")
    part = {"type": "input_file", "file_id": half}
    assert native.ask(part, part)[0] == 200
    assert int(double.last.headers["content-length"]) > 64 * MB * 4 / 3
    assert error(native.ask(part, part, {"type": "input_file", "file_id": one})) == (400, "file_too_large", "input")
    chat = {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": each}} for each in (half, half, one)]}]}
    assert error(native.post("/v1/chat/completions", chat)) == (400, "file_too_large", "messages")
    assert len(double.received) == 1


@pytest.mark.one_box("moves a blob's file away and back")
def test_a_file_that_vanishes_after_it_was_looked_up_is_not_found(native, double):
    file_id = native.upload("a.dat", b"\0some bytes")
    with opened(native.server.storage) as store:
        sha256 = File.get_by_id(file_id).sha256
        path = store.contents.blobs.root / sha256[:2] / sha256
    path.rename(path.with_suffix(".away"))
    try:
        body = message({"type": "input_file", "file_id": file_id})
        assert error(native.post("/v1/responses", body)) == (404, "file_not_found", "input[0].content[1].file_id")
    finally:
        path.with_suffix(".away").rename(path)
    assert native.post("/v1/responses", body)[0] == 200
