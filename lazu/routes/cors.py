"""Which pages of other origins may call the API (LAZU_CORS_ORIGINS), in the terms of the Fetch standard §3.2.

Keys travel in a header that a page sets itself. So what that standard calls credentials (cookies) is never allowed,
and a page of any origin can do no more than curl.
"""

from flask import Response, request

from lazu.routes.context import store

#: Every method of the API.
METHODS = "GET, HEAD, POST, DELETE"

#: `*` stands for every header but Authorization, which has to be named.
HEADERS = "*, Authorization"

#: What of an answer a page may read beside its type and length. The OpenAI SDKs read the last two before they repeat.
EXPOSED = (
    "x-request-id, x-lazu-files, x-lazu-quota-bytes, content-disposition, content-range, accept-ranges, etag, allow, "
    "retry-after, x-should-retry"
)

#: Seconds that a browser keeps the answer to a preflight.
MAX_AGE = "7200"


def preflight() -> Response | None:
    """The answer to OPTIONS by a browser that asks whether a page may send its request; None to any other."""
    if "Access-Control-Request-Method" not in request.headers or _allowed() is None:
        return None
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": MAX_AGE,
    }
    return Response(status=204, headers=headers)


def mark(response: Response) -> None:
    """Say on `response`, an error too, whether the page that asked may read it."""
    if not _origins():
        return
    response.vary.add("Origin")
    allowed = _allowed()
    if allowed is not None:
        response.headers["Access-Control-Allow-Origin"] = allowed
        response.headers["Access-Control-Expose-Headers"] = EXPOSED


def _allowed() -> str | None:
    """The `Access-Control-Allow-Origin` for this request: None without an origin, or when it is not in the setting."""
    origin = request.headers.get("Origin")
    if origin is None:
        return None
    named = origin if origin in _origins() else None
    return "*" if "*" in _origins() else named


def _origins() -> frozenset[str]:
    return store().settings.cors_origins
