"""File ids in forms and places that are none: served where the meaning is plain, told the right form elsewhere, never passed on."""

import json
from urllib.parse import quote

import pytest

from helpers.documents import pdf as pdf_of
from helpers.samples import PDF, PNG, data_url
from test_places import CASES, HISTORY
from test_responses import error, message


@pytest.fixture
def pdf(native):
    return native.upload("paper.pdf", PDF)


@pytest.fixture
def png(native):
    return native.upload("dot.png", PNG, "vision")


def chat(part):
    return {"model": "m", "messages": [{"role": "user", "content": [part]}]}


ID = "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX"

# Where the meaning is plain

AS_FILE = {
    "a data URL": lambda i: {"type": "input_file", "filename": "part-0.pdf", "file_data": f"data:application/pdf;base64,{i}"},
    "bare": lambda i: {"type": "input_file", "filename": "part-0.pdf", "file_data": i},
    "as URL": lambda i: {"type": "input_file", "filename": "part-0.pdf", "file_url": i},
    "beside nothing": lambda i: {"type": "input_file", "filename": "part-0.pdf", "file_id": i, "file_data": "", "file_url": None},
}
AS_IMAGE = {
    "bare": lambda i: {"type": "input_image", "image_url": i, "detail": "low"},
    "a data URL": lambda i: {"type": "input_image", "image_url": f"data:image/png;base64,{i}", "detail": "low"},
    "as chat has it": lambda i: {"type": "input_image", "image_url": {"url": i}, "detail": "low"},
    "an id within": lambda i: {"type": "input_image", "image_url": {"file_id": i}, "detail": "low"},
    "its detail within": lambda i: {"type": "input_image", "image_url": {"url": i, "detail": "low"}},  # was "auto"
    "beside nothing": lambda i: {"type": "input_image", "file_id": i, "image_url": "", "detail": "low"},
    "a line end": lambda i: {"type": "input_image", "image_url": f" {i}\n", "detail": "low"},
    "a space within": lambda i: {"type": "input_image", "image_url": f"DATA:image/png;base64, {i}", "detail": "low"},
}


@pytest.mark.parametrize("part", AS_FILE.values(), ids=AS_FILE)
def test_an_id_in_the_place_of_a_files_data_is_that_file(native, double, pdf, part):
    assert native.ask(part(pdf))[0] == 200
    expected = {"type": "input_file", "filename": "part-0.pdf", "file_data": data_url("application/pdf", PDF)}
    assert double.last.json["input"][0]["content"] == [expected]


@pytest.mark.parametrize("file_id", ["file-abc123", "file-lazu-x"])
@pytest.mark.parametrize("name", ["bare", "a data URL", "as URL", "as chat has it", "an id within"])
def test_an_id_of_another_system_goes_on_in_no_form(native, double, name, file_id):
    forms = [forms[name](file_id) for forms in (AS_FILE, AS_IMAGE) if name in forms]
    for part in forms:
        status, _, answer = native.ask(part)
        assert (status, answer["error"]["code"]) == (404, "file_not_found")
        assert answer["error"]["param"].startswith("input[0].content[0].")
    for url in ({"url": file_id}, {"file_id": file_id}):
        status, _, answer = native.post("/v1/chat/completions", chat({"type": "image_url", "image_url": url}))
        assert (status, answer["error"]["code"]) == (404, "file_not_found")
    assert double.received == []


@pytest.mark.parametrize("part", AS_IMAGE.values(), ids=AS_IMAGE)
def test_an_id_in_the_place_of_a_pictures_data_is_that_picture(native, double, png, part):
    assert native.ask(part(png))[0] == 200
    expected = {"type": "input_image", "detail": "low", "image_url": data_url("image/png", PNG)}
    assert double.last.json["input"][0]["content"] == [expected]


