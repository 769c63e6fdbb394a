"""A JSON request body: received within limits, and parsed as every other parser would.

The text is held once, and takes up to four times as much while it is parsed or written anew; files never are in memory
(docs/decisions/0040-splice.md).
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lazu.errors import BodyTooLarge, InvalidRequest
from lazu.gateway.budget import STEP, WIDE_BYTES, WIDENED, Budget
from lazu.sizes import JSON_BODY, words

#: How many values a body may have, counted by what separates them, also within strings: each takes up to 200 bytes of
#: memory when parsed, so that 128 MB of `{},{},…` would take gigabytes. A text of 1,000 pages has some 30,000 commas.
MAX_VALUES, _VALUE_BYTES = 2**20, 200

#: Bodies up to this size cost no more than the request itself; what is beyond is counted.
SMALL_BYTES = 2**20

#: How much of its Content-Length a body holds when it holds anything, so that few wait again. Not all of a larger one:
#: whoever announces it may never send it.
_AHEAD = 16 * 2**20

_READ = 2**20

#: The bytes that begin no letter of several bytes in UTF-8.
_NO_LEADS = bytes(range(0xC0))

#: A backslash before a letter beyond ASCII, where each pair of backslashes was taken out: no JSON.
_STRAY_ESCAPE = re.compile(rb"\\[\x80-\xff]")

_NO_OBJECT = "The request body must be a JSON object."


class Text(bytearray):
    """A body of `key` on its way in; what it holds of `budget` goes back with it."""

    def __init__(self, budget: Budget, key: int, limit: int = JSON_BODY) -> None:
        super().__init__()
        self._budget, self._key, self._limit = budget, key, limit
        self._held, self._ahead, self._most = 0, 0, limit
        self._place: int | None = None

    def add(self, chunk: bytes) -> None:
        """Append `chunk`; raises `BodyTooLarge`, `Overloaded`, `ClientLeft`."""
        self.require_room(len(self) + len(chunk))
        if len(self) + len(chunk) > self._held + SMALL_BYTES:
            size = min(max(self._held + STEP, self._ahead), self._most)
            self._hold(size, self._most - size)
        self.extend(chunk)

    def require_room(self, size: int) -> None:
        """Raise `BodyTooLarge` if a body may not have `size` bytes."""
        if size > self._limit:
            cure = "Upload files and send their ids." if self._limit == JSON_BODY else ""
            raise BodyTooLarge(words(self._limit), cure)

    def expect(self, size: int) -> None:
        """Note that `size` bytes will come, to be held at once when any are, up to `_AHEAD`; raises `BodyTooLarge`."""
        self.require_room(size)
        self._ahead, self._most = min(size, _AHEAD), max(size, STEP)

    def weigh(self) -> None:
        """Hold the memory that parsing it will take beyond four times its size.

        Raises `InvalidRequest` for too many values, `Overloaded`, `ClientLeft`.
        """
        values = sum(map(self.count, b",[{"))
        if values > MAX_VALUES:
            raise InvalidRequest(f"The request body has more than {MAX_VALUES} values. Upload long texts as files.")
        more = values * _VALUE_BYTES if values * _VALUE_BYTES > max(4 * SMALL_BYTES, 3 * len(self)) else 0
        if len(self) > SMALL_BYTES and _may_widen(self):
            more += WIDENED * min(len(self), WIDE_BYTES)
        if more:
            self._hold(self._held + more, None)

    def _hold(self, size: int, rest: int | None) -> None:
        self._place = self._budget.hold(self._key, self._place, size, rest)
        self._held = size

    def __del__(self) -> None:
        if self._place is not None:
            self._budget.give_back(self._place)


def receive(read: Callable[[int], bytes], length: int | None, body: Text) -> Text:
    """Fill `body` with the whole body that `read(size)` gives, `length` bytes if known.

    Raises as `Text.add` and `Text.weigh`, and what `read` does.
    """
    if length is not None:
        body.expect(length)
    while chunk := read(_READ):
        body.add(chunk)
    body.weigh()
    return body


def parse(body: bytearray) -> dict[str, Any]:
    """The JSON object in `body`, in UTF-8; raises `InvalidRequest`.

    Takes four times the memory of `body` at most, and what `Text.weigh` has counted beyond.
    An object with one name twice is refused (RFC 8259 §4 leaves open which counts): the upstream might take the other
    one, and with it a file id that was never looked at.
    """
    if body.startswith(codecs.BOM_UTF8):  # PowerShell writes it, and RFC 8259 §8.1 lets us pass it over
        del body[: len(codecs.BOM_UTF8)]
    try:
        with shallow():
            tree = json.loads(_text(body), object_pairs_hook=_unique, parse_constant=_refuse)
    except UnicodeDecodeError as e:
        raise InvalidRequest("The request body is not UTF-8.") from e
    except json.JSONDecodeError as e:
        raise (_invalid(str(e)) if e.pos else InvalidRequest(_NO_OBJECT)) from e
    except ValueError as e:  # what Python says of a long number is about Python
        raise _invalid("a whole number has more than 4,300 digits") from e
    if not isinstance(tree, dict):
        raise InvalidRequest(_NO_OBJECT)
    return tree


def whole(value: Any) -> int | None:
    """`value` as JSON Schema counts whole numbers, 5.0 too; None if it is none."""
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def _text(body: bytearray) -> str:
    """`body` for the parser: in ASCII if it is large, has wide letters, and takes less memory so."""
    if len(body) <= SMALL_BYTES or not _may_widen(body):
        return body.decode()
    masked = body.replace(b"\\\\", b"..")
    if _STRAY_ESCAPE.search(masked):
        raise _invalid("a backslash before a letter that needs none")
    masked = masked.replace(b'\\"', b"..")
    if len(body) > WIDE_BYTES and _wide(masked) > WIDE_BYTES:
        raise InvalidRequest(f"Strings with letters beyond ASCII may have {words(WIDE_BYTES)}. Upload long texts.")
    del masked
    return body.decode() if _is_smaller_plain(body) else "".join(_escaped(body))


def _may_widen(body: bytearray) -> bool:
    """Whether letters beyond ASCII make strings of `body` larger in Python: one widens all letters of its string."""
    return not body.isascii() or b"\\u" in body


def _is_smaller_plain(body: bytearray) -> bool:
    """Whether `body`, in UTF-8, takes less memory decoded than escaped, which it takes twice for a moment."""
    leads = body.translate(None, _NO_LEADS)
    astral = len(leads.translate(None, bytes(range(0xF0))))
    three = len(leads.translate(None, bytes(range(0xE0)))) - astral
    two = len(leads) - three - astral
    letters = len(body) - two - 2 * three - 3 * astral
    width = 4 if astral else 2 if leads.translate(None, bytes(range(0xC4))) else 1
    return width * letters < 2 * (letters + 5 * (two + three) + 11 * astral)


def _wide(masked: bytearray) -> int:
    """Bytes of the strings that have letters beyond ASCII; in `masked` each quote begins or ends a string."""
    if masked.count(b'"') > 4 * MAX_VALUES:
        raise _invalid("more strings than values")
    total, end = 0, -1
    while (start := masked.find(b'"', end + 1)) >= 0 and (end := masked.find(b'"', start + 1)) >= 0:
        if masked.find(b"\\u", start, end) >= 0 or not masked[start:end].isascii():
            total += end - start
    return total


def _escaped(body: bytearray) -> Iterator[str]:
    """The JSON text `body` in ASCII alone, piece by piece; raises UnicodeDecodeError."""
    decoder, view = codecs.getincrementaldecoder("utf-8")(), memoryview(body)
    for at in range(0, len(body), _READ):
        piece = decoder.decode(view[at : at + _READ], at + _READ >= len(body))
        yield piece.encode("ascii", _ESCAPE).decode()


def _as_json(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: letters that can't be encoded, as the inside of a JSON string."""
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


_ESCAPE = "lazu-json"
codecs.register_error(_ESCAPE, _as_json)


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
        raise _invalid("an object has a name twice")
    return found


def _refuse(constant: str) -> Any:
    raise _invalid(f"{constant} is no JSON")


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"The request body is not valid JSON: {why}")
