"""Metadata: one file object, and lists over a million rows."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from bench import client, measure, seed, servers
from bench.measure import Contender, Sample, Trial
from bench.procs import Server
from bench.results import REQUESTS, Aim, Plan, Result
from bench.servers import KEY


def get(path: str, key: str = KEY) -> client.Request:
    head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n"
    return client.Request(head.encode())


def ask(server: Server, path: str, clients: int, count: int) -> Sample:
    before = server.cpu()
    load = client.load(server.port, [[get(path)] * count] * clients)
    return Sample(load.seconds, server.cpu() - before, clients * count, load.latencies)


@contextmanager
def showing(start: AbstractContextManager[Server], count: int) -> Iterator[Trial]:
    """A server asked for the same file by 8 clients; Lazu has it among 10,000 others."""
    with start as server:
        file_id = "file-lazu-01KSBV4MC6THZ9TCZEM38KPYRX"
        if (server.folder / "storage").exists():
            file_id = seed.live(server.folder / "storage", 10_000)[5000]
        yield lambda: ask(server, f"/v1/files/{file_id}", 8, count)


def run(plan: Plan) -> Result:
    """`GET /v1/files/{id}`."""
    count = plan.pick(150, 500)
    contenders: dict[str, Contender] = {
        "Lazu": showing(servers.lazu(), count),
        "bare Flask route": showing(servers.bare(), count),
    }
    race = measure.race(plan.keep(contenders), plan.rounds)
    aims = [Aim("rate against a bare Flask route", race.ratio("Lazu", "bare Flask route"), 0.85)]
    return Result("GET /v1/files/{id}, 8 clients", race, REQUESTS, "bare Flask route", aims)


def raw(server: Server, count: int) -> Sample:
    """The rows of a page as SQLite gives them."""
    db = seed.connect(server.folder / "storage")
    query = "SELECT * FROM file WHERE key_id = 1 AND expires_at + 0 > ? ORDER BY id DESC LIMIT 10000"
    start, cpu = time.monotonic(), time.process_time()
    for _ in range(count):
        db.execute(query, (int(time.time()),)).fetchall()
    sample = Sample(time.monotonic() - start, time.process_time() - cpu, count)
    db.close()
    return sample


def pages(plan: Plan) -> Result:
    """Lists: at the beginning, deep inside, and as long as they get."""
    total, few = plan.pick(100_000, 1_000_000), plan.pick(3, 10)
    with servers.lazu() as server:
        deep = seed.live(server.folder / "storage", total)[-total * 2 // 5]
        trials: dict[str, Trial] = {
            "first page of 100": partial(ask, server, "/v1/files?limit=100", 1, few * 10),
            "page of 100, deep": partial(ask, server, f"/v1/files?limit=100&after={deep}", 1, few * 10),
            "page of 10,000": partial(ask, server, "/v1/files?limit=10000", 1, few),
            "10,000 raw rows": partial(raw, server, few),
        }
        contenders: dict[str, Contender] = {name: nullcontext(trial) for name, trial in trials.items()}
        race = measure.race(contenders, plan.rounds)

    def slower(name: str, base: str) -> float:
        return 1 / race.ratio(name, base)

    depth = f"{total * 2 // 5:,}"
    aims = [
        Aim(f"time at depth {depth} against page one", slower("page of 100, deep", "first page of 100"), 1.3, True),
        Aim("time of 10,000 against their raw rows", slower("page of 10,000", "10,000 raw rows"), 2, True),
    ]
    return Result(f"GET /v1/files with {total:,} rows of one key", race, REQUESTS, "first page of 100", aims)
