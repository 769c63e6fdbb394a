"""`/openapi.json`: the description of the API for machines, written by hand in `openapi.json` beside this file."""

import json
import pkgutil
from typing import Any

from flask import Blueprint

bp = Blueprint("description", __name__)

_DESCRIPTION: dict[str, Any] = json.loads(pkgutil.get_data(__name__, "openapi.json") or b"")


@bp.get("/openapi.json")
def describe() -> dict[str, Any]:
    """The description, in OpenAPI 3.1."""
    return _DESCRIPTION