def test_chat_has_them_too_as_the_ai_sdk_sends_them(native, double, pdf, png):
    file = {"type": "file", "file": {"filename": "part-0.pdf", "file_data": f"data:application/pdf;base64,{pdf}"}}
    assert native.post("/v1/chat/completions", chat(file))[0] == 200
    assert double.last.json["messages"][0]["content"] == [{"type": "file", "file": {"filename": "part-0.pdf", "file_data": data_url("application/pdf", PDF)}}]
    url = {"url": data_url("image/png", PNG), "detail": "low"}
    for image in ({"url": f"data:image/png;base64,{png}", "detail": "low"}, {"url": png, "detail": "low"}, {"file_id": png, "detail": "low"}):
        assert native.post("/v1/chat/completions", chat({"type": "image_url", "image_url": image}))[0] == 200
        assert double.last.json["messages"][0]["content"] == [{"type": "image_url", "image_url": url}]


@pytest.mark.parametrize("url", ["https://example.org/p.png", data_url("image/png", PNG), ID])
def test_an_id_beside_another_picture_is_refused(native, double, png, url):
    """The other was left out without a word."""
    image = {"url": url, "file_id": png}
    assert error(native.ask({"type": "input_image", "image_url": image})) == (400, "invalid_request", "input[0].content[0].image_url.file_id")
    answer = native.post("/v1/chat/completions", chat({"type": "image_url", "image_url": image}))
    assert error(answer) == (400, "invalid_request", "messages[0].content[0].image_url.file_id")
    assert double.received == []


@pytest.mark.parametrize("name", ["file_data", "image_url"])
def test_an_id_that_is_nobodys_is_not_found_there_either(native, double, name):
    part = {"type": "input_file" if name == "file_data" else "input_image", name: "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX"}
    assert error(native.post("/v1/responses", message(part))) == (404, "file_not_found", f"input[0].content[1].{name}")
    assert double.received == []


# Where it is not

RESPONSES = {
    "input[0].content[1].file.file_id": message({"type": "file", "file": {"file_id": ID}}),
    "input[0].content[1].image_url.url": message({"type": "image_url", "image_url": {"url": ID}}),
    "input[0].content[1].input_audio.data": message({"type": "input_audio", "input_audio": {"data": ID, "format": "wav"}}),
    "input[0].content[1].source.data": message({"type": "document", "source": {"type": "base64", "data": f"data:application/pdf;base64,{ID}"}}),
    "input[0].content[1].file_data": message({"type": "input_file", "filename": "a.pdf", "file_data": f"lazu://{ID}"}),
    "input[0].file_id": {"input": [{"type": "input_file", "file_id": ID}]},
    "input[0].attachments[0].file_id": {"input": [{"role": "user", "content": "x", "attachments": [{"file_id": ID}]}]},
    "file_ids[0]": {"input": "x", "file_ids": [ID]},
    "files": {"input": "x", "files": ID},
    f"files.{ID}": {"input": "x", "files": {ID: 1}},
    "tools[0].file": {"input": "x", "tools": [{"type": "custom", "file": f"lazu://{ID}"}]},
    "attachments[0].file_id": {"input": "x", "attachments": [{"file_id": f" {ID}\n"}]},
    "file_ids": {"input": "x", "file_ids": f"{ID}, {ID}"},
    "attachment": {"input": "x", "attachment": f"{ID}, {ID}"},
    "input[0].content[1].file_url": message({"type": "input_file", "file_url": f"the file {ID}"}),
    "prompt.variables[0].file_id": {"prompt": {"id": "p", "variables": [{"type": "input_file", "file_id": ID}]}},
    "prompt.variables.paper[0]": {"prompt": {"id": "p", "variables": {"paper": [ID]}}},
    "prompt.variables.paper.variables.file_id": {"prompt": {"id": "p", "variables": {"paper": {"variables": {"file_id": ID}}}}},
    "documents[0].id": {"input": "x", "documents": [{"id": ID}]},
    "tools[0].variables.file": {"input": "x", "tools": [{"type": "custom", "variables": {"file": ID}}]},
    "input[0].content.file_data": {"input": [{"role": "user", "content": {"type": "input_file", "file_data": f"http://{ID}"}}]},
}
CHAT = {
    "messages[0].content[0].file_data": chat({"type": "input_file", "file_data": ID}),
    "messages[0].content[0].image_url": chat({"type": "input_image", "image_url": ID}),
    "messages[0].attachments[0].file_id": {"messages": [{"role": "user", "content": "x", "attachments": [{"file_id": ID}]}]},
    "file_ids[0]": {"messages": [], "file_ids": [ID]},
    "messages[0].content[0].file[0].file_id": chat({"type": "file", "file": [{"file_id": ID}]}),
}


