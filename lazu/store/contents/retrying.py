"""Retries while an engine is away; tells an object store that is away from an object that it can't read."""

from collections.abc import Callable
from itertools import islice
from typing import TypeVar

from lazu import clock
from lazu.errors import Busy, Doubt, StoreError
from lazu.store.bucket import Bucket, Entry
from lazu.store.bucket_errors import NoSuchObject, ObjectStoreFailed
from lazu.store.contents import object_names

Result = TypeVar("Result")

#: Seconds for which a content waits for engines that are away: a restart of theirs does not stop who copies for hours.
SECONDS = 60
#: Seconds for which an object is waited for when one was not to be had: a store that lost a volume has lost many.
_BRIEFLY = 5
#: Objects of a kind, at most, that are asked for then: each may take a minute.
_SOME = 5


class Unreadable(Exception):
    """The store does not give an object, again and again, while it gives another one."""


class Retrying:
    """The retries of one command, which reads from `bucket`, or only writes (None). Threads may share it."""

    def __init__(self, bucket: Bucket | None) -> None:
        self._bucket = bucket
        self._seconds = SECONDS
        self._given: list[Entry] = []

    def call(self, name: str, work: Callable[[], Result]) -> Result:
        """The result of `work` on the object or content `name`; retried while an engine is away.

        Raises `Unreadable`, and `Busy` for an engine that stays away.
        """
        began = clock.monotonic()
        while True:
            try:
                return work()
            except (Busy, Doubt) as e:
                waited = clock.monotonic() - began
                if waited > self._seconds and isinstance(e, ObjectStoreFailed) and self.gives():
                    return self._at_last(name, work)
                if waited > SECONDS:
                    raise Busy(f"{name}: {e}") from e
            clock.sleep(1)

    def _at_last(self, name: str, work: Callable[[], Result]) -> Result:
        """Once more, now that the store gives another object: it may have come back just then."""
        try:
            return work()
        except ObjectStoreFailed as e:
            self._seconds = min(self._seconds, _BRIEFLY)
            raise Unreadable(name) from e

    def gives(self) -> bool:
        """Whether the store gives any object: the one it gave before, one of Lazu's marks, or one of the first few."""
        if self._bucket is None:
            return False
        try:
            known = next(self._bucket.pages(_SOME, below=object_names.STORE))
            some = [*self._given, *known, *next(self._bucket.pages(_SOME))]
        except StoreError:
            return False
        self._given = list(islice(filter(self._is_given, some), 1))
        return bool(self._given)

    def _is_given(self, entry: Entry) -> bool:
        assert self._bucket
        try:
            with self._bucket.open(entry.name, entry.bytes, end=min(1, entry.bytes)) as reader:
                return bool(reader.read())
        except (StoreError, NoSuchObject):
            return False
