"""Texts of files, and pictures of their pages, as readers found them. Those of stored files are kept beside the bytes.

What is kept lives as long as its blob at most, is bounded for the box (`lazu.store.contents.shelf`), and is of one key
and one version of the readers: so a key learns nothing from another key's reading, and what an older reader refused a
newer one may read. A refusal is kept like a text. Before what was read stands a line: the name of a text's encoding if
that was guessed, `refused 12`, or nothing.
"""

import io
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO, NamedTuple

from lazu import slots
from lazu.documents import reading
from lazu.errors import Final, Overloaded, StoreError, UnsupportedFileType
from lazu.gateway.attachment import Content
from lazu.gateway.splice import Slice
from lazu.store import disk
from lazu.store.contents import Contents
from lazu.store.opening import Store
from lazu.store.tables import Key

#: Seconds to wait for an equal request that is being served: as long as a reader may take.
_SHARED_SECONDS = 360

_REFUSED = "refused"
#: Bytes that are copied at once where a reader process needs a file and there is none.
_CHUNK = 2**20

log = logging.getLogger(__name__)


class Words(NamedTuple):
    """The text of a file, and the name of its encoding where that was guessed."""

    slice: Slice
    charset: str | None


class Pictures(NamedTuple):
    """How many pages a file has, and pictures of the first ones, of one type; empty where one can't be read."""

    total: int
    media_type: str
    slices: list[Slice]


class _Result(NamedTuple):
    """What a reader made of a file: its first line, and where the rest is."""

    line: str
    rest: Slice


