"""`/v1/files`: one view for each row of the API's table."""

from typing import Any

from flask import Blueprint, Response, request

from lazu import filetypes
from lazu.routes.body import Body
from lazu.routes.content import send
from lazu.routes.context import caller, store
from lazu.routes.form import receive
from lazu.routes.multipart import at_least, parts
from lazu.store import files

bp = Blueprint("files", __name__, url_prefix="/v1/files")


@bp.post("")
def upload_file() -> dict[str, Any]:
    """Upload."""
    key = caller()
    blobs, expected = store().files.blobs, min(request.content_length or 0, filetypes.MAX_BYTES)
    blobs.require(expected)
    store().files.require(key, at_least(request.content_length))
    form = parts(Body().read, request.headers.get("Content-Type", ""))
    with receive(form, blobs, expected) as upload:
        return store().files.create(key, upload).as_json()


@bp.get("")
def list_files() -> tuple[dict[str, Any], dict[str, str]]:
    """List."""
    key = caller()
    page = store().files.page(key, files.paging(request.args.to_dict()))
    data, limit = page.files, store().files.limit(key)
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    told = {"x-lazu-quota-bytes": str(limit)} if limit else {}
    return {"object": "list", "data": data, **ends, "has_more": page.has_more}, told


@bp.get("/<file_id>")
def get_file(file_id: str) -> dict[str, Any]:
    """Metadata."""
    return store().files.get(caller(), file_id).as_json()


@bp.get("/<file_id>/content")
def download_file(file_id: str) -> Response:
    """Download."""
    return send(store().files.get(caller(), file_id))


@bp.delete("/<file_id>")
def delete_file(file_id: str) -> dict[str, Any]:
    """Delete."""
    store().files.delete(caller(), file_id)
    return {"id": file_id, "object": "file", "deleted": True}
