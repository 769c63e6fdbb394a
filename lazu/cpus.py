"""Which CPU a process works on: each on one of its own, where there are as many as CPUs.

Python lets one thread of a process work at a time. Where threads are on several CPUs, each that ends wakes another CPU
for the next one; on the same CPU that is a change of threads (docs/decisions/0064-cpus.md). Work that takes long is
mostly SHA-256's and the kernel's, which Python's lock does not hold back, so it may go to any CPU.
"""

import os
from contextlib import suppress

#: The CPUs of the server, and the one of this process; empty where the system chooses.
_all: set[int] = set()
_own: set[int] = set()


def divide(number: int, processes: int) -> None:
    """Bind this thread, and those that it starts, to one CPU: this process is the `number`th of `processes`.

    Does nothing unless the processes divide evenly among the CPUs: else some CPUs would be idle.
    """
    available = sorted(os.sched_getaffinity(0))
    if len(available) > 1 and processes % len(available) == 0:
        _all.update(available)
        _own.add(available[number % len(available)])
        settle()


def roam() -> None:
    """Let this thread, and the processes that it starts, work on any CPU of the server."""
    _allow(_all)


def settle() -> None:
    """Have this thread work on the CPU of its process again."""
    _allow(_own)


def _allow(chosen: set[int]) -> None:
    if chosen:
        with suppress(OSError):  # a sandbox that forbids it, a CPU that is gone: then the system chooses
            os.sched_setaffinity(0, chosen)
