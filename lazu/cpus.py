"""How many CPUs there are, and which a process works on: each on one of its own, where there are as many as CPUs.

Python lets one thread of a process work at a time. Where threads are on several CPUs, each that ends wakes another CPU
for the next one; on the same CPU that is a change of threads (docs/decisions/0064-cpus.md). Work that takes long is
mostly SHA-256's and the kernel's, which Python's lock does not hold back, so it may go to any CPU.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: The CPUs of the server, and the one of this process; empty where the system chooses.
_all: set[int] = set()
_own: set[int] = set()

#: Where control groups limit the time of CPUs, by the name that /proc/self/cgroup gives version 2 and 1: the root of
#: the groups, and the files with a group's quota and period (the kernel's admin-guide/cgroup-v2, scheduler/sched-bwc).
_LIMITS = {
    "": ("/sys/fs/cgroup", "cpu.max"),
    "cpu": ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
}


def count() -> int:
    """Give the number of CPUs that the server may use, not of those that the machine has.

    A container's cpuset or `CPUAffinity=` leaves some of them, a quota (`--cpus`, `CPUQuota=`) time for so many.
    """
    return min([len(_all or os.sched_getaffinity(0)), *_quotas()])


def _quotas() -> Iterator[int]:
    """Give what each control group of this process, and each above it, allows."""
    with suppress(OSError), open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, group = line.rstrip("\n").split(":", 2)
            for name in _LIMITS.keys() & controllers.split(","):
                root, *files = _LIMITS[name]
                folder = Path(root + group)
                for each in (folder, *folder.parents):
                    yield from _quota(each, files)


def _quota(folder: Path, files: list[str]) -> Iterator[int]:
    """Give what one group allows, rounded up, if it has a limit and is seen: the path may be the host's."""
    with suppress(OSError, ValueError):  # an odd file must not stop a start
        quota, period = [word for name in files for word in _words(folder / name)]
        if quota not in ("max", "-1"):
            yield -(-int(quota) // int(period))


def _words(path: Path) -> list[str]:
    with path.open() as file:
        return file.read().split()


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
