"""The purge while serving: how long others wait for the write lock."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import measure, seed, servers
from bench.measure import Contender, Sample, Trial
from bench.procs import BIN, ROOT
from bench.results import MS, Aim, Plan, Result
from bench.servers import CONTENDERS, KEY

Purge = Callable[[Path], None]


def by_lazu(storage: Path) -> None:
    environ = {**os.environ, "LAZU_STORAGE_DIR": str(storage), "LAZU_API_KEY": KEY}
    subprocess.run([BIN / "flask", "purge"], cwd=ROOT, env=environ, check=True, capture_output=True)


def at_once(storage: Path) -> None:
    """All rows in one transaction; the blobs are left for the next run's folder to go with."""
    db = seed.connect(storage)
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM file WHERE expires_at <= ?", (int(time.time()),))
    db.execute("COMMIT")
    db.close()


class Prober:
    """A process that watches the write lock while the block runs; `longest` seconds afterwards."""

    def __init__(self, storage: Path, timeout: float, pause: float) -> None:
        words = [BIN / "python", CONTENDERS / "prober.py", storage / "lazu.sqlite3", str(timeout), str(pause)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.longest = 0.0

    def __enter__(self) -> "Prober":
        time.sleep(0.3)
        return self

    def __exit__(self, *_: object) -> None:
        self.longest = json.loads(self.process.communicate(b"stop\n")[0])


@contextmanager
def purging(purge: Purge, count: int) -> Iterator[Trial]:
    """A running Lazu with `count` expired files, purged while one process watches the lock and another waits for it."""
    with servers.lazu() as server:
        storage = server.folder / "storage"

        def trial() -> Sample:
            seed.expired(storage, count)
            os.sync()
            with Prober(storage, 0, 0.0005) as looking, Prober(storage, 10, 0.005) as waiting:
                start = time.monotonic()
                purge(storage)
                seconds = time.monotonic() - start
            clear(storage)
            return Sample(seconds, work=count, extra={"held": looking.longest, "wait": waiting.longest})

        yield trial


def clear(storage: Path) -> None:
    for path in (storage / "blobs").glob("*/*"):
        path.unlink()


def run(plan: Plan) -> Result:
    count = plan.pick(10_000, 100_000)
    contenders: dict[str, Contender] = {
        "flask purge": purging(by_lazu, count),
        "one transaction": purging(at_once, count),
    }
    race = measure.race(contenders, plan.pick(1, 3))
    ours, theirs = race.extra("flask purge", "held"), race.extra("one transaction", "held")
    aims = [
        Aim("lock held against one transaction", ours / theirs, 1 / 15, most=True),
        Aim("longest wait of a concurrent insert, ms", race.extra("flask purge", "wait") * 1e3, 150, most=True),
    ]
    notes = [f"Lock held: {ours * 1e3:.0f} ms by flask purge, {theirs * 1e3:.0f} ms by one transaction (rows only)."]
    return Result(f"Purge of {count:,} expired files while serving", race, MS, "one transaction", aims, notes)
