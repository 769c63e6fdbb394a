"""What `scripts/try-upstreams` does once all is there: the same requests to llama.cpp and through Lazu, side by side.

First by the OpenAI SDK, by id and with the file in the request; then by client libraries, which bring the file along.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from helpers.documents import pages, words
from helpers.office import docx, paragraph
from helpers.server import Server

QUESTION = {"type": "input_text", "text": "Repeat the first line of the file."}
SAID = "Blue whales sing."
#: Clients with a script of their own in scripts/clients, each in a venv of this name.
CLIENTS = ("llama_index", "haystack", "strands", "agno", "pydantic_ai", "langchain")
#: A model that each client knows, and llama.cpp does not mind.
MODEL = "gpt-4o-mini"


def ask(url, key, path, body):
    """Status and JSON of the answer."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, json.load(answer), answer.headers.get("X-Lazu-Files", "")
    except urllib.error.HTTPError as e:
        return e.code, json.load(e), ""


def said(status, body):
    """The beginning of the answer, or of the refusal."""
    if status != 200:
        return body["error"]["message"][:90]
    if "choices" in body:
        return body["choices"][0]["message"]["content"][:60]
    return body["output"][-1]["content"][0]["text"][:60]


def requests(file_id, name, data):
    """Each way to name a file, or to bring it along: a title, a path, a body."""
    part = {"type": "input_file", "file_id": file_id}
    yield "responses, input_file", "/v1/responses", {"input": [{"role": "user", "content": [QUESTION, part]}]}
    call = {"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": [part]}
    said = {"role": "user", "content": [QUESTION]}
    yield "responses, function_call_output", "/v1/responses", {"input": [said, call, output]}
    content = [{"type": "text", "text": QUESTION["text"]}, {"type": "file", "file": {"file_id": file_id}}]
    yield "chat, file", "/v1/chat/completions", {"messages": [{"role": "user", "content": content}]}
    inline = {"filename": name, "file_data": f"data:application/pdf;base64,{base64.b64encode(data).decode()}"}
    yield (
        "responses, file_data",
        "/v1/responses",
        {"input": [{"role": "user", "content": [QUESTION, {"type": "input_file", **inline}]}]},
    )
    content = [{"type": "text", "text": QUESTION["text"]}, {"type": "file", "file": inline}]
    yield "chat, file_data", "/v1/chat/completions", {"messages": [{"role": "user", "content": content}]}


def compare(upstream, server):
    """Print what each request gets, itself and through Lazu."""
    with server.client("k") as client:
        for name, data in (("note.txt", f"{SAID}\n".encode()), ("paper.pdf", pages(words(SAID)))):
            file_id = client.files.create(file=(name, data), purpose="user_data").id
            for title, path, body in requests(file_id, name, data):
                limit = "max_tokens" if "chat" in path else "max_output_tokens"
                body |= {"model": "m", limit: 24, "temperature": 0}
                for whom, url in (("itself", upstream), ("through Lazu", server.url)):
                    status, answer, done = ask(url, "k", path, body)
                    print(f"{name:9}  {title:31}  {whom:12}  {status}  {said(status, answer)!r}  {done[-8:]}")
        stream = client.responses.create(
            model="m", input=[{"role": "user", "content": [{"type": "input_file", "file_id": file_id}]}],
            stream=True, max_output_tokens=24,
        )  # fmt: skip
        kinds = [event.type for event in stream]
        print(f"stream: {len(kinds)} events, from {kinds[0]} to {kinds[-1]}")
        print("models:", [model.id for model in client.models.list()])


def commands(folder, url, path):
    """The command of each client that asks `url` about the file at `path`."""
    for name in CLIENTS:
        yield name, [f"{folder}/{name}/bin/python", f"scripts/clients/ask_{name}.py", url, path, MODEL]
    yield "ai_sdk", ["node", f"{folder}/ai_sdk/ask_ai_sdk.mjs", url, path, MODEL]
    words = ["-m", MODEL, "--no-stream", "-o", "max_tokens", "24", "-a", path, QUESTION["text"]]
    yield "llm", [f"{folder}/llm/bin/llm", *words]


def libraries(folder, upstream, server):
    """Print what each client library gets for a PDF and for a docx."""
    with tempfile.TemporaryDirectory() as home:
        for name, data in (("paper.pdf", pages(words(SAID))), ("letter.docx", docx(paragraph(SAID)))):
            path = Path(home, name)
            path.write_bytes(data)
            for whom, base in (("itself", upstream), ("through Lazu", server.url)):
                env = {**os.environ, "LLM_USER_PATH": home, "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{base}/v1"}
                for client, command in commands(folder, f"{base}/v1", str(path)):
                    print(f"{name:12} {client:12} {whom:12}  {told(command, env)}", flush=True)


def told(command, env):
    """The last line that a client prints, or how it failed."""
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return "no answer in 120 s"
    if not done.returncode:
        return f"answered: {done.stdout.strip()[:60]!r}"
    lines = done.stderr.splitlines()
    return f"failed: {([line for line in lines if 'rror' in line] or lines)[-1][:150]}"


def main(folder):
    """Start both servers, compare, and stop them."""
    command = [f"{folder}/venv/bin/python", "scripts/llama_server.py", f"{folder}/model.gguf"]
    with tempfile.TemporaryDirectory() as home, open(f"{home}/llama.log", "w") as log:
        llama = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        upstream = llama.stdout.readline().strip()
        env = {"LAZU_UPSTREAM_URL": f"{upstream}/v1", "LAZU_UPSTREAM_FILES": "text", "LAZU_API_KEY": "k"}
        server = Server(Path(home) / "storage", env)
        try:
            compare(upstream, server.start())
            libraries(folder, upstream, server)
        finally:
            server.stop()
            llama.kill()
            llama.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
