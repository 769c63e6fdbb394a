"""Samples, and the race that takes them: contenders in turn, in the same run, so that ratios mean something."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")

Trial = Callable[[], "Sample"]
Contender = AbstractContextManager[Trial]


@dataclass(frozen=True)
class Sample:
    """One trial: wall seconds, CPU seconds of the server's processes, the work done (bytes or requests)."""

    seconds: float
    cpu: float = 0.0
    work: float = 1.0
    latencies: tuple[float, ...] = ()
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.work / self.seconds

    @property
    def cost(self) -> float:
        """CPU seconds for one unit of work."""
        return self.cpu / self.work


def family(pid: int) -> list[int]:
    """The process and its living descendants."""
    parents = {int(entry.name): ppid(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found = [pid]
    for member in found:
        found.extend(child for child, parent in parents.items() if parent == member)
    return found


def ppid(entry: Path) -> int:
    fields = stat(entry)
    return int(fields[1]) if fields else 0


def stat(entry: Path) -> list[str]:
    """The fields of /proc/PID/stat after the command's name (proc(5), from the third on); empty when it is gone."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def cpu(pid: int) -> float:
    """User and system seconds of a process tree so far; children that were waited for are counted by their parent."""
    return sum(own_cpu(member) + ended_cpu(member) for member in family(pid))


def own_cpu(pid: int) -> float:
    """By the process's own clock, in nanoseconds (clock_getcpuclockid(3)): /proc counts in hundredths of a second."""
    try:
        return time.clock_gettime(~pid << 3 | 2)  # CPUCLOCK_SCHED of linux/posix-timers.h
    except OSError:
        return 0


def ended_cpu(pid: int) -> float:
    """Of the children that ended, in hundredths of a second."""
    return sum(map(int, stat(Path(f"/proc/{pid}"))[13:15])) / TICK


def memory(pid: int, name: str) -> int:
    """Bytes of a process tree by a field of /proc/PID/status: VmRSS for now, VmHWM for the highest so far."""
    return sum(status(member, name) for member in family(pid))


def status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":")), 0)


def forget_peak(pid: int) -> None:
    """Start VmHWM anew from the present size (proc(5), clear_refs)."""
    for member in family(pid):
        Path(f"/proc/{member}/clear_refs").write_text("5")


class Race:
    """Samples of each contender by round: entry n of every list was taken in the same round."""

    def __init__(self, samples: dict[str, list[Sample]]):
        self.samples = samples

    def __contains__(self, name: str) -> bool:
        return name in self.samples

    def ratio(self, name: str, base: str, of: str = "rate") -> float:
        """The median over the rounds of `name` divided by `base`: of="rate" (more is faster), "cost" or "seconds"."""
        pairs = zip(self.samples[name], self.samples[base], strict=True)
        return statistics.median(getattr(mine, of) / (getattr(theirs, of) or 1e-9) for mine, theirs in pairs)

    def values(self, name: str, of: str) -> list[float]:
        return [getattr(sample, of) for sample in self.samples[name]]

    def median(self, name: str, of: str = "rate") -> float:
        return statistics.median(self.values(name, of))

    def extra(self, name: str, key: str) -> float:
        return statistics.median(sample.extra[key] for sample in self.samples[name])

    def quantile(self, name: str, part: float) -> float:
        """A quantile of all the single requests' seconds, all rounds together."""
        every = sorted(value for sample in self.samples[name] for value in sample.latencies)
        return every[min(int(len(every) * part), len(every) - 1)]


def race(contenders: dict[str, Contender], rounds: int) -> Race:
    """Start all, warm each up once, then let them run in turn: forward in even rounds, backward in odd ones."""
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    with ExitStack() as stack:
        trials = {name: stack.enter_context(contender) for name, contender in contenders.items()}
        for trial in trials.values():
            trial()
        for name in turns(list(trials), rounds):
            settle()
            samples[name].append(trials[name]())
    return Race(samples)


def turns(names: list[str], rounds: int) -> Iterator[str]:
    for number in range(rounds):
        yield from reversed(names) if number % 2 else names


def settle() -> None:
    """Nobody pays for what the contender before left to the disk."""
    os.sync()
