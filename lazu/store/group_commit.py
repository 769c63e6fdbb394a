"""One commit for many: what threads of this process want written at the same time shares a transaction.

A commit costs a sync of the disk, whatever is in it, and writers that meet in SQLite sleep before they look again. So
one thread commits for all that came until its transaction began (docs/decisions/0060-shared-commits.md). Each waits
for its own time: who leads gives up for itself alone.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lazu import clock, slots
from lazu.errors import ApiError, Busy, InternalError

Result = TypeVar("Result")


@dataclass(eq=False)
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
    """Commits in what `transaction` gives: a context that is committed, or certainly not, when it is left.

    It begins before a moment (`clock.monotonic`), or raises `Busy`.
    """

    def __init__(self, transaction: Callable[[float], AbstractContextManager[None]]) -> None:
        self._transaction = transaction
        self._turn = threading.Lock()
        self._door = threading.Lock()
        #: Within `_door`: a job is taken or leaves, never both.
        self._waiting: list[_Job] = []

    def commit(self, work: Callable[[], Result], until: float) -> Result:
        """Call `work` in a transaction, perhaps in another thread; give its result when that is committed.

        `work` may refuse by an `ApiError` before it has written anything: that is raised here, and the rest of the
        transaction is committed. Raises the `StoreError` of the transaction, `Busy` if it has not begun by `until`; and
        then nothing of it is there.
        """
        job = _Job(work)
        with self._door:
            self._waiting.append(job)
        # The commit too, not only the wait for it: who commits for others must not wait for a slot meanwhile.
        with slots.waiting(), self._in_turn(job, until):
            if not job.done:
                self._commit(job, until)
        result: Result = job.outcome()
        return result

    @contextmanager
    def _in_turn(self, job: _Job, until: float) -> Iterator[None]:
        if not self._turn.acquire(timeout=max(0, until - clock.monotonic())):
            if self._leave(job):
                raise Busy("others were committing for all the time there was")
            self._turn.acquire()  # whoever has taken it may commit it any moment
        try:
            yield
        finally:
            self._turn.release()

    def _commit(self, own: _Job, until: float) -> None:
        """Commit for all who wait when the transaction has begun: it may have waited long for another process.

        Where it can't begin `own` alone gives up: the others have time left, or meet the same error by themselves.
        """
        jobs: list[_Job] = []
        try:
            with self._transaction(until):
                jobs = self._take()
                for job in jobs:
                    job.run()
            for job in jobs:
                job.error = job.refusal
        except Exception as e:  # noqa: BLE001 - each whose work was in the transaction raises it
            for job in jobs or [own]:
                job.error = e
        finally:
            # None may stay: who was told of an error takes its bytes back, and its row must not come later.
            self._leave(own)
            for job in jobs or [own]:
                job.done = True

    def _take(self) -> list[_Job]:
        """All that wait: from now on they wait for the caller."""
        with self._door:
            taken, self._waiting = self._waiting, []
        return taken

    def _leave(self, job: _Job) -> bool:
        """Have `job` wait no more; False if somebody has taken it."""
        with self._door:
            waits = job in self._waiting
            if waits:
                self._waiting.remove(job)
        return waits
