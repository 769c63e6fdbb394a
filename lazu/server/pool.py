"""Threads that are made when they are needed and end when they are not: a burst of requests leaves none behind.

Each holds a stack, and a connection of the database with its descriptors.
"""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

#: Seconds without work after which a thread ends, if there are more than those that stay.
IDLE_SECONDS = 5.0

log = logging.getLogger(__name__)

Job = tuple["Future[Any]", Callable[[], Any]]


class Pool(Executor):
    """At most `most` threads, of which `keep` stay. It ends with the process, whatever is still running."""

    def __init__(self, keep: int, most: int) -> None:
        self._keep, self._most = keep, most
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._threads = self._waiting = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Have `fn` called in a thread; the future has what it gives or raises."""
        future: Future[Any] = Future()
        with self._changed:
            self._jobs.append((future, lambda: fn(*args, **kwargs)))
            if self._waiting >= len(self._jobs):
                self._changed.notify()
            else:
                self._start()
        return future

    def revive(self) -> None:
        """Try again to start a thread for jobs that wait for one; call it now and then."""
        with self._changed:
            if self._jobs and not self._waiting:
                self._start()

    def _start(self) -> None:
        """One more thread if there may be; without one left in the system, jobs wait for those there are."""
        if self._threads >= self._most:
            return
        try:
            threading.Thread(target=self._run, name="lazu-request", daemon=True).start()
            self._threads += 1
        except RuntimeError:
            log.warning("no thread left for a new client; raise the limit (TasksMax, ulimit -u)")

    def _run(self) -> None:
        while (job := self._next()) is not None:
            future, call = job
            try:
                future.set_result(call())
            finally:
                self._tell(future, sys.exception())
            del job, future, call  # what they hold must not wait for the next job

    def _tell(self, future: "Future[Any]", error: BaseException | None) -> None:
        """Pass on what a job raised, if it did: its thread ends with it, and the trace is printed."""
        if error is not None:
            with self._changed:
                self._threads -= 1
            future.set_exception(error)

    def _next(self) -> Job | None:
        """The next job; None when this thread is one too many."""
        with self._changed:
            while not self._jobs:
                self._waiting += 1
                woken = self._changed.wait(IDLE_SECONDS)
                self._waiting -= 1
                if not woken and not self._jobs and self._threads > self._keep:
                    self._threads -= 1
                    return None
            return self._jobs.popleft()
