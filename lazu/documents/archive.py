"""Zip archives, as office documents are: the size of a member is checked before it is unpacked.

What is declared holds: a member gives no more bytes than the archive's directory says (`zipfile`).
"""

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from lazu.documents import refusals
from lazu.documents.refusals import Refused

#: Bytes of a member that is unpacked whole. As a tree of XML they take some ten times as much memory.
MAX_WHOLE = 64 << 20

#: Bytes of a member that is unpacked piece by piece: two seconds of CPU.
MAX_STREAMED = 1 << 30

_PIECE = 1 << 18

#: What `zipfile` raises for a damaged archive: OSError for an offset before its beginning, NotImplementedError for a
#: method of compression that nobody uses, RuntimeError for a member that is encrypted.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


class Archive:
    """The members of a zip archive, found by name whatever its case, its slashes and what stands before the first."""

    def __init__(self, data: bytes) -> None:
        with _blamed():
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        self._members = {_plain(info.filename): info for info in self._zip.infolist()}

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._members

    def names(self) -> list[str]:
        """Return the names of all members, lower case, in the order of the archive's directory."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """Return a whole member, empty if there is none; raises `Refused` if it is too large, damaged or encrypted."""
        info = self._members.get(_plain(name))
        if info is None:
            return b""
        if info.file_size > MAX_WHOLE:
            raise Refused(refusals.LARGE)
        with _blamed():
            return self._zip.read(info)

    def stream(self, name: str) -> Iterator[bytes]:
        """Give a member piece by piece; raises as `read` does."""
        info = self._members.get(_plain(name))
        if info is None:
            return
        if info.file_size > MAX_STREAMED:
            raise Refused(refusals.LARGE)
        with _blamed(), self._zip.open(info) as member:
            while piece := member.read(_PIECE):
                yield piece

    def changed(self, members: dict[str, Iterator[bytes]]) -> bytes:
        """Return the archive with these members, named as by `names`, in place of its own; raises as `read` does."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, info in self._members.items():
                with archive.open(info.filename, "w") as member:
                    member.writelines(members.get(name, self.stream(name)))
        return made.getvalue()


def _plain(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/")).lstrip("/").casefold()


@contextmanager
def _blamed() -> Iterator[None]:
    """Damage is the file's, and no fault of the reader's."""
    try:
        yield
    except _DAMAGE as e:
        raise Refused(refusals.LOCKED if "encrypted" in str(e) else refusals.BROKEN) from e
