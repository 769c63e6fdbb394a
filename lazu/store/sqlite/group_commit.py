"""One commit for many: what threads of this process want written at the same time shares a transaction.

A commit costs a sync of the disk, whatever is in it, and writers that meet in SQLite sleep before they look again. So
one thread commits for all that came until its transaction began (docs/decisions/0060-shared-commits.md). Each waits
for its own time: who leads gives up for itself alone.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lazu import clock, slots
from lazu.errors import ApiError, Busy, InternalError

Result = TypeVar("Result")


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False)
class _Job:
    work: Callable[[], Any]
    result: Any = None
    #: Why there is no result: `work` has refused, or the commit failed.
    error: Exception | None = None
    #: Released when it is done by somebody else, or has to lead.
    woken: threading.Lock = field(default_factory=_held)

    def run(self) -> None:
        try:
            self.result = self.work()
        except ApiError as e:
            self.error = e

    def fail(self, error: Exception) -> None:
        """Have `outcome` raise a copy of `error`: each thread that raises an exception adds its frames to its trace."""
        self.error = type(error).__new__(type(error), *error.args)
        self.error.__dict__.update(error.__dict__)
        self.error.__cause__ = error

    def outcome(self) -> Any:
        """Give the result when the commit is over, or raise the error; call it once."""
        try:
            if self.error:
                raise self.error
            return self.result
        finally:
            self.error = None  # its traceback holds this job, which would be a cycle


class GroupCommit:
    """Commits in what `transaction` gives: a context that is committed, or certainly not, when it is left.

    It begins before a moment (`clock.monotonic`), or raises `Busy`.
    """

    def __init__(self, transaction: Callable[[float], AbstractContextManager[None]]) -> None:
        self._transaction = transaction
        self._door = threading.Lock()
        #: Within `_door`: those whose work is in no transaction yet, and who commits for all.
        self._waiting: list[_Job] = []
        self._leader: _Job | None = None

    def commit(self, work: Callable[[], Result], until: float) -> Result:
        """Call `work` in a transaction, perhaps in another thread; give its result when that is committed.

        `work` may refuse by an `ApiError` before it has written anything: that is raised here, and the rest of the
        transaction is committed. Raises the `StoreError` of the transaction, `Busy` if it has not begun by `until`; and
        then nothing of it is there.
        """
        job = _Job(work)
        with self._door:
            self._waiting.append(job)
            leads = self._leader is None
            if leads:
                self._leader = job
        # The commit too, not only the wait for it: who commits for others must not wait for a slot meanwhile.
        with slots.waiting():
            if not leads:
                self._wait(job, until)
            if job is self._leader:  # else another thread has committed it
                self._commit(job, until)
        result: Result = job.outcome()
        return result

    def _wait(self, job: _Job, until: float) -> None:
        """Wait until `job` is done, or has to lead; raises `Busy` if it has not begun by `until`."""
        if job.woken.acquire(timeout=max(0, until - clock.monotonic())):
            return
        with self._door:
            if job in self._waiting and job is not self._leader:
                self._waiting.remove(job)
                raise Busy("others were committing for all the time there was")
        job.woken.acquire()  # whoever has taken it commits it any moment

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
        except Exception as e:  # noqa: BLE001 - each whose work was in the transaction raises it
            for job in jobs or [own]:
                job.fail(e)
        except BaseException:  # this thread ends
            for job in jobs:
                job.fail(InternalError())
            raise
        finally:
            self._end(jobs, own)

    def _take(self) -> list[_Job]:
        """All that wait: from now on they wait for the caller."""
        with self._door:
            taken, self._waiting = self._waiting, []
        return taken

    def _end(self, jobs: list[_Job], own: _Job) -> None:
        """Let go whose work was in the transaction, and the first of those who came since lead.

        Nobody who is done waits for the next leader, who may wait for another process.
        """
        with self._door:
            # It may not stay: who is told of an error takes its bytes back, and its row must not come later.
            self._waiting = [job for job in self._waiting if job is not own]
            self._leader = next(iter(self._waiting), None)
            woken = [job for job in [*jobs, self._leader] if job and job is not own]
        for each in woken:
            each.woken.release()
