"""Names of what is kept of a blob beside it, by kind: `ab12….document-7-1f2e3d4c` is a text that a key had read.

The invariant: it is there only while its blob is. It is made and removed under the shard's lock, removed before the
blob (`Blobs.unlink`), and what a power cut leaves of it alone is swept by the purge. `ab12….kept` lists the kinds, so
that removing a blob need not look through its shard; one that is listed may be gone (`lazu.store.contents.shelf`).
"""

import os
import re
from contextlib import suppress

LIST = "kept"
#: A kind: how it was read, the key that had it read, the version of the readers.
KIND = r"[a-z]+(?:-[a-z0-9]+)*"
_NAME = re.compile(rf"([0-9a-f]{{64}})\.(?!new$){KIND}")  # `ab12….new` is a blob on its way


def name(sha256: str, kind: str) -> str:
    """The name under which what is kept of a blob stands in its shard."""
    return f"{sha256}.{kind}"


def owner(name: str) -> str | None:
    """The blob of which `name` is kept, or lists what is kept; None if it is not such a name."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def note(sha256: str, kind: str, shard: int) -> None:
    """List a kind that is about to be kept; the caller holds the lock of the shard, whose descriptor is `shard`."""
    if kind not in _listed(sha256, shard):
        fd = os.open(name(sha256, LIST), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640, dir_fd=shard)
        try:
            os.write(fd, f"{kind}\n".encode())
        finally:
            os.close(fd)


def drop(sha256: str, shard: int) -> None:
    """Remove all that is kept of a blob; the caller holds the lock of the shard, whose descriptor is `shard`."""
    for kind in (*_listed(sha256, shard), *_UNLISTED, LIST):
        with suppress(FileNotFoundError):
            os.unlink(name(sha256, kind), dir_fd=shard)


#: Kinds of Lazu 0.1.0, which listed none.
_UNLISTED = ("text", "pages")


def _listed(sha256: str, shard: int) -> list[str]:
    try:
        fd = os.open(name(sha256, LIST), os.O_RDONLY | os.O_CLOEXEC, dir_fd=shard)
    except FileNotFoundError:
        return []
    with open(fd, encoding="latin-1") as file:  # a power cut may leave zeros in it; what it lacks then the purge sweeps
        return [kind for kind in file.read().split() if re.fullmatch(KIND, kind)]
