"""The door to documents: the text of a file, its pages as pictures, and pictures as model servers decode them."""

import hashlib
import os
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lazu.documents import kinds, launcher, refusals
from lazu.documents.kinds import keeping
from lazu.documents.refusals import PICTURES_LIMIT, TEXT_LIMIT

__all__ = ["SIDES", "VERSION", "Busy", "Picture", "Text", "Unreadable", "keeping", "pages", "picture", "places", "text"]

Busy = launcher.Busy
Unreadable = refusals.Refused

#: Pixels of a picture's longer side, at most, by the `detail` that is asked for.
SIDES = {"low": 768, "auto": 1536, "high": 2048}

#: Bytes that the name of an encoding and its line end take.
_NAME = 100

#: Bytes that a reader may give, and why more are refused.
_TEXT = TEXT_LIMIT + _NAME, refusals.LONG
_PICTURES = PICTURES_LIMIT, refusals.HEAVY

#: Bytes of a number in what `places` reads.
_NUMBER = 4


def _version() -> str:
    """A word that changes with the readers' code and with the libraries that read for them."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        with open(path, "rb") as file:
            code.update(file.read())
    for name in ("pypdfium2", "pillow", "chardet", "python-calamine"):
        code.update(metadata.version(name).encode())
    return code.hexdigest()[:8]


#: Of the readers: what an older one read or refused, a newer one may read otherwise.
VERSION = _version()


class Text(NamedTuple):
    """The text of a file; `charset` names its encoding where that was guessed from its letters, and may be wrong."""

    text: str
    charset: str | None


class Picture(NamedTuple):
    """A picture in a form that model servers decode: its media type, and it or its pages packed for `places`.

    Both are empty if it can go as it is.
    """

    media_type: str
    data: bytes


def text(source: launcher.Source, media_type: str, owner: int | None = None) -> Text:
    """The text of a file whose sniffed type is `media_type`: a PDF page by page, a document as Markdown, else decoded.

    `source` is an open file, whose offset is neither used nor moved, or its path; `owner` is who has only a
    share of the readers. A type that says little (`application/zip`) is looked into. A PDF's pages are each
    headed by `[Page 3 of 12]`. The text is at most `TEXT_LIMIT` bytes of UTF-8 (never cut: a longer one is refused),
    without NULs, other control characters but tab and line ends, or lone surrogates.

    Raises `Unreadable`, whose text is fit for the user, if there is no text or it can't be read within the limits of
    CPU time and memory; `Busy` if the machine has no time for it.
    """
    kind = kinds.kind(media_type)
    if kind == "text" and os.stat(source).st_size > 4 * TEXT_LIMIT:  # UTF-32, the widest encoding, has 4 bytes for one
        raise Unreadable(refusals.LONG)
    charset, _, words = _read(kind, source, _TEXT, owner).partition(b"\n")
    if len(words) > TEXT_LIMIT:
        raise Unreadable(refusals.LONG)
    return Text(words.decode(errors="replace"), charset.decode() or None)


def pages(source: launcher.Source, detail: str = "auto", owner: int | None = None) -> bytes:
    """The first 20 pages of a PDF as JPEG pictures, their size by `SIDES`, packed for `places`.

    Raises as `text` does.
    """
    return _read(f"pages {SIDES[detail]}", source, _PICTURES, owner)


def picture(source: launcher.Source, detail: str = "auto", owner: int | None = None) -> Picture:
    """A picture turned upright, and encoded anew if it is none that every model server decodes.

    PNG, JPEG, GIF, WebP, BMP, TIFF and AVIF are decoded, of several frames the first; but a TIFF with several pages is
    the first 20 of them as JPEG pictures, their size by `SIDES`. Raises as `text` does; a picture that is damaged, or
    larger than 50 megapixels, is `Unreadable`.
    """
    media_type, _, data = _read(f"picture {SIDES[detail]}", source, _PICTURES, owner).partition(b"\n")
    return Picture(media_type.decode(), data)


def places(file: BinaryIO) -> tuple[int, list[tuple[int, int]]]:
    """How many pages a file has, and where in what was packed each picture stands, and its size in bytes.

    `file` is read from where it stands to its end. The picture of a page that can't be read is empty.
    """
    size = int.from_bytes(file.read(_NUMBER))
    total = int.from_bytes(file.read(size))
    found = []
    while head := file.read(_NUMBER):
        size = int.from_bytes(head)
        found.append((file.tell(), size))
        file.seek(size, os.SEEK_CUR)
    return total, found


def _read(kind: str, source: launcher.Source, most: tuple[int, int], owner: int | None) -> bytes:
    return launcher.run(launcher.Job(launcher.command(kind), source, *most), owner)
