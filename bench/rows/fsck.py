"""`flask fsck --rehash` beside sha256sum."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import client, forms, measure, servers
from bench.measure import Contender, Sample, Trial
from bench.procs import BIN, ROOT, folder
from bench.results import MBS, MIB, Aim, Missing, Plan, Result
from bench.servers import KEY, WORKERS

SIZE = 16 * MIB


def timed(work: int, words: list[Any], **how: Any) -> Sample:
    before, start = os.times(), time.monotonic()
    subprocess.run(words, check=True, capture_output=True, **how)
    seconds, after = time.monotonic() - start, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Sample(seconds, spent, work)


@contextmanager
def summing(storage: Path, work: int) -> Iterator[Trial]:
    """sha256sum of every blob, one process a core."""
    names = sorted(str(path) for path in (storage / "blobs").glob("*/*"))
    words = ["xargs", "-0", "-P", str(WORKERS), "-n", "4", "sha256sum"]
    yield lambda: timed(work, words, input="\0".join(names).encode())


@contextmanager
def checking(storage: Path, work: int) -> Iterator[Trial]:
    environ = {**os.environ, "LAZU_STORAGE_DIR": str(storage), "LAZU_API_KEY": KEY}
    yield lambda: timed(work, [BIN / "flask", "fsck", "--rehash"], cwd=ROOT, env=environ)


def run(plan: Plan) -> Result:
    help_ = subprocess.run([BIN / "flask", "fsck", "--help"], cwd=ROOT, capture_output=True, check=False)
    if help_.returncode:
        raise Missing("Lazu has no fsck yet")
    count = plan.pick(16, 64)
    requests = forms.post(KEY, forms.tail_file(folder("data") / "tail", SIZE))
    with servers.lazu() as server:
        client.load(server.port, [[next(requests) for _ in range(count)]])
        storage = server.folder / "storage"
        contenders: dict[str, Contender] = {
            "flask fsck --rehash": checking(storage, count * SIZE),
            "sha256sum, all cores": summing(storage, count * SIZE),
        }
        race = measure.race(contenders, plan.rounds)
    aims = [Aim("speed against sha256sum", race.ratio("flask fsck --rehash", "sha256sum, all cores"), 0.8)]
    return Result(f"fsck --rehash of {count} × 16 MiB", race, MBS, "sha256sum, all cores", aims)
