"""The door to documents: the text of a stored file, and the pages of a PDF as pictures."""

import os
from typing import NamedTuple

from lazu.documents import kinds, launcher, refusals
from lazu.documents.kinds import keeping

__all__ = ["Busy", "Pages", "Picture", "Text", "Unreadable", "keeping", "picture", "pictures", "text"]

Busy = launcher.Busy
Unreadable = refusals.Refused

#: Bytes of UTF-8 that a text may have: some 2 million tokens, more than any model takes.
TEXT_LIMIT = 8 << 20

#: Bytes of JPEG that the pages of a PDF may have; 20 pages of pure noise, the worst there is, fit.
PICTURES_LIMIT = 64 << 20

#: Pixels of a picture's longer side, at most, by the `detail` that is asked for.
SIDES = {"low": 768, "auto": 1536, "high": 2048}

#: Bytes that the name of an encoding and its line end take.
_NAME = 100


class Text(NamedTuple):
    """The text of a file; `charset` names its encoding where that was guessed from its letters, and may be wrong."""

    text: str
    charset: str | None


class Picture(NamedTuple):
    """A picture in a form that model servers decode: its media type and bytes, both empty if it can go as it is."""

    media_type: str
    data: bytes


class Pages(NamedTuple):
    """The first pages of a PDF as JPEG files, in order, and how many pages it has in all.

    Of a page that can't be read the picture is empty.
    """

    total: int
    pictures: list[bytes]


def text(source: launcher.Source, media_type: str) -> Text:
    """The text of a file whose sniffed type is `media_type`: a PDF page by page, a document as Markdown, else decoded.

    `source` is an open file, whose offset is neither used nor moved, or its path. A type that says little
    (`application/zip`) is looked into. A PDF's pages are each headed by `[Page 3 of 12]`. The text is at most
    `TEXT_LIMIT` bytes of UTF-8 (never cut: a longer one is refused), without NULs, other control characters but tab and
    line ends, or lone surrogates.

    Raises `Unreadable`, whose text is fit for the user, if there is no text or it can't be read within the limits of
    time and memory; `Busy` if other files kept every slot for `launcher.WALL` seconds.
    """
    kind = kinds.kind(media_type)
    if kind == "text" and os.stat(source).st_size > 4 * TEXT_LIMIT:  # UTF-32, the widest encoding, has 4 bytes for one
        raise Unreadable(refusals.LONG)
    charset, _, words = launcher.read(source, kind, TEXT_LIMIT + _NAME).partition(b"\n")
    if len(words) > TEXT_LIMIT:
        raise Unreadable(refusals.LONG)
    return Text(words.decode(errors="replace"), charset.decode() or None)


def pictures(source: launcher.Source, detail: str = "auto") -> Pages:
    """The first 20 pages of a PDF as JPEG pictures, their size by `SIDES`. Raises as `text` does."""
    output = launcher.read(source, f"pages {SIDES[detail]}", PICTURES_LIMIT)
    total, *pieces = _split(output)
    return Pages(int.from_bytes(total), pieces)


def picture(source: launcher.Source) -> Picture:
    """A picture turned upright, and encoded anew if it is none that every model server decodes.

    PNG, JPEG, GIF, WebP, BMP, TIFF and AVIF are decoded, of several frames the first. Raises as `text` does; a picture
    that is damaged, or larger than 50 megapixels, is `Unreadable`.
    """
    media_type, _, data = launcher.read(source, "picture", PICTURES_LIMIT).partition(b"\n")
    return Picture(media_type.decode(), data)


def _split(output: bytes) -> list[bytes]:
    """The pieces that the reader wrote, each behind four bytes that say its length."""
    pieces = []
    while output:
        end = 4 + int.from_bytes(output[:4])
        pieces.append(output[4:end])
        output = output[end:]
    return pieces
