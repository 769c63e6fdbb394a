"""The door to the object store: objects of one bucket under one prefix, by the S3 protocol.

It knows neither rows nor what a name means. Credentials, region, endpoint and TLS come from where operators keep them
for every AWS client: the AWS_ variables, `~/.aws`, the role of the machine (botocore's chain). Only PUT, GET, HEAD,
DELETE and ListObjectsV2 are used: these are what all servers do alike (docs/decisions/0070-botocore.md).

A call that failed may have been carried out, or may yet be: a DELETE that timed out can remove what a later PUT of the
same name has made. So callers use each name for one object only, once.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import Any, Self
from urllib.parse import urlsplit

from botocore import exceptions

from lazu import ledger, metrics, slots
from lazu.store import bucket_errors
from lazu.store.bucket_client import Clients, FileBody, Seekable
from lazu.store.bucket_errors import (
    NoSuchObject,
    ObjectOfOtherSize,
    ObjectRefused,
    ObjectStoreAiling,
    ObjectStoreFailed,
)

#: Seconds without a byte of an answer: to a call that carries bytes, and to any other, or while the store is silent.
SILENCE_SECONDS, BRISK_SECONDS = 20, 5
#: Bytes of an object that are read before anything is done with them.
_AHEAD = 64 * 1024
#: How often a read goes on after the connection broke without having brought a byte.
_TRIES = 3
#: No answer in time; `ConnectionClosedError` also when the store did not take a body in time.
_SILENCE = (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError, exceptions.ConnectionClosedError)
#: The verbs that carry bytes of objects.
_CARRYING = {"put_object", "get_object"}


@dataclass(frozen=True)
class Entry:
    """An object as a listing shows it: its name without the prefix, its bytes, and when it came, in UTC seconds."""

    name: str
    bytes: int
    came: float


class Bucket:
    """The objects of a `url` like `s3://bucket/prefix`. Threads may share it; processes may not.

    `silence` is the number of seconds after which a call without an answer counts as failed. Every verb is repeated
    twice, as AWS_MAX_ATTEMPTS allows, when the store is busy or a connection breaks. A store that was silent when bytes
    were to be carried is waited for briefly until it answers a call. A request gives its slot to others while it waits.
    """

    def __init__(self, url: str, silence: float = SILENCE_SECONDS) -> None:
        place = urlsplit(url)
        self.url = url
        self._bucket = place.netloc
        self._prefix = f"{place.path.strip('/')}/".lstrip("/")
        self._silent = False
        self._clients = Clients(silence, min(silence, BRISK_SECONDS))
        try:
            self._clients.get()
        except bucket_errors.UNKNOWN:
            pass  # the service that gives credentials may be away too: they are looked for again
        except Exception as e:  # noqa: BLE001 - of what gives credentials too
            raise bucket_errors.unanswered(e) from bucket_errors.shown(e)

    def put(self, name: str, fd: int, size: int, sha256: str) -> None:
        """Store the first `size` bytes of the file `fd`, whose hash is `sha256` (hex), as the object `name`.

        When this returns, the object is whole, and as durable as the engine makes it; the engine has compared the hash.
        Raises `ObjectStoreFull` or `ObjectStoreFailed`: then it may be there all the same, now or later, yet never in
        part.
        """
        digest = base64.b64encode(bytes.fromhex(sha256)).decode()
        try:
            answer = self._call("put_object", name, Body=FileBody(fd, size), ContentLength=size, ChecksumSHA256=digest)
        except NoSuchObject as e:
            raise ObjectStoreFailed("put_object: 404") from e
        if not answer.get("ETag"):  # every store gives one; what says 200 to anything is none
            raise ObjectStoreFailed("put_object: an answer without an ETag")

    def put_bytes(self, name: str, data: bytes, sha256: str | None = None) -> None:
        """As `put`, from memory: this box's disk may be full. With `sha256` the bytes are said to have that hash."""
        with open(ledger.nameless("lazu-object"), "wb") as file:
            file.write(data)
            file.flush()
            self.put(name, file.fileno(), len(data), sha256 or hashlib.sha256(data).hexdigest())

    def open(self, name: str, size: int, start: int = 0, end: int | None = None) -> "Reader":
        """The object `name` of `size` bytes, for reading from `start` or any other place, up to `end`.

        Costs nothing until something is read.
        """
        return Reader(self, name, size, range(start, size if end is None else end))

    def get(self, name: str, part: range, size: int) -> Any:
        """The bytes of `name`, which has `size`, in this `part`, as a stream that the caller closes.

        Raises `NoSuchObject`, `ObjectStoreFailed`, `ObjectOfOtherSize`.
        """
        asked = f"bytes {part.start}-{part.stop - 1}/{size}" if len(part) < size else None
        answer = self._call("get_object", name, **({"Range": f"bytes={part.start}-{part.stop - 1}"} if asked else {}))
        if (not asked or answer.get("ContentRange") == asked) and answer.get("ContentLength") == len(part):
            return answer["Body"]
        answer["Body"].close()
        raise ObjectOfOtherSize("get_object: an answer about other bytes")

    def size(self, name: str) -> int | None:
        """Bytes of the object `name`, None if it is not there; raises `ObjectStoreFailed`."""
        try:
            try:
                answer = self._call("head_object", name)
            except ObjectRefused:  # an answer to HEAD has no body, so any proxy's 404 looks like a store's
                answer = self._call("get_object", name)
                answer["Body"].close()
            return int(answer["ContentLength"])
        except NoSuchObject:
            return None
        except KeyError as e:
            raise ObjectStoreFailed(f"head_object: an answer without {e}") from e

    def delete(self, name: str) -> bool:
        """Remove the object `name`, which may be gone already; gives whether the bucket keeps its bytes as a version.

        Raises `ObjectStoreFailed`: then it may go later.
        """
        with suppress(NoSuchObject):
            return "VersionId" in self._call("delete_object", name)
        return False

    def pages(self, size: int = 1000, below: str = "") -> Iterator[list[Entry]]:
        """All objects, in an order that the store chooses, at most `size` (up to 1,000) at once.

        With `below` those whose names begin so and have no slash after it: what is deeper may be another store's. An
        object that comes or goes meanwhile may be in it or not. Raises `ObjectStoreFailed`.
        """
        token: dict[str, str] = {}
        seen: set[str] = set()
        asked = {"Prefix": self._prefix + below, "MaxKeys": size, **({"Delimiter": "/"} if below else {})}
        while True:
            answer = self._call("list_objects_v2", None, **asked, **token)
            page, more = self._listed(answer)
            yield page
            if not more:
                return
            token = more
            if token["ContinuationToken"] in seen:
                raise ObjectStoreFailed("list_objects_v2: the same page again")
            seen.add(token["ContinuationToken"])

    def _listed(self, answer: dict[str, Any]) -> tuple[list[Entry], dict[str, str]]:
        """The objects in an answer, and what to ask for next; what is no answer must not look like the end."""
        length = len(self._prefix)
        try:
            listed = answer.get("Contents", [])
            page = [Entry(each["Key"][length:], each["Size"], each["LastModified"].timestamp()) for each in listed]
            return page, {"ContinuationToken": answer["NextContinuationToken"]} if answer["IsTruncated"] else {}
        except KeyError as e:
            raise ObjectStoreFailed(f"list_objects_v2: an answer without {e}") from e

    def presigned(self, name: str, seconds: int) -> str:
        """A URL by which anybody may GET the object `name` for that long; made without asking the store."""
        where = {"Bucket": self._bucket, "Key": self._prefix + name}
        try:
            with slots.waiting():  # for credentials: see `_call`
                url: str = self._clients.get().generate_presigned_url("get_object", Params=where, ExpiresIn=seconds)
        except Exception as e:  # noqa: BLE001 - of what gives credentials too
            raise self._failed(e) from bucket_errors.shown(e)
        return url

    def _call(self, verb: str, name: str | None, **more: Any) -> dict[str, Any]:
        key = {} if name is None else {"Key": self._prefix + name}
        outcome = "unreachable"
        try:
            # One wait for all of it: whoever renews credentials has a lock of botocore's, and must not wait for a slot.
            with slots.waiting(), metrics.object_seconds(verb):
                client = self._clients.get(verb not in _CARRYING or self._silent)
                answer: dict[str, Any] = getattr(client, verb)(Bucket=self._bucket, **key, **more)
            outcome = "ok"
        except exceptions.ClientError as e:
            outcome = str(bucket_errors.status(e))
            if bucket_errors.is_stale(e):
                self._clients.renew()
            raise bucket_errors.refused(e, name) from e
        except Exception as e:  # noqa: BLE001 - of what gives credentials too, or urllib3's when an error's body breaks
            if verb in _CARRYING and isinstance(e, _SILENCE):
                self._silent = True
            raise self._failed(e) from bucket_errors.shown(e)
        finally:
            if outcome != "unreachable":
                self._silent = False
            metrics.object_called(verb, outcome)
        return answer

    def _failed(self, error: Exception) -> ObjectStoreFailed:
        """What to raise for a call without an answer. Without credentials a client would never look for them again."""
        if isinstance(error, bucket_errors.UNKNOWN):
            self._clients.renew()
        return bucket_errors.unanswered(error)


