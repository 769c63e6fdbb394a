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

#: Seconds between two requests of the neighbour, who asks now and then: for one who goes on a thread still waits.
PAUSE = 0.02

#: The attack stands for other machines: it takes what time the servers leave, and the table says what it sent.
LAST = ("nice", "-n", "19")
#: Bytes a second that it sends at most: what a line of 1 Gbit/s carries.
LINE = 125_000_000

#: The aim: metadata within so many times its idle time and so many ms, an upload of 1 MB, /healthz.
RATIO, METADATA, UPLOAD, HEALTH = 5, 1000, 3000, 500

Times = dict[str, list[float]]

ALONE = ("sent a second: connections, bytes", "Lazu alone: metadata, median / longest ms", "× idle")
ALONE += ("upload, `/healthz`, longest ms", "aim")
THROUGH = ("sent", "through nginx: metadata", "× idle", "upload, `/healthz`", "aim")
HEAD = f"| attack, by one key or by none | {' | '.join(ALONE + THROUGH)} |\n|---{'|--:|--:|--:|--:|---' * 2}|"


def table(plan: Plan) -> str:
    """The table of docs/security.md: a line an attack, with what another key meets at each door meanwhile."""
    with standing() as (server, edge, other):
        asks = Asks(other, plan.pick(20, 60))
        doors = (server.port, edge.port)
        idle = [asks.times(port) for port in doors * 2][2:]  # the first ones are of a server that has just started
        rows = [f"| idle | {' | '.join(cells('', each, each) for each in idle)} |"]
        for kind in attack.KINDS:
            if kind not in plan.skip:
                rows.append(row(asks, kind, doors))
                print(rows[-1], file=sys.stderr, flush=True)
    return "\n".join([machine(), "", HEAD, *rows])


def row(asks: "Asks", kind: str, doors: tuple[int, ...]) -> str:
    """A line of the table; each door is also asked just before the attack, without one."""
    found = []
    for port in doors:
        idle = asks.times(port)
        found.append(cells(*beside(asks, kind, port), idle))
        time.sleep(0.5)
    return f"| {kind} | {' | '.join(found)} |"


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
    time.sleep(PAUSE)
    start = time.monotonic()
    ask(port, request)
    return (time.monotonic() - start) * 1e3


def ask(port: int, request: client.Request) -> bytes:
    """One request on a connection of its own."""
    [(_, body)] = client.talk(port, [request])
    return body


def cells(sent: str, measured: Times, idle: Times) -> str:
    """What one door adds to a row."""
    middle, most = statistics.median(measured["metadata"]), max(measured["metadata"])
    ratio = middle / statistics.median(idle["metadata"])
    upload, health = max(measured["upload"]), max(measured["health"])
    met = ratio <= RATIO and most <= METADATA and upload <= UPLOAD and health <= HEALTH
    aim = "met" if met else "**not met**"
    return f"{sent} | {middle:.1f} / {most:.0f} | {ratio:.1f} | {upload:.0f}, {health:.0f} | {aim}"


def beside(asks: Asks, kind: str, port: int) -> tuple[str, Times]:
    """The neighbour's times while clients of one kind ask too much of the server at `port`, and what they sent.

    They have the key that has 10,000 files, or none.
    """
    argv = [*LAST, sys.executable, ATTACK, kind, str(port), KEY, str(LINE)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            said(process)
            time.sleep(START)
            before = sent_by(process)
            times = asks.times(port)
            seconds, count, size = (after - first for first, after in zip(before, sent_by(process), strict=True))
        finally:
            process.kill()
    return f"{count / seconds:,.0f}; {size / seconds / 1e6:,.1f} MB", times


def sent_by(process: "subprocess.Popen[str]") -> list[float]:
    """Seconds on the attack's clock, connections and bytes so far."""
    if process.stdin:
        process.stdin.write("\n")
        process.stdin.flush()
    return [float(word) for word in said(process).split()]


def said(process: "subprocess.Popen[str]") -> str:
    return process.stdout.readline() if process.stdout else ""


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
