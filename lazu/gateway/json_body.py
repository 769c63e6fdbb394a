"""A JSON request body: received within limits, and parsed as every other parser would.

The text is held once, and while it is parsed or written anew a second time; files never are
(docs/decisions/0040-splice.md).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lazu.errors import BodyTooLarge, InvalidRequest
from lazu.sizes import JSON_BODY, words

#: How many values a body may have, counted by what separates them, also within strings: each takes up to 200 bytes of
#: memory when parsed, so that 128 MB of `{},{},…` would take gigabytes. A text of 1,000 pages has some 30,000 commas.
MAX_VALUES = 2**20

_READ = 2**20


def receive(read: Callable[[int], bytes], length: int | None, limit: int = JSON_BODY) -> bytearray:
    """The whole body that `read(size)` gives, `length` bytes if known; raises `BodyTooLarge` and what `read` does."""
    if length is not None and length > limit:
        raise BodyTooLarge(words(limit))
    body = bytearray()
    while chunk := read(_READ):
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(words(limit))
    return body


def parse(body: bytearray) -> dict[str, Any]:
    """The JSON object in `body`, in UTF-8; raises `InvalidRequest`.

    An object with one name twice is refused (RFC 8259 §4 leaves open which counts): the upstream might take the other
    one, and with it a file id that was never looked at.
    """
    if sum(map(body.count, b",[{")) > MAX_VALUES:
        raise InvalidRequest(f"The request body has more than {MAX_VALUES} values. Upload long texts as files.")
    try:
        with shallow():
            tree = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except UnicodeDecodeError as e:
        raise InvalidRequest("The request body is not UTF-8.") from e
    except ValueError as e:
        raise InvalidRequest(f"The request body is not valid JSON: {e}") from e
    if not isinstance(tree, dict):
        raise InvalidRequest("The request body must be a JSON object.")
    return tree


def write(tree: dict[str, Any]) -> str:
    """`tree` as ASCII JSON text; raises `InvalidRequest` for a number that JSON can't hold, as 1e999."""
    try:
        with shallow():
            return json.dumps(tree, allow_nan=False, separators=(",", ":"))
    except ValueError as e:
        raise InvalidRequest("The request body has a number out of range.") from e


@contextmanager
def shallow() -> Iterator[None]:
    """Raise `InvalidRequest` where Python's stack is not deep enough for a request."""
    try:
        yield
    except RecursionError as e:
        raise InvalidRequest("The request body is nested too deeply.") from e


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a name twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
