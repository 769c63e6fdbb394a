"""What is kept of a blob beside it, in its shard: `ab12….text`, its text; `ab12….pages`, pictures of its pages.

The invariant: it is there only while its blob is. It is made and removed under the shard's lock, removed before the
blob (`Blobs.unlink`), and what a power cut leaves of it alone is swept by the purge.
"""

import os
import re
from contextlib import suppress

TEXT, PAGES = "text", "pages"

_NAME = re.compile(rf"([0-9a-f]{{64}})\.({TEXT}|{PAGES})")


def name(sha256: str, kind: str) -> str:
    """The name under which what is kept of a blob stands in its shard."""
    return f"{sha256}.{kind}"


def owner(name: str) -> str | None:
    """The blob of which `name` is kept; None if it is not such a name."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def drop(sha256: str, shard: int) -> None:
    """Remove all that is kept of a blob; the caller holds the lock of the shard, whose descriptor is `shard`."""
    for kind in (TEXT, PAGES):
        with suppress(FileNotFoundError):
            os.unlink(name(sha256, kind), dir_fd=shard)
