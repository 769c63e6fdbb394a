"""The conditions and the range under which a request asks for a file's bytes (RFC 9110 §13 and §14).

nginx reads the same headers when it sends the bytes, and both have to answer alike: `agreed` says when it does.
"""

import re

from flask import request

from lazu import clock
from lazu.errors import PreconditionFailed, RangeNotSatisfiable
from lazu.store.tables import File

# One range, with the space and the empty elements that a list may have (RFC 9110 §5.6.1.2).
_ONE = re.compile(r"bytes=[ \t,]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t,]*", re.IGNORECASE)
#: The spelling of one range that nginx reads as `wanted` does; others it takes for malformed, and answers by itself.
_PLAIN = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")

#: As many digits as are read (Python converts 4300); what is left is past the end of any file all the same.
_DIGITS = 4000


def unchanged(file: File) -> bool:
    """Whether the client has these bytes already, so that the answer is 304; raises `PreconditionFailed`.

    The order is that of RFC 9110 §13.2.2; dates that are none are ignored.
    """
    if request.if_match:
        if not request.if_match.contains(file.sha256):
            raise PreconditionFailed
    elif file.created_at > _date("If-Unmodified-Since", file.created_at):
        raise PreconditionFailed
    if request.if_none_match:
        return request.if_none_match.contains_weak(file.sha256)
    return file.created_at <= _date("If-Modified-Since", file.created_at - 1)


def wanted(file: File) -> tuple[int, int] | None:
    """The one byte range asked for, as start and end (exclusive); None for the whole file.

    Several ranges, other units and malformed headers count as none (RFC 9110 §14.2). Raises `RangeNotSatisfiable`.
    """
    match = _ONE.fullmatch(request.headers.get("Range", ""))
    if request.method != "GET" or not match or not _fresh(file):
        return None
    first, last, suffix = match.groups()
    if suffix:
        start, end = max(0, file.bytes - _number(suffix)), file.bytes
    else:
        start, end = _number(first), _number(last) + 1 if last else file.bytes
        if end <= start and last:
            return None
    if start >= file.bytes:
        raise RangeNotSatisfiable(file.bytes)
    return start, min(end, file.bytes)


def agreed(part: tuple[int, int] | None) -> bool:
    """Whether nginx would answer as we do, `part` being what `wanted` gave.

    It would not on `If-Match` and `If-Unmodified-Since`: nginx always compares them with the time of the blob, which
    must stay hidden.
    """
    headers = request.headers
    sent = headers.get("Range")
    alike = sent is None if part is None else _PLAIN.fullmatch(sent or "") is not None
    compared = "If-Match" in headers or "If-Unmodified-Since" in headers  # also an empty one, which is none for us
    return request.method == "GET" and alike and not compared


def _fresh(file: File) -> bool:
    """Whether If-Range, if sent, still names these bytes (RFC 9110 §13.1.5: a strong match, or the exact date)."""
    sent = request.headers.get("If-Range")
    return sent is None or sent in (f'"{file.sha256}"', clock.http_date(file.created_at))


def _number(digits: str) -> int:
    return int(digits.lstrip("0")[:_DIGITS] or 0)


def _date(header: str, otherwise: int) -> int:
    """The date in `header` in Unix seconds, `otherwise` where there is none."""
    seconds = clock.from_http_date(request.headers.get(header, ""))
    return otherwise if seconds is None else seconds
