"""Processes of a run: each in a folder of its own, stopped by its own pid, its output kept in a log."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench import measure

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench"
HOST = "127.0.0.1"
serial = count()
BIN = Path(sys.executable).parent


@dataclass
class Server:
    """A server that answers: where, in which folder, its first process, and the seconds until its first answer."""

    port: int
    folder: Path
    pid: int
    ready: float

    def cpu(self) -> float:
        return measure.cpu(self.pid)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def folder(name: str) -> Path:
    """A new folder for this run, on the disk that holds the project (or where BENCH_DIR says)."""
    path = Path(os.environ.get("BENCH_DIR", WORK)) / f"{name}-{next(serial)}"
    path.mkdir(parents=True)
    return path


def shed(path: Path) -> None:
    """Remove what is large in a folder; the small files go when all is measured.

    ext4 steps over inodes that were freed in the last minutes: after thousands of deletions each new file took up to
    0.9 ms more, whoever made it.
    """
    for file in path.rglob("*"):
        if file.is_file() and file.stat().st_size >= 1 << 20:
            file.unlink()


@contextmanager
def serve(argv: Sequence[object], port: int, home: Path, **env: str) -> Iterator[Server]:
    """Run a server until the block ends; it counts as started when a request gets an answer."""
    start = time.monotonic()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in argv],
            cwd=env.pop("cwd", str(home)),
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(process, port, home / "log")
            yield Server(port, home, process.pid, time.monotonic() - start)
        except (RuntimeError, OSError) as error:
            error.add_note(f"{process.args!r}, ended: {process.poll()}, log:\n{(home / 'log').read_text()[-2000:]}")
            raise
        finally:
            stop(process)
            shed(home)


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while not answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether a request gets an answer, any answer: gunicorn listens long before its workers have the application."""
    with socket.socket() as probe:
        probe.settimeout(10)
        try:
            probe.connect((HOST, port))
            probe.sendall(b"GET /ready HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return bool(probe.recv(1))
        except OSError:
            return False


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        members = measure.family(process.pid)
        for member in members:
            os.kill(member, 9)
        process.wait()
