"""Threads that are made when they are needed and end when they are not: a burst of requests leaves none behind.

A job goes to the idle thread that worked last, so that a surplus thread stays idle, and ends.
"""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from lazu import cpus

#: Seconds without work after which a thread ends, if there are more than those that stay.
IDLE_SECONDS = 5.0

log = logging.getLogger(__name__)

Job = tuple["Future[Any]", Callable[[], Any]]


class Pool(Executor):
    """At most `most` threads, of which `keep` stay. It ends with the process, whatever is still running."""

    def __init__(self, keep: int, most: int) -> None:
        self._keep, self._most = keep, most
        self._jobs: deque[Job] = deque()
        self._lock = threading.Lock()
        #: A gate for each thread that waits, the one that came last at the end; who opens one takes it out.
        self._gates: list[threading.Lock] = []
        self._threads = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Have `fn` called in a thread; the future has what it gives or raises."""
        future: Future[Any] = Future()
        with self._lock:
            self._jobs.append((future, lambda: fn(*args, **kwargs)))
            if self._gates:
                self._gates.pop().release()
            else:
                self._start()
        return future

    def revive(self) -> None:
        """Try again to start a thread for jobs that wait for one; call it now and then."""
        with self._lock:
            if self._jobs and not self._gates:
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
        cpus.settle()  # the relay, which roams, may have started it
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
            with self._lock:
                self._threads -= 1
            future.set_exception(error)

    def _next(self) -> Job | None:
        """The next job; None when this thread is one too many."""
        rested = False
        while True:
            with self._lock:
                if self._jobs:
                    return self._jobs.popleft()
                if rested and self._threads > self._keep:
                    self._threads -= 1
                    return None
                gate = threading.Lock()
                gate.acquire()
                self._gates.append(gate)
            rested = not gate.acquire(timeout=IDLE_SECONDS) and self._leave(gate)

    def _leave(self, gate: threading.Lock) -> bool:
        """Wait no more; gives whether the gate was not opened at the last moment."""
        with self._lock:
            if gate not in self._gates:
                return False
            self._gates.remove(gate)
            return True
