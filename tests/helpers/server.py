"""A real Lazu under gunicorn, as the tests start and stop it; and the store behind it, as they look at it."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import openai
from peewee import sqlite3

from helpers.ports import free_port, listening
from lazu.config import Settings
from lazu.store.contents import Problem, object_names
from lazu.store.opening import Store, open_store

PROJECT = Path(__file__).resolve().parents[2]

#: Enough for tests that want few processes to look at; the rest is the shipped default.
DEFAULTS = {"LAZU_WORKERS": "2", "LAZU_MIN_FREE_BYTES": "0"}


#: On a cluster: what makes a new, empty place on PostgreSQL and S3, as settings (the fixture `place`); and those that
#: servers have, by their storage directory.
places: Callable[[], dict[str, str]] | None = None
PLACES: dict[Path, dict[str, str]] = {}


def variables(settings: dict[str, str]) -> dict[str, str]:
    """Settings as environment variables."""
    return {f"LAZU_{name.upper()}": value for name, value in settings.items()}


@dataclass
class Server:
    """One gunicorn on its own port and data directory."""

    storage: Path
    env: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    keys: list[str] = field(default_factory=list)
    #: What it is run by, as `env` would stand before a command.
    under: tuple[str, ...] = ()
    #: Where its program lies, with the `.env` that it reads.
    home: Path = PROJECT

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the server and of commands on its store: ours without any LAZU_ setting of the user."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LAZU_")}
        own = {"LAZU_STORAGE_DIR": str(self.storage), "LAZU_BIND": f"127.0.0.1:{self.port}"}
        return {**clean, **DEFAULTS, **own, **variables(PLACES.get(self.storage, {})), **self.env}

    @property
    def log(self) -> Path:
        return self.storage.with_suffix(".log")

    def start(self) -> "Server":
        if places is not None and self.storage not in PLACES:
            PLACES[self.storage] = places()
        with self.log.open("ab") as log:
            before = log.tell()
            command = [*self.under, sys.executable, "-m", "gunicorn", "wsgi:app"]
            self.process = subprocess.Popen(command, cwd=self.home, env=self.environ, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            # All workers: the first one answers before gunicorn has made the second.
            if listening(self.port) and self.log.read_bytes()[before:].count(b"Booting worker") >= int(self.environ["LAZU_WORKERS"]):
                return self
            time.sleep(0.02)
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None
            assert self.leaks() == []

    def flask(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run `flask COMMAND` on this server's store."""
        argv = [sys.executable, "-m", "flask", *command]
        return subprocess.run(argv, cwd=self.home, env=self.environ, capture_output=True, text=True, check=check)

    def new_key(self, name: str | None = None) -> str:
        with opened(self.storage) as store:
            self.keys.append(store.keys.create(name or f"key-{secrets.token_hex(4)}"))
        return self.keys[-1]

    @cached_property
    def any_key(self) -> str:
        """One key for the tests that need just any."""
        return self.new_key()

    def leaks(self, *more: Path) -> list[Path]:
        """Files that hold a key which a test used: in the log, the database, the storage, and in `more`."""
        where = [self.log, *(path for path in self.storage.rglob("*") if path.is_file()), *more]
        keys = re.compile(b"|".join(re.escape(key.encode()) for key in self.keys))  # a log of megabytes, hundreds of keys: read once
        return [path for path in where if self.keys and keys.search(path.read_bytes())]

    def client(self, key: str | None = None, **options) -> openai.OpenAI:
        """The OpenAI SDK with a key of its own, unless one is given; it does not repeat unless asked to."""
        options.setdefault("max_retries", 0)
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.new_key(), **options)

    def blobs(self) -> list[Path]:
        """What the store keeps bytes in: files, or objects, by the names that files would have."""
        if self.storage not in PLACES:
            return sorted(path for path in (self.storage / "blobs").rglob("*") if path.is_file())
        with opened(self.storage) as store:
            return objects(store)

    def pids(self) -> list[int]:
        """The master and its workers."""
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return [master, *map(int, children)]

    def rss(self) -> int:
        """Resident bytes of all its processes that no file backs: what a leak or a buffer would show in."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    total += int(line.split()[1]) * 1024
        return total


@contextmanager
def opened(storage: Path) -> Iterator[Store]:
    """The store in `storage`, opened by this process."""
    store = open_store(Settings(storage_dir=storage, min_free_bytes=0, **PLACES.get(storage, {})))
    with store.engine.connected():
        yield store


def objects(store: Store) -> list[Path]:
    """What the bucket has of contents, without the part of the names that makes each one new."""
    names = [entry.name for page in store.contents.bucket.pages() for entry in page]
    return sorted(Path(re.sub(r"\.[0-9A-Z]{26}", "", name)) for name in names if object_names.is_ours(name))


def problems(storage: Path, rehash: bool = True) -> list[Problem]:
    """Where rows and blobs of the store in `storage` disagree, or did before it was opened and its journal replayed."""
    if not (storage / "lazu.sqlite3").exists() and storage not in PLACES:
        return []
    before = [] if storage in PLACES else _missing(storage)
    with opened(storage) as store:
        found = list(store.contents.look(rehash))
    return found + [problem for problem in before if problem not in found]


def _missing(storage: Path) -> list[Problem]:
    """Files without their blob, asked of SQLite and the disk and not of Lazu; one may be deleted meanwhile."""
    with closing(sqlite3.connect(storage / "lazu.sqlite3")) as database:
        read = "SELECT id, sha256 FROM file"
        lost = [row for row in database.execute(read).fetchall() if not (storage / "blobs" / row[1][:2] / row[1]).exists()]
        return [Problem("missing", file_id) for file_id, _ in set(lost) & set(database.execute(read).fetchall())] if lost else []
