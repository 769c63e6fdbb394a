"""One commit for many: what threads of this process want written at the same time shares a transaction.

A commit costs a sync of the disk, whatever is in it, and writers that meet in SQLite sleep before they look again. So
one thread commits for all that came while another one did (docs/decisions/0060-shared-commits.md).
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lazu.errors import ApiError, InternalError
from lazu.store import rows

Result = TypeVar("Result")


@dataclass
class _Job:
    work: Callable[[], Any]
    result: Any = None
    refusal: ApiError | None = None
    #: Why it is not committed: until it is, that nobody came so far.
    error: Exception | None = field(default_factory=InternalError)
    done: bool = False

    def run(self) -> None:
        try:
            self.result = self.work()
        except ApiError as e:
            self.refusal = e


_turn = threading.Lock()
_waiting: deque[_Job] = deque()


def commit(work: Callable[[], Result]) -> Result:
    """What `work` gives, called in a transaction that is committed, durably, when this returns.

    `work` reads and writes rows, perhaps in another thread. It may refuse by a `ApiError` before it has written
    anything: that is raised here, and the rest of the transaction is committed. Raises what `rows.transaction` does,
    and then nothing of the transaction is there.
    """
    job = _Job(work)
    _waiting.append(job)
    with _turn:
        if not job.done:
            _commit([_waiting.popleft() for _ in range(len(_waiting))])
    if job.error:
        raise job.error
    result: Result = job.result
    return result


def _commit(jobs: list[_Job]) -> None:
    try:
        with rows.transaction():
            for job in jobs:
                job.run()
        for job in jobs:
            job.error = job.refusal
    except rows.DatabaseError as e:
        for job in jobs:
            job.error = e
    finally:
        for job in jobs:
            job.done = True
