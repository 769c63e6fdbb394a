"""Which pages of other origins may call the API (LAZU_CORS_ORIGINS), in the terms of the Fetch standard §3.2.

Keys travel in a header that a page sets itself. So what that standard calls credentials (cookies) is never allowed,
and a page of any origin can do no more than curl.
"""

from flask import Response, request

#: The methods of the API, and those whose 405 a page is to read.
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"

#: `*` stands for every header but Authorization, which has to be named.
HEADERS = "*, Authorization"

#: What of an answer a page may read beside its type and length. The OpenAI SDKs read the last three before they repeat.
EXPOSED = (
    "x-request-id, x-lazu-files, x-lazu-quota-bytes, content-disposition, content-range, accept-ranges, etag, allow, "
    "x-upstream-request-id, retry-after, retry-after-ms, x-should-retry"
)

#: Seconds that a browser keeps the answer to a preflight.
MAX_AGE = "7200"


def preflight(origins: frozenset[str]) -> Response | None:
    """The answer to OPTIONS by a browser that asks whether a page of `origins` may send its request, or None."""
    if "Access-Control-Request-Method" not in request.headers or _allowed(origins) is None:
        return None
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": MAX_AGE,
    }
    return Response(status=204, headers=headers)


def mark(response: Response, origins: frozenset[str]) -> None:
    """Say on `response`, an error too, whether the page that asked may read it; those of `origins` may."""
    if not origins:
        return
    response.vary.add("Origin")
    allowed = _allowed(origins)
    if allowed is not None:
        response.headers["Access-Control-Allow-Origin"] = allowed
        response.headers["Access-Control-Expose-Headers"] = EXPOSED


def _allowed(origins: frozenset[str]) -> str | None:
    """The `Access-Control-Allow-Origin` for this request: None without an origin, or when it is none of `origins`."""
    origin = request.headers.get("Origin")
    if origin is None:
        return None
    named = origin if origin in origins else None
    return "*" if "*" in origins else named
