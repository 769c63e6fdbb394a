"""Promise 19: two boxes upload and delete the same contents beside sweeps, while calls of the object store come late, and while
boxes, PostgreSQL and the object store are killed: nothing is lost, undone, dangling or left."""

import os
import random

import pytest

from helpers import between as wire
from helpers.race import Race
from helpers.waiting import until

pytestmark = pytest.mark.slow

LONG = bool(os.environ.get("LAZU_LONG_TESTS"))
#: Uploads of a thread, of which there are eight; and how many boxes and engines are killed.
UPLOADS = int(os.environ.get("LAZU_TEST_UPLOADS", 2_000 if LONG else 150))
KILLS = int(os.environ.get("LAZU_TEST_KILLS", 400 if LONG else 8))


def late(share):
    """A rule: that share of PUT and DELETE breaks for its caller, and is carried out up to three seconds later."""
    chance = random.Random(1)

    def rule(method, path):
        return chance.uniform(0.2, 3) if method in ("PUT", "DELETE") and chance.random() < share else wire.PASS

    return rule


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


def test_objects_that_are_taken_for_lost_break_nothing(tmp_path, cluster, proxy):
    """What comes takes their place, also that of another that just did."""
    race = Race(tmp_path, cluster, proxy.endpoint)
    proxy.rule = late(0.1)
    run(race, UPLOADS // 2, "denied")
    settle(proxy)
    assert len(race.told()["+"]) > 3 * UPLOADS
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
