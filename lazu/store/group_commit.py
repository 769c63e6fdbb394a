"""One commit for many: what threads of this process want written at the same time shares a transaction.

A commit costs a sync of the disk, whatever is in it, and writers that meet in SQLite sleep before they look again. So
one thread commits for all that came until its transaction began (docs/decisions/0060-shared-commits.md).
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lazu import slots
from lazu.errors import ApiError, InternalError, StoreError

Result = TypeVar("Result")


@dataclass
class _Job:
    work: Callable[[], Any]
    result: Any = None
    refusal: ApiError | None = None
    #: InternalError until the commit succeeded.
    error: Exception | None = field(default_factory=InternalError)
    done: bool = False

    def run(self) -> None:
        try:
            self.result = self.work()
        except ApiError as e:
            self.refusal = e

    def outcome(self) -> Any:
        """The result of a job that is done, once; raises its error."""
        try:
            if self.error:
                raise self.error
            return self.result
        finally:
            self.error = self.refusal = None  # its traceback holds this job, which would be a cycle


class GroupCommit:
    """Commits in what `transaction` gives: a context that is committed, or certainly not, when it is left."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._transaction = transaction
        self._turn = threading.Lock()
        self._waiting: deque[_Job] = deque()

    def commit(self, work: Callable[[], Result]) -> Result:
        """Call `work` in a transaction, perhaps in another thread; give its result when that is committed.

        `work` may refuse by an `ApiError` before it has written anything: that is raised here, and the rest of the
        transaction is committed. Raises the `StoreError` of the transaction, and then nothing of it is there.
        """
        job = _Job(work)
        self._waiting.append(job)
        # The commit too, not only the wait for it: who commits for others must not wait for a slot meanwhile.
        with slots.waiting(), self._turn:
            if not job.done:
                self._commit()
        result: Result = job.outcome()
        return result

    def _commit(self) -> None:
        """Commit for all who wait when the transaction has begun: it may have waited long for another process."""
        jobs: list[_Job] = []
        try:
            with self._transaction():
                jobs = self._take()
                for job in jobs:
                    job.run()
            for job in jobs:
                job.error = job.refusal
        except StoreError as e:
            jobs = jobs or self._take()
            for job in jobs:
                job.error = e
        finally:
            # None may stay: who was told of an error takes its bytes back, and its row must not come later.
            for job in jobs or self._take():
                job.done = True

    def _take(self) -> list[_Job]:
        return [self._waiting.popleft() for _ in range(len(self._waiting))]
