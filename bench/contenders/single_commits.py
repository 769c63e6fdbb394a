"""Lazu with a commit for each upload, as it would be without the group: what the group is worth on a slow disk."""

import threading
from collections.abc import Callable
from typing import Any

from lazu import slots
from lazu.store.sqlite.group_commit import GroupCommit, _Job

_turn = threading.Lock()


def alone(self: GroupCommit, work: Callable[[], Any], until: float) -> Any:
    """`GroupCommit.commit`, but nobody's work is taken along."""
    job = _Job(work)
    with slots.waiting(), _turn:
        self._waiting.append(job)
        self._commit(job, until)
    if job.error:
        raise job.error
    return job.result


GroupCommit.commit = alone  # type: ignore[method-assign]

from app import app  # noqa: E402  only now

__all__ = ["app"]
