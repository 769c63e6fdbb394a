"""A file that a request brings along or names, whatever of the two: its name, its type, its bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from lazu.store.contents import Contents
from lazu.store.tables import File
from lazu.texttypes import bare


@dataclass(frozen=True)
class Content:
    """Bytes: how they are opened, how many they are, and the hash of stored ones.

    Those that a request brings along have no hash here: a stored file may have the same bytes, and what is kept of it
    would tell whoever sent them.
    """

    open: Callable[[], BinaryIO]
    size: int
    sha256: str = ""


@dataclass(frozen=True)
class Attachment:
    """A file: the name that the model is told, the MIME type by its content without parameters, and the bytes."""

    filename: str
    content_type: str
    content: Content


def stored(contents: Contents, file: File) -> Attachment:
    """Return a stored file."""
    return Attachment(
        file.filename, bare(file.content_type), Content(partial(contents.open, file.sha256), file.bytes, file.sha256)
    )