@pytest.mark.parametrize(("where", "body"), RESPONSES.items())
@pytest.mark.parametrize("escaped", [False, True])
def test_an_id_in_a_place_that_is_none_is_told_the_right_form(native, double, where, body, escaped):
    text = json.dumps(body)
    sent = text.replace("file-lazu-", "f\\u0069le\\u002Dlazu-") if escaped else text
    answer = native.post("/v1/responses", sent.encode())
    assert error(answer) == (400, "invalid_request", where)
    assert "'input_file'" in answer[2]["error"]["message"]
    assert double.received == []


@pytest.mark.parametrize(("where", "body"), CHAT.items())
def test_chat_is_told_its_own_form(native, double, where, body):
    answer = native.post("/v1/chat/completions", body)
    assert error(answer) == (400, "invalid_request", where)
    assert "'file': {'file_id'" in answer[2]["error"]["message"]
    assert double.received == []


def test_a_route_without_files_says_so(native, double):
    assert error(native.post("/v1/embeddings", {"input": "x", "file": ID})) == (400, "invalid_request", "file")
    assert double.received == []


TEXT = [
    {"input": f"What is in {ID}?"},
    {"input": ID, "instructions": ID},
    message({"type": "input_text", "text": ID}),
    {"input": [{"type": "function_call", "name": "f", "arguments": json.dumps({"id": ID})}, {"type": "function_call_output", "output": ID}]},
    {"input": "x", "metadata": {"file": ID}, "prompt_cache_key": ID, "user": ID},
    {"input": "x", "prompt": {"id": "p", "variables": {"name": ID}}},
    {"input": "x", "text": {"format": {"type": "json_schema", "schema": {"enum": [ID]}}}},
    message({"type": "input_file", "filename": f"{ID}.pdf", "file_data": data_url("application/pdf", PDF)}),
    message({"type": "input_file", "file_url": f"https://example.org/v1/files/{ID}/content"}),
    {"input": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": [{"type": "file_citation", "file_id": ID}]}]}]},
    {"input": [{"type": "file_search_call", "results": [{"file_id": ID}]}]},
    {"input": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "citations": [{"file_id": ID}]}], "citations": [{"file_id": ID}]}]},
    {"input": [{"type": "file_search_call", "search_results": [{"file_id": ID}]}]},
    {"input": [{"type": "shell_call_output", "output": [{"stdout": ID, "stderr": ID}]}]},
    {"input": [{"type": "tool_search_call", "arguments": {"id": ID}}, {"type": "mcp_list_tools", "tools": [{"input_schema": {"const": ID}}]}]},
    {"input": [{"type": "mcp_call", "error": {"message": ID}}, {"type": "mcp_call", "error": ID}, {"type": "mcp_approval_response", "reason": ID}]},
    {"input": [{"role": "assistant", "content": "x", "reasoning_content": f"读取{ID}的内容", "reasoning": ID}]},  # no space in it
    {"input": "x", "tools": [{"type": "custom", "format": {"type": "grammar", "definition": ID}}, {"type": "file_search", "filters": {"value": ID}}]},
    {"input": "x", "guided_json": {"enum": [ID]}, "structured_outputs": {"choice": [ID]}},
    {"input": "x", "tools": [{"type": "mcp", "server_label": "s", "server_url": f"https://example.org/{ID}", "headers": {"X-File": ID}}]},
    {"input": "x", "request_id": f"sum-{ID}", "cache_salt": ID, "session_id": ID, "litellm_session_id": ID, "litellm_trace_id": ID, "tags": [ID]},
]  # fmt: skip


