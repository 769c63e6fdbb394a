"""The journal: few bytes are durable with their row, by one commit, and their blob is a second later.

A blob of few bytes gets its name without a sync, and the transaction of its row takes the bytes along
(docs/decisions/0136-journal.md). A checkpoint makes all blobs durable at once and removes the entries; whoever opens
the store replays what is left of them, so that after a power cut no row is without its bytes.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from lazu import clock
from lazu.errors import ApiError, Full, StoreError
from lazu.store import journal_rows, rows
from lazu.store.blobs import Blobs
from lazu.store.sqlite.engine import Sqlite

#: How long entries gather before a checkpoint.
SECONDS = 1
#: How long a process that ends waits for its last checkpoint.
LAST_SECONDS = 2
#: Entries that one commit removes: a few milliseconds, for which uploads wait.
PORTION = 500

log = logging.getLogger(__name__)


class Journal:
    """The journal of `blobs` in `engine`."""

    def __init__(self, blobs: Blobs, engine: Sqlite) -> None:
        self._blobs = blobs
        self._engine = engine
        self._lock = threading.Lock()
        # What went wrong is told once: a second sync at the same time would hear nothing, and remove the entries.
        self._turn = threading.Lock()
        self._noted = False
        self._running = False

    def open(self) -> None:
        """Replay, unless the store has failed: then `Shards.recover` does. Raises as `replay`."""
        if not self._blobs.failed and journal_rows.newest():
            self.replay()
            self.note()

    def close(self) -> None:
        """Checkpoint, but wait for it no longer than a moment: on a busy disk a sync may take minutes."""
        with suppress(RuntimeError):  # no thread left
            last = threading.Thread(target=self._try_checkpoint, name="lazu-journal", daemon=True)
            last.start()
            last.join(LAST_SECONDS)

    def _try_checkpoint(self) -> None:
        """Nothing is lost without it: the entries stay until the next one."""
        try:
            self._engine.require_same()
            with self._engine.connected():
                self.checkpoint()
            self._engine.refill()  # others may have made room on the disk
        except Full:
            pass  # everybody who writes is told
        except (ApiError, OSError, StoreError) as e:
            log.warning("the journal keeps its entries for now: %s", e)

    def replay(self, trusted: bool = True) -> None:
        """Write each blob that has a row and not the bytes of its entry, durably; all of them if none is `trusted`.

        After a failed sync none is: what the kernel could not write may still be read. Raises `StoreError`, OSError.
        """
        count = 0
        for sha256, data in journal_rows.entries():
            with self._blobs.lock(sha256) as shard:
                if rows.is_referred(sha256) and not (trusted and self._blobs.holds(sha256, data)):
                    self._restore(data, shard)
                    count += 1
        if count:
            log.warning("%d blobs were written anew out of the journal", count)

    def _restore(self, data: bytes, shard: int) -> None:
        with self._blobs.stage(len(data)) as staged:
            staged.write(data)
            staged.seal()
            self._blobs.put(staged, shard, replay=True)

    def checkpoint(self, frees: bool = False) -> None:
        """Make the blobs of all entries durable, then remove these. Raises `StoreError`, OSError, `StorageMoved`.

        Does nothing in a store that has failed. On a full disk it takes the ballast if it `frees` (`Sqlite.write`).
        """
        with self._turn:
            last = journal_rows.newest()
            if last and not self._blobs.failed:
                self._blobs.sync_all()
                # Another process may have heard meanwhile of what failed, and nobody else does then.
                while not self._blobs.failed and self._remove(last, frees) == PORTION:
                    pass

    def _remove(self, last: int, frees: bool) -> int:
        return self._engine.write(lambda: journal_rows.remove(last, PORTION), frees)

    @staticmethod
    def taking(sha256: str, data: bytes, insert: Callable[[], None]) -> Callable[[], None]:
        """`insert` of a row within a transaction, with an entry of its bytes: call `note` when that is committed."""

        def both() -> None:
            insert()  # may refuse, before anything is written
            journal_rows.add(sha256, data)

        return both

    def note(self) -> None:
        """Have a checkpoint soon, beside the requests: an entry was committed."""
        with self._lock:
            self._noted = True
            if self._running:
                return
            self._running = True
        try:
            threading.Thread(target=self._run, name="lazu-journal", daemon=True).start()
        except RuntimeError:  # no thread left: the next entry tries again
            self._running = False

    def _run(self) -> None:
        try:
            while self._is_noted():
                clock.sleep(SECONDS)
                with self._lock:
                    self._noted = False
                self._try_checkpoint()
        except BaseException:  # a bug: let `note` start another one. At the end it may have done so already
            self._running = False
            raise

    def _is_noted(self) -> bool:
        with self._lock:
            self._running = self._noted
            return self._running
