"""The least that a box does for an answer out of PostgreSQL: a route, and one question whose answer is the whole body.

No key is looked at, no expiry and no limit of time; a thread keeps its connection. It runs as `bare_json` does, on the
database at BENCH_DATABASE, which a Lazu filled.
"""

import os
import threading

import psycopg
from flask import Response, request

from bench.contenders.bare_json import bare
from lazu.store.tables import OBJECT_JSON

QUESTIONS = {
    b"file": f"SELECT {OBJECT_JSON} || '\n' FROM file WHERE id = $1",
    b"list": f"""SELECT '{{"object":"list","data":[' || string_agg(object, ',') || '],"first_id":"' || max(id)
    || '","last_id":"' || min(id) || '","has_more":true}}\n'
    FROM (SELECT id, {OBJECT_JSON} AS object FROM file ORDER BY id DESC LIMIT $1) AS listed""",
}

app = bare(__name__)
mine = threading.local()


def answer(asked: bytes, value: str) -> Response:
    if not hasattr(mine, "connection"):
        mine.connection = psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True)
        for name, text in QUESTIONS.items():
            mine.connection.pgconn.prepare(name, text.encode())
    found = mine.connection.pgconn.exec_prepared(asked, [value.encode()])
    return Response(found.get_value(0, 0), mimetype="application/json")


@app.get("/v1/files/<file_id>")
def show(file_id: str) -> Response:
    return answer(b"file", file_id)


@app.get("/v1/files")
def show_all() -> Response:
    return answer(b"list", request.args["limit"])
