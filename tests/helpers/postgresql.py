"""A real PostgreSQL, as the tests of the cluster use it: Debian's package, started once a session; a database for each test."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from helpers.ports import free_port
from helpers.waiting import until

#: Flushed for real: what is acknowledged must survive a killed server. Small, so that many tests fit beside it.
OPTIONS = "-c shared_buffers=32MB -c max_connections=100 -c fsync=on -c synchronous_commit=on -c unix_socket_directories="


def program(name: str) -> str:
    """Of the newest PostgreSQL that is installed; Debian keeps all but psql out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else shutil.which(name) or name


@dataclass
class Postgres:
    """One server on 127.0.0.1; its superuser is `lazu`, without a password."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    #: Certificate and key, if it speaks TLS, and nothing else then.
    tls: tuple[Path, Path] | None = None
    #: More lines for its postgresql.conf.
    settings: str = ""

    @property
    def user(self) -> dict:
        """PostgreSQL refuses to run as root: as root it runs as `nobody`."""
        return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}

    def start(self) -> "Postgres":
        if self.user:
            shutil.chown(self.home, "nobody", self.user["group"])
        command = [program("initdb"), "-D", str(self.home / "data"), "-U", "lazu", "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.home, **self.user)
        with (self.home / "data" / "postgresql.conf").open("a") as settings:
            settings.write(self.settings)
        if self.tls:
            self.encrypt(*self.tls)
        self.run()
        self.wait()
        return self

    def follow(self, primary: "Postgres") -> "Postgres":
        """Start as a standby of `primary`, by streaming replication."""
        if self.user:
            shutil.chown(self.home, "nobody", self.user["group"])
        command = [program("pg_basebackup"), "-d", primary.url("postgres"), "-D", str(self.home / "data"), "-R", "-c", "fast", "--no-sync"]
        subprocess.run(command, check=True, cwd=self.home, **self.user)
        self.run()
        self.wait()
        return self

    def rejoin(self, primary: "Postgres") -> "Postgres":
        """Come back after a crash as a standby of the server that was promoted meanwhile: what only this one had is gone."""
        with primary.connect("postgres") as connection:
            connection.execute("CHECKPOINT")  # else pg_rewind takes both for the same history (before PostgreSQL 16)
        command = [program("pg_rewind"), "-D", str(self.home / "data"), f"--source-server={primary.url('postgres')}", "-R", "--no-sync"]
        subprocess.run(command, check=True, cwd=self.home, stdout=subprocess.DEVNULL, **self.user)
        self.run()
        self.wait()
        return self

    def promote(self) -> None:
        with self.connect("postgres") as connection:
            assert connection.execute("SELECT pg_promote()").fetchone() == (True,)

    def crash(self) -> None:
        """End all its processes at once, as when its host dies."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def encrypt(self, *tls: Path) -> None:
        """Have certificate and key where it looks for them, its own, and take no connection without."""
        for source, name in zip(tls, ("server.crt", "server.key"), strict=True):
            place = self.home / "data" / name
            place.write_bytes(source.read_bytes())
            place.chmod(0o600)
            if self.user:
                shutil.chown(place, "nobody", self.user["group"])
        (self.home / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")

    def run(self) -> None:
        """Start the process, without waiting; the same port each time."""
        command = [program("postgres"), "-D", str(self.home / "data"), "-h", "127.0.0.1", "-p", str(self.port), *OPTIONS.split()]
        command += ["-c", "ssl=on"] if self.tls else []
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.home, stdout=log, stderr=log, **self.user)

    def wait(self) -> None:
        """Until it takes connections; after a crash it recovers first."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(psycopg.OperationalError), self.connect("postgres"):
                return
            time.sleep(0.05)
        raise AssertionError(f"PostgreSQL did not start:\n{self.log()[-4000:]}")

    def log(self) -> str:
        return (self.home / "log").read_text()

    def url(self, database: str) -> str:
        return f"postgresql://lazu@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(self.url(database), autocommit=True)

    def database(self, template: str = "template1") -> str:
        """A new database, empty unless a copy of another, as the value of LAZU_DATABASE_URL."""
        name = f"lazu_{secrets.token_hex(6)}"
        with self.connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def terminate(self, url: str, how: str = "terminate") -> int:
        """End every backend of a database, as an operator or a failover does, or `cancel` its statement; gives how many."""
        with self.connect("postgres") as connection:
            text = f"SELECT pg_{how}_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            return len(connection.execute(text, (url.rpartition("/")[2],)).fetchall())

    def require_standby(self) -> None:
        """Commit nothing from now on that the standby, which is there, does not have."""
        with self.connect("postgres") as connection:
            until(lambda: connection.execute("SELECT state FROM pg_stat_replication").fetchone() == ("streaming",))
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            until(lambda: connection.execute("SELECT sync_state FROM pg_stat_replication").fetchone() == ("sync",))

    @contextmanager
    def waiting_for_a_standby(self):
        """Its synchronous standby is away: no commit is answered."""
        with self.connect("postgres") as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            connection.execute("SELECT pg_reload_conf()")
            try:
                until(lambda: connection.execute("SHOW synchronous_standby_names").fetchone() == ("nobody",))
                yield
            finally:
                connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
                connection.execute("SELECT pg_reload_conf()")

    def stop(self, how: int = signal.SIGQUIT) -> None:
        """SIGQUIT is its immediate shutdown: as a crash, but none of its processes stays."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None


@contextmanager
def primary_and_standby(settings=""):
    """A primary, and a standby that follows it asynchronously."""
    with tempfile.TemporaryDirectory(prefix="lazu-postgresql-") as home:
        Path(home).chmod(0o755)
        servers = [Postgres(Path(home) / name, settings=settings) for name in ("first", "second")]
        for each in servers:
            each.home.mkdir()
        try:
            first = servers[0].start()
            yield first, servers[1].follow(first)
        finally:
            for each in servers:
                each.stop()
