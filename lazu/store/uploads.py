"""Uploads in parts: a file that comes in pieces, each durable when it is answered.

A part is a blob with a row of its own, which refers to it as a file does. So what holds for files holds for parts:
publish and reap, dedup, purge, fsck, backup. Completing writes the parts once more, as the blob of the file; the file
is committed before the parts go, so that a crash leaves the upload pending with its parts, or the file.
"""

import hashlib
import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from lazu import clock, filetypes, ids, logs
from lazu.errors import ApiError, InternalError, InvalidRequest, Overloaded, StoreError, UploadNotFound
from lazu.store import disk, joining, rows, upload_rows
from lazu.store.arriving import Arrival, Arriving
from lazu.store.contents import Contents, Engine
from lazu.store.files import Files, NewFile
from lazu.store.rows import Gone
from lazu.store.staged import Staged
from lazu.store.tables import File, Key, Upload, UploadPart

MAX_PART_BYTES = 64 * 2**20
#: Parts of one upload, those counted that were sent again; of all live uploads of one key; such uploads.
MAX_PARTS, MAX_PARTS_OF_KEY, MAX_PENDING = 10_000, 20_000, 100
#: Seconds that an upload has from its creation; and for which a completed or cancelled one is known after that, so that
#: a repeat gets the same answer.
LIFETIME, MEMORY = 3600, 3600
#: How many of them for one key: whoever begins and cancels all day must not fill the database.
MAX_SETTLED = 5_000
#: Seconds for which the row of an expired upload stays: the transaction of its last part may still be on its way.
GRACE = 60
#: Parts removed in one transaction, which holds the write lock for some 10 ms; seconds after which none follows it.
BATCH, CLEARING_SECONDS = 500, 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Declared:
    """What an upload is to become: `lifetime` of the file in seconds, if one was asked for."""

    filename: str
    bytes: int
    purpose: str
    lifetime: int | None


@dataclass(frozen=True)
class Completion:
    """Which parts make the file, in this order, and the MD5 (hex, lower case) that it has to have, if any."""

    part_ids: list[str]
    md5: str | None

    @property
    def mark(self) -> str:
        """What is remembered of it, to know the same one again."""
        return hashlib.sha256("\n".join(self.part_ids).encode(errors="surrogatepass")).hexdigest()