@pytest.mark.parametrize("body", TEXT, ids=range(len(TEXT)))
def test_an_id_in_text_or_history_passes_as_it_is(native, double, body):
    assert native.post("/v1/responses", body)[0] == 200
    assert double.last.json == body


def test_embeddings_of_ids_pass(native, double):
    for body in ({"input": ID}, {"input": ["x", ID]}):
        assert native.post("/v1/embeddings", body)[0] == 200
        assert double.last.json == body


# What a string may be

NASTY = {
    "a lone surrogate": "\ud800",
    "a surrogate in an id": "file-lazu-\udc00",
    "a NUL": "file-lazu-01KSBV4MC6THZ9TCZEM38KPYR\0",
    "line ends": "x\r\nX-Evil: 1",
    "a noncharacter": "\uffff",
    "SQL": "' OR 1=1 --",
    "10 MB": "x" * 10 * 2**20,
}
OTHERS = [0, 1.5, True, [], {}, [ID], {"file_id": ID}]


def replaced(value, path, new):
    """A copy of `value` with `new` at `path`."""
    if not path:
        return new
    inner = replaced(value[path[0]], path[1:], new)
    return [inner] if isinstance(value, list) else {**value, path[0]: inner}


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_no_string_in_the_place_of_an_id_is_our_fault(native, double, nasty):
    """Every place of the API's types where an id can stand: a lone surrogate was a 500."""
    places = [case.values for case in CASES if not any(step in HISTORY for step in case.values[2])]
    for find, body, path in places:
        route = "/v1/chat/completions" if find.__name__ == "chat" else "/v1/responses"
        refused = path[-1] == "file_ids"
        answer = native.post(route, replaced(body, path, [nasty] if refused else nasty))
        assert error(answer)[:2] == ((400, "invalid_request") if refused else (404, "file_not_found"))
    assert double.received == []


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_nothing_else_in_the_place_of_an_id_is_our_fault(native, double, other):
    for find, body, path in (case.values for case in CASES if case.values[2][-1] == "file_id" and not any(step in HISTORY for step in case.values[2])):
        route = "/v1/chat/completions" if find.__name__ == "chat" else "/v1/responses"
        assert error(native.post(route, replaced(body, path, other)))[:2] == (400, "invalid_request")
    assert double.received == []


@pytest.mark.parametrize("shape", [lambda value: [value], lambda value: [[value]], lambda value: {"x": value}], ids=["list", "lists", "object"])
def test_no_shape_around_an_id_is_our_fault_or_hides_it(native, double, pdf, shape):
    """A list in the place of chat's `file` was a 500."""
    for find, body, path in (case.values for case in CASES if case.values[2][-1] == "file_id" and not any(step in HISTORY for step in case.values[2])):
        route = "/v1/chat/completions" if find.__name__ == "chat" else "/v1/responses"
        named = replaced(body, path, pdf)
        for depth in range(1, len(path)):
            inner = named
            for step in path[:depth]:
                inner = inner[step]
            assert native.post(route, replaced(named, path[:depth], shape(inner)))[0] in (200, 400, 404), (path, depth)
    assert [each.body for each in double.received if pdf.encode() in each.body] == []


