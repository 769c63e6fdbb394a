"""What of the objects that were derived from contents has no room any more.

They may go at any time, because they can be made again: so nothing counts them, the purge asks the bucket.
"""

from collections.abc import Iterable, Iterator

from lazu.store.bucket import Entry
from lazu.store.contents import object_names
from lazu.store.object_rows import Loose


def surplus(pages: Iterable[list[Entry]], limit: int) -> Iterator[Loose]:
    """Give those derived objects, oldest first, without which the others have at most `limit` bytes."""
    found = [entry for page in pages for entry in page if object_names.is_derived(entry.name)]
    excess = sum(entry.bytes for entry in found) - limit
    for entry in sorted(found, key=lambda entry: entry.came):
        if excess <= 0:
            return
        excess -= entry.bytes
        yield Loose(entry.name, entry.bytes, derived=False)
