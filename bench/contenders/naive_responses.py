"""What one writes first for files in a Responses call: read, b64encode, one big dict, `requests`."""

import base64
import os
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response, request

FILES = Path(os.environ["BENCH_NAIVE"])
UPSTREAM = os.environ["BENCH_UPSTREAM"]

app = Flask(__name__)


def inline(part: dict[str, Any]) -> dict[str, Any]:
    if "file_id" not in part:
        return part
    data = base64.b64encode((FILES / part["file_id"]).read_bytes()).decode()
    return {"type": part["type"], "filename": "data.dat", "file_data": f"data:application/octet-stream;base64,{data}"}


@app.post("/v1/responses")
def respond() -> Response:
    body = request.get_json()
    for item in body["input"]:
        item["content"] = [inline(part) for part in item["content"]]
    answer = requests.post(UPSTREAM, json=body, timeout=60)
    return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])
