"""The page for people who would rather look than type (`/`), the API as a page (`/docs`): the static files beside this.

Everything that they show comes from the API, by the visitor's own key; nothing here is made from a request. The browser
is told to run no script but these, to let none write markup, and to send nothing anywhere else.
"""

import hashlib
import json
import pkgutil
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from flask import Blueprint, Response, request

from lazu import filetypes
from lazu.errors import NotFound
from lazu.gateway import parts
from lazu.routes.context import store

bp = Blueprint("page", __name__)

KINDS = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "json": "application/json",
}

#: No inline script or style, no other host, no frame around it, no form that a browser sends by itself (it would put a
#: key into the URL), and no string ever parsed as markup (Trusted Types without a policy). Previews are blobs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "frame-src blob:; object-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

UNKNOWN = "Unknown URL. The Files API is at /v1/files."

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, but asked for each time: scripts of two releases never meet
}


@dataclass(frozen=True)
class Asset:
    """A static file: its bytes, their type, and the hash that is their ETag."""

    data: bytes
    content_type: str
    etag: str


def _asset(name: str, data: bytes) -> Asset:
    kind = KINDS[name.rpartition(".")[2]]
    return Asset(data, f"{kind}; charset=utf-8", hashlib.sha256(data).hexdigest()[:32])


_FILES = {
    entry.name: _asset(entry.name, pkgutil.get_data(__name__, entry.name) or b"")
    for entry in files(__name__).iterdir()
    if entry.name.rpartition(".")[2] in KINDS
}


@bp.get("/")
def show() -> Response:
    """The page, for a browser; any other client learns that the API is elsewhere."""
    if "text/html" not in dict(request.accept_mimetypes):
        raise NotFound(UNKNOWN)
    response = _send(_FILES["index.html"])
    response.vary.add("Accept")
    return response


@bp.get("/docs")
def describe() -> Response:
    """The API as a page, made from `/openapi.json` in the browser."""
    return _send(_FILES["docs.html"])


@bp.get("/page/rules.json")
def rules() -> Response:
    """What the page knows before it asks: which purpose to propose, when to ask first, what goes as a picture."""
    return _send(_asset("rules.json", json.dumps(_rules()).encode()))


@bp.get("/page/<name>")
def send_asset(name: str) -> Response:
    """A script, a style sheet or a picture of the pages."""
    if name not in _FILES:
        raise NotFound(UNKNOWN)
    return _send(_FILES[name])


def _rules() -> dict[str, Any]:
    purposes = {
        name: {"max_bytes": purpose.max_bytes, "types": sorted(purpose.types or ())}
        for name, purpose in filetypes.PURPOSES.items()
    }
    settings = store().settings
    return {
        "purposes": purposes,
        "executable": sorted(filetypes.EXECUTABLE_EXTENSIONS),
        "retention_days": settings.retention_days,
        "pictures": parts.pictures(settings.upstream_files),
    }


def _send(asset: Asset) -> Response:
    response = Response(asset.data, content_type=asset.content_type, headers=HEADERS)
    response.set_etag(asset.etag)
    response.make_conditional(request)
    return response
