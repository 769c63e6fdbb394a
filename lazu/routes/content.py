"""The bytes of a file as an HTTP answer: whole or one range, conditional, and inert in a browser.

Behind nginx the bytes go by X-Accel-Redirect; alone, gunicorn sends them by sendfile(2). Neither passes Python.
"""

import re
import unicodedata
from typing import BinaryIO, cast
from urllib.parse import quote

from flask import Response, request
from werkzeug.wsgi import wrap_file

from lazu import clock, filenames
from lazu.errors import FileNotFound
from lazu.filetypes import EXECUTABLE_EXTENSIONS
from lazu.routes.conditions import agreed, unchanged, wanted
from lazu.routes.context import store
from lazu.store.tables import File

#: Bytes that are passed on at once where there is no file for sendfile(2).
_BLOCK = 256 * 1024

#: A stored HTML or SVG file must never run as a page of this origin.
INERT = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


#: Letters that Unicode takes for no other letter with a mark.
_LETTERS = {
    "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "ß": "ss", "Ø": "O", "ø": "o", "Đ": "D", "đ": "d", "Ð": "D", "ð": "d",
    "Ł": "L", "ł": "l", "Þ": "Th", "þ": "th", "ı": "i",  # noqa: RUF001  it is that letter
}  # fmt: skip


def send(file: File) -> Response:
    """The answer to GET and HEAD of the content of `file`.

    Raises `PreconditionFailed`, `RangeNotSatisfiable`, `FileNotFound`.
    """
    response = Response(content_type=file.content_type, headers={**INERT, "Accept-Ranges": "bytes"})
    response.set_etag(file.sha256)
    # Of the file, not of the blob: the blob's time would tell that somebody stored these bytes before.
    response.headers["Last-Modified"] = clock.http_date(file.created_at)
    if unchanged(file):
        response.status_code = 304
        return response
    response.headers["Content-Disposition"] = disposition(file)
    _attach(response, file)
    return response


def disposition(file: File) -> str:
    """`attachment` with the file's name, for old clients in ASCII and for others in UTF-8 (RFC 6266 §4.3, RFC 8187)."""
    # Browsers would decode what looks like an encoded word (RFC 2047 §2).
    plain = "".join(map(_ascii, unicodedata.normalize("NFC", file.filename))).replace("=?", "=_")
    stem, dot, last = plain.rpartition(".")
    hidden = plain.startswith(".") and not file.filename.startswith(".")
    if hidden or not re.search("[A-Za-z0-9]", stem or last):
        # Else all names of one script would be one, and a hidden file.
        plain = file.id + (dot + last if dot else "")
    if filenames.extension(plain) in EXECUTABLE_EXTENSIONS:
        plain = file.id  # `a\uff0eexe` is no program, `a.exe` would be
    value = f'attachment; filename="{plain}"'
    return value if plain == file.filename else f"{value}; filename*=UTF-8''{quote(file.filename, safe='')}"


def _ascii(character: str) -> str:
    """`character` as ASCII that can stand between quotes: `e` for `é`, `_` where there is nothing like it.

    A colon would begin a stream of a file on NTFS ([MS-FSCC] §2.1.4).
    """
    parts = unicodedata.normalize("NFKD", character)
    plain = _LETTERS.get(character) or "".join(c for c in parts if not unicodedata.combining(c))
    return plain if plain.isascii() and plain.isprintable() and not set(plain) & set('"\\%/:') else "_"


def _attach(response: Response, file: File) -> None:
    part = wanted(file)
    internal = store().accel_location
    place = store().contents.location(file.sha256, file.bytes) if internal is not None and agreed(part) else None
    if place is not None:
        response.headers["X-Accel-Redirect"] = f"{internal}{place}"
        if part is None and not store().settings.database_url:
            del response.headers["Accept-Ranges"]  # nginx adds its own to a whole file of a disk, and to nothing else
        return
    start, end = part or (0, file.bytes)
    if part is not None:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.bytes}"
    response.content_length = end - start
    blob = _opened(file, start, end)
    if request.method == "HEAD":
        blob.close()
        return
    response.response = wrap_file(request.environ, cast("BinaryIO", _Piece(blob, end - start)), _BLOCK)
    response.direct_passthrough = True


class _Piece:
    """The next `size` bytes of `file`: where there is no sendfile(2), what is read beyond them is read for nobody."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.fileno, self.close = file.fileno, file.close
        self._file, self._left = file, size

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, empty at the end."""
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece


def _opened(file: File, start: int, end: int) -> BinaryIO:
    """The bytes of `file`, also for HEAD: its answer is that of GET. They may have gone since its row was read."""
    try:
        return store().contents.open(file.sha256, start=start, end=end)
    except FileNotFoundError as e:
        raise FileNotFound(file.id) from e
