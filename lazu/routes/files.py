"""`/v1/files`: one view for each row of the API's table."""

import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request

from lazu.routes.content import send
from lazu.routes.context import caller, callers_file, store
from lazu.routes.form import take
from lazu.store.files import Page, paging

bp = Blueprint("files", __name__, url_prefix="/v1/files")


@bp.post("")
def upload_file() -> dict[str, Any]:
    """Upload."""
    return take(caller()).as_json()


@bp.get("")
def list_files() -> Response:
    """List."""
    key = caller()
    page, limit = Page(key, paging(request.args.to_dict(flat=False))), store().files.limit(key)
    told = {"x-lazu-quota-bytes": str(limit)} if limit else {}
    body = _list(page)
    return Response("".join(body) if page.is_short else body, headers=told, mimetype="application/json")


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