class Reader(Seekable):
    """An object, read like a file. A connection that breaks is replaced where it broke: an object never changes.

    Raises from `read`: `NoSuchObject` when the object is not there, `ObjectStoreFailed` when the store can't be
    read, or when the object goes after `begin`. A seek gives the connection up, so a range costs one call, unless it
    leads to bytes that are here.
    """

    def __init__(self, bucket: Bucket, name: str, size: int, part: range) -> None:
        self._bucket, self._name, self.size = bucket, name, size
        self._at, self._end = part.start, part.stop
        self._ahead, self._begun = b"", False
        self._why = "it ended early"
        self._stream: Any = None

    def __enter__(self) -> Self:
        return self

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a place; gives it."""
        at = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self.size}[whence] + offset
        if not 0 <= at - self._at <= len(self._ahead):
            self._drop()
        self._ahead, self._at = self._ahead[at - self._at :], at
        return at

    def begin(self) -> Self:
        """Have the first bytes here: raises now what the first `read` would."""
        if not self._ahead and self._at < self._end:
            first = bytearray(min(_AHEAD, self._end - self._at))
            self._ahead = bytes(first[: self._fill(first)])
        self._begun = True
        return self

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`; gives how many bytes came, 0 at the end."""
        if self._at >= self._end or not len(buffer):
            return 0
        if self._ahead:
            count = min(len(buffer), len(self._ahead))
            buffer[:count], self._ahead = self._ahead[:count], self._ahead[count:]
        else:
            count = self._fill(buffer)
        self._at += count
        return count

    def _fill(self, buffer: Any) -> int:
        """Fill `buffer` as far as bytes come; gives how many, never 0."""
        for _ in range(_TRIES):
            if count := self._some(buffer):
                return count
        raise ObjectStoreAiling(f"an object could not be read past {self._at} of {self.size} bytes: {self._why}")

    def close(self) -> None:
        """Give the connection up."""
        self._drop()
        super().close()

    def _some(self, buffer: Any) -> int:
        """Fill `buffer` from the connection there is, or a new one; 0 when it broke."""
        try:
            if self._stream is None:
                self._stream = self._bucket.get(self._name, range(self._at, self._end), self.size)
        except NoSuchObject as e:
            if not self._begun:
                raise
            raise ObjectStoreFailed("an object went while it was read") from e
        try:
            with slots.waiting():
                count: int = self._stream.readinto(buffer)
        except Exception as e:  # noqa: BLE001 - botocore's, or urllib3's, as for a broken record of TLS
            count, self._why = 0, type(e).__name__
        if not count:
            self._drop()
        return count

    def _drop(self) -> None:
        self._ahead = b""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
