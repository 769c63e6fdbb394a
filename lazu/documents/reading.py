"""The door to documents: the text of a stored file, and the pages of a PDF as pictures."""

import os
from typing import NamedTuple

from lazu.documents import launcher, refusals

__all__ = ["Busy", "Pages", "Unreadable", "pictures", "text"]

Busy = launcher.Busy
Unreadable = refusals.Refused

TEXT_LIMIT = 8 << 20  # bytes of UTF-8: some 2 million tokens, more than any model takes
PICTURES_LIMIT = 64 << 20  # bytes of JPEG; 20 pages of pure noise, the worst there is, fit
#: Pixels of a picture's longer side, at most, by the `detail` that is asked for.
SIDES = {"low": 768, "auto": 1536, "high": 2048}
PICTURES = ("image/", "audio/", "video/", "font/")  # types that are never text, but for SVG


class Pages(NamedTuple):
    """The first pages of a PDF as JPEG files, in order, and how many pages it has in all.

    Of a page that can't be read the picture is empty.
    """

    total: int
    pictures: list[bytes]


def text(source: launcher.Source, media_type: str) -> str:
    """Return the text of a file whose sniffed type is `media_type`: a PDF page by page, anything else decoded.

    `source` is an open file, whose offset is neither used nor moved, or its path.
    A PDF's pages are each headed by `[Page 3 of 12]`. The result is at most `TEXT_LIMIT` bytes of UTF-8 (never cut:
    a longer one is refused), without NULs, other control characters but tab and line ends, or lone surrogates.

    Raises `Unreadable`, whose text is fit for the user, if there is no text or it can't be read within the limits of
    time and memory; `Busy` if other files kept every slot for `launcher.WALL` seconds.
    """
    if media_type.startswith(PICTURES) and media_type != "image/svg+xml":
        raise Unreadable(refusals.BINARY)
    if media_type == "application/pdf":
        return launcher.read(source, "pdf", TEXT_LIMIT).decode(errors="replace")
    if os.stat(source).st_size > 4 * TEXT_LIMIT:  # UTF-32, the widest encoding, has 4 bytes for one of UTF-8
        raise Unreadable(refusals.LONG)
    return launcher.read(source, "text", TEXT_LIMIT).decode(errors="replace")


def pictures(source: launcher.Source, detail: str = "auto") -> Pages:
    """Return the first 20 pages of a PDF as JPEG pictures, their size by `SIDES`. Raises as `text` does."""
    output = launcher.read(source, f"pages {SIDES[detail]}", PICTURES_LIMIT)
    total, *pieces = split(output)
    return Pages(int.from_bytes(total), pieces)


def split(output: bytes) -> list[bytes]:
    """Return the pieces that the reader wrote, each behind four bytes that say its length."""
    pieces = []
    while output:
        end = 4 + int.from_bytes(output[:4])
        pieces.append(output[4:end])
        output = output[end:]
    return pieces
