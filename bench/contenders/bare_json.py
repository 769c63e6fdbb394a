"""The least that Flask does for a request: a route, a constant, JSON of the size of a file object; bodies are read.

It runs under Lazu's own gunicorn.conf.py, whose worker asks the application for its settings.
"""

from contextlib import nullcontext
from types import SimpleNamespace

from flask import Flask, request

from lazu import config
from lazu.gateway.upstream import Upstream


def bare(name: str) -> Flask:
    """An application without a route, with what Lazu's worker asks for."""
    made, settings = Flask(name), config.read().settings
    made.extensions["lazu.upstream"] = Upstream(settings)
    made.extensions["lazu"] = SimpleNamespace(
        settings=settings,
        contents=SimpleNamespace(close=lambda: None),
        engine=SimpleNamespace(connected=nullcontext, serve=lambda: None, disconnect=lambda: None),
        keys=SimpleNamespace(owner=lambda _: None, tell=lambda: None),
    )
    return made


app = bare(__name__)

FILE = {
    "object": "file",
    "bytes": 4096,
    "created_at": 1779587764,
    "expires_at": 1782179764,
    "filename": "paper.pdf",
    "purpose": "user_data",
    "status": "processed",
}


@app.get("/v1/files/<file_id>")
def show(file_id: str) -> dict[str, object]:
    return {"id": file_id, **FILE}


@app.post("/v1/files")
def take() -> dict[str, object]:
    request.get_data()
    return {"id": "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX", **FILE}