@pytest.mark.parametrize("nasty", [text for text in NASTY.values() if len(text) < 100], ids=ascii)
@pytest.mark.parametrize("mode", ["native", "text"])
def test_no_string_beside_an_id_is_our_fault(front, double, mode, nasty):
    client = front(mode)
    part = {"type": "input_file", "file_id": client.upload("a.txt", b"words"), "filename": nasty, nasty: nasty}
    body = {"prompt": {"id": nasty, "variables": {nasty: part}}, nasty: nasty}
    assert client.post("/v1/responses", body)[0] == 200
    cleaned = "".join(c for c in nasty if c not in "\0\r\n\ud800\udc00").rpartition("/")[2] or "a.txt"
    expected = {
        "native": {"type": "input_file", nasty: nasty, "filename": nasty, "file_data": data_url("text/plain", b"words")},
        "text": {"type": "input_text", nasty: nasty, "text": f"[File: {cleaned}]\n\nwords"},
    }
    assert double.last.json["prompt"]["variables"][nasty] == expected[mode]
    status, _, answer = client.post("/v1/responses", {"prompt": {"variables": {nasty: {"type": "input_file", "file_id": "x"}}}})
    assert (status, answer["error"]["param"]) == (404, f"prompt.variables.{nasty}.file_id")


def test_a_place_that_is_named_endlessly_is_named_in_short(native):
    status, _, body = native.post("/v1/responses", {"prompt": {"variables": {"x" * 10**6: {"type": "input_file", "file_id": "x"}}}})
    assert (status, len(body["error"]["param"])) == (404, 500)


@pytest.mark.parametrize("path", ["/v1/files/%ED%A0%80", "/v1/files/%00", "/v1/files?after=%ED%A0%80", "/v1/files?purpose=%ED%A0%80%00", "/v1/models?x=\xe9%ff", "/v1/models/%ED%A0%80", "/v1/responses/%F0%9F"])
def test_no_bytes_of_a_url_are_our_fault(native, path):
    with native.connected() as connection:
        connection.putrequest("GET", "/", skip_host=True)
        connection._buffer[0] = f"GET {path} HTTP/1.1".encode("latin-1")
        for name, value in {"Host": "a", **native.headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status in (200, 400, 404)


# The rest of the way


def test_the_parts_own_name_heads_its_text(front, double):
    client = front("text")
    client.ask({"type": "input_file", "file_id": client.upload("stored.txt", b"words"), "filename": "mine.txt"})
    assert double.last.json["input"][0]["content"] == [{"type": "input_text", "text": "[File: mine.txt]\n\nwords"}]
    body = chat({"type": "file", "file": {"file_id": client.upload("stored.txt", b"words"), "filename": "mine.txt"}})
    client.post("/v1/chat/completions", body)
    assert double.last.json["messages"][0]["content"] == [{"type": "text", "text": "[File: mine.txt]\n\nwords"}]


@pytest.mark.parametrize(("given", "heading"), [("a]\n\n[File: b", "a][File: b"), ("../\u202ea.txt", "a.txt"), ("x" * 300 + ".md", "x" * 252 + ".md"), (" . ", "stored.txt"), (5, "stored.txt")])
def test_a_parts_own_name_is_cleaned_as_an_uploads(front, double, given, heading):
    client = front("text")
    assert client.ask({"type": "input_file", "file_id": client.upload("stored.txt", b"words"), "filename": given})[0] == 200
    assert double.last.json["input"][0]["content"][-1]["text"] == f"[File: {heading}]\n\nwords"


def test_a_picture_that_models_do_not_take_is_told_to_change(native, double):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60)
    status, _, body = native.ask({"type": "input_image", "file_id": native.upload("photo.heic", heic)})
    assert (status, body["error"]["code"]) == (400, "unsupported_file_type")
    assert "PNG, JPEG, GIF or WebP" in body["error"]["message"]
    assert "input_file" not in body["error"]["message"]


