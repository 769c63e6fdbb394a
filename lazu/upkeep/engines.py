"""Are the engines of a store on several boxes fit: do they keep what they acknowledge? For `flask doctor`."""

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from lazu.config import Settings
from lazu.errors import Full, StoreError
from lazu.store import shortage
from lazu.store.bucket import Bucket
from lazu.store.bucket_errors import NoSuchObject, ObjectRefused
from lazu.store.contents import object_names
from lazu.store.postgresql import facts
from lazu.store.postgresql.connections import limit_waits
from lazu.store.postgresql.database import database
from lazu.store.postgresql.engine import SILENCE_SECONDS
from lazu.store.postgresql.errors import DatabaseFull, Forbidden
from lazu.store.postgresql.schema import NotUnicode
from lazu.upkeep.finding import FAIL, OK, WARN, Finding

#: Seconds by which the clocks of this box and of the database may differ: ids and expiries move by as much.
SKEW = 1
#: Bytes of the object that is written to try: a store that is full may still take a small one.
_TRIAL_BYTES = 2**20
#: PostgreSQL loses what it acknowledged when one of these is off, and its host stops.
FLUSHED = ("fsync", "full_page_writes", "synchronous_commit")

_SET_CLOCK = "set the clock, of this box or of the store, e.g. timedatectl set-ntp true"
_OF_CONNECTING = "is it running, at LAZU_DATABASE_URL, and does it know this user?"
_LACKS_A_RIGHT = "GRANT it to the role of LAZU_DATABASE_URL, or let that own the tables: docs/cluster.md, What you type"
_MAKE_ROOM = "make room there, or raise its quota; docs/cluster.md, When something is away"
_LET_IT_WRITE = "is there room (SeaweedFS: -volume.max=0), may it write? docs/cluster.md, When something is away"
_IS_IT_THERE = "is it running, at AWS_ENDPOINT_URL; is the bucket there, and may these credentials write and list?"


def look(settings: Settings) -> Iterator[Finding]:
    """What was found of both engines, whether or not the store could be opened with them."""
    if not database.deferred:  # else its URL is none, as is told where the store was to be opened
        yield from _postgresql(settings)
    try:
        yield from _bucket(Bucket(str(settings.blobs_url)), settings.storage_dir)
    except StoreError as e:
        yield Finding("bucket", FAIL, str(e), _cure(e))


def _cure(error: StoreError) -> str:
    if "TimeTooSkewed" in str(error):  # the code of S3 for a signature of another time than the store's
        return _SET_CLOCK
    if "PutObject: 500" in str(error):
        return _LET_IT_WRITE
    return _MAKE_ROOM if isinstance(error, Full) else _IS_IT_THERE


def _postgresql(settings: Settings) -> Iterator[Finding]:
    limit_waits(SILENCE_SECONDS)  # but not counts of millions of rows, later, by one that answers
    try:
        yield from _database(settings.storage_dir)
    except NotUnicode as e:
        yield Finding(
            "database", FAIL, str(e), "createdb -E UTF8 -T template0: an encoding stays, so it takes a new database"
        )
    except StoreError as e:
        yield Finding("database", FAIL, str(e), _LACKS_A_RIGHT if isinstance(e, Forbidden) else _OF_CONNECTING)
    else:
        limit_waits(None)
        yield from _pooler(str(settings.database_url))


def _database(storage: Path) -> Iterator[Finding]:
    settings = facts.settings()
    off = [name for name in FLUSHED if settings[name] == "off"]
    version = f"PostgreSQL {settings['server_version']}"
    if not facts.takes_writes():
        cure = "make room, if its disk is full; then ALTER DATABASE or SYSTEM SET default_transaction_read_only = off"
        yield Finding("database", FAIL, f"{version}, takes no writes", cure)
    elif shortage.lately(storage) == shortage.told(DatabaseFull()):
        yield Finding("database", FAIL, f"{version}, had no room for an upload in the last minute", _MAKE_ROOM)
    elif off:
        yield Finding("database", FAIL, f"{version}, {', '.join(off)} off: it forgets files", "ALTER SYSTEM SET … = on")
    elif settings["synchronous_standby_names"] and settings["synchronous_commit"] == "local":
        found = f"{version}, synchronous_commit is local: it waits for no standby, and a failover forgets files"
        yield Finding("database", FAIL, found, "ALTER SYSTEM SET synchronous_commit = on")
    else:
        yield Finding("database", OK, f"{version}, flushes what it acknowledges")
    skew = abs(facts.ahead())
    if skew > SKEW:
        yield Finding("clocks", WARN, f"this box and the database differ by {skew:.1f} s", "timedatectl set-ntp true")
    else:
        yield Finding("clocks", OK, "this box and the database agree")


def _pooler(url: str) -> Iterator[Finding]:
    """Give a check only where a pooler gives each transaction another connection: Lazu's time limits do not last."""
    try:
        if not facts.exchanges(url):
            return
        limited = facts.has_limits(url)
    except StoreError as e:
        yield Finding("pooler", WARN, f"two more connections were not had: {e}", "docs/cluster.md, A pooler")
        return
    if limited:
        yield Finding("pooler", OK, "by transactions, with time limits of the role or the database")
    else:
        found = "by transactions: what a box that lost its power held stays locked"
        yield Finding("pooler", WARN, found, "ALTER ROLE … SET lock_timeout …: docs/cluster.md, A pooler")


def _bucket(bucket: Bucket, storage: Path) -> Iterator[Finding]:
    data = secrets.token_bytes(_TRIAL_BYTES)
    found, kept, refused = _tried(bucket, data)
    if found is None:
        yield Finding("bucket", FAIL, "has not what it was just given (404)", "do not use it")
    elif found != data:
        yield Finding("bucket", FAIL, "gives other bytes than it was given", "do not use it")
    elif shortage.lately(storage) == shortage.NO_WRITES:
        yield Finding("bucket", FAIL, "answered the last upload by 500, less than a minute ago", _LET_IT_WRITE)
    elif not refused:
        cure = "docs/cluster.md, What makes acknowledged = durable"
        yield Finding("bucket", WARN, "stores bytes that were changed on their way", cure)
    elif kept:
        keeps = "keeps versions: what is deleted stays until the bucket removes old ones"
        yield Finding("bucket", WARN, keeps, "docs/cluster.md, What makes acknowledged = durable")
    else:
        yield Finding("bucket", OK, "stores, reads, deletes, and refuses changed bytes; docs/cluster.md on power cuts")


def _tried(bucket: Bucket, data: bytes) -> tuple[bytes | None, bool, bool]:
    """Write an object, read it, delete it: what was read, whether it was kept, whether changed bytes are refused.

    A list first: some stores make a bucket of any name at its first PUT, and a mistyped one has no right settings.
    """
    next(bucket.pages(size=1))
    # Among those that no check asks about, if this ends before it is deleted.
    name = object_names.in_quarantine(f"doctor-{secrets.token_hex(16)}")
    bucket.put_bytes(name, data)
    found = _read(bucket, name, len(data))
    kept = bucket.delete(name)
    return found, kept, _refuses(bucket, name + "-wrong", data)


def _read(bucket: Bucket, name: str, size: int) -> bytes | None:
    try:
        with bucket.open(name, size) as reader:
            return reader.read()
    except NoSuchObject:
        return None


def _refuses(bucket: Bucket, name: str, data: bytes) -> bool:
    """Whether the store refuses bytes of another hash; raises `StoreError` when it does not say."""
    try:
        bucket.put_bytes(name, data, hashlib.sha256(b"").hexdigest())
    except ObjectRefused:
        return True
    bucket.delete(name)
    return False
