"""A real pgbouncer before PostgreSQL: Debian's package."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from helpers.ports import free_port
from helpers.postgresql import Postgres

#: Connections to PostgreSQL for each database. By transactions they are fewer than a box has to the pooler; a session keeps its own.
SIZES = {"session": 20, "transaction": 3}


@contextmanager
def pooled(postgres: Postgres, mode: str) -> Iterator[Callable[[str], str]]:
    """What makes an address of a database the one through a pooler of this `mode`, `session` or `transaction`."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lazu-pgbouncer-") as home, Path(home, "log").open("wb") as log:
        settings = Path(home) / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={postgres.port} user=lazu\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = {SIZES[mode]}\nquery_wait_timeout = 5\nunix_socket_dir =\n"
        )
        for each in (Path(home), settings):
            each.chmod(0o755)  # it runs as another user, and Lazu in this process may have set its umask
        process = subprocess.Popen(["pgbouncer", "-q", str(settings)], stdout=log, stderr=log, **postgres.user)
        try:
            _wait(process, port, Path(home, "log"))
            yield lambda url: url.replace(f":{postgres.port}/", f":{port}/")
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(psycopg.OperationalError), psycopg.connect(f"postgresql://lazu@127.0.0.1:{port}/postgres"):
            return
        time.sleep(0.02)
    raise AssertionError(f"pgbouncer did not start:\n{log.read_text()}")
