"""File ids where none can stand: the model server would not resolve them, and the model answer without the file.

Looked for in every string of a request but in what is text for the model or for people, and in history.
"""

import re
from typing import Any

from lazu import ids
from lazu.errors import InvalidRequest

#: Keys whose strings are text, names or marks of the caller's own.
TEXT = frozenset(
    """text content input instructions output refusal reasoning reasoning_content thinking prompt revised_prompt
    description definition grammar name title filename query queries code logs stdout stderr error message reason diff
    stop user prompt_cache_key safety_identifier suffix
    request_id cache_salt session_id litellm_session_id litellm_trace_id tags""".split()
)

#: Keys whose whole value is: data of the caller, schemas, and what a model or its tools did before.
OPAQUE = frozenset(
    """metadata headers filters parameters schema json_schema input_schema guided_json guided_choice structured_outputs
    arguments annotations citations results search_results outputs action actions operation logprobs""".split()
)

#: Keys of a file's id or data, whose strings are never words.
_REFERENCES = frozenset("file_id file_ids file_data file_url image_url url".split())

#: The steps to the one object whose own strings are text under whatever key.
_VARIABLES = [".prompt", ".variables"]

_URL = re.compile(r"https?://\S+", re.IGNORECASE)


def possible(body: bytes | bytearray) -> bool:
    """Whether the JSON text `body` may have a file id: written out, or with letters of it escaped."""
    return ids.PREFIX.encode() in body or b"\\u00" in body


def refuse(tree: dict[str, Any], known: set[str], form: str) -> None:
    """Raise `InvalidRequest` for a file id at a JSON path that is not in `known`; `form` says what would be right.

    Call it within `json_body.shallow`: it goes as deep as `tree`.
    """
    _Search(known, form).within(tree, "")


class _Search:
    """One look through a request. `path` are the steps to where it is: joined only when something is found there."""

    def __init__(self, known: set[str], form: str) -> None:
        self.known, self.form = known, form
        self.path: list[str] = []

    def within(self, value: Any, key: str) -> None:
        """Look at `value`, which stands under the name `key`; an item has its list's."""
        if isinstance(value, dict):
            for name in (name for name in value if name not in OPAQUE):
                self.path.append(f".{name}")
                self.judge(name)
                self.within(value[name], name)
                self.path.pop()
        elif isinstance(value, list):
            for number, each in enumerate(value):
                self.path.append(f"[{number}]")
                self.within(each, key)
                self.path.pop()
        elif isinstance(value, str) and key not in TEXT and (len(self.path) != 3 or self.path[:2] != _VARIABLES):
            self.judge(value, key)

    def judge(self, text: str, key: str = "") -> None:
        """Raise `InvalidRequest` if `text`, which stands under the name `key`, is or holds a stray id."""
        # A URL is the upstream's to fetch.
        if not ids.in_text(text) or (key != "file_data" and _URL.fullmatch(text)):
            return
        if key not in _REFERENCES and _is_sentence(text):
            return
        where = "".join(self.path).removeprefix(".")
        if where not in self.known:
            raise InvalidRequest(f"A file id at this place goes unread. {self.form}", where)


def _is_sentence(text: str) -> bool:
    """Whether there are words beside the ids in `text`: a sentence is text wherever it stands, a list of ids is not."""
    rest = ids.without(text)
    return re.search(r"\s", rest) is not None and re.search(r"\w", rest) is not None
