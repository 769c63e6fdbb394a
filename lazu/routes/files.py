"""`/v1/files`: one view for each row of the API's table."""

import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request

from lazu import ids
from lazu.errors import InvalidRequest
from lazu.routes.content import send
from lazu.routes.context import caller, callers_file, callers_page, store
from lazu.routes.form import take
from lazu.store.files import Page
from lazu.store.list_rows import MAX_LIMIT, Paging

bp = Blueprint("files", __name__, url_prefix="/v1/files")


@bp.post("")
def upload_file() -> dict[str, Any]:
    """Upload."""
    return take(caller()).as_json()


@bp.get("")
def list_files() -> Response:
    """List."""
    key, page = callers_page(_paging())
    limit = store().files.limit(key)
    told = {"x-lazu-quota-bytes": str(limit)} if limit else {}
    body = _list(page)
    return Response("".join(body) if page.is_short else body, headers=told, mimetype="application/json")


def _paging() -> Paging:
    """What the query string asks for; raises `InvalidRequest` that names the parameter, or `InvalidApiKey` first."""
    try:
        return _read(request.args.to_dict(flat=False))
    except InvalidRequest:
        caller()  # who has no key hears of that, and of nothing else
        raise


def _read(sent: dict[str, list[str]]) -> Paging:
    query = {name: _one(name, sent[name]) for name in ("limit", "order", "after", "purpose") if name in sent}
    limit, order, after = query.get("limit", str(MAX_LIMIT)), query.get("order", "desc"), query.get("after")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MAX_LIMIT):
        raise InvalidRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}.", "limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("order must be 'asc' or 'desc'.", "order")
    if after is not None and not ids.is_file_id(after):
        raise InvalidRequest("after must be a file id, as last_id of the page before.", "after")
    return Paging(int(limit), order == "desc", after, query.get("purpose"))


def _one(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise InvalidRequest(f"{name} may be given once only.", name)
    return values[0]


def _list(page: Page) -> Iterator[str]:
    """The list, piece by piece: it breaks off when the store fails after the first one."""
    before = '{"object":"list","data":['
    for objects in page:
        yield before + objects
        before = ","
    ends = json.dumps({"first_id": page.first_id, "last_id": page.last_id, "has_more": page.has_more})
    yield f"{'' if page.first_id else before}],{ends[1:]}\n"


@bp.get("/<file_id>")
def get_file(file_id: str) -> dict[str, Any]:
    """Metadata."""
    return callers_file(file_id).as_json()


@bp.get("/<file_id>/content")
def download_file(file_id: str) -> Response:
    """Download."""
    return send(callers_file(file_id))


@bp.delete("/<file_id>")
def delete_file(file_id: str) -> dict[str, Any]:
    """Delete."""
    store().files.delete(caller(), file_id)
    return {"id": file_id, "object": "file", "deleted": True}
