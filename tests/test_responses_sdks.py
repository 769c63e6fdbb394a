"""The page users read, its second section, done as it says: curl, the OpenAI SDKs for Python and for Node, as they are."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import openai
import pytest

from helpers.samples import PDF, PNG, data_url
from helpers.upstream import RESPONSE

NODE = Path(__file__).parent / "node"

CURL = r"""
curl -sS $URL/v1/responses \
-H "Authorization: Bearer $LAZU_API_KEY" \
-H "Content-Type: application/json" \
-d '{
"model": "gpt-4o",
"input": [{
"role": "user",
"content": [
{"type": "input_text", "text": "Summarize this document"},
{"type": "input_file", "file_id": "FILE"}
]
}]
}'
"""

SCRIPT = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: process.env.URL + "/v1", apiKey: process.env.LAZU_API_KEY, maxRetries: 0 });
const request = {
  model: "gpt-4o",
  input: [{ role: "user", content: [{ type: "input_file", file_id: process.env.FILE }] }],
};
const response = await client.responses.create(request);
const events = [];
for await (const event of await client.responses.create({ ...request, stream: true })) events.push(event.type);
let refused;
try {
  request.input[0].content[0].file_id = "file-abc";
  await client.responses.create(request);
} catch (error) {
  refused = { status: error.status, code: error.code, param: error.param };
}
const models = (await client.models.list()).data.map((model) => model.id);
console.log(JSON.stringify({ text: response.output_text, events, refused, models }));
"""


def answer(handler):
    received = handler.server.double.last
    if received.path == "/v1/models":
        handler.send(body=json.dumps({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}).encode())
    elif received.json.get("stream"):
        handler.start_events()
        handler.event({"type": "response.created", "sequence_number": 0, "response": RESPONSE})
        handler.event({"type": "response.completed", "sequence_number": 1, "response": RESPONSE})
        handler.end_events()
    else:
        handler.send(body=json.dumps(RESPONSE).encode())


@pytest.fixture
def native(front, double):
    double.script = answer
    return front("native")


def environment(native, file_id):
    return {**os.environ, "URL": native.server.url, "LAZU_API_KEY": native.key, "FILE": file_id}


def test_the_curl_lines_of_the_page(native, double):
    file_id = native.upload("paper.pdf", PDF)
    command = ["bash", "-c", CURL.replace("FILE", file_id)]
    done = subprocess.run(command, env=environment(native, file_id), capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == RESPONSE
    assert double.last.json["input"][0]["content"][1]["file_data"] == data_url("application/pdf", PDF)


def test_the_python_sdk(native, double):
    paper, dot = native.upload("paper.pdf", PDF), native.upload("dot.png", PNG, "vision")
    content = [
        {"type": "input_text", "text": "Summarize this document"},
        {"type": "input_file", "file_id": paper},
        {"type": "input_image", "file_id": dot, "detail": "high"},
    ]
    request = {"model": "gpt-4o", "input": [{"role": "user", "content": content}]}
    assert native.sdk.responses.create(**request).output_text == "A paper."
    with native.sdk.responses.stream(**request) as stream:
        assert stream.get_final_response().output_text == "A paper."
    assert double.last.json["input"][0]["content"][2]["detail"] == "high"
    assert [model.id for model in native.sdk.models.list()] == ["gpt-4o"]
    content[1]["file_id"] = "file-abc"
    with pytest.raises(openai.NotFoundError) as missing:
        native.sdk.responses.create(**request)
    assert (missing.value.code, missing.value.param) == ("file_not_found", "input[0].content[1].file_id")


def test_the_python_sdk_async(native):
    file_id = native.upload("paper.pdf", PDF)

    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{native.server.url}/v1", api_key=native.key) as client:
            part = {"type": "input_file", "file_id": file_id}
            stream = await client.responses.create(model="m", input=[{"role": "user", "content": [part]}], stream=True)
            return [event.type async for event in stream]

    assert asyncio.run(ask()) == ["response.created", "response.completed"]


def test_the_node_sdk(native):
    file_id = native.upload("paper.pdf", PDF)
    command = ["node", "--input-type=module", "-e", SCRIPT]
    done = subprocess.run(command, cwd=NODE, env=environment(native, file_id), capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == {
        "text": "A paper.",
        "events": ["response.created", "response.completed"],
        "refused": {"status": 404, "code": "file_not_found", "param": "input[0].content[0].file_id"},
        "models": ["gpt-4o"],
    }
