"""The bytes of a file as an HTTP answer: whole or one range, conditional, and inert in a browser.

Behind nginx the bytes go by X-Accel-Redirect; alone, gunicorn sends them by sendfile(2). Neither passes Python.
"""

import os
import unicodedata
from urllib.parse import quote

from flask import Response, request
from werkzeug.wsgi import wrap_file

from lazu import clock
from lazu.errors import RangeNotSatisfiable
from lazu.routes.context import store
from lazu.store.rows import File

#: A stored HTML or SVG file must never run as a page of this origin.
INERT = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


def send(file: File) -> Response:
    """The answer to GET and HEAD of the content of `file`; raises `RangeNotSatisfiable`."""
    response = Response(content_type=file.content_type, headers={**INERT, "Accept-Ranges": "bytes"})
    response.set_etag(file.sha256)
    # Of the file, not of the blob: the blob's time would tell that somebody stored these bytes before.
    response.headers["Last-Modified"] = clock.http_date(file.created_at)
    if request.if_none_match.contains_weak(file.sha256):
        response.status_code = 304
        return response
    response.headers["Content-Disposition"] = disposition(file.filename)
    _attach(response, file)
    return response


def disposition(name: str) -> str:
    """`attachment` with `name`, for old clients in ASCII and for others in UTF-8 (RFC 6266 §4.3, RFC 8187)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = "".join("_" if c in '"\\%' else c for c in plain)
    value = f'attachment; filename="{safe or "download"}"'
    return value if safe == name else f"{value}; filename*=UTF-8''{quote(name, safe='')}"


def _attach(response: Response, file: File) -> None:
    part = _range(file)
    location = store().settings.accel_location
    if location is not None and _plain(part):
        response.headers["X-Accel-Redirect"] = f"{location}{file.sha256[:2]}/{file.sha256}"
        return
    start, end = part or (0, file.bytes)
    if end - start < file.bytes:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.bytes}"
    response.content_length = end - start
    if request.method == "GET":
        blob = store().files.blobs.open(file.sha256)
        os.lseek(blob.fileno(), start, os.SEEK_SET)
        response.response = wrap_file(request.environ, blob)
        response.direct_passthrough = True


def _plain(part: tuple[int, int] | None) -> bool:
    """Whether nginx would answer as we do: not where it reads a range otherwise, or compares with the blob's own time.

    That time must stay hidden, and nginx honours If-Unmodified-Since and If-Match whatever it is told.
    """
    named = set(request.headers.keys())
    agreed = part is not None or "Range" not in named
    return request.method == "GET" and agreed and not named & {"If-Unmodified-Since", "If-Match"}


def _range(file: File) -> tuple[int, int] | None:
    """The one byte range asked for, as start and end (exclusive); None for the whole file.

    Several ranges, other units and malformed headers count as none (RFC 9110 §14.2).
    """
    asked = request.range
    if request.method != "GET" or asked is None or asked.units != "bytes" or len(asked.ranges) != 1 or not _fresh(file):
        return None
    start, end = asked.ranges[0]
    start = max(0, file.bytes + start) if start < 0 else start
    if start >= file.bytes:
        raise RangeNotSatisfiable(file.bytes)
    return start, min(file.bytes, end if end is not None else file.bytes)


def _fresh(file: File) -> bool:
    """Whether If-Range, if sent, still names these bytes (RFC 9110 §13.1.5: a strong match, or the exact date)."""
    sent = request.headers.get("If-Range")
    return sent is None or sent in (f'"{file.sha256}"', clock.http_date(file.created_at))
