"""Uploads of 4 KiB: what a request costs when the bytes cost nothing."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

from bench import client, forms, measure, servers
from bench.measure import Contender, Race, Sample, Trial
from bench.procs import BIN, Server, folder
from bench.results import REQUESTS, Aim, Plan, Result
from bench.servers import CONTENDERS, KEY

SIZE = 4096
DURABLE = frozenset({"Lazu", "file + fsync + commit"})


@contextmanager
def uploading(start: AbstractContextManager[Server], tail: Path, clients: int, count: int) -> Iterator[Trial]:
    """A server that takes `count` uploads from each client in each trial."""
    requests = forms.post(KEY, tail)
    with start as server:

        def trial() -> Sample:
            plans = [list(islice(requests, count)) for _ in range(clients)]
            before = server.cpu()
            load = client.load(server.port, plans)
            return Sample(load.seconds, server.cpu() - before, clients * count, load.latencies)

        yield trial


@contextmanager
def floor(count: int) -> Iterator[Trial]:
    """One thread that makes each file durable as Lazu does, without a network."""

    def trial() -> Sample:
        words = [BIN / "python", CONTENDERS / "floor_small.py", folder("floor"), str(count), str(SIZE)]
        told = json.loads(subprocess.check_output(words))
        return Sample(told["seconds"], told["cpu"], count)

    yield trial


def shim() -> Path:
    """A library that turns every sync into nothing."""
    library = folder("nosync") / "nosync.so"
    subprocess.check_call(["cc", "-shared", "-fPIC", "-O2", "-o", library, CONTENDERS / "nosync.c"])
    return library


def run(plan: Plan, clients: int, count: int) -> Race:
    tail = forms.tail_file(folder("data") / "tail", SIZE)
    contenders: dict[str, Contender] = {
        "Lazu": uploading(servers.lazu(), tail, clients, count),
        "Lazu, syncs off": uploading(servers.lazu(LD_PRELOAD=str(shim())), tail, clients, count),
        "file + fsync + commit": floor(clients * count),
        "Flask on gunicorn": uploading(servers.gunicorn("flask_typical"), tail, clients, count),
        "Flask + SQLite row": uploading(servers.gunicorn("flask_typical", BENCH_ROW="1"), tail, clients, count),
    }
    return measure.race(plan.keep(contenders), plan.rounds)


def one_client(plan: Plan) -> Result:
    """One client, one request after the other."""
    race = run(plan, 1, plan.pick(100, 1000))
    aims = [Aim("rate against one durable thread", race.ratio("Lazu", "file + fsync + commit"), 0.6)]
    return Result("4 KiB uploads, 1 client", race, REQUESTS, "file + fsync + commit", aims, durable=DURABLE)


def eight_clients(plan: Plan) -> Result:
    """Eight clients at once."""
    race = run(plan, 8, plan.pick(25, 300))
    aims = [
        Aim("rate against typical Flask (not durable, no row)", race.ratio("Lazu", "Flask on gunicorn"), 1.4),
        Aim("CPU against the same", race.ratio("Lazu", "Flask on gunicorn", "cost"), 0.85, most=True),
        Aim("rate against the same build with syncs off", race.ratio("Lazu", "Lazu, syncs off"), 0.8),
    ]
    notes = [quantiles(race, name) for name in race.samples if race.samples[name][0].latencies]
    return Result("4 KiB uploads, 8 clients", race, REQUESTS, "Flask on gunicorn", aims, notes, DURABLE)


def quantiles(race: Race, name: str) -> str:
    shown = [f"p{part * 100:g} {race.quantile(name, part) * 1e3:.1f} ms" for part in (0.5, 0.99, 1)]
    return f"{name}: {', '.join(shown)}."
