"""A Responses call with 64 MiB of files: how fast, and in how much memory, they reach the upstream."""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import client, measure, servers
from bench.measure import Contender, Sample, Trial
from bench.procs import HOST, Server, folder
from bench.results import MIB, MS, Aim, Plan, Result
from bench.servers import KEY

FILES = 4


def call(names: list[str]) -> dict[str, Any]:
    parts = [{"type": "input_file", "file_id": name} for name in names]
    return {"model": "bench", "input": [{"role": "user", "content": parts}]}


def sample(server: Server, ask: Callable[[], dict[str, float]]) -> Sample:
    """One call; `extra` has the growth of the server's memory in bytes and the seconds to the upstream's first byte."""
    measure.forget_peak(server.pid)
    idle, before, start = measure.memory(server.pid, "VmRSS"), server.cpu(), time.monotonic()
    told = ask()
    seconds = time.monotonic() - start
    growth = measure.memory(server.pid, "VmHWM") - idle
    extra = {"growth": growth, "first": told["first"] - start}
    return Sample(seconds, server.cpu() - before, told["bytes"], extra=extra)


@contextmanager
def lazu(contents: list[Path]) -> Iterator[Trial]:
    with ExitStack() as stack:
        sink = stack.enter_context(servers.program("sink"))
        settings = {"LAZU_UPSTREAM_URL": f"http://{HOST}:{sink.port}/v1", "LAZU_UPSTREAM_API_KEY": "sk-up"}
        server = stack.enter_context(servers.lazu(**settings))
        body = call([upload(server, content) for content in contents])
        yield lambda: sample(server, lambda: client.ask(server.port, "POST", "/v1/responses", KEY, body))


def upload(server: Server, content: Path) -> str:
    form = ["-F", "purpose=user_data", "-F", f"file=@{content};filename=data.dat"]
    _, answer = client.curl(*form, "-H", f"Authorization: Bearer {KEY}", f"http://{HOST}:{server.port}/v1/files")
    return str(json.loads(answer)["id"])


@contextmanager
def naive(contents: list[Path]) -> Iterator[Trial]:
    with servers.program("sink") as sink:
        upstream = f"http://{HOST}:{sink.port}/v1/responses"
        start = servers.gunicorn("naive_responses", BENCH_UPSTREAM=upstream, BENCH_NAIVE=str(contents[0].parent))
        with start as server:
            body = call([content.name for content in contents])
            yield lambda: sample(server, lambda: client.ask(server.port, "POST", "/v1/responses", "", body))


@contextmanager
def ready(contents: list[Path]) -> Iterator[Trial]:
    """The same base64 from a file that lies there, sent by sendfile: as fast as the bytes go."""
    path = folder("ready") / "base64"
    path.write_bytes(b"".join(b64encode(content.read_bytes()) for content in contents))
    head = f"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: {path.stat().st_size}\r\n\r\n".encode()
    with servers.program("sink") as sink:
        yield lambda: sample(sink, lambda: json.loads(next(client.talk(sink.port, [client.Request(head, path)]))[1]))


def run(plan: Plan) -> Result:
    size = plan.pick(64, 64) * MIB // FILES
    data = folder("data")
    contents = [client.random_file(data / f"content-{number}", size) for number in range(FILES)]
    contenders: dict[str, Contender] = {
        "Lazu": lazu(contents),
        "naive (b64encode, json, requests)": naive(contents),
        "ready base64 by sendfile": ready(contents),
    }
    race = measure.race(plan.keep(contenders), plan.rounds + 2)
    floor = race.ratio("Lazu", "ready base64 by sendfile")
    aims = [
        Aim("speed against naive", race.ratio("Lazu", "naive (b64encode, json, requests)"), 10),
        Aim("speed against a ready base64 file by sendfile", floor, 0.7),
        Aim("memory of the call, MiB", race.extra("Lazu", "growth") / MIB, 4, most=True),
        Aim("first byte upstream after, ms", race.extra("Lazu", "first") * 1e3, 50, most=True),
    ]
    notes = [f"Naive takes {race.extra('naive (b64encode, json, requests)', 'growth') / MIB:.0f} MiB."]
    return Result("Responses call with 64 MiB of files", race, MS, "ready base64 by sendfile", aims, notes)
