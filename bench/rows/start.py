"""How long until a command or the server is there."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import measure, servers
from bench.measure import Contender, Sample, Trial
from bench.procs import BIN, ROOT, folder
from bench.results import MS, Aim, Plan, Result


@contextmanager
def command(*words: object) -> Iterator[Trial]:
    storage = folder(f"start-{words[-1]}")

    def trial() -> Sample:
        before, start = os.times(), time.monotonic()
        environ = {**os.environ, "LAZU_STORAGE_DIR": str(storage)}
        subprocess.run([BIN / words[0], *words[1:]], cwd=ROOT, env=environ, check=True, capture_output=True)
        seconds, after = time.monotonic() - start, os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        return Sample(seconds, spent)

    yield trial


@contextmanager
def serving() -> Iterator[Trial]:
    """From the command line to the first answer, on a folder that was made before."""

    def trial() -> Sample:
        with servers.lazu() as server:
            return Sample(server.ready, server.cpu())

    yield trial


def run(plan: Plan) -> Result:
    contenders: dict[str, Contender] = {
        "import flask, peewee": command("python", "-c", "import flask, peewee"),
        "flask --help": command("flask", "--help"),
        "server ready": serving(),
    }
    race = measure.race(contenders, plan.rounds + 2)
    aims = [
        Aim("flask --help against the imports", 1 / race.ratio("flask --help", "import flask, peewee"), 2, most=True),
        Aim("seconds until the server is ready", race.median("server ready", "seconds"), 1.5, most=True),
    ]
    return Result("Start", race, MS, "import flask, peewee", aims)