def test_a_pdf_without_pages_is_told_so_where_pictures_were_wanted(front, double):
    client = front("images")
    empty = pdf_of(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 0 /Kids [] >>")
    status, _, body = client.ask({"type": "input_file", "file_id": client.upload("empty.pdf", empty)})
    assert (status, body["error"]["code"], double.received) == (400, "unsupported_file_type", [])
    assert "no pages" in body["error"]["message"]


def test_a_pdf_of_which_no_page_can_be_read_is_told_so_too(front, double):
    client = front("images")
    broken = pdf_of(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 3 /Kids [9 0 R 8 0 R 7 0 R] >>")
    status, _, body = client.ask({"type": "input_file", "file_id": client.upload("broken.pdf", broken)})
    assert (status, body["error"]["code"], body["error"]["param"]) == (400, "unsupported_file_type", "input[0].content[0].file_id")
    assert "damaged" in body["error"]["message"]
    assert double.received == []


@pytest.mark.parametrize("model", ["/tmp/m.gguf", "org/model", "a b", "é"])
def test_a_model_may_have_any_name(native, double, model):
    with native.connected() as connection:
        connection.request("GET", f"/v1/models/{quote(model, safe='')}", headers=native.headers)
        assert connection.getresponse().status == 200
    assert double.last.path == f"/v1/models/{quote(model, safe='')}"


def answered(handler, headers):
    handler.send_response(200)
    for name, value in {"Content-Type": "application/json", "Content-Length": "2", **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(b"{}")


def test_what_a_gateway_before_the_model_tells_of_itself_stays_there(native, double):
    told = {"x-litellm-response-cost": "0.1", "x-litellm-model-api-base": "http://10.0.0.1", "llm_provider-x-request-id": "y", "x-ratelimit-remaining-requests": "7"}
    double.script = lambda handler: answered(handler, told)
    headers = native.post("/v1/responses", {"input": "x"})[1]
    assert not [name for name in headers if name.lower().startswith(("x-litellm", "llm-provider", "llm_provider"))]
    assert headers["x-ratelimit-remaining-requests"] == "7"
    assert headers["Cache-Control"] == "no-store"


def test_no_names_make_the_search_dear(native):
    """Paths are told, not kept: 100 names of 1 MB within each other would take 5 GB."""
    idle = native.server.rss()
    deep = "{" + "{".join(f'"{"x" * 10**6}":' for _ in range(100)) + '"x"' + "}" * 100
    answer = native.post("/v1/responses", f'{{"deep": {deep}, "file": "{ID}"}}'.encode())
    assert error(answer) == (400, "invalid_request", "file")
    assert native.server.rss() - idle < 2**30


def test_a_body_without_an_id_is_not_searched(native, double):
    """Nor changed: what has none goes on byte for byte."""
    body = b'{"file_ids": ["file-abc"],  "input": "x"}'
    assert native.post("/v1/responses", body)[0] == 200
    assert double.last.body == body


# /v1/uploads

UPLOAD = {"filename": "a.txt", "bytes": 5, "mime_type": "text/plain", "purpose": "user_data", "expires_after": {"anchor": "created_at", "seconds": 3600}}
STRINGS = [("filename",), ("mime_type",), ("purpose",), ("expires_after", "anchor"), ("expires_after", "seconds"), ("bytes",)]


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_no_string_of_an_upload_in_parts_is_our_fault(native, nasty):
    refused = 413 if len(nasty) > 2**20 else 400
    for path in STRINGS:
        status, _, body = native.post("/v1/uploads", replaced(UPLOAD, path, nasty))
        assert status == (200 if path in (("mime_type",), ("filename",)) and refused == 400 else refused), path
        assert status != 200 or not set(body["filename"]) & set("\0\r\n\ud800/")
    status, _, pending = native.post("/v1/uploads", UPLOAD)
    for done in ({"part_ids": [nasty]}, {"part_ids": [], "md5": nasty}, {"part_ids": nasty}):
        status, _, body = native.post(f"/v1/uploads/{pending['id']}/complete", done)
        assert (status, body["error"]["type"]) == (refused, "invalid_request_error"), done
    assert native.post(f"/v1/uploads/{pending['id']}/cancel", {})[0] == 200
