"""Streams of events: what one costs on its way from the model server to the client, and how late it comes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from bench import measure, servers
from bench.listeners import Audience
from bench.measure import Contender, Sample, Trial
from bench.procs import HOST, Server
from bench.results import EVENTS, Aim, Plan, Result
from bench.servers import KEY

STREAMS, MANY = 300, 1000
SECONDS = 6
START = 60

#: Starts a server before a model server that listens on a port.
Start = Callable[[int], AbstractContextManager[Server]]


def lazu(upstream: int) -> AbstractContextManager[Server]:
    return servers.lazu(LAZU_UPSTREAM_URL=f"http://{HOST}:{upstream}/v1", LAZU_UPSTREAM_API_KEY="sk-up")


def nginx(upstream: int) -> AbstractContextManager[Server]:
    """As a proxy before a streaming server is told to be."""
    return servers.nginx(
        f"location / {{ proxy_pass http://{HOST}:{upstream}; proxy_http_version 1.1; proxy_buffering off; }}"
    )


@contextmanager
def hearing(start: Start, streams: int) -> Iterator[Trial]:
    """`streams` of 10 events a second; figures are of the seconds in which all of them run."""
    with servers.program("ticker") as ticker, start(ticker.port) as server:
        yield lambda: sample(server, streams)


@contextmanager
def direct(streams: int) -> Iterator[Trial]:
    with servers.program("ticker") as ticker:
        yield lambda: sample(ticker, streams, free=True)


def sample(server: Server, streams: int, free: bool = False) -> Sample:
    """One trial; `extra` has the memory of each stream in bytes, and how many were refused or broke."""
    idle, audience = measure.memory(server.pid, "RssAnon"), Audience(server.port, KEY)
    for _ in range(streams):
        audience.ask(events=(SECONDS + START) * 10)
    audience.gather(START)
    before = server.cpu()
    audience.hear(SECONDS)
    cpu, grown = server.cpu() - before, measure.memory(server.pid, "RssAnon") - idle
    failed = streams - len(audience.open)
    delays = tuple(audience.delays)
    audience.leave()
    return Sample(SECONDS, 0 if free else cpu, len(delays), delays, {"each": grown / streams, "failed": failed})


def run(plan: Plan) -> Result:
    contenders: dict[str, Contender] = {
        "Lazu": hearing(lazu, STREAMS),
        "nginx, proxy_buffering off": hearing(nginx, STREAMS),
        "no proxy": direct(STREAMS),
    }
    race = measure.race(plan.keep(contenders), plan.rounds)
    with hearing(lazu, MANY) as trial:  # on a server that has grown for nobody yet
        many = trial().extra
    late, base = race.quantile("Lazu", 0.99), race.quantile("no proxy", 0.99)
    aims = [
        Aim("CPU of an event against nginx", race.ratio("Lazu", "nginx, proxy_buffering off", "cost"), 2, most=True),
        Aim("added delay of an event, p99, ms", (late - base) * 1e3, 20, most=True),
        Aim(f"refused or broken of {MANY:,} streams", many["failed"], 0, most=True),
        Aim(f"memory of each of {MANY:,} streams, KiB", many["each"] / 1024, 256, most=True),
    ]
    notes = [
        f"{name}: p50 {race.quantile(name, 0.5) * 1e3:.2f} ms, p99 {race.quantile(name, 0.99) * 1e3:.2f} ms from the "
        "model server's clock to the client's."
        for name in race.samples
    ]
    return Result(f"{STREAMS} streams, 10 events of 200 bytes a second each", race, EVENTS, "no proxy", aims, notes)
