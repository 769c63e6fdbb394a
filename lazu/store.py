"""Everything below the edge, joined: what the server, the commands and the tests open."""

from dataclasses import dataclass

from lazu import clock, models
from lazu.blobs import Blobs
from lazu.config import Settings
from lazu.errors import CannotStart
from lazu.files import Files
from lazu.keys import Keys


@dataclass(frozen=True)
class Store:
    """One data directory: its settings, its keys, its files."""

    settings: Settings
    keys: Keys
    files: Files


def open_store(settings: Settings) -> Store:
    """Open the store in `settings.storage_dir`, making or upgrading what is needed.

    One store a process: SQLite is opened once (`models.database`). Raises `CannotStart` when this host can't hold it.
    """
    blobs = Blobs(settings.storage_dir / "blobs", settings.min_free_bytes)
    keys = Keys(settings.api_key)
    try:
        blobs.prepare()
        models.prepare(settings.storage_dir / "lazu.sqlite3")
        with models.database:
            keys.prepare()
    except (OSError, models.DatabaseError) as e:
        raise CannotStart(f"LAZU_STORAGE_DIR ({settings.storage_dir}) can't be used: {e}") from e
    return Store(settings, keys, Files(blobs, settings.retention_days * clock.DAY))
