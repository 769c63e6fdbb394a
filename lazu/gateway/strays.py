"""File ids where none can stand: the model server would not resolve them, and the model answer without the file.

Looked for in every string of a request but in what is text for the model or for people, and in history.
"""

import re
from collections.abc import Iterator
from typing import Any

from lazu import ids
from lazu.errors import InvalidRequest

#: Keys whose strings are text, names or marks of the caller's own.
TEXT = frozenset(
    """text content input instructions output arguments refusal prompt description name title filename query queries
    code logs diff stop user prompt_cache_key safety_identifier suffix""".split()
)

#: Keys whose whole value is: data of the caller, schemas, and what a model or its tools did before.
OPAQUE = frozenset(
    "metadata parameters schema json_schema annotations results outputs action actions operation logprobs".split()
)

#: Holders of strings that are text under whatever key.
_VARIABLES = "variables"

_URL = re.compile(r"https?://", re.IGNORECASE)


def possible(body: bytes | bytearray) -> bool:
    """Whether the JSON text `body` may have a file id: written out, or with letters of it escaped."""
    return ids.PREFIX.encode() in body or b"\\u00" in body


def refuse(tree: dict[str, Any], known: set[str], form: str) -> None:
    """Raise `InvalidRequest` for a file id at a JSON path that is not in `known`; `form` says what would be right."""
    for where, text in _strings(tree):
        # A sentence is text wherever it stands, and a URL is the upstream's to fetch.
        if ids.in_text(text) and where not in known and not re.search(r"\s", text) and not _URL.match(text):
            raise InvalidRequest(f"A file id at this place goes unread. {form}", where)


def _strings(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The strings of `tree` that are no text, and its names, each with its JSON path."""
    waiting: list[tuple[Any, str, str, str]] = [(tree, "", "", "")]
    while waiting:
        value, where, key, above = waiting.pop()
        if isinstance(value, dict):
            inner = {name: f"{where}.{name}".removeprefix(".") for name in value if name not in OPAQUE}
            yield from ((path, name) for name, path in inner.items())
            waiting += [(value[name], path, name, key) for name, path in reversed(inner.items())]
        elif isinstance(value, list):
            waiting += [(each, f"{where}[{n}]", key, above) for n, each in reversed(list(enumerate(value)))]
        elif isinstance(value, str) and key not in TEXT and above != _VARIABLES:
            yield where, value
