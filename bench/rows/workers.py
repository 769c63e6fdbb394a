"""How many processes, and how many threads in each: the same loads on servers that differ in nothing else."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from bench import client, forms, measure, seed, servers
from bench.measure import Contender, Sample, Trial
from bench.procs import Server, folder
from bench.results import REQUESTS, Plan, Result
from bench.rows.metadata import get
from bench.rows.small import SIZE
from bench.servers import KEY

WORKERS, THREADS = (1, 2, 4), (4, 8, 16, 32)
CLIENTS = 16
LOADS = ("uploads", "metadata", "mix")
SHIPPED = f"{max(2, servers.WORKERS)} × {servers.THREADS}"


def run(plan: Plan) -> Result:
    """Uploads of 4 KiB, metadata, and both by turns, by 16 clients of one key."""
    tail = forms.tail_file(folder("data") / "tail", SIZE)
    count = plan.pick(20, 60)
    with ExitStack() as stack:
        contenders: dict[str, Contender] = {}
        for workers in WORKERS:
            for threads in THREADS:
                env = {"LAZU_WORKERS": str(workers), "LAZU_THREADS": str(threads)}
                server = stack.enter_context(servers.lazu(**env))
                for load in LOADS:
                    contenders[f"{load}, {workers} × {threads}"] = loaded(server, load, tail, count)
        race = measure.race(plan.keep(contenders), plan.pick(1, 3))
    notes = [slowest(race, load) for load in LOADS]
    return Result("Processes × threads, 16 clients of one key", race, REQUESTS, f"uploads, {SHIPPED}", [], notes)


def slowest(race: measure.Race, load: str) -> str:
    names = [name for name in race.samples if name.startswith(load)]
    shown = [f"{name.partition(', ')[2]}: {race.quantile(name, 0.99) * 1e3:.0f} ms" for name in names]
    return f"p99, {load}: {', '.join(shown)}."


@contextmanager
def loaded(server: Server, load: str, tail: Path, count: int) -> Iterator[Trial]:
    storage = server.folder / "storage"
    shown = get(f"/v1/files/{seed.live(storage, 1)[0]}")
    yield partial(trial, server, load, shown, tail, count)


def trial(server: Server, load: str, shown: client.Request, tail: Path, count: int) -> Sample:
    uploads = forms.post(KEY, tail)
    plans = [requests(load, list(islice(uploads, count)), shown) for _ in range(CLIENTS)]
    before = server.cpu()
    told = client.load(server.port, plans)
    return Sample(told.seconds, server.cpu() - before, sum(map(len, plans)), told.latencies)


def requests(load: str, posts: list[client.Request], shown: client.Request) -> list[client.Request]:
    """What one client sends: as many requests whatever the load."""
    if load == "metadata":
        return [shown] * len(posts)
    return posts if load == "uploads" else [each for post in posts[::2] for each in (post, shown)]
