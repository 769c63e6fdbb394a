"""`/openapi.json`: the description of the API for machines.

Paths are written by hand in `openapi.json` beside this file. What has a table in the code comes from there: the file
object (`FILE_OBJECT`), the purposes (`PURPOSES`), and for each status its error codes (`errors.table`).
"""

import json
import pkgutil
from itertools import groupby
from typing import Any

from flask import Blueprint

from lazu import errors, filetypes
from lazu.store.tables import FILE_OBJECT

bp = Blueprint("description", __name__)

#: Headers that the answers of a status carry beside those of all, and what they hold.
_HEADERS = {
    "401": ("WWW-Authenticate", "`Bearer`"),
    "416": ("Content-Range", "`bytes */SIZE`"),
    "507": ("x-should-retry", "`false`"),
}


def _purpose() -> dict[str, Any]:
    rules = "; ".join(f"`{name}`: {purpose.rule()}" for name, purpose in filetypes.PURPOSES.items())
    return {"type": "string", "enum": list(filetypes.PURPOSES), "description": f"{rules}."}


def _file() -> dict[str, Any]:
    properties = {
        **FILE_OBJECT,
        "bytes": {**FILE_OBJECT["bytes"], "maximum": filetypes.MAX_BYTES},
        "purpose": {"$ref": "#/components/schemas/Purpose"},
    }
    return {"type": "object", "additionalProperties": False, "required": list(FILE_OBJECT), "properties": properties}


def _answer(status: str, rows: list[tuple[int, str, str]]) -> dict[str, Any]:
    """The answer of a status: its codes, and what they mean."""
    codes = {"properties": {"code": {"enum": sorted({code for _, code, _ in rows})}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"error": codes}}]}
    answer: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {meaning}" for _, code, meaning in rows),
        "content": {"application/json": {"schema": schema}},
    }
    if status in _HEADERS:
        name, value = _HEADERS[status]
        answer["headers"] = {name: {"schema": {"type": "string"}, "description": value}}
    return answer


def _description() -> dict[str, Any]:
    described: dict[str, Any] = json.loads(pkgutil.get_data(__name__, "openapi.json") or b"")
    described["components"]["schemas"] |= {"Purpose": _purpose(), "File": _file()}
    by_status = groupby(sorted(set(errors.table())), key=lambda row: str(row[0]))
    described["components"]["responses"] = {status: _answer(status, list(rows)) for status, rows in by_status}
    return described


_DESCRIPTION = _description()


@bp.get("/openapi.json")
def describe() -> dict[str, Any]:
    """The description, in OpenAPI 3.1."""
    return _DESCRIPTION
