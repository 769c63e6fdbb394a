"""How the store bends as it grows: `bench/run growth` measures each operation at 1,000, 100,000 and 1,000,000 files."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench import client, forms, seed, servers
from bench.procs import BIN, ROOT, Server, folder
from bench.report import machine, number
from bench.results import Plan
from bench.rows.metadata import get
from bench.servers import KEY

FIGURES = (
    "upload of 4 KiB, ms",
    "GET one, ms",
    "list of 100, first page, ms",
    "list of 100, in the middle, ms",
    "DELETE, ms",
    "flask purge, 1,000 expired, s",
    "flask fsck (names and rows), s",
    "GET /metrics, ms",
    "database, MiB",
)


def table(plan: Plan) -> str:
    """A column a size, a line a figure: medians of one client's requests, wall time."""
    sizes = plan.sizes or ([10**3, 10**4, 10**5] if plan.quick else [10**3, 10**5, 10**6])
    columns = [list(at(size, plan.pick(50, 300))) for size in sizes]
    lines = ["| files and blobs | " + " | ".join(f"{size:,}" for size in sizes) + " |", "|---|" + "--:|" * len(sizes)]
    for figure, values in zip(FIGURES, zip(*columns, strict=True), strict=True):
        lines.append(f"| {figure} | " + " | ".join(map(number, values)) + " |")
    return "\n".join([machine(), "", *lines])


def at(size: int, count: int) -> Iterator[float]:
    """The figures with `size` files, each of `count` requests."""
    with servers.lazu() as server:
        storage = server.folder / "storage"
        ids = seed.live(storage, size, blobs=True)
        os.sync()
        yield from figures(server, storage, ids[len(ids) // 2], count)


def figures(server: Server, storage: Path, middle: str, count: int) -> Iterator[float]:
    """The figures of a server on `storage`, where `middle` is the id of a file halfway."""
    uploads = forms.post(KEY, forms.tail_file(folder("data") / "tail", 4096))
    bodies, upload = talk(server, list(islice(uploads, count)))
    yield upload
    yield talk(server, [get(f"/v1/files/{middle}")] * count)[1]
    yield talk(server, [get("/v1/files?limit=100")] * count)[1]
    yield talk(server, [get(f"/v1/files?limit=100&after={middle}")] * count)[1]
    yield talk(server, [delete(json.loads(body)["id"]) for body in bodies])[1]
    seed.expired(storage, 1000)
    yield command(storage, "purge", "--force")
    yield command(storage, "fsck")
    yield statistics.median(scrape(server) for _ in range(5))
    yield (storage / "lazu.sqlite3").stat().st_size / 2**20


def talk(server: Server, requests: list[client.Request]) -> tuple[tuple[bytes, ...], float]:
    """The answers, and their median time in ms."""
    load = client.load(server.port, [requests])
    return load.bodies, statistics.median(load.latencies) * 1e3


def scrape(server: Server) -> float:
    """Milliseconds of a scrape."""
    return talk(server, [get("/metrics")])[1]


def delete(file_id: str) -> client.Request:
    return client.Request(get(f"/v1/files/{file_id}").head.replace(b"GET", b"DELETE", 1))


def command(storage: Path, *words: str) -> float:
    """Seconds of a command, its start included."""
    start = time.monotonic()
    environ = {**os.environ, "LAZU_STORAGE_DIR": str(storage), "LAZU_API_KEY": KEY}
    subprocess.run([BIN / "flask", *words], cwd=ROOT, env=environ, check=True, capture_output=True)
    return time.monotonic() - start
