"""The store, joined and opened: what the server, the commands and the tests work on."""

from dataclasses import dataclass

from lazu import clock, logs
from lazu.config import Settings
from lazu.errors import CannotStart, InsufficientStorage, NotReady, StorageFailed, StoreError
from lazu.store import disk, rows
from lazu.store.blobs import Blobs
from lazu.store.contents import Contents
from lazu.store.contents.shards import Shards
from lazu.store.disk import Ballast
from lazu.store.files import Files
from lazu.store.keys import Keys
from lazu.store.sqlite import Sqlite

#: Room for deleting on a full disk: SQLite's log of some thousand deletions, and its checkpoint.
BALLAST = 16 * 2**20


@dataclass(frozen=True)
class Store:
    """One data directory: its settings, its keys, its files; and what these stand on."""

    settings: Settings
    keys: Keys
    files: Files
    contents: Contents
    engine: Sqlite


def open_store(settings: Settings) -> Store:
    """Open the store in `settings.storage_dir`, making or upgrading what is needed.

    One store a process: its tables are bound to one engine (`tables.database`). Raises `CannotStart` when this host
    can't hold it.
    """
    storage = settings.storage_dir
    ballast = Ballast(storage / "ballast", BALLAST)
    blobs = Blobs(storage / "blobs", settings.min_free_bytes)
    engine = Sqlite(storage / "lazu.sqlite3", ballast, blobs.fail)
    contents = Shards(blobs, engine)
    files = Files(contents, settings.retention_days * clock.DAY, settings.key_quota_bytes)
    store = Store(settings, Keys(engine, settings.api_key), files, contents, engine)
    try:
        _prepare(store, blobs, ballast)
    except (OSError, StoreError) as e:
        raise CannotStart(f"LAZU_STORAGE_DIR ({storage}) can't be used: {e}") from e
    logs.keep_audit(settings.audit_log or storage / "audit.log", logs.Style(settings.log_format, settings.log_timezone))
    return store


def require_ready(store: Store) -> None:
    """Raise `NotReady` when an upload would be refused or fail; a `StoreError` when the database can't be read."""
    rows.has_file("")
    try:
        store.contents.require(0)
        store.contents.stage(0).__exit__()
    except StorageFailed as e:
        raise NotReady("The disk had an error; 'flask fsck' says whether the store can go on.") from e
    except InsufficientStorage as e:
        raise NotReady("The disk is too full for uploads.") from e
    except OSError as e:
        raise NotReady("The disk can't be written.") from e


def _prepare(store: Store, blobs: Blobs, ballast: Ballast) -> None:
    try:
        _open(store, blobs)
    except (OSError, StoreError):
        # On a full disk even SQLite's index of its log finds no room, and then the purge could not make any.
        if disk.free(store.settings.storage_dir) > BALLAST or not ballast.spend():
            raise
        _open(store, blobs)
    ballast.fill()


def _open(store: Store, blobs: Blobs) -> None:
    blobs.prepare()
    # Workers that start together on a new database meet in its change to WAL, where SQLite waits for nobody.
    with disk.lock(store.settings.storage_dir):
        store.engine.open()
    with store.engine.connected():
        store.keys.prepare()
