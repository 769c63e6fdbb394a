"""Uploads of 4 KiB: what a request costs when the bytes cost nothing."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

from bench import client, crowd, forms, measure, servers
from bench.client import Load, Request
from bench.measure import Contender, Race, Sample, Trial
from bench.procs import BIN, Server, folder
from bench.results import REQUESTS, Aim, Plan, Result
from bench.servers import CONTENDERS, KEY

SIZE = 4096
Plans = Callable[[], list[list[Request]]]
Loading = Callable[[int, list[list[Request]]], Load]

DURABLE = frozenset({"Lazu", "Lazu, a text", "file + fsync + commit"})
KINDS = "The bytes are random, of no type that libmagic knows. For a text or a PDF it is not asked."
IN_TURN = (
    "An upload of few bytes waits in turn for the commit under way and for its own (decision 136): by "
    "that 32 clients have at most 21 × the rate of a commit each, and 64 × that of one thread."
)


@contextmanager
def uploading(start: AbstractContextManager[Server], plans: Plans, load: Loading = client.load) -> Iterator[Trial]:
    """A server that takes the uploads of `plans` in each trial, one client for each."""
    with start as server:

        def trial() -> Sample:
            requests = plans()
            before = server.cpu()
            told = load(server.port, requests)
            return Sample(told.seconds, server.cpu() - before, sum(map(len, requests)), told.latencies)

        yield trial


def crowded(start: AbstractContextManager[Server], plans: Plans) -> Contender:
    return uploading(start, plans, crowd.load)


def uploads(tail: Path, clients: int, count: int) -> Plans:
    """`count` uploads of each client, each of other bytes."""
    requests = forms.post(KEY, tail)
    return lambda: [list(islice(requests, count)) for _ in range(clients)]


@contextmanager
def floor(count: int, **env: str) -> Iterator[Trial]:
    """One thread that makes each file durable as Lazu does, without a network."""

    def trial() -> Sample:
        words = [BIN / "python", CONTENDERS / "floor_small.py", folder("floor"), str(count), str(SIZE)]
        told = json.loads(subprocess.check_output(words, env={**os.environ, **env}))
        return Sample(told["seconds"], told["cpu"], count)

    yield trial


def shim(name: str) -> str:
    """A library for LD_PRELOAD: `nosync` turns every sync into nothing, `slowsync` has each take SYNC_MS longer."""
    library = folder(name) / f"{name}.so"
    subprocess.check_call(["cc", "-shared", "-fPIC", "-O2", "-o", library, CONTENDERS / f"{name}.c", "-ldl"])
    return str(library)


def run(plan: Plan, clients: int, count: int) -> Race:
    tail = forms.tail_file(folder("data") / "tail", SIZE)
    words = forms.tail_file(folder("data") / "text", SIZE, b"What people upload is text, PDF or pictures, mostly.\n")
    unknown, text = uploads(tail, clients, count), uploads(words, clients, count)
    contenders: dict[str, Contender] = {
        "Lazu": uploading(servers.lazu(), unknown),
        "Lazu, a text": uploading(servers.lazu(), text),
        "Lazu, syncs off": uploading(servers.lazu(LD_PRELOAD=shim("nosync")), unknown),
        "file + fsync + commit": floor(clients * count),
        "empty Flask route": uploading(servers.bare(), unknown),
        "Flask on gunicorn": uploading(servers.gunicorn("flask_typical"), unknown),
        "Flask + SQLite row": uploading(servers.gunicorn("flask_typical", BENCH_ROW="1"), unknown),
    }
    return measure.race(plan.keep(contenders), plan.rounds)


def one_client(plan: Plan) -> Result:
    """One client, one request after the other."""
    race = run(plan, 1, plan.pick(100, 1000))
    aims = [Aim("rate against one durable thread", race.ratio("Lazu", "file + fsync + commit"), 0.6)]
    return Result("4 KiB uploads, 1 client", race, REQUESTS, "file + fsync + commit", aims, [KINDS], DURABLE)


def eight_clients(plan: Plan) -> Result:
    """Eight clients at once."""
    race = run(plan, 8, plan.pick(25, 300))
    aims = [
        Aim("rate against typical Flask (not durable, no row)", race.ratio("Lazu", "Flask on gunicorn"), 0.6),
        Aim("CPU against the same", race.ratio("Lazu", "Flask on gunicorn", "cost"), 2, most=True),
        Aim("rate against the same build with syncs off", race.ratio("Lazu", "Lazu, syncs off"), 0.8),
        Aim("p99 / p50 of a request", race.quantile("Lazu", 0.99) / race.quantile("Lazu", 0.5), 4, most=True),
    ]
    notes = [KINDS, floors(race)] + [quantiles(race, name) for name in race.samples if race.samples[name][0].latencies]
    return Result("4 KiB uploads, 8 clients", race, REQUESTS, "Flask on gunicorn", aims, notes, DURABLE)


def floors(race: Race) -> str:
    """What no durable upload on this worker can do without, against the yardstick."""
    least = race.median("empty Flask route", "cost") + race.median("file + fsync + commit", "cost")
    ratio = least / race.median("Flask on gunicorn", "cost")
    return (
        f"An empty Flask route on Lazu's worker and a durable file with its commit take {least * 1e3:.2f} ms of CPU "
        f"together, {ratio:.2f} × the typical route; the rest are rules (form, type, key, quota), logs and counters."
    )


def many_clients(plan: Plan) -> Result:
    """As many requests by 64 clients as by 8: the rate must not fall."""
    tail = forms.tail_file(folder("data") / "tail", SIZE)
    each = plan.pick(24, 40)
    crowds = uploads(tail, 64, each)
    contenders: dict[str, Contender] = {
        "Lazu, 64 clients": crowded(servers.lazu(), crowds),
        "Lazu, 8 clients": crowded(servers.lazu(), uploads(tail, 8, each * 8)),
        "Flask on gunicorn, 64 clients": crowded(servers.gunicorn("flask_typical"), crowds),
    }
    race = measure.race(plan.keep(contenders), plan.rounds)
    aims = [Aim("rate against that of 8 clients", race.ratio("Lazu, 64 clients", "Lazu, 8 clients"), 1)]
    notes = [quantiles(race, name) for name in race.samples]
    durable = frozenset({"Lazu, 64 clients", "Lazu, 8 clients"})
    return Result("4 KiB uploads, 64 clients", race, REQUESTS, "Lazu, 8 clients", aims, notes, durable)


def slow_syncs(plan: Plan) -> Result:
    """32 clients on disks whose every sync takes longer: an SSD without a capacitor, a hard disk."""
    tail = forms.tail_file(folder("data") / "tail", SIZE)
    library, single = shim("slowsync"), "bench.contenders.single_commits:app"
    contenders: dict[str, Contender] = {"Lazu, no delay": crowded(servers.lazu(), uploads(tail, 32, plan.pick(10, 30)))}
    for ms in (5, 50):
        slow = {"LD_PRELOAD": library, "SYNC_MS": str(ms)}
        # So long that the first and the last uploads, which share their commits with few, do not count.
        contenders[f"Lazu, {ms} ms"] = crowded(servers.lazu(**slow), uploads(tail, 32, plan.pick(4, 1000 // ms)))
        each = uploads(tail, 32, plan.pick(4, 200 // ms))
        contenders[f"a commit each, {ms} ms"] = crowded(servers.lazu(single, **slow), each)
        contenders[f"one thread, {ms} ms"] = floor(plan.pick(10, 500 // ms), **slow)
    race = measure.race(plan.keep(contenders), plan.pick(2, 5))
    aims = [
        Aim(f"{ms} ms: rate against {what}", race.ratio(f"Lazu, {ms} ms", f"{what}, {ms} ms"), 10)
        for ms in (5, 50)
        for what in ("one thread", "a commit each")
    ]
    notes = [IN_TURN] + [quantiles(race, name) for name in race.samples if race.samples[name][0].latencies]
    return Result("4 KiB uploads, 32 clients, slow syncs", race, REQUESTS, "Lazu, no delay", aims, notes)


def quantiles(race: Race, name: str) -> str:
    shown = [f"p{part * 100:g} {race.quantile(name, part) * 1e3:.1f} ms" for part in (0.5, 0.99, 1)]
    return f"{name}: {', '.join(shown)}."
