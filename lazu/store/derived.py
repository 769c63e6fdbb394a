"""Names of what was derived from a blob and is kept beside it: `ab12….document`, its text; `ab12….pages`, its pages.

The invariant: it is there only while its blob is. It is made and removed under the shard's lock, removed before the
blob (`Blobs.unlink`), and what a power cut leaves of it alone is swept by the purge.
"""

import os
import re
from contextlib import suppress

PAGES = "pages"

#: How a text was read: what the same bytes say depends on whether they are taken for a page, a message or plain text.
TEXTS = ("document", "plain", "html", "mail")

#: Everything that may be kept. `text` is what Lazu 0.1.0 made: it is removed with its blob, and not read any more.
KINDS = (PAGES, *TEXTS, "text")

_NAME = re.compile(rf"([0-9a-f]{{64}})\.({'|'.join(KINDS)})")


def name(sha256: str, kind: str) -> str:
    """The name under which what is kept of a blob stands in its shard."""
    return f"{sha256}.{kind}"


def owner(name: str) -> str | None:
    """The blob of which `name` is kept; None if it is not such a name."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def drop(sha256: str, shard: int) -> None:
    """Remove all that is kept of a blob; the caller holds the lock of the shard, whose descriptor is `shard`."""
    for kind in KINDS:
        with suppress(FileNotFoundError):
            os.unlink(name(sha256, kind), dir_fd=shard)
