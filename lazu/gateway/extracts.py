"""What was read out of stored files: their text, and pictures of their pages, read once a blob and kept beside it.

The invariant: what is kept lives as long as its blob and no longer (`lazu.store.derived`). It is found by
the hash of the bytes, so ask only for a file whose owner is calling. Every name a slice opens is of one blob; the
bytes leave the disk piece by piece. A kept text begins with a line that names its encoding, if that was guessed.
"""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import BinaryIO, NamedTuple

from lazu.documents import reading
from lazu.errors import InsufficientStorage, Overloaded, StoreError, UnsupportedFileType
from lazu.gateway.splice import Slice
from lazu.store import derived
from lazu.store.contents import Contents

#: Bytes of a number in the file of pages: first how many pages the document has, then before each picture its size.
_NUMBER = 4
#: Bytes that are copied at once where a reader process needs a file and there is none.
_CHUNK = 2**20

log = logging.getLogger(__name__)


class Words(NamedTuple):
    """The text of a file, and the name of its encoding where that was guessed."""

    slice: Slice
    charset: str | None


class Extracts:
    """The texts and pages of the files in `contents`. Reading one the first time takes a child process, and time."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def text(self, sha256: str, content_type: str) -> Words:
        """The text of a blob of this type, JSON-escaped; raises `UnsupportedFileType`, `Overloaded`."""
        with _told():
            kind = reading.keeping(content_type)
        try:
            whole = self._whole(sha256, kind)
        except FileNotFoundError:
            with _told(), self._file(sha256) as fd:
                text, charset = reading.text(fd, content_type)
            # Lone surrogates, which UTF-8 can't hold, are not in it (`reading.text`).
            escaped = json.dumps(text, ensure_ascii=False)[1:-1]
            whole = self._keep(sha256, kind, f"{charset or ''}\n{escaped}".encode())
        with whole.open() as file:
            name = file.readline()
        return Words(replace(whole, start=len(name), size=whole.size - len(name)), name.decode().strip() or None)

    def pages(self, sha256: str) -> tuple[int, list[Slice]]:
        """How many pages a PDF has, and JPEG pictures of the first ones; raises as `text` does."""
        try:
            whole = self._whole(sha256, derived.PAGES)
        except FileNotFoundError:
            with _told(), self._file(sha256) as fd:
                total, pictures = reading.pictures(fd)
            packed = b"".join(_number(len(picture)) + picture for picture in pictures)
            whole = self._keep(sha256, derived.PAGES, _number(total) + packed)
        with whole.open() as file:
            return _read_number(file), list(_pictures(whole, file))

    @contextmanager
    def _file(self, sha256: str) -> Iterator[int]:
        """The descriptor of a file of these bytes, for a reader process: a copy where they are not on this disk."""
        with self._contents.open(sha256) as blob:
            if isinstance(blob, io.FileIO):
                yield blob.fileno()
                return
            with self._contents.stage(sys.maxsize) as copy:
                while chunk := blob.read(_CHUNK):
                    copy.write(chunk)
                yield copy.fd

    def _whole(self, sha256: str, kind: str) -> Slice:
        with self._contents.open(sha256, kind) as file:
            size = file.seek(0, io.SEEK_END)
        return Slice(partial(self._contents.open, sha256, kind), size, base64=False)

    def _keep(self, sha256: str, kind: str, data: bytes) -> Slice:
        """`data` as a slice of what is kept, or of memory where it can't be kept: the disk is full, the blob gone."""
        try:
            self._contents.require(len(data))
            with self._contents.stage(len(data)) as staged:
                staged.write(data)
                staged.seal()
                if self._contents.keep(staged, sha256, kind):
                    return self._whole(sha256, kind)
        except (InsufficientStorage, StoreError, OSError) as e:
            log.warning("what was read out of a file is not kept: %s", type(e).__name__)
        return Slice(partial(io.BytesIO, data), len(data), base64=False)


@contextmanager
def _told() -> Iterator[None]:
    """Why a file can't be read, as an answer."""
    try:
        yield
    except reading.Unreadable as e:
        raise UnsupportedFileType(str(e)) from e
    except reading.Busy as e:
        raise Overloaded from e


def _pictures(whole: Slice, file: BinaryIO) -> Iterator[Slice]:
    """The pictures in what `pages` keeps; `file` is it, after the first number."""
    at = _NUMBER
    while at < whole.size:
        size = _read_number(file)
        at += _NUMBER
        yield Slice(whole.open, size, at)
        at = file.seek(size, io.SEEK_CUR)


def _number(value: int) -> bytes:
    return value.to_bytes(_NUMBER, "big")


def _read_number(file: BinaryIO) -> int:
    return int.from_bytes(file.read(_NUMBER), "big")
