"""Promise 19: two boxes upload and delete the same contents beside sweeps, while calls of the object store come late, and while
boxes, PostgreSQL and the object store are killed: nothing is lost, undone, dangling or left."""

import os
import random
import subprocess
import sys

import pytest

from helpers import between as wire
from helpers.seaweed import credentials
from helpers.server import PROJECT
from helpers.waiting import until
from lazu.config import Settings
from lazu.store import rows
from lazu.store.connections import database
from lazu.store.opening import open_store

pytestmark = pytest.mark.slow

LONG = bool(os.environ.get("LAZU_LONG_TESTS"))
#: Uploads of a thread, of which there are eight; and how many boxes and engines are killed.
UPLOADS = int(os.environ.get("LAZU_TEST_UPLOADS", 2_000 if LONG else 300))
KILLS = int(os.environ.get("LAZU_TEST_KILLS", 400 if LONG else 8))


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


def late(share):
    """A rule: that share of PUT and DELETE breaks for its caller, and is carried out up to three seconds later."""
    chance = random.Random(1)

    def rule(method, path):
        return chance.uniform(0.2, 3) if method in ("PUT", "DELETE") and chance.random() < share else wire.PASS

    return rule


@pytest.fixture
def proxy(seaweed):
    with wire.between(seaweed.endpoint) as proxy:
        yield proxy


def run(race, uploads, mutant=""):
    boxes = [race.start(number, uploads, mutant) for number in (1, 2)]
    assert [box.wait() for box in boxes] == [0, 0]


def settle(proxy):
    proxy.rule = wire.passing
    for each in proxy.late:
        each.join()


def test_late_calls_of_the_object_store_break_nothing(tmp_path, cluster, proxy):
    race = Race(tmp_path, cluster, proxy.endpoint)
    proxy.rule = late(0.25)
    run(race, UPLOADS)
    settle(proxy)
    told = race.told()
    assert len(proxy.late) > 20
    assert len(told["+"]) > 7 * UPLOADS, "some fail, and some are given up"
    assert race.broken() == set()


def test_objects_named_by_their_content_alone_would_be_lost(tmp_path, cluster, proxy):
    """The test's own mutant."""
    race = Race(tmp_path, cluster, proxy.endpoint)
    proxy.rule = late(0.25)
    run(race, 60, "hash-names")
    settle(proxy)
    assert race.broken() != set()


def test_boxes_and_engines_may_die_at_any_time(tmp_path, cluster, postgres, seaweed):
    race = Race(tmp_path, cluster, seaweed.endpoint)
    chance = random.Random(3)
    boxes = [race.start(number, 10**6) for number in (1, 2)]
    for kill in range(KILLS):
        uploads = len(race.told()["+"])
        until(lambda uploads=uploads: len(race.told()["+"]) >= uploads + 15, 300)
        if kill % 4 == 0:
            postgres.stop()
            postgres.run()
            postgres.wait()
        elif kill % 4 == 1:
            seaweed.crash()
        elif kill % 4 == 2:
            postgres.terminate(cluster["database_url"])
        else:
            box = chance.randrange(2)
            boxes[box].kill()
            boxes[box].wait()
            boxes[box] = race.start(10 + kill, 10**6)
    for box in boxes:
        box.kill()
        box.wait()
    assert race.broken() == set()
