"""Threads that wait for locks, and can be left behind: nothing but the lock ends a wait in the kernel.

Two busy processes wait for each other at every third upload. A thread need not be made for each of these waits: the
last ones stay for the next.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from lazu.errors import Busy

#: Threads that stay.
_KEEP = 4


@dataclass(frozen=True)
class _Wait:
    """One wait: `take` blocks until it holds the lock of `fd`, and `held` is set then."""

    fd: int
    take: Callable[[int], object]
    held: threading.Event = field(default_factory=threading.Event)


#: What the threads without a wait listen to.
_idle: deque[SimpleQueue[_Wait]] = deque()
os.register_at_fork(after_in_child=_idle.clear)


def begin(fd: int, take: Callable[[int], object]) -> threading.Event:
    """Have `take` wait for the lock of `fd`; the event is set when it has it.

    `fd` is a duplicate that is closed then, so that a lock which comes when nobody waits any more is given back. Raises
    `Busy` where no thread is left to wait; `fd` is closed then, too.
    """
    wait = _Wait(fd, take)
    try:
        _idle.pop().put(wait)
    except IndexError:
        _start(wait)
    return wait.held


def _start(wait: _Wait) -> None:
    try:
        threading.Thread(target=_serve, args=(wait,), name="lazu-lock", daemon=True).start()
    except RuntimeError as e:
        os.close(wait.fd)
        raise Busy("no thread left to wait for a lock; raise the limit (TasksMax, ulimit -u)") from e


def _serve(wait: _Wait) -> None:
    waits: SimpleQueue[_Wait] = SimpleQueue()
    while True:
        try:
            wait.take(wait.fd)
            wait.held.set()
        finally:
            os.close(wait.fd)
        if len(_idle) >= _KEEP:
            return
        _idle.append(waits)
        wait = waits.get()
