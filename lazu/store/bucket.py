"""The door to the object store: objects of one bucket under one prefix, by the S3 protocol.

It knows neither rows nor what a name means. Credentials, region, endpoint and TLS come from where operators keep them
for every AWS client: the AWS_ variables, `~/.aws`, the role of the machine (botocore's chain). Only PUT, GET, HEAD,
DELETE and ListObjectsV2 are used: these are what all servers do alike (docs/decisions/0070-botocore.md).

A call that failed may have been carried out, or may yet be: a DELETE that timed out can remove what a later PUT of the
same name has made. So callers use each name for one object only, once.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import Any, Self
from urllib.parse import urlsplit

from botocore import exceptions

from lazu import metrics
from lazu.errors import Busy, Full
from lazu.store.bucket_client import Body, Seekable, make_client

#: Seconds without a byte of an answer.
SILENCE_SECONDS = 60
#: How often a read goes on after the connection broke without having brought a byte.
_TRIES = 3
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "InsufficientCapacity"}


class ObjectStoreFailed(Busy):
    """The object store could not be reached, refused, or did not answer in time: nobody knows what it did."""


class ObjectStoreFull(Full):
    """The object store has no room."""


@dataclass(frozen=True)
class Entry:
    """An object as a listing shows it: its name without the prefix, its bytes, and when it came, in UTC seconds."""

    name: str
    bytes: int
    came: float


class Bucket:
    """The objects of a `url` like `s3://bucket/prefix`. Threads may share it; processes may not.

    `silence` is the number of seconds after which a call without an answer counts as failed. Every verb is repeated
    twice, as AWS_MAX_ATTEMPTS allows, when the store is busy or a connection breaks.
    """

    def __init__(self, url: str, silence: float = SILENCE_SECONDS) -> None:
        place = urlsplit(url)
        self.url = url
        self._bucket = place.netloc
        self._prefix = f"{place.path.strip('/')}/".lstrip("/")
        try:
            self._client = make_client(silence)
        except exceptions.BotoCoreError as e:
            raise ObjectStoreFailed(str(e)) from e

    def put(self, name: str, fd: int, size: int, sha256: str) -> None:
        """Store the first `size` bytes of the file `fd`, whose hash is `sha256` (hex), as the object `name`.

        When this returns, the object is whole, and as durable as the engine makes it; the engine has compared the hash.
        Raises `ObjectStoreFull` or `ObjectStoreFailed`: then it may be there all the same, now or later, yet never in
        part.
        """
        digest = base64.b64encode(bytes.fromhex(sha256)).decode()
        self._call("put_object", name, Body=Body(fd, size), ContentLength=size, ChecksumSHA256=digest)

    def open(self, name: str, size: int, start: int = 0) -> "Reader":
        """The object `name` of `size` bytes, for reading from `start` or any other place.

        Costs nothing until something is read.
        """
        return Reader(self, name, size, start)

    def get(self, name: str, start: int) -> Any:
        """The bytes of `name` from `start` to the end, as a stream that the caller closes.

        Raises `FileNotFoundError` or `ObjectStoreFailed`.
        """
        asked = {"Range": f"bytes={start}-"} if start else {}
        return self._call("get_object", name, **asked)["Body"]

    def size(self, name: str) -> int | None:
        """Bytes of the object `name`, None if it is not there; raises `ObjectStoreFailed`."""
        try:
            return int(self._call("head_object", name)["ContentLength"])
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """Remove the object `name`; it may be gone already. Raises `ObjectStoreFailed`: then it may go later."""
        self._call("delete_object", name)

    def pages(self, size: int = 1000, below: str = "") -> Iterator[list[Entry]]:
        """All objects whose names begin with `below`, in order of their names, at most `size` (up to 1,000) at once.

        An object that comes or goes meanwhile may be in it or not. Raises `ObjectStoreFailed`.
        """
        token: dict[str, str] = {}
        while True:
            answer = self._call("list_objects_v2", None, Prefix=self._prefix + below, MaxKeys=size, **token)
            length = len(self._prefix)
            listed = answer.get("Contents", [])
            yield [Entry(each["Key"][length:], each["Size"], each["LastModified"].timestamp()) for each in listed]
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def presigned(self, name: str, seconds: int) -> str:
        """A URL by which anybody may GET the object `name` for that long; made without asking the store."""
        where = {"Bucket": self._bucket, "Key": self._prefix + name}
        url: str = self._client.generate_presigned_url("get_object", Params=where, ExpiresIn=seconds)
        return url

    def _call(self, verb: str, name: str | None, **more: Any) -> dict[str, Any]:
        key = {} if name is None else {"Key": self._prefix + name}
        outcome = "unreachable"
        try:
            with metrics.object_seconds(verb):
                answer: dict[str, Any] = getattr(self._client, verb)(Bucket=self._bucket, **key, **more)
            outcome = "ok"
        except exceptions.ClientError as e:
            outcome = str(_status(e))
            raise _translated(e, name) from e
        except exceptions.BotoCoreError as e:
            raise ObjectStoreFailed(str(e)) from e
        finally:
            metrics.object_called(verb, outcome)
        return answer


class Reader(Seekable):
    """An object, read like a file. A connection that breaks is replaced where it broke: an object never changes.

    Raises from `read`: `FileNotFoundError` when the object is not there, `ObjectStoreFailed` when the store can't be
    read. A seek gives the connection up, so a range costs one call.
    """

    def __init__(self, bucket: Bucket, name: str, size: int, start: int = 0) -> None:
        self._bucket, self._name, self.size = bucket, name, size
        self._at = start
        self._stream: Any = None

    def __enter__(self) -> Self:
        return self

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a place; gives it."""
        at = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self.size}[whence] + offset
        if at != self._at:
            self._drop()
            self._at = at
        return at

    def begin(self) -> Self:
        """Have the bytes on their way: raises now what the first `read` would."""
        if self._stream is None and self._at < self.size:
            self._stream = self._bucket.get(self._name, self._at)
        return self

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`; gives how many bytes came, 0 at the end."""
        if self._at >= self.size or not len(buffer):
            return 0
        for _ in range(_TRIES):
            count = self._some(buffer)
            if count:
                self._at += count
                return count
        raise ObjectStoreFailed(f"an object could not be read past {self._at} of {self.size} bytes")

    def close(self) -> None:
        """Give the connection up."""
        self._drop()
        super().close()

    def _some(self, buffer: Any) -> int:
        """Fill `buffer` from the connection there is, or a new one; 0 when it broke."""
        self.begin()
        try:
            count: int = self._stream.readinto(buffer)
        except exceptions.BotoCoreError:
            count = 0
        if not count:
            self._drop()
        return count

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _status(error: exceptions.ClientError) -> int:
    """Of the answer; 200 for an error that came after it, 0 for none."""
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def _translated(error: exceptions.ClientError, name: str | None) -> Exception:
    status, code = _status(error), error.response.get("Error", {}).get("Code", "")
    if status == 404 and name is not None and code != "NoSuchBucket":
        return FileNotFoundError(name)
    if status == 507 or code in _FULL:
        return ObjectStoreFull(code)
    return ObjectStoreFailed(f"{error.operation_name}: {status} {code}")
