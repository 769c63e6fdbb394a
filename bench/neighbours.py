"""How another key is served beside each attack: `bench/run neighbours`, directly and through the shipped nginx."""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import client, forms, seed, servers
from bench.procs import BIN, HOST, ROOT, Server, folder
from bench.report import machine
from bench.results import Plan
from bench.rows.metadata import get
from bench.servers import KEY
from tests.helpers import attack

ATTACK = ROOT / "tests" / "helpers" / "attack.py"

#: Seconds from the beginning of an attack to the first request beside it.
START = 1.0

#: The aim: metadata within so many times its idle time and so many ms, an upload of 1 MB, /healthz.
RATIO, METADATA, UPLOAD, HEALTH = 5, 1000, 3000, 500

Times = dict[str, list[float]]


def table(plan: Plan) -> str:
    """A line an attack: median and longest ms of another key's requests, and how they stand to the idle ones."""
    head = "| attack | through | metadata | × idle | upload of 1 MB | /healthz | aim |"
    lines = [machine(), "", "Median / longest, in ms.", "", head, "|---|---|--:|--:|--:|--:|---|"]
    with standing() as (server, edge, other):
        asks = Asks(other, plan.pick(20, 60))
        for name, port in (("Lazu alone", server.port), ("nginx", edge.port)):
            idle = asks.times(port)
            lines.append(line("none: idle", name, idle, idle))
            lines += [beside(asks, kind, name, port, idle) for kind in attack.KINDS if kind not in plan.skip]
    return "\n".join(lines)


def beside(asks: "Asks", kind: str, name: str, port: int, idle: Times) -> str:
    with attacked(kind, port):
        measured = asks.times(port)
    time.sleep(0.5)
    row = line(kind, name, measured, idle)
    print(row, file=sys.stderr, flush=True)
    return row


class Asks:
    """The requests of a neighbour, whose key is `key`."""

    def __init__(self, key: str, count: int) -> None:
        self._key, self._count = key, count
        self._file = ""

    def times(self, port: int) -> Times:
        """Milliseconds of each request, in turns."""
        if not self._file:
            uploaded = ask(port, next(forms.post(self._key, forms.tail_file(folder("data") / "tail", 4096))))
            self._file = re.search(rb'"id": ?"([^"]+)"', uploaded)[1].decode()  # type: ignore[index]
        found: Times = {"metadata": [], "upload": [], "health": []}
        uploads = forms.post(self._key, forms.tail_file(folder("data") / "tail", 2**20))
        for number in range(self._count):
            found["metadata"].append(timed(port, get(f"/v1/files/{self._file}", self._key)))
            found["health"].append(timed(port, get("/healthz")))
            if number % 10 == 0:
                found["upload"].append(timed(port, next(uploads)))
        return found


def timed(port: int, request: client.Request) -> float:
    start = time.monotonic()
    ask(port, request)
    return (time.monotonic() - start) * 1e3


def ask(port: int, request: client.Request) -> bytes:
    """One request on a connection of its own."""
    [(_, body)] = client.talk(port, [request])
    return body


def line(kind: str, name: str, measured: Times, idle: Times) -> str:
    cells = {what: (statistics.median(times), max(times)) for what, times in measured.items()}
    ratio = cells["metadata"][0] / statistics.median(idle["metadata"])
    met = (
        ratio <= RATIO
        and cells["metadata"][1] <= METADATA
        and cells["upload"][1] <= UPLOAD
        and cells["health"][1] <= HEALTH
    )
    shown = {what: f"{middle:.1f} / {most:.0f}" for what, (middle, most) in cells.items()}
    figures = f"{shown['metadata']} | {ratio:.1f} | {shown['upload']} | {shown['health']}"
    return f"| {kind} | {name} | {figures} | {'met' if met else '**not met**'} |"


@contextmanager
def attacked(kind: str, port: int) -> Iterator[None]:
    """Clients of one kind ask too much of the server at `port`, by the key that has 10,000 files, or by none."""
    argv = [sys.executable, ATTACK, kind, str(port), KEY]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout:
                process.stdout.readline()
            time.sleep(START)
            yield
        finally:
            process.kill()


@contextmanager
def standing() -> Iterator[tuple[Server, Server, str]]:
    """Lazu, the shipped nginx in front of it, and another key than that of the attacks."""
    upstream = {"LAZU_UPSTREAM_URL": f"http://{HOST}:9/v1", "LAZU_UPSTREAM_FILES": "text"}
    with servers.lazu(LAZU_ACCEL_LOCATION="/_blobs/", **upstream) as server:
        storage = server.folder / "storage"
        seed.live(storage, 10_000)
        env = {**os.environ, "LAZU_STORAGE_DIR": str(storage), "LAZU_API_KEY": KEY}
        words = [BIN / "flask", "keys", "create", "neighbour"]
        made = subprocess.run(words, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
        with servers.shipped(server) as edge:
            yield server, edge, made.stdout.strip()
