"""Everything below the edge, joined: what the server, the commands and the tests open."""

from dataclasses import dataclass

from lazu import clock, logs
from lazu.config import Settings
from lazu.errors import CannotStart, InsufficientStorage, NotReady, StorageFailed
from lazu.store import disk, rows
from lazu.store.blobs import Blobs
from lazu.store.disk import Ballast
from lazu.store.files import Files
from lazu.store.keys import Keys

#: Room for deleting on a full disk: SQLite's log of some thousand deletions, and its checkpoint.
BALLAST = 16 * 2**20


@dataclass(frozen=True)
class Store:
    """One data directory: its settings, its keys, its files."""

    settings: Settings
    keys: Keys
    files: Files


def open_store(settings: Settings) -> Store:
    """Open the store in `settings.storage_dir`, making or upgrading what is needed.

    One store a process: SQLite is opened once (`rows.database`). Raises `CannotStart` when this host can't hold it.
    """
    ballast = Ballast(settings.storage_dir / "ballast", BALLAST)
    blobs = Blobs(settings.storage_dir / "blobs", settings.min_free_bytes)
    files = Files(blobs, settings.retention_days * clock.DAY, ballast, settings.key_quota_bytes)
    store = Store(settings, Keys(settings.api_key), files)
    try:
        _prepare(store)
    except (OSError, rows.DatabaseError) as e:
        raise CannotStart(f"LAZU_STORAGE_DIR ({settings.storage_dir}) can't be used: {e}") from e
    style = logs.Style(settings.log_format, settings.log_timezone)
    logs.keep_audit(settings.audit_log or settings.storage_dir / "audit.log", style)
    return store


def require_ready(store: Store) -> None:
    """Raise `NotReady` when an upload would be refused or fail; a Peewee error when the database can't be read."""
    rows.File.select(rows.File.id).limit(1).scalar()
    try:
        store.files.blobs.require(0)
        store.files.blobs.stage(0).__exit__()
    except StorageFailed as e:
        raise NotReady("The disk had an error; 'flask fsck' says whether the store can go on.") from e
    except InsufficientStorage as e:
        raise NotReady("The disk is too full for uploads.") from e
    except OSError as e:
        raise NotReady("The disk can't be written.") from e


def _prepare(store: Store) -> None:
    try:
        _open(store)
    except (OSError, rows.DatabaseError):
        # On a full disk even SQLite's index of its log finds no room, and then the purge could not make any.
        if disk.free(store.settings.storage_dir) > BALLAST or not store.files.ballast.spend():
            raise
        _open(store)
    store.files.ballast.fill()


def _open(store: Store) -> None:
    store.files.blobs.prepare()
    # Workers that start together on a new database meet in its change to WAL, where SQLite waits for nobody.
    with disk.lock(store.settings.storage_dir):
        rows.prepare(store.settings.storage_dir / "lazu.sqlite3")
        with rows.database:
            store.keys.prepare()