class Uploads:
    """The uploads in parts of all keys; what they become are `files`. `locks` is a file of this box."""

    def __init__(self, files: Files, contents: Contents, engine: Engine, locks: Path) -> None:
        self._files = files
        self._contents = contents
        self._engine = engine
        self._locks = locks
        self._arriving = Arriving("parts", _too_much)

    def arriving(self, key: Key, size: int) -> AbstractContextManager[Arrival]:
        """Count `size` bytes of a part as arriving for `key` within the `with`.

        All that arrive at once have the room that its uploads declare, and one part more. Raises `Overloaded`, also
        when it grows: a repeat will find room.
        """
        return self._arriving.hold(key.id, size, upload_rows.declared(clock.now(), key)[1] + MAX_PART_BYTES)

    def create(self, key: Key, declared: Declared) -> Upload:
        """Begin an upload, and hold room for it: of the key's quota for the file, of the disk for parts and file.

        Raises `InsufficientStorage`, and `InvalidRequest` when the key has too many pending.
        """
        now = clock.milliseconds()
        self._clear(key, now // 1000)
        upload = Upload(
            id=ids.new_upload_id(now),
            key=key.id,
            created_at=now // 1000,
            expires_at=now // 1000 + LIFETIME,
            **vars(declared),
        )
        self._engine.write(lambda: self._insert(key, upload))
        logs.audit("upload-created", key=key.name, upload=upload.id, bytes=upload.bytes)
        return upload

    def _clear(self, key: Key, now: int) -> None:
        """What has expired counts no more, so its bytes must not stay until the purge: a key could hold ever more.

        But a client waits, and perhaps the object store is away: what takes long is left to the next one.
        """
        end = clock.monotonic() + CLEARING_SECONDS
        while self.drop_dead(now, key) and clock.monotonic() < end:
            pass
        self.forget(now, key)

    def _insert(self, key: Key, upload: Upload) -> None:
        self._files.hold(key, alone=True)  # also without a limit: they are counted
        pending = upload_rows.pending(clock.now(), key)
        if pending.uploads >= MAX_PENDING:
            raise InvalidRequest(f"{MAX_PENDING} uploads are pending; complete or cancel some, or wait an hour.")
        self._contents.require(upload.bytes, pending.coming + upload.bytes)  # here, where no other one can come between
        self._files.require(key, upload.bytes, pending)
        upload_rows.delete_settled(key, MAX_SETTLED)
        upload_rows.add_upload(upload)

    def get(self, key: Key, upload_id: str) -> Upload:
        """An upload of `key` that is pending, completed or cancelled; raises `UploadNotFound` for every other id."""
        upload = upload_rows.upload_of(key, upload_id, clock.now()) if ids.is_upload_id(upload_id) else None
        if upload is None:
            raise UploadNotFound(upload_id)
        return upload

    def pending(self, key: Key, upload_id: str) -> Upload:
        """A pending upload of `key`; raises `UploadNotFound`, and `InvalidRequest` for one that is not any more."""
        upload = self.get(key, upload_id)
        if upload.status != "pending":
            raise InvalidRequest(f"This upload is {upload.status}; create a new one.", "upload_id")
        return upload

    def add_part(self, key: Key, upload: Upload, staged: Staged) -> UploadPart:
        """Make staged bytes a part of a pending upload; durable when this returns. What is there already takes no room.

        Raises `InvalidRequest` when the parts are too many or too large together, `InsufficientStorage` (the quota).
        """
        now = clock.milliseconds()
        part = UploadPart(
            id=ids.new_part_id(now), upload=upload.id, sha256=staged.sha256, bytes=staged.size, created_at=now // 1000
        )
        self._contents.add(staged, part.id, lambda: self._insert_part(key, upload, part))
        return part

    def _insert_part(self, key: Key, upload: Upload, part: UploadPart) -> None:
        self._files.hold(key)
        if not upload_rows.hold(upload, clock.now()):
            raise self._not_pending(key, upload)
        if upload_rows.count_parts(upload) >= MAX_PARTS:
            raise InvalidRequest(f"An upload may have {MAX_PARTS} parts; cancel it, and send larger ones.", "data")
        if upload_rows.count_parts_of_key(clock.now(), key) >= MAX_PARTS_OF_KEY:
            text = f"The pending uploads of a key may have {MAX_PARTS_OF_KEY} parts together; complete or cancel some."
            raise InvalidRequest(text, "data")
        room, more = upload_rows.room(upload), 0 if upload_rows.has_part(upload, part.sha256) else part.bytes
        limit = 2 * upload.bytes + MAX_PART_BYTES
        if room + more > limit:
            raise InvalidRequest(f"The parts of this upload may have {limit} bytes; cancel it, and begin anew.", "data")
        if self._files.limit(key):  # all its uploads together have the allowance of one; its quota bounds the rest
            pending = upload_rows.pending(clock.now(), key)
            self._files.require(key, max(0, pending.there + more - 2 * pending.held - MAX_PART_BYTES), pending)
        upload_rows.add_part(part)

    def _not_pending(self, key: Key, upload: Upload) -> ApiError:
        """What `pending` raises now, of an upload that was pending before."""
        try:
            self.pending(key, upload.id)
        except (UploadNotFound, InvalidRequest) as e:
            return e
        return InternalError()

    def complete(self, key: Key, upload_id: str, wanted: Completion) -> tuple[Upload, File | None]:
        """Make a file of the parts; when this returns it is durable. The same completion gives the same answer again.

        The file is None if it was deleted since. Raises `UploadNotFound`; `InvalidRequest` when the parts are not what
        was declared; all that an upload raises. After these the upload is as it was. One at a time on this box.
        """
        upload = self.get(key, upload_id)
        if upload.status == "pending":
            self._contents.require(0)  # the room for the file is taken when its turn has come
            with disk.named_lock(self._locks, upload.id, joining.SECONDS):
                upload = self.get(key, upload_id)
                if upload.status == "pending":
                    return self._join(key, upload, wanted)
        return self._again(key, upload, wanted)

    def _join(self, key: Key, upload: Upload, wanted: Completion) -> tuple[Upload, File | None]:
        try:
            parts = self._chosen(upload, wanted)
        except InvalidRequest:  # also when a cancellation, or another box, ended the upload since it was read
            return self._again(key, self.get(key, upload.id), wanted)
        try:
            with self._contents.stage(upload.bytes, upload.bytes) as staged:
                joining.join(self._contents, parts, staged, wanted.md5)
                file = self._finished(key, upload, staged)
                self._contents.add(staged, file.id, lambda: self._settle(key, file, upload, wanted.mark))
        except (_Settled, FileNotFoundError):
            return self._again(key, self.get(key, upload.id), wanted)
        logs.audit("upload", key=key.name, file=file.id, bytes=file.bytes, upload=upload.id)
        self._drop_parts(upload)
        upload.file_id, upload.completion = file.id, wanted.mark  # not read again: that could fail
        return upload, file

    def _drop_parts(self, upload: Upload) -> None:
        try:
            while len(self._contents.drop(lambda: upload_rows.delete_parts_of(upload, BATCH), None)) >= BATCH:
                pass
        except (ApiError, OSError, StoreError):
            # The file is there, durably, or the upload cancelled: a failure now would be untrue.
            log.exception("the parts of an upload that ended could not be removed; the next purge removes them")

    def _again(self, key: Key, upload: Upload, wanted: Completion) -> tuple[Upload, File | None]:
        """The answer of an upload that is completed, if it was so with the same parts."""
        if upload.status == "pending":
            self._chosen(upload, wanted)  # refuses if the parts went too: by a box whose clock is ahead it has expired
            log.error("the bytes of a part of %s are gone, but not the part; 'flask fsck' says more", upload.id)
            raise InternalError
        if upload.file_id is None or upload.completion != wanted.mark:
            raise InvalidRequest(f"This upload is {upload.status}; create a new one.", "upload_id")
        self._engine.confirm(lambda: self.get(key, upload.id).completion == wanted.mark)
        return upload, rows.file_of(key, upload.file_id, clock.now())

    def _chosen(self, upload: Upload, wanted: Completion) -> list[UploadPart]:
        there = {part.id: part for part in upload_rows.parts_of(upload)}
        if any(part_id not in there for part_id in wanted.part_ids):
            raise InvalidRequest("One of part_ids is no part of this upload.", "part_ids")
        parts = [there[part_id] for part_id in wanted.part_ids]
        size = sum(part.bytes for part in parts)
        if size != upload.bytes:
            raise InvalidRequest(f"The parts have {size} bytes, and the upload declared {upload.bytes}.", "bytes")
        return parts

    def _finished(self, key: Key, upload: Upload, staged: Staged) -> File:
        """What is staged, judged, as a file."""
        content_type = filetypes.identify(staged.peek, staged.size, upload.filename, filetypes.purpose(upload.purpose))
        return self._files.draft(key, NewFile(staged, upload.filename, content_type, upload.purpose, upload.lifetime))

    def _settle(self, key: Key, file: File, upload: Upload, mark: str) -> None:
        """In one transaction: the upload is completed, and its file is there. Its room was held since it began."""
        self._files.hold(key)
        self._files.require(key, 0)  # but the quota may be a smaller one by now
        if not upload_rows.settle(upload, clock.now(), file_id=file.id, completion=mark):
            raise _Settled(f"This upload is not pending any more: {upload.id}")
        rows.add_file(file)

    def cancel(self, key: Key, upload_id: str) -> Upload:
        """Let a pending upload and its parts go; cancelling again changes nothing. Raises as `pending` does."""
        upload, settled = self.get(key, upload_id), list[bool]()
        if upload.status == "pending":
            if len(self._contents.drop(lambda: self._cancel(upload, settled), None)) >= BATCH:
                self._drop_parts(upload)
            upload = self.get(key, upload_id)
            if upload.status == "cancelled":
                logs.audit("upload-cancelled", key=key.name, upload=upload.id)
        if upload.status != "cancelled":
            raise InvalidRequest(f"This upload is {upload.status}; it can't be cancelled any more.", "upload_id")
        if not any(settled):
            self._engine.confirm(lambda: self.get(key, upload_id).status == "cancelled")
        return upload

    @staticmethod
    def _cancel(upload: Upload, settled: list[bool]) -> list[Gone]:
        now = clock.now()
        settled.append(upload_rows.settle(upload, now, cancelled_at=now))
        return upload_rows.delete_parts_of(upload, BATCH) if settled[-1] else []

    def delete_all(self, key: Key) -> None:
        """Remove every upload of `key` and its parts; those that were pending are cancelled by that."""
        pending: set[str] = set()

        def delete() -> list[Gone]:
            gone, ended = upload_rows.delete_uploads_of(key, BATCH)
            pending.update(ended)  # also what a transaction deleted whose answer was lost
            return gone

        while len(self._contents.drop(delete, None)) >= BATCH:
            pass
        for upload_id in sorted(pending):
            logs.audit("upload-cancelled", key=key.name, upload=upload_id)
        self._engine.confirm(lambda: not upload_rows.pending(clock.now(), key).uploads)

    def drop_dead(self, now: int, key: Key | None = None) -> int:
        """Remove some parts of uploads, of `key` or of all, that had expired at `now` or are settled; gives how many.

        Their bytes wait for `sweep`, but those of one key go at once: it may soon send others in their place.
        """
        return len(self._contents.drop(lambda: upload_rows.delete_dead_parts(now, BATCH, key), None, later=key is None))

    def forget(self, now: int, key: Key | None = None) -> None:
        """Remove uploads, of `key` or of all, that expired: those that were settled only `MEMORY` later."""
        gone = self._engine.write(lambda: upload_rows.delete_uploads(now - GRACE, now - MEMORY, key), frees=True)
        for upload_id, owner in gone:
            logs.audit("upload-expired", key=owner, upload=upload_id)


def _too_much() -> Overloaded:
    return Overloaded("More arrives at once than this key's uploads declare; repeat the request in a few seconds.")


class _Settled(ApiError):
    """An upload was completed, cancelled or expired while its file was made; nothing is stored."""
