"""Files that a request brings along as base64: each goes to disk, into a file without a name, and leaves the memory."""

import binascii
import re

import pybase64

from lazu import filenames, filetypes
from lazu.errors import InvalidRequest
from lazu.gateway.attachment import Attachment, Content
from lazu.gateway.references import Reference
from lazu.store.contents import Contents
from lazu.store.staged import Staged
from lazu.texttypes import bare

_URL = re.compile(r"\s*data:[^,]{0,1000};base64,", re.IGNORECASE)

#: How PNG, GIF and JPEG begin in base64; and base64 of so much of a JPEG that what it says of its camera stands there.
_PLAIN, _JPEG, _HEAD = ("iVBORw0KGgo", "R0lGOD"), "/9j/", 96 * 1024

#: Characters decoded at a time, so that what they say never stands in memory as a whole.
_PIECE = 256 * 1024


def size(reference: Reference) -> int:
    """Return how many bytes the file has; more if white space stands in it that base64 is not written with.

    Raises `InvalidRequest` if its data is no string.
    """
    holder, name = reference.data
    data = holder[name]
    if not isinstance(data, str):
        raise InvalidRequest(f"{name} must be a string.", reference.where)
    start = _start(data)
    letters = len(data) - start - sum(data.count(each, start) for each in " \t\r\n=")
    return letters * 3 // 4


def passes(reference: Reference) -> bool:
    """Return whether the file is a picture that goes on unread: PNG, GIF, JPEG with neither EXIF nor Adobe's colours.

    Every model server decodes those, and turns none. Most pictures that come along are such, again at each turn of a
    talk, and a reader takes a process for each.
    """
    holder, name = reference.data
    data = holder[name]
    if name == "file_data":
        return False
    start = _start(data)
    if data.startswith(_PLAIN, start):
        return True
    if not data.startswith(_JPEG, start):
        return False
    try:
        head = _bytes(data[start : start + _HEAD])
    except (binascii.Error, ValueError):
        return False
    return b"Exif\0" not in head and b"Adobe" not in head


def received(contents: Contents, reference: Reference) -> Attachment:
    """Return the file of `reference`, which has a `size`; its data is not in the request any more.

    What it is its content says, whatever its data URL claims. Raises `InvalidRequest`, `UnsupportedFileType`,
    `InsufficientStorage`, OSError.
    """
    holder, name = reference.data
    data, holder[name] = holder[name], None
    staged = contents.stage(len(data))
    try:
        _decode(data, staged)
    except (binascii.Error, ValueError) as e:
        alone = ", or base64 alone" if name == "file_data" else ""
        raise InvalidRequest(f"{name} must be a data URL with base64{alone}.", reference.where) from e
    if not staged.size:
        raise InvalidRequest("The file is empty; send one of at least one byte.", reference.where)
    given = reference.named.get("filename")
    filename = filenames.clean(given if isinstance(given, str) else "")
    kind = filetypes.identify(staged.peek, staged.size, filename, filetypes.PURPOSES["user_data"])
    return Attachment(filename, bare(kind), Content(staged.open, staged.size))


def _decode(data: str, staged: Staged) -> None:
    """Write what the base64 of `data` says into `staged`, line ends and padding left out or not; raises ValueError."""
    rest = ""
    for at in range(_start(data), len(data), _PIECE):
        piece = rest + "".join(data[at : at + _PIECE].split())
        whole = len(piece) - len(piece) % 4
        rest = piece[whole:]
        staged.write(_bytes(piece[:whole]))
    staged.write(_bytes(rest + "=" * (-len(rest) % 4)))


def _start(data: str) -> int:
    """Return where the base64 begins."""
    url = _URL.match(data)
    return url.end() if url else 0


def _bytes(piece: str) -> bytes:
    return pybase64.b64decode(piece, altchars=_alphabet(piece), validate=True)


def _alphabet(piece: str) -> str | None:
    """Return the two characters of the URL-safe alphabet (RFC 4648 §5), if `piece` is in it."""
    return "-_" if "-" in piece or "_" in piece else None
