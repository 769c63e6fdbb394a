"""Whether uploads can be stored now: what `/readyz` answers."""

from lazu import metrics
from lazu.errors import InsufficientStorage, NotReady
from lazu.models import File
from lazu.store import Store


def require(store: Store) -> None:
    """Raise `NotReady` when an upload would fail or could be lost; a Peewee error when the database can't be read."""
    File.select(File.id).limit(1).scalar()
    try:
        store.files.blobs.require(0)
        store.files.blobs.stage(0).__exit__()
    except InsufficientStorage as e:
        raise NotReady("The disk is too full for uploads.") from e
    except OSError as e:
        raise NotReady("The disk can't be written.") from e
    if metrics.failed_fsyncs():
        raise NotReady("The disk lost writes: an fsync failed. Check the disk, run 'flask fsck', then restart Lazu.")
