"""What a part says beside its file (`cache_control` …) reaches the model server, once, whatever takes the part's place."""

import pytest

from helpers.documents import pages, words
from helpers.samples import PNG, data_url
from test_scans import scan, sheet

FILES = {"a.txt": b"words", "dot.png": PNG, "paper.pdf": pages(words("one"), words("two")), "scan.tif": scan(sheet("red"), sheet("lime"))}
MARKS = {"prompt_cache_breakpoint": {"mode": "explicit"}, "cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize("mode", ["native", "text", "images"])
@pytest.mark.parametrize("name", FILES)
def test_marks_of_a_part_stay_once_whatever_takes_its_place(front, double, mode, name):
    """They were lost where a part became words or a picture, and stood on every page of a scan that `input_image` named."""
    client, data = front(mode), FILES[name]
    file_id = client.upload(name, data)
    parts, in_chat = [], [{"type": "file", "file": {"file_id": file_id}}]
    if name in ("a.txt", "paper.pdf"):
        parts += [{"type": "input_file", "file_id": file_id}, {"type": "input_file", "filename": name, "file_data": data_url("x/y", data)}]
    elif (mode, name) != ("native", "scan.tif"):
        parts.append({"type": "input_image", "file_id": file_id})
        in_chat.append({"type": "image_url", "image_url": {"url": file_id}})
    for part in parts:
        assert client.ask({**part, **MARKS})[0] == 200
        marked_once(double.last.json["input"][0]["content"])
    for part in in_chat:
        assert client.post("/v1/chat/completions", {"messages": [{"role": "user", "content": [{**part, **MARKS}]}]})[0] == 200
        marked_once(double.last.json["messages"][0]["content"])


def marked_once(parts):
    *others, last = parts
    assert MARKS.items() <= last.items()
    assert not any(MARKS.keys() & part.keys() for part in others)


def test_no_mark_takes_the_place_of_what_a_file_says(text, double):
    text.ask({"type": "input_file", "file_id": text.upload("a.txt", b"words"), "text": "other words"})
    assert double.last.json["input"][0]["content"] == [{"type": "input_text", "text": "[File: a.txt]\n\nwords"}]
