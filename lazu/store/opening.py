"""The store, joined and opened: what the server, the commands and the tests work on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lazu import clock, logs
from lazu.config import Settings
from lazu.errors import Busy, CannotStart, Full, InsufficientStorage, NotReady, StorageFailed, StorageMoved, StoreError
from lazu.store import disk, rows, shortage
from lazu.store.ballast import Ballast
from lazu.store.blobs import Blobs
from lazu.store.contents import Contents, Engine
from lazu.store.contents.shards import Shards
from lazu.store.contents.shelf import Shelf
from lazu.store.files import Files
from lazu.store.keys import Keys
from lazu.store.sqlite.engine import Sqlite
from lazu.store.uploads import Uploads

#: The database of one box.
DATABASE = "lazu.sqlite3"

#: The file whose lock each process of a server holds a share of.
SERVED = "served"

#: Room for deleting on a full disk: SQLite's log of some thousand deletions, and its checkpoint.
BALLAST = 16 * 2**20

#: LAZU_ACCEL_LOCATION as the shipped files of nginx have it: where one box has its bytes, and where several have them.
BLOBS, OBJECTS = "/_blobs/", "/_objects/"

_UNUSABLE = "LAZU_STORAGE_DIR ({}) can't be used: {}"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Store:
    """One data directory: its settings, its keys, its files and uploads; and what these stand on."""

    settings: Settings
    keys: Keys
    files: Files
    uploads: Uploads
    contents: Contents
    engine: Engine

    @property
    def accel_location(self) -> str | None:
        """The setting, unless nginx has no bytes of this store there."""
        return None if misplaced(self.settings) else self.settings.accel_location


def misplaced(settings: Settings) -> tuple[str, str] | None:
    """A warning that `accel_location` is still that of before a move to or from a cluster, and the cure; or None."""
    left, right = (BLOBS, OBJECTS) if settings.database_url else (OBJECTS, BLOBS)
    if settings.accel_location != left:
        return None
    found = f"LAZU_ACCEL_LOCATION={left} is of the other kind of store: downloads pass through Lazu"
    return found, f"LAZU_ACCEL_LOCATION={right}, and nginx as docs/cluster.md has it"


def audit_log(settings: Settings) -> Path:
    """Where lines about what was done are written."""
    return settings.audit_log or settings.storage_dir / "audit.log"


def open_store(settings: Settings) -> Store:
    """Open the store in `settings.storage_dir`, making or upgrading what is needed.

    One store a process: its tables are bound to one engine (`tables.database`). Raises `CannotStart` when this host
    can't hold it.
    """
    storage = settings.storage_dir
    try:
        contents, engine, keys = _of_cluster(settings) if settings.database_url else _of_one_box(settings)
    except StorageMoved as e:
        raise CannotStart(f"LAZU_DATABASE_URL and LAZU_BLOBS_URL: {e.message}") from e
    except (OSError, StoreError) as e:
        raise CannotStart(_UNUSABLE.format(storage, e)) from e
    files = Files(contents, engine, settings.retention_days * clock.DAY, settings.key_quota_bytes)
    logs.keep_audit(audit_log(settings), logs.Style(settings.log_format, settings.log_timezone))
    uploads = Uploads(files, contents, engine, storage / "uploads.lock")
    return Store(settings, keys, files, uploads, contents, engine)


def _of_one_box(settings: Settings) -> tuple[Contents, Engine, Keys]:
    """SQLite and the disk."""
    storage = settings.storage_dir
    _require_database(storage)
    ballast = Ballast(storage / "ballast", BALLAST)
    blobs = Blobs(storage / "blobs", settings.min_free_bytes)
    engine = Sqlite(storage / DATABASE, ballast, blobs.fail)
    keys = Keys(engine, settings.api_key)
    contents = Shards(blobs, engine, Shelf(blobs, settings.kept_bytes))
    try:
        _open(storage, contents, engine, keys)
    except (OSError, StoreError) as e:
        # On a full disk even SQLite's index of its log finds no room, and then the purge could not make any. Without a
        # free inode there may be room enough.
        full = disk.free(storage) <= BALLAST or isinstance(e, Full) or getattr(e, "errno", None) in disk.FULL
        if not full or not ballast.spend():
            raise
        _open(storage, contents, engine, keys)
    ballast.fill()
    return contents, engine, keys


def _require_database(storage: Path) -> None:
    """Raise `CannotStart` if there is none beside blobs: without their rows the next purge would remove them all."""
    if not (storage / DATABASE).exists() and next(storage.glob(f"blobs/??/{'?' * 64}"), None):
        lost = f"LAZU_STORAGE_DIR ({storage}) holds blobs and no {DATABASE}, so nobody knows whose they are"
        raise CannotStart(f"{lost}; bring it back, or begin anew elsewhere: docs/operations.md, A damaged database")


def _open(storage: Path, contents: Shards, engine: Sqlite, keys: Keys) -> None:
    contents.prepare()
    engine.open()
    with engine.connected():
        keys.prepare()
        if not disk.is_shared(storage / SERVED):  # whoever serves has replayed, and no power was cut since
            contents.replay()


def _of_cluster(settings: Settings) -> tuple[Contents, Engine, Keys]:
    """PostgreSQL and S3, which may be away: then every request is answered by 503 until they come.

    Imported here, because a store on one box has not even their libraries.
    """
    try:
        from lazu.store.bucket import Bucket
        from lazu.store.contents.intents import Intents
        from lazu.store.contents.objects import Spool
        from lazu.store.postgresql.engine import Postgresql
    except ImportError as e:
        cure = "'scripts/venv requirements-cluster.txt' installs it"
        raise CannotStart(f"LAZU_DATABASE_URL needs what requirements-cluster.txt names; {cure} ({e})") from e

    engine = Postgresql(str(settings.database_url))
    keys = Keys(engine, settings.api_key)
    with _blaming("LAZU_DATABASE_URL"):
        engine.open()
        engine.begin_with(keys.prepare)
    with _blaming("LAZU_BLOBS_URL or an AWS_ variable"):
        bucket = Bucket(str(settings.blobs_url))
    spool = Spool(settings.storage_dir, settings.min_free_bytes)
    spool.prepare()
    contents = Intents(spool, bucket, engine, settings.kept_bytes)
    with _blaming("LAZU_DATABASE_URL or LAZU_BLOBS_URL"):
        engine.begin_with(contents.pairing.require)
    return contents, engine, keys


@contextmanager
def _blaming(setting: str) -> Iterator[None]:
    """A `StoreError` as a `CannotStart` that names the setting it comes from."""
    try:
        yield
    except StoreError as e:
        raise CannotStart(f"{setting} can't be used: {e}") from e


def require_ready(store: Store) -> None:
    """Raise `NotReady`, which says why, when an upload would be refused or fail."""
    try:
        store.engine.connect()
        rows.has_row("")
    except (StoreError, StorageMoved) as e:
        log.warning("not ready: the database: %s", e)
        raise NotReady("The database can't be opened or read.") from e
    try:
        store.contents.check()
        if told := shortage.lately(store.settings.storage_dir):
            raise NotReady(told)
    except StoreError as e:
        log.warning("not ready: the object store: %s", e)
        raise NotReady("The object store can't be reached.") from e
    except StorageMoved as e:
        raise NotReady(e.message) from e
    except StorageFailed as e:
        raise NotReady("The disk had an error; 'flask fsck' says whether the store can go on.") from e
    except InsufficientStorage as e:
        raise NotReady("The disk is too full for uploads.") from e
    except OSError as e:
        raise NotReady("The disk can't be written.") from e


def mark_served(store: Store) -> None:
    """Let commands see that a server works on this store, as long as this process lives; raises `CannotStart`.

    The log hears of a LAZU_API_KEY that opens nothing, and of a LAZU_ACCEL_LOCATION where nothing is.
    """
    if told := misplaced(store.settings):
        log.warning("%s; set %s", *told)
    storage = store.settings.storage_dir
    if storage.is_dir():
        try:
            disk.share(storage / SERVED)
        except Busy as e:
            raise CannotStart(f"a command that was stopped holds the store: {e}") from e
        except OSError as e:  # of another user, where Lazu was started as root once
            raise CannotStart(_UNUSABLE.format(storage, e)) from e
    store.engine.serve()
    with suppress(StoreError), store.engine.connected():
        store.keys.tell()


def is_served(store: Store) -> bool:
    """Whether a server works on this store, on this box."""
    return disk.is_shared(store.settings.storage_dir / SERVED)
