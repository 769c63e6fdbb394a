"""`expires_after`: how long a file is to live, as a form or a JSON body says it.

A way to say it that is not understood is refused: a file that was to go after an hour must not stay for a month.
"""

import re
from typing import Any

from lazu.errors import InvalidRequest
from lazu.gateway import json_body

#: Seconds: an hour to 30 days, as in the OpenAI API.
SHORTEST, LONGEST = 3600, 2592000

_NAME = "expires_after"
#: As most SDKs send it in a form; openai-ruby sends one field of JSON, under the bare name.
_ANCHOR, _SECONDS = f"{_NAME}[anchor]", f"{_NAME}[seconds]"
#: How other spellings of them begin, as `expires_after.seconds` and `expiresAfter`.
_SPELLED = re.compile(r"expires[\W_]*after", re.IGNORECASE)
_WAYS = f"Send {_NAME} as one JSON object with anchor and seconds, or in a form {_ANCHOR}=created_at and {_SECONDS}."

#: A whole number as text; Python's `timedelta.total_seconds()` has a `.0`.
_WHOLE = re.compile(r"([0-9]{1,9})(\.0+)?")


def is_expiry(name: str) -> bool:
    """Whether `form_lifetime` reads the field `name` of a form; raises `InvalidRequest` for other spellings."""
    return _is_one(name, (_NAME, _ANCHOR, _SECONDS))


def form_lifetime(fields: dict[str, str]) -> int | None:
    """The lifetime in the fields of a form, in seconds, None if there is none; raises `InvalidRequest`."""
    ways = [_of_pair(fields), _of_text(fields.get(_NAME, "null"))]
    found = {seconds for seconds in ways if seconds is not None}
    if len(found) > 1:
        raise InvalidRequest(f"The form has two lifetimes. {_WAYS}", _NAME)
    return found.pop() if found else None


def json_lifetime(body: dict[str, Any]) -> int | None:
    """The lifetime in a JSON body, in seconds, None if there is none; raises `InvalidRequest`."""
    for name in body:
        _is_one(name, (_NAME,))
    return _of_value(body.get(_NAME))


def _is_one(name: str, names: tuple[str, ...]) -> bool:
    """Whether `name` is one of `names`; raises `InvalidRequest` for another spelling of them."""
    if name not in names and _SPELLED.match(name):
        raise InvalidRequest(_WAYS, _NAME)
    return name in names


def _of_value(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("anchor") != "created_at":
        raise InvalidRequest(f"{_NAME} must have the anchor 'created_at'.", _NAME)
    seconds = json_body.whole(value.get("seconds"))
    if seconds is None or not SHORTEST <= seconds <= LONGEST:
        raise InvalidRequest(f"{_NAME}.seconds must be a whole number from {SHORTEST} to {LONGEST}.", _NAME)
    return seconds


def _of_pair(fields: dict[str, str]) -> int | None:
    if _ANCHOR not in fields and _SECONDS not in fields:
        return None
    if fields.get(_ANCHOR) != "created_at":
        raise InvalidRequest(f"{_ANCHOR} must be 'created_at'.", _ANCHOR)
    match = _WHOLE.fullmatch(fields.get(_SECONDS, ""))
    if not match or not SHORTEST <= int(match[1]) <= LONGEST:
        raise InvalidRequest(f"{_SECONDS} must be a whole number from {SHORTEST} to {LONGEST}.", _SECONDS)
    return int(match[1])


def _of_text(text: str) -> int | None:
    if text.strip() == "null":
        return None
    try:
        value = json_body.parse(bytearray(text, "utf-8"))
    except InvalidRequest as e:
        raise InvalidRequest(_WAYS, _NAME) from e
    return _of_value(value)