@dataclass(frozen=True)
class Extracts:
    """The texts and pages of files, for one request of `key`. Reading one the first time takes a process, and time."""

    store: Store
    key: Key
    _done: dict[tuple[str, str], _Result] = field(default_factory=dict)

    def text(self, content: Content, content_type: str) -> Words:
        """Return the text of a file of this type; raises `UnsupportedFileType`, `Overloaded`."""

        def read(file: BinaryIO) -> bytes:
            text, charset = reading.text(file.fileno(), content_type, self.key.id)
            return f"{charset or ''}\n{text}".encode()

        try:
            what = reading.keeping(content_type)
        except reading.Unreadable as e:
            raise UnsupportedFileType(str(e)) from e
        charset, whole = _judged(self._once(content, what, read))
        return Words(replace(whole, text=True), charset or None)

    def pages(self, content: Content, detail: str) -> Pictures:
        """Return the pages of a PDF. Raises as `text` does."""

        def read(file: BinaryIO) -> bytes:
            return b"image/jpeg\n" + reading.pages(file.fileno(), detail, self.key.id)

        return _pictures(*_judged(self._once(content, f"pages-{detail}", read)))

    def picture(self, content: Content, detail: str) -> Pictures | None:
        """Return a picture, or its pages, as every model server decodes them; None if it can go as it is.

        Raises as `text` does.
        """

        def read(file: BinaryIO) -> bytes:
            made = reading.picture(file.fileno(), detail, self.key.id)
            return f"{made.media_type}\n".encode() + made.data

        media_type, whole = _judged(self._once(content, f"picture-{detail}", read))
        return _pictures(media_type, whole) if media_type else None

    def _once(self, content: Content, what: str, read: Callable[[BinaryIO], bytes]) -> _Result:
        """Return the result of `read`.

        For a stored file this is the kept result, or the one from earlier in this request, if there is one.
        """
        if not content.sha256:
            with slots.waiting():
                return self._put_by(self._said(content, read))
        place = content.sha256, f"{what}-{self.key.id}-{reading.VERSION}"
        if place not in self._done:
            self._done[place] = self._found(content, place[1], read)
        return self._done[place]

    def _found(self, content: Content, kind: str, read: Callable[[BinaryIO], bytes]) -> _Result:
        kept = self._kept(content.sha256, kind)
        if kept is None:  # equal requests, also in other processes, wait here for the one that reads
            locks = self.store.settings.storage_dir / "readers.lock"
            with slots.waiting(), disk.named_lock(locks, f"{content.sha256}.{kind}", _SHARED_SECONDS):
                kept = self._kept(content.sha256, kind) or self._keep(content.sha256, kind, self._said(content, read))
        return kept

    def _kept(self, sha256: str, kind: str) -> _Result | None:
        """Return what is kept; what can't be read is as good as gone, because it can be made again."""
        contents = self.store.contents
        try:
            return _result(contents.open(sha256, kind), partial(_again, contents, sha256, kind))
        except FileNotFoundError:
            return None
        except OSError as e:
            log.warning("what was read out of a file can't be read again: %s", e.strerror)
            return None

    def _keep(self, sha256: str, kind: str, data: bytes) -> _Result:
        """Keep `data`, and return it; for this request alone if it can't be: a disk full or failed, the blob gone."""
        try:
            self.store.contents.require(len(data))
            with self.store.contents.stage(len(data)) as staged:
                staged.write(data)
                if self.store.contents.keep(staged, sha256, kind):
                    return self._kept(sha256, kind) or self._put_by(data)
        except (Final, StoreError, OSError) as e:
            log.warning("what was read out of a file is not kept: %s", type(e).__name__)
        return self._put_by(data)

    def _said(self, content: Content, read: Callable[[BinaryIO], bytes]) -> bytes:
        """Return what a file's reader says: its words, or why it has none. Raises `Overloaded`."""
        try:
            with content.open() as file, self._local(file) as local:
                return read(local)
        except reading.Unreadable as e:
            return f"{_REFUSED} {e.reason}\n".encode()
        except reading.Busy as e:
            log.warning("answered by 503: no reader had room or time for a file")
            raise Overloaded from e

    def _local(self, file: BinaryIO) -> BinaryIO:
        """Return `file` as a reader process can have it: a copy where the bytes are not on this disk."""
        try:
            file.fileno()
        except OSError:
            staged = self.store.contents.stage(sys.maxsize)
            while chunk := file.read(_CHUNK):
                staged.write(chunk)
            return staged.open()
        return file

    def _put_by(self, data: bytes) -> _Result:
        """Return `data`, which lasts as long as this request: on disk, or if that is full or failed in memory."""
        try:
            staged = self.store.contents.stage(len(data))
            staged.write(data)
            file = staged.open()
        except (Final, StoreError, OSError):
            return _result(io.BytesIO(data), lambda **_: io.BytesIO(data))
        return _result(file, lambda **_: staged.open())


def _again(contents: Contents, sha256: str, kind: str, **part: int) -> BinaryIO:
    """Open what is kept, or a part, when its turn to be sent has come; raises FileNotFoundError, or `Overloaded`."""
    try:
        return contents.open(sha256, kind, **part)
    except FileNotFoundError:
        contents.open(sha256).close()  # raises it too if the file was deleted
        raise Overloaded from None  # what was kept had to make room


def _result(file: BinaryIO, again: Callable[..., BinaryIO]) -> _Result:
    """Return what is in `file`, which `again` opens once more; closes it."""
    with file:
        line = file.readline()
        return _Result(line.decode().strip(), Slice(again, file.seek(0, io.SEEK_END) - len(line), len(line)))


def _judged(result: _Result) -> tuple[str, Slice]:
    """Return the first line of a result, and the rest; raises `UnsupportedFileType` if that line is a refusal."""
    word, _, reason = result.line.partition(" ")
    if word == _REFUSED:
        raise UnsupportedFileType(str(reading.Unreadable(int(reason))))
    return word, result.rest


def _pictures(media_type: str, whole: Slice) -> Pictures:
    """Return the pictures that were packed into `whole`."""
    with whole.open() as file:
        file.seek(whole.start)
        total, places = reading.places(file)
    slices = [Slice(partial(whole.open, start=at, end=at + size), size, at) for at, size in places]
    return Pictures(total, media_type, slices)
