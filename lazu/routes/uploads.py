"""`/v1/uploads`: files that come in parts, one view for each row of the API's table."""

from typing import Any

from flask import Blueprint

from lazu.routes.context import caller, store
from lazu.routes.form import take_part
from lazu.routes.upload_bodies import completion, declared
from lazu.store.tables import File, Upload, UploadPart

bp = Blueprint("uploads", __name__, url_prefix="/v1/uploads")


@bp.post("")
def create_upload() -> dict[str, Any]:
    """Create."""
    key = caller()
    return _upload(store().uploads.create(key, declared(key)))


@bp.post("/<upload_id>/parts")
def add_part(upload_id: str) -> dict[str, Any]:
    """Add a part."""
    return _part(take_part(caller(), upload_id))


@bp.post("/<upload_id>/complete")
def complete_upload(upload_id: str) -> dict[str, Any]:
    """Complete."""
    key = caller()
    store().uploads.get(key, upload_id)
    return _upload(*store().uploads.complete(key, upload_id, completion(key)))


@bp.post("/<upload_id>/cancel")
def cancel_upload(upload_id: str) -> dict[str, Any]:
    """Cancel."""
    return _upload(store().uploads.cancel(caller(), upload_id))


def _upload(upload: Upload, file: File | None = None) -> dict[str, Any]:
    """The upload object of the API."""
    told = {name: upload.__data__[name] for name in ("bytes", "created_at", "filename", "purpose")}
    state = {"status": upload.status, "expires_at": upload.expires_at, "file": file and file.as_json()}
    return {"id": upload.id, "object": "upload", **told, **state}


def _part(part: UploadPart) -> dict[str, Any]:
    """The part object of the API."""
    return {"id": part.id, "object": "upload.part", "created_at": part.created_at, "upload_id": part.upload_id}
