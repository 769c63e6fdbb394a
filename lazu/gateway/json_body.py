"""A JSON request body: received within limits, and parsed as every other parser would.

The text is held once, and while it is parsed or written anew a second time; files never are
(docs/decisions/0040-splice.md).
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lazu.errors import BodyTooLarge, InvalidRequest, Overloaded
from lazu.sizes import JSON_BODY, words

#: How many values a body may have, counted by what separates them, also within strings: each takes up to 200 bytes of
#: memory when parsed, so that 128 MB of `{},{},…` would take gigabytes. A text of 1,000 pages has some 30,000 commas.
MAX_VALUES = 2**20

#: Bodies up to this size cost no more than the request itself; what is beyond counts in steps.
SMALL_BYTES, _STEP = 2**20, 4 * 2**20

#: What bodies may take together, of all processes of the box, while they come and until they are sent on. Each of them
#: takes up to four times as much for the moment in which it is parsed.
BOX_BYTES = 512 * 2**20

_READ = 2**20


class Budget:
    """Memory for the bodies of one process, in bytes; what is held longer than a moment counts."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Raise `Overloaded` if there are not so many left."""
        with self._lock:
            if size > self._left:
                raise Overloaded
            self._left -= size

    def give(self, size: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._left += size


class Text(bytearray):
    """A body on its way in; what it has taken of `budget` goes back with it."""

    def __init__(self, budget: Budget, limit: int) -> None:
        super().__init__()
        self._budget, self._limit = budget, limit
        self._taken = 0

    def add(self, chunk: bytes) -> None:
        """Append `chunk`; raises `BodyTooLarge`, `Overloaded`."""
        if len(self) + len(chunk) > self._limit:
            raise BodyTooLarge(words(self._limit))
        if len(self) + len(chunk) > self._taken + SMALL_BYTES:
            self._budget.take(_STEP)
            self._taken += _STEP
        self.extend(chunk)

    def __del__(self) -> None:
        self._budget.give(self._taken)


def receive(read: Callable[[int], bytes], length: int | None, budget: Budget, limit: int = JSON_BODY) -> Text:
    """The whole body that `read(size)` gives, `length` bytes if known; raises as `Text.add`, and what `read` does."""
    if length is not None and length > limit:
        raise BodyTooLarge(words(limit))
    body = Text(budget, limit)
    while chunk := read(_READ):
        body.add(chunk)
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
