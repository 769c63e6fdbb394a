"""Turns at the slots: who goes first, what counts as what, and that no slot is lost or held on the way."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from freezegun import freeze_time

from helpers.ledgers import shared, written
from helpers.waiting import until
from lazu import slots
from lazu.errors import ClientLeft
from lazu.ledger import Ledger
from lazu.routes.shared import Shared
from lazu.server.heads import stays
from lazu.slots import Slots, Turn
from lazu.store import disk
from lazu.store.sqlite.group_commit import GroupCommit


def asking(pool, order, name, owner, **how):
    """A thread that waits for a slot, notes when it has it and gives it back."""

    def ask():
        pool.take(owner, **how)
        order.append(name)
        pool.give(owner)

    waiting = sum(map(len, pool._waiting.values()))
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    until(lambda: sum(map(len, pool._waiting.values())) > waiting)
    return thread


def test_who_has_begun_goes_before_the_new_ones_of_its_key():
    pool, order = Slots(1, 1), []
    pool.take(1)
    both = [asking(pool, order, "new", 1), asking(pool, order, "begun", 1, begun=True)]
    pool.give(1)
    for thread in both:
        thread.join()
    assert order == ["begun", "new"]


def test_a_slot_goes_to_the_key_that_has_the_fewest():
    pool, order = Slots(4, 3), []
    for owner in ("many", "many", "one", "gone"):
        pool.take(owner)
    both = [asking(pool, order, owner, owner) for owner in ("many", "one")]
    pool.give("gone")
    for thread in both:
        thread.join()
    assert order == ["one", "many"]


def test_work_that_became_long_leaves_its_place_to_short_work_of_its_key():
    """Also while its key has other long work, which goes on."""
    pool = Slots(16, 1, 4)
    with freeze_time() as clock, ExitStack() as ending:
        pool.take("busy", long=True)
        clock.tick(slots.ALONE_SECONDS)
        ending.enter_context(Turn(pool, "busy", stays))
        clock.tick(2 * slots.QUANTUM)
        slots.give_way()
        assert pool.take_now("busy")


def test_a_slot_that_comes_when_its_client_leaves_is_given_back():
    pool, looks = Slots(1, 1), []
    pool.take(1)

    def left():
        looks.append("look")
        if len(looks) == 1:
            return False
        pool.give(1)
        return True

    with pytest.raises(ClientLeft), Turn(Slots(1, 1), 2, left):
        pool.take_within(2, 60)
    assert pool.take_now(3)


def test_a_wait_within_a_wait_gives_the_slot_back_once():
    pool = Slots(1, 1)
    with Turn(pool, 1, stays):
        with slots.waiting(), slots.waiting():
            taken = [owner for owner in (2, 3) if pool.take_now(owner)]
            for owner in taken:
                pool.give(owner)
        assert taken == [2]


def test_what_is_made_for_all_is_made_after_each_of_them_asked_and_not_for_each():
    shared, made, begun, go_on = Shared(), [], threading.Event(), threading.Event()

    def make():
        made.append(len(made))
        begun.set()
        go_on.wait(60)
        return made[-1]

    with ThreadPoolExecutor(17) as team:
        team.submit(shared.get, make)
        assert begun.wait(60)
        others = [team.submit(shared.get, make) for _ in range(16)]
        until(lambda: all(each.running() for each in others))
        go_on.set()
        assert 0 not in {each.result(60) for each in others}, "it was begun before they asked"
    assert len(made) < 9


@contextmanager
def at_work(pool, work):
    """A thread that does `work` on a slot; it has begun."""
    begun = threading.Event()

    def run():
        with Turn(pool, 1, stays):
            begun.set()
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert begun.wait(60)
    try:
        yield
    finally:
        thread.join()


def is_free(pool):
    """Whether another key finds a slot."""
    found = pool.take_within(2, 5)
    if found:
        pool.give(2)
    return found


def test_who_waits_for_what_the_processes_share_holds_no_slot():
    pool = Slots(1, 1)
    with shared("things"), ExitStack() as ending:
        mine = Ledger("things", 4)
        mine.take(1, 1, lambda _: True)
        with written("things"):
            ending.enter_context(at_work(pool, lambda: mine.take(1, 1, lambda _: True)))
            free = is_free(pool)
    assert free


def test_who_waits_for_a_lock_of_the_disk_holds_no_slot(tmp_path):
    pool = Slots(1, 1)

    def wait():
        with disk.named_lock(tmp_path / "locks", "one", 600):
            pass

    with ExitStack() as ending, disk.named_lock(tmp_path / "locks", "one", 1):
        ending.enter_context(at_work(pool, wait))
        free = is_free(pool)
    assert free


def test_who_commits_holds_no_slot():
    begun, end = threading.Event(), threading.Event()

    @contextmanager
    def transaction(_):
        begun.set()
        yield
        end.wait(60)

    pool, group = Slots(1, 1), GroupCommit(transaction)
    with at_work(pool, lambda: group.commit(lambda: None, time.monotonic() + 60)):
        assert begun.wait(60)
        free = is_free(pool)
        end.set()
    assert free
