"""A race of boxes on one cluster (`helpers.box`), and what of their promises was broken at its end."""

import os
import subprocess
import sys

from helpers.seaweed import credentials
from helpers.server import PROJECT
from lazu.config import Settings
from lazu.store import rows
from lazu.store.opening import open_store
from lazu.store.postgresql.database import database


class Race:
    """Two boxes on one place; files are uploaded at once and in parts."""

    def __init__(self, tmp_path, cluster, endpoint):
        self.log, self.home, self.cluster = tmp_path / "log", tmp_path, cluster
        names = {f"LAZU_{name.upper()}": value for name, value in cluster.items()}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LAZU_")}
        self.env = {**clean, **credentials(endpoint), **names, "LAZU_MIN_FREE_BYTES": "0"}
        self.env["PYTHONPATH"] = f"{PROJECT}:{PROJECT / 'tests'}"
        self.store.keys.create("racer")
        database.close_all()

    @property
    def store(self):
        return open_store(Settings(storage_dir=self.home / "here", min_free_bytes=0, **self.cluster))

    def start(self, number, uploads, mutant=""):
        env = {**self.env, "LAZU_STORAGE_DIR": str(self.home / f"box-{number}")}
        command = [sys.executable, "-m", "helpers.box", str(self.log), str(uploads), str(number)]
        return subprocess.Popen(command + [mutant] * bool(mutant), env=env, cwd=PROJECT)

    def told(self):
        """What was acknowledged: ids by mark."""
        found = {"+": set(), "?": set(), "-": set(), "!": set()}
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            found[line[0]].add(line[2:])
        return found

    def broken(self):
        """Every promise that was broken, after one purge."""
        told, store = self.told(), self.store
        try:
            with store.contents.alone():
                store.contents.sweep(lambda: None)
            names = {row.id for row in rows.referrers_between("0", "g")}
            lost = {f"lost {each}" for each in told["+"] - told["?"] - names}
            undone = {f"undone {each}" for each in told["-"] & names}
            left = {f"{problem.kind} {problem.about}" for problem in store.contents.look(rehash=True)}
            return told["!"] | lost | undone | left
        finally:
            database.close_all()
