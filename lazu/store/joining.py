"""The parts of an upload become the bytes of its file."""

import hashlib
import logging
from collections.abc import Iterator
from functools import partial

from lazu import slots
from lazu.errors import InternalError, InvalidRequest
from lazu.store.contents import Contents
from lazu.store.staged import Staged
from lazu.store.tables import UploadPart

#: Seconds to wait for another completion of the same upload on this box, 512 MB at some 2 MB/s: room is held for one
#: copy, and a client that repeats its request must not cost another one.
SECONDS = 300
_PIECE = 512 * 1024

log = logging.getLogger(__name__)


def join(contents: Contents, parts: list[UploadPart], staged: Staged, md5: str | None) -> None:
    """Write the bytes of `parts`, which may have changed since they came, to `staged`, in constant memory.

    Raises `InvalidRequest` when the whole has another MD5, `InternalError` when the disk has changed a part,
    FileNotFoundError when a part is gone, `ClientLeft`.
    """
    whole = hashlib.md5(usedforsecurity=False)
    for part in parts:
        own = hashlib.sha256() if staged.size else None  # the first part is all that is staged then, so hashed already
        for piece in _pieces(contents, part):
            staged.write(piece)
            if own:
                own.update(piece)
            if md5:
                whole.update(piece)
            slots.step()
        if (own.hexdigest() if own else staged.sha256) != part.sha256:
            raise _changed(part)
    if md5 and whole.hexdigest() != md5:
        raise InvalidRequest("The MD5 of the parts together is another one than md5.", "md5")


def _pieces(contents: Contents, part: UploadPart) -> Iterator[bytes]:
    left = part.bytes
    with contents.open(part.sha256) as content:
        for piece in iter(partial(content.read, _PIECE), b""):
            left -= len(piece)
            if left < 0:
                raise _changed(part)
            yield piece


def _changed(part: UploadPart) -> InternalError:
    log.error("the bytes of %s are not those that came; 'flask fsck --rehash' says more", part.id)
    return InternalError()
