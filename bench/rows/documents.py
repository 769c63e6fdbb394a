"""A call of the model with a large document that Lazu reads: at the first call, and when what was read is kept."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench import client, measure, servers
from bench.measure import Contender, Sample, Trial
from bench.papers import PAPERS
from bench.procs import HOST, Server, folder
from bench.results import MIB, MS, Aim, Plan, Result
from bench.rows.responses import call, upload
from bench.servers import KEY

Make = Callable[[random.Random], bytes]


@contextmanager
def asked(name: str, make: Make, kept: bool) -> Iterator[Trial]:
    """Calls with a document that is new each time, or with one and the same."""
    with servers.program("sink") as sink:
        upstream = {"LAZU_UPSTREAM_URL": f"http://{HOST}:{sink.port}/v1", "LAZU_UPSTREAM_FILES": "text"}
        with servers.lazu(**upstream) as server:
            path, data, letters = folder("paper") / name, make(random.Random(1)), random.Random(2)

            def fresh() -> str:
                path.write_bytes(
                    data + b"%%%d\n" % letters.randrange(10**9) if name.endswith("pdf") else other(data, letters)
                )
                return upload(server, path)

            same = fresh()
            yield lambda: sample(server, same if kept else fresh())


def other(data: bytes, letters: random.Random) -> bytes:
    """The same zip archive under another comment, and so another content."""
    return data[:-2] + (8).to_bytes(2, "little") + b"%08d" % letters.randrange(10**8)


def sample(server: Server, file_id: str) -> Sample:
    """One call; `extra` has the growth of the server's memory, and the reader process's at its highest, in bytes."""
    measure.forget_peak(server.pid)
    own = measure.family(server.pid)
    idle = sum(measure.status(pid, "VmRSS") for pid in own)
    body = call([file_id])
    with watched(server.pid, own) as reader:
        before, start = server.cpu(), time.monotonic()
        told = client.ask(server.port, "POST", "/v1/responses", KEY, body)
        seconds, cpu = time.monotonic() - start, server.cpu() - before
    growth = sum(measure.status(pid, "VmHWM") for pid in own) - idle
    return Sample(seconds, cpu, told["bytes"], extra={"growth": growth, "reader": max(reader)})


@contextmanager
def watched(pid: int, own: list[int]) -> Iterator[list[int]]:
    """Memory of the processes of a server that are not `own`, looked at again and again, in bytes."""
    seen, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            for member in set(measure.family(pid)) - set(own):
                try:
                    seen.append(measure.status(member, "VmHWM"))
                except (FileNotFoundError, ProcessLookupError):
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def run(plan: Plan) -> Result:
    contenders: dict[str, Contender] = {}
    for title, (name, make) in PAPERS.items():
        contenders[f"{title}, first call"] = asked(name, make, kept=False)
        contenders[f"{title}, kept"] = asked(name, make, kept=True)
    race = measure.race(plan.keep(contenders), plan.rounds)
    firsts = [f"{title}, first call" for title in PAPERS]
    aims = [
        *(Aim(f"CPU of {first}, s", race.median(first, "cpu"), 5, most=True) for first in firsts),
        *(
            Aim(f"memory of the reader, {first}, MiB", race.extra(first, "reader") / MIB, 512, most=True)
            for first in firsts
        ),
        *(
            Aim(f"CPU of {title} that is kept, ms", race.median(f"{title}, kept", "cpu") * 1e3, 50, most=True)
            for title in PAPERS
        ),
        *(
            Aim(f"memory of the server, {name}, MiB", race.extra(name, "growth") / MIB, 32, most=True)
            for name in race.samples
        ),
    ]
    return Result("A call of the model with a large document, text mode", race, MS, "100-page PDF, kept", aims)
