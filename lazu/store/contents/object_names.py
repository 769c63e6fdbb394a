"""Names of objects: `ab/ab12….01J…`, a content's SHA-256 and a ULID, so that each is used for one upload only."""

import re
from typing import NamedTuple

from lazu import clock, ids
from lazu.store import derived

_HASH = r"([0-9a-f]{2})/\1[0-9a-f]{62}"
_NAME = re.compile(rf"{_HASH}\.[0-9A-Z]{{26}}(\.{derived.KIND})?")


def new(sha256: str) -> str:
    """A name that no object has had."""
    return f"{sha256[:2]}/{sha256}.{ids.new_ulid(clock.milliseconds())}"


#: How the names begin of the objects that say whose bucket it is, and of damaged ones that `flask fsck` put away.
STORE, QUARANTINE = "store-", "quarantine/"


#: Such a name, and none in the folder of another Lazu: that may be at `s3://bucket/store-eu`.
_STORE = re.compile(rf"{STORE}([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})(?:\.([0-9]+)\.([0-9]+-[0-9]+))?")


class Mark(NamedTuple):
    """What a name says: whose the bucket is; and of a claim its number, and where the database is that may sweep it."""

    identity: str
    number: int = 0
    place: str = ""


def of_store(mark: Mark) -> str:
    """The name of an object that says whose the bucket is: `store-IDENTITY`, or `store-IDENTITY.NUMBER.PLACE`."""
    return f"{STORE}{mark.identity}" + (f".{mark.number}.{mark.place}" if mark.place else "")


def mark(name: str) -> Mark | None:
    """What the name of such an object says; None for another one's."""
    found = _STORE.fullmatch(name)
    return found and Mark(found[1], int(found[2] or 0), found[3] or "")


def in_quarantine(name: str) -> str:
    """Where an object is put away: a name that none has had."""
    return f"{QUARANTINE}{name}-{clock.milliseconds()}"


def is_aside(name: str) -> bool:
    """Whether it is the name of an object that is no content, yet Lazu's own."""
    return mark(name) is not None or name.startswith(QUARANTINE)


def is_folder(name: str, size: int) -> bool:
    """Whether it is the empty object that a console of S3 makes for a folder; that of the prefix has no name here."""
    return not size and (not name or name.endswith("/"))


def is_ours(name: str) -> bool:
    """Whether `name` is that of a content's object, or of an object derived from a content."""
    return _NAME.fullmatch(name) is not None


def is_in_shard(name: str) -> bool:
    """Whether it is a name where only Lazu should have any: as that of a content's object, up to the hash.

    `de/` alone may be the prefix of another Lazu, or of anybody.
    """
    return re.fullmatch(f"{_HASH}[^/]*", name) is not None


def stem(name: str) -> str:
    """The content's object, of one that was derived from it or of itself."""
    return name if name.count(".") == 1 else name.rpartition(".")[0]


def is_derived(name: str) -> bool:
    """Whether it is the name of an object that was derived from a content's."""
    return is_ours(name) and stem(name) != name


def sha256(name: str) -> str:
    """The hash of the content."""
    return name[3:67]
