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
#: Other spellings that clients have of them, as `expires_after.seconds`.
_SPELLED = re.compile(rf"{_NAME}(\W.*)?", re.DOTALL)
_WAYS = f"Send {_ANCHOR}=created_at and {_SECONDS}, or {_NAME} as one JSON object with anchor and seconds."


def is_expiry(name: str) -> bool:
    """Whether `form_lifetime` reads the field `name` of a form; raises `InvalidRequest` for other spellings."""
    known = name in (_NAME, _ANCHOR, _SECONDS)
    if not known and _SPELLED.fullmatch(name):
        raise InvalidRequest(_WAYS, _NAME)
    return known


def form_lifetime(fields: dict[str, str]) -> int | None:
    """The lifetime in the fields of a form, in seconds, None if there is none; raises `InvalidRequest`."""
    ways = [_of_pair(fields), _of_text(fields.get(_NAME, "null"))]
    found = {seconds for seconds in ways if seconds is not None}
    if len(found) > 1:
        raise InvalidRequest(f"The form has two lifetimes. {_WAYS}", _NAME)
    return found.pop() if found else None


def json_lifetime(value: Any) -> int | None:
    """Seconds from `value` of a JSON body, None if it was not sent; raises `InvalidRequest`."""
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("anchor") != "created_at":
        raise InvalidRequest(f"{_NAME} must have the anchor 'created_at'.", _NAME)
    seconds = value.get("seconds")
    if type(seconds) is not int or not SHORTEST <= seconds <= LONGEST:
        raise InvalidRequest(f"{_NAME}.seconds must be a whole number from {SHORTEST} to {LONGEST}.", _NAME)
    return seconds


def _of_pair(fields: dict[str, str]) -> int | None:
    if _ANCHOR not in fields and _SECONDS not in fields:
        return None
    if fields.get(_ANCHOR) != "created_at":
        raise InvalidRequest(f"{_ANCHOR} must be 'created_at'.", _ANCHOR)
    text = fields.get(_SECONDS, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and SHORTEST <= int(text) <= LONGEST):
        raise InvalidRequest(f"{_SECONDS} must be a whole number from {SHORTEST} to {LONGEST}.", _SECONDS)
    return int(text)


def _of_text(text: str) -> int | None:
    if text.strip() == "null":
        return None
    try:
        value = json_body.parse(bytearray(text, "utf-8"))
    except InvalidRequest as e:
        raise InvalidRequest(_WAYS, _NAME) from e
    return json_lifetime(value)
