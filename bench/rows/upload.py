"""Uploads of large files: speed, CPU, and the memory that they take."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

from bench import client, forms, measure, servers
from bench.measure import Contender, Sample, Trial
from bench.procs import HOST, Server, folder
from bench.results import MBS, MIB, Aim, Plan, Result
from bench.servers import KEY

Clean = Callable[[Server, tuple[bytes, ...]], None]


def forget(server: Server, _: object) -> None:
    """Remove what a contender stored: all that has the size of an upload."""
    for path in server.folder.rglob("*"):
        if path.is_file() and path.stat().st_size >= MIB:
            path.unlink()


def delete(server: Server, answers: tuple[bytes, ...]) -> None:
    """Remove what Lazu stored, by its own door."""
    client.remove(server.port, KEY, answers)


@contextmanager
def by_curl(start: AbstractContextManager[Server], clean: Clean, size: int, words: list[object]) -> Iterator[Trial]:
    """A server that gets one body from curl in each trial."""
    with start as server:

        def trial() -> Sample:
            before = server.cpu()
            seconds, answer = client.curl(*words, f"http://{HOST}:{server.port}/v1/files")
            sample = Sample(seconds, server.cpu() - before, size)
            clean(server, (answer,))
            return sample

        yield trial


@contextmanager
def hashing(content: Path) -> Iterator[Trial]:
    """sha256 of the bytes in memory, one core."""
    data = content.read_bytes()

    def trial() -> Sample:
        start, cpu = time.monotonic(), time.thread_time()
        hashlib.sha256(data)
        return Sample(time.monotonic() - start, time.thread_time() - cpu, len(data))

    yield trial


def big(plan: Plan) -> Result:
    """One file, one client."""
    size = plan.pick(128, 512) * MIB
    data = folder("data")
    content = client.random_file(data / "content", size)
    body = forms.form_file(data / "form", content)
    form = ["-X", "POST", "-T", body, "-H", f"Content-Type: {forms.TYPE}", "-H", f"Authorization: Bearer {KEY}"]
    put = ["-T", content]
    contenders: dict[str, Contender] = {
        "Lazu": by_curl(servers.lazu(), delete, size, form),
        "nginx DAV PUT": by_curl(servers.dav(), forget, size, put),
        "raw socket, Python": by_curl(servers.program("raw_socket"), forget, size, put),
        "FastAPI on granian": by_curl(servers.granian("fastapi_typical", "asgi"), forget, size, form),
        "FastAPI on uvicorn": by_curl(servers.uvicorn("fastapi_typical"), forget, size, form),
        "Flask on granian": by_curl(servers.granian("flask_typical", "wsgi"), forget, size, form),
        "Flask on gunicorn": by_curl(servers.gunicorn("flask_typical"), forget, size, form),
        "sha256 alone": hashing(content),
    }
    race = measure.race(plan.keep(contenders), plan.rounds)
    aims = [
        Aim("CPU against sha256 of the same bytes", race.ratio("Lazu", "sha256 alone", "cost"), 3.0, most=True),
        Aim("speed against nginx DAV PUT", race.ratio("Lazu", "nginx DAV PUT"), 0.45),
        Aim("speed against typical Flask on gunicorn gthread", race.ratio("Lazu", "Flask on gunicorn"), 4),
        Aim("speed against typical Flask on granian", race.ratio("Lazu", "Flask on granian"), 1.5),
        Aim("speed against FastAPI on granian", race.ratio("Lazu", "FastAPI on granian"), 1.5),
        Aim("speed against FastAPI on uvicorn", race.ratio("Lazu", "FastAPI on uvicorn"), 1.5),
        Aim("speed against a raw socket in Python", race.ratio("Lazu", "raw socket, Python"), 0.75),
    ]
    notes = ["Lazu and the raw socket fsync before they answer, the others do not. nginx neither hashes nor parses."]
    durable = frozenset({"Lazu", "raw socket, Python"})
    return Result(f"{size // MIB} MiB upload, one client", race, MBS, "nginx DAV PUT", aims, notes, durable)


@contextmanager
def by_load(
    start: AbstractContextManager[Server], clean: Clean, requests: Iterator[client.Request], count: int
) -> Iterator[Trial]:
    """A server that gets `count` uploads of 20 MiB from each of 8 clients in each trial."""
    with start as server:

        def trial() -> Sample:
            plans = [list(islice(requests, count)) for _ in range(8)]
            before = server.cpu()
            load = client.load(server.port, plans)
            sample = Sample(load.seconds, server.cpu() - before, 8 * count * 20 * MIB, load.latencies)
            clean(server, load.bodies)
            return sample

        yield trial


def many(plan: Plan) -> Result:
    """Eight clients at once."""
    tail = forms.tail_file(folder("data") / "tail", 20 * MIB)
    count = plan.pick(1, 3)
    contenders: dict[str, Contender] = {
        "Lazu": by_load(servers.lazu(), delete, forms.post(KEY, tail), count),
        "nginx DAV PUT": by_load(servers.dav(), forget, forms.put(tail), count),
    }
    race = measure.race(plan.keep(contenders), plan.rounds)
    aims = [
        Aim("speed against nginx DAV PUT", race.ratio("Lazu", "nginx DAV PUT"), 0.9),
        Aim("p99 / p50 of a request", race.quantile("Lazu", 0.99) / race.quantile("Lazu", 0.5), 2.5, most=True),
    ]
    return Result("8 clients × 20 MiB", race, MBS, "nginx DAV PUT", aims, durable=frozenset({"Lazu"}))


@contextmanager
def growing(tail: Path, size: int) -> Iterator[Trial]:
    """Lazu with 8 uploads in flight; `extra` has the growth in bytes of all its processes for one of them."""
    requests = forms.post(KEY, tail)
    with servers.lazu() as server:

        def trial() -> Sample:
            measure.forget_peak(server.pid)
            idle, before = measure.memory(server.pid, "VmRSS"), server.cpu()
            load = client.load(server.port, [[next(requests)] for _ in range(8)])
            growth = (measure.memory(server.pid, "VmHWM") - idle) / 8
            sample = Sample(load.seconds, server.cpu() - before, 8 * size, extra={"growth": growth})
            delete(server, load.bodies)
            return sample

        yield trial


def memory(plan: Plan) -> Result:
    """What an upload in flight costs in memory, whatever its size."""
    size, data = plan.pick(64, 256) * MIB, folder("data")
    small, large = forms.tail_file(data / "small", MIB), forms.tail_file(data / "large", size)
    contenders: dict[str, Contender] = {
        f"Lazu, 8 × {size // MIB} MiB": growing(large, size),
        "Lazu, 8 × 1 MiB": growing(small, MIB),
    }
    race = measure.race(contenders, plan.pick(2, 3))
    aims = [
        Aim(f"MiB an upload in flight ({name[8:]})", race.extra(name, "growth") / MIB, 2, most=True)
        for name in contenders
    ]
    return Result("Memory of all server processes", race, MBS, "Lazu, 8 × 1 MiB", aims)
