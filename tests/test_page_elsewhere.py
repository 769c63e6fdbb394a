"""A real page of another origin calls Lazu (LAZU_CORS_ORIGINS): by fetch, as a stream, and by the OpenAI SDK in the browser."""

import json
import subprocess

import pytest

from helpers.browser import opened, site
from helpers.server import PROJECT
from helpers.upstream import RESPONSE

NODE = PROJECT / "tests/node"


@pytest.fixture(scope="module")
def sdk():
    """The SDK from npm as one module, bundled as a page's author would."""
    bundle = [NODE / "node_modules/esbuild/bin/esbuild", "--bundle", "--format=esm", "--platform=browser", "--log-level=error"]
    source = "export { default } from 'openai'"
    return subprocess.run(bundle, cwd=NODE, input=source.encode(), capture_output=True, check=True).stdout


def events(handler):
    """A model server that streams, when it is asked to."""
    if b'"stream":true' not in handler.server.double.last.body.replace(b" ", b""):
        handler.send(body=json.dumps(RESPONSE).encode())
        return
    handler.start_events()
    for delta in ("A ", "paper."):
        handler.event({"type": "response.output_text.delta", "delta": delta, "content_index": 0, "item_id": "m", "output_index": 0, "sequence_number": 1, "logprobs": []})
    handler.event({"type": "response.completed", "sequence_number": 2, "response": RESPONSE})
    handler.end_events()


@pytest.fixture
def elsewhere(browser, sdk):
    """A page on another port."""
    with site({"/": (b"<!doctype html><title>chat</title>", "text/html"), "/openai.mjs": (sdk, "text/javascript")}) as other, opened(browser) as page:
        page.goto(other.url)
        page.origin = other.url
        yield page


@pytest.fixture(params=["direct", "nginx"])
def start(request, serve, deploy):
    """Start a Lazu that such a page calls, alone or behind the shipped nginx."""
    return serve if request.param == "direct" else deploy


FETCH = """async ([url, key]) => {
    const headers = { Authorization: `Bearer ${key}` };
    const form = new FormData();
    form.append('purpose', 'user_data');
    form.append('file', new File(['words'], 'a.txt'));
    const { id } = await (await fetch(`${url}/v1/files`, { method: 'POST', headers, body: form })).json();
    const content = await fetch(`${url}/v1/files/${id}/content`, { headers });
    const gone = await fetch(`${url}/v1/files/${id}`, { method: 'DELETE', headers });
    const missing = await fetch(`${url}/v1/files/${id}`, { headers });
    const refused = await fetch(`${url}/v1/files`, { headers: { Authorization: 'Bearer no' } });
    return [await content.text(), content.headers.get('etag') !== null, (await gone.json()).deleted, missing.status,
            (await refused.json()).error.code, refused.headers.get('x-request-id').slice(0, 4)];
}"""


def test_a_page_may_upload_download_delete_and_read_errors(start, elsewhere):
    server = start(LAZU_CORS_ORIGINS=elsewhere.origin)
    assert elsewhere.evaluate(FETCH, [server.url, server.any_key]) == ["words", True, True, 404, "invalid_api_key", "req_"]


MISTAKES = """async ([url, key]) => {
    const { default: OpenAI } = await import('/openai.mjs');
    const client = new OpenAI({ baseURL: url, apiKey: key, dangerouslyAllowBrowser: true, maxRetries: 0 });
    const unknown = await client.files.list().catch((e) => [e.status, e.message]);
    const put = await fetch(`${url}/v1/files`, { method: 'PUT', headers: { Authorization: `Bearer ${key}` } });
    return [...unknown, put.status, put.headers.get('allow')];
}"""


def test_a_page_is_told_of_a_wrong_url_and_method(start, elsewhere):
    """Both were "Connection error." there, for their preflights were refused."""
    server = start(LAZU_CORS_ORIGINS=elsewhere.origin)
    unknown, told, other, allow = elsewhere.evaluate(MISTAKES, [server.url, server.any_key])
    assert (unknown, other, allow) == (404, 405, "GET, HEAD, POST")
    assert "base_url ends in /v1" in told


OPENAI = """async ([url, key]) => {
    const { default: OpenAI } = await import('/openai.mjs');
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, dangerouslyAllowBrowser: true, maxRetries: 0 });
    const file = await client.files.create({ file: new File(['words'], 'a.txt'), purpose: 'user_data' });
    const listed = await client.files.list();
    const content = await (await client.files.content(file.id)).text();
    const input = [{ role: 'user', content: [{ type: 'input_file', file_id: file.id }] }];
    const whole = await client.responses.create({ model: 'm', input });
    let streamed = '';
    for await (const event of await client.responses.create({ model: 'm', input, stream: true })) streamed += event.delta ?? '';
    const missing = await client.files.retrieve('file-abc').catch((e) => [e.status, e.code, e.requestID.slice(0, 4)]);
    return [listed.data[0].id === file.id, content, whole.output_text, streamed, missing];
}"""


def test_the_openai_sdk_works_in_a_browser(start, double, elsewhere):
    double.script = events
    server = start(LAZU_CORS_ORIGINS="*", **double.env)
    done = elsewhere.evaluate(OPENAI, [server.url, server.any_key])
    assert done == [True, "words", "A paper.", "A paper.", [404, "file_not_found", "req_"]]


TRY = """async ([url, key, credentials]) => {
    try {
        return (await fetch(`${url}/v1/files`, { headers: { Authorization: `Bearer ${key}` }, credentials })).status;
    } catch (e) {
        return e.name;
    }
}"""


def test_a_page_that_is_not_listed_reads_nothing(start, browser):
    with site({"/": (b"<!doctype html>", "text/html")}) as other, browser.new_context() as context:
        page = context.new_page()
        page.goto(other.url)
        for server in (start(), start(LAZU_CORS_ORIGINS="https://chat.example.com")):
            assert page.evaluate(TRY, [server.url, server.any_key, "same-origin"]) == "TypeError"
        anyone = start(LAZU_CORS_ORIGINS="*")
        assert page.evaluate(TRY, [anyone.url, anyone.any_key, "same-origin"]) == 200
        assert page.evaluate(TRY, [anyone.url, anyone.any_key, "include"]) == "TypeError"
