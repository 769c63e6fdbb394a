"""Names that Lazu makes: ids of files, uploads and parts (ULIDs), and of requests.

A ULID is 48 bits of milliseconds and 80 random bits in 26 characters of Crockford base32
(https://github.com/ulid/spec): ids of one store sort by the time of their creation.
"""

import re
import secrets

PREFIX = "file-lazu-"
UPLOAD, PART = "upload_", "part_"

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
# The first character carries only 3 bits: 26 characters hold 130, a ULID has 128.
_ULID = rf"[0-7][{_ALPHABET}]{{25}}"
_FILE_ID = re.compile(PREFIX + _ULID)
# An id in the place of data, as SDKs make it that know data URLs only; one of another system is no base64 that a file's
# data would begin with.
_AS_DATA = re.compile(
    rf"\s*(?:(?i:data):[^,]*,\s*)?({_FILE_ID.pattern})\s*|\s*(?:(?i:data):[^,]*;base64,\s*)?(file-[0-9A-Za-z_-]+)\s*"
)
_UPLOAD_ID = re.compile(UPLOAD + _ULID)


def new_file_id(milliseconds: int) -> str:
    """A new id for a file made at `milliseconds` since 1970; 80 bits of it come from the system's generator."""
    return PREFIX + new_ulid(milliseconds)


def new_upload_id(milliseconds: int) -> str:
    """A new id for an upload made at `milliseconds`."""
    return UPLOAD + new_ulid(milliseconds)


def new_part_id(milliseconds: int) -> str:
    """A new id for a part that came at `milliseconds`."""
    return PART + new_ulid(milliseconds)


def new_ulid(milliseconds: int) -> str:
    """A new ULID of that moment."""
    number = milliseconds << 80 | secrets.randbits(80)
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def is_file_id(text: str) -> bool:
    """Whether `text` is a well-formed file id, of an existing file or not."""
    return _FILE_ID.fullmatch(text) is not None


def in_text(text: str) -> bool:
    """Whether a file id stands somewhere in `text`."""
    return _FILE_ID.search(text) is not None


def without(text: str) -> str:
    """`text` without the file ids in it."""
    return _FILE_ID.sub("", text)


def as_data(url: object) -> str | None:
    """The file id that is all of `url`, or all the data of a data URL, but for space; None for anything else.

    It may be one of another system, or malformed.
    """
    match = _AS_DATA.fullmatch(url) if isinstance(url, str) else None
    return match[1] or match[2] if match else None


def is_upload_id(text: str) -> bool:
    """Whether `text` is a well-formed upload id."""
    return _UPLOAD_ID.fullmatch(text) is not None


def new_request_id() -> str:
    """A new `x-request-id`."""
    return f"req_{secrets.token_hex(16)}"


def new_marker() -> str:
    """Text that nobody can guess: what stands in a JSON text where a file will go."""
    return f"lazu-{secrets.token_hex(16)}-"
