"""Crashes by the thousand: `python tests/crash/run.py kill 10000`, `pause 1000`, `cut 1000`.

The first gives points, the last power cuts, half of them with blobs and database on one file system, half on two.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import script  # noqa: E402  (it stands beside this file)
import shim  # noqa: E402
from worker import Job  # noqa: E402

PROCESSES = 2
#: Points that the stories with a name have, about.
NAMED = 5000
#: Kept in memory where that is possible: a kill needs no disk, and power cuts bring their own.
MEMORY = "/dev/shm"


@dataclass
class Result:
    """All that the workers found; see worker.RESULT."""

    points: int = 0
    boundaries: int = 0
    killed: int = 0
    stored: int = 0
    deleted: int = 0
    faults: list[str] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def run(how: str, points: int, stories: list[int] | None = None, **options) -> Result:
    """Run `points` points of `stories` (by default: those with a name, then others), in two processes."""
    stories = stories or numbers(how, points)
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        library = shim.build(Path(folder))
        workers = []
        for n in range(min(PROCESSES, len(stories))):
            place = Path(folder, str(n))
            place.mkdir()
            job = Job(str(place), how, math.ceil(points / PROCESSES), stories[n::PROCESSES], **options)
            workers.append(start(job, library))
        return gather(workers)


def numbers(how: str, points: int) -> list[int]:
    """Stories enough for that many points; only those with a peer have something to pause for."""
    last = len(script.STORIES) + max(0, points - NAMED) // 20
    return [n for n in range(last) if how != "pause" or script.story(n).peer]


def start(job: Job, library: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(HERE), str(HERE.parent.parent)])
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": path}
    command = [sys.executable, str(HERE / "worker.py"), json.dumps(asdict(job))]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def gather(workers: list[subprocess.Popen[str]]) -> Result:
    total = Result()
    outs = [worker.communicate()[0] for worker in workers]
    codes = [worker.returncode for worker in workers]
    assert not any(codes), f"a worker failed: {codes}"
    for out in outs:
        total.add(Result(**json.loads(out)))
    return total


def cuts(number: int) -> dict[str, Result]:
    """That many power cuts, half with one file system, half with two; in each some after pauses."""
    found = {}
    for power in ("same", "apart"):
        found[power] = run("kill", number * 2 // 5, power=power, spread=True)
        found[power].add(run("pause", number // 10, power=power, spread=True))
    return found


def main() -> None:
    how, number = sys.argv[1], int(sys.argv[2])
    began = time.monotonic()
    found = cuts(number) if how == "cut" else {how: run(how, number)}
    for name, result in found.items():
        figures = {key: value for key, value in vars(result).items() if isinstance(value, int)}
        lines = [f"{name}: {figures}, {len(result.faults)} faults", *result.faults[:50]]
        sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")
    sys.exit(any(result.faults for result in found.values()))


if __name__ == "__main__":
    main()
