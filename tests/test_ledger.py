"""What all processes of a server share: counted together, given back by the dead, and no lock without a limit of time."""

import errno
import fcntl
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.in_process import descriptors
from helpers.ledgers import shared, started, written
from lazu import ledger
from lazu.errors import ApiError, InsufficientStorage, Overloaded
from lazu.ledger import Ledger
from lazu.store.arriving import Arriving

CODE = """
import sys
from lazu import ledger
from lazu.ledger import Ledger
ledger._files["things"] = {}
print(Ledger("things", 4).take(7, 5, lambda taken: taken.of(7) + 5 <= 10), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def things():
    with shared("things", "arriving-tests"):
        yield


def test_processes_count_together_and_what_a_dead_one_held_is_given_back():
    mine = Ledger("things", 4)
    others, places = zip(*(started("things", CODE) for _ in range(3)), strict=True)
    assert places == ("0", "1", "None")
    assert mine.take(7, 1, lambda taken: taken.of(7) + 1 <= 10) is None
    assert mine.take(8, 1, lambda taken: taken.of(8) + 1 <= 10) == 2
    for process in others:
        process.communicate()
        ledger.forget(process.pid)
    assert mine.taken() == ([8], [1])


def test_a_record_grows_as_far_as_it_fits_beside_the_others():
    mine = Ledger("things", 4)

    def fits(size):
        return lambda taken: sum(taken.amounts) + size <= 10

    first, second = mine.take(1, 3, fits(3)), mine.take(2, 3, fits(3))
    assert not mine.change(first, 8, fits(8))
    assert mine.change(first, 7, fits(7))
    mine.give_back(second)
    assert mine.change(first, 10, fits(10))
    assert mine.taken() == ([1], [10])


@pytest.fixture
def brief(monkeypatch):
    """Nobody waits long for the lock of others."""
    monkeypatch.setattr(ledger, "LOCK_SECONDS", 0.5)


def test_who_was_stopped_while_writing_makes_the_others_busy_and_nobody_waits_for_ever(brief):
    mine = Ledger("things", 4)
    place = mine.take(1, 1, lambda _: True)
    with written("things"):
        began = time.monotonic()
        with pytest.raises(Overloaded):
            mine.take(1, 1, lambda _: True)
        assert time.monotonic() - began < 60
        mine.set(place, 5)
        assert mine.taken() == ([1], [5])
        mine.give_back(place)
        assert mine.taken() == ([], [])
        ledger.forget(os.getpid())
    assert mine.take(1, 1, lambda _: True) is not None


def test_one_without_room_for_its_file_is_busy_and_costs_no_descriptor():
    mine, (most, hard) = Ledger("things", 1000), resource.getrlimit(resource.RLIMIT_FSIZE)
    before = descriptors()
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(Overloaded):
            mine.take(1, 1, lambda _: True)
        ledger.forget(os.getpid())  # gunicorn's master would end
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    assert descriptors() == before
    assert mine.take(1, 1, lambda _: True) == 0


def test_a_lock_that_the_system_refuses_shuts_nobody_out(monkeypatch, brief):
    mine = Ledger("things", 4)

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "lockf", refuse)
        with pytest.raises(Overloaded):
            mine.take(1, 1, lambda _: True)
    assert mine.take(1, 1, lambda _: True) == 0


def test_uploads_beyond_the_quota_are_refused_as_such_also_when_another_ends_at_that_moment():
    """Whether there was room is known under the lock: a look after it may find the room that an upload left."""
    arriving, refused = Arriving("tests", lambda: InsufficientStorage("full")), set()

    def upload():
        for _ in range(100):
            try:
                with arriving.hold(1, 6, 10):
                    time.sleep(0.001)
            except ApiError as e:
                refused.add(type(e))

    with ThreadPoolExecutor(3) as team:
        for done in [team.submit(upload) for _ in range(3)]:
            done.result()
    assert refused == {InsufficientStorage}


def test_one_that_is_full_is_busy():
    mine = Ledger("things", 1)
    assert mine.take(1, 1, lambda _: True) == 0
    with pytest.raises(Overloaded):
        mine.take(2, 1, lambda _: True)
    assert mine.take(2, 1, lambda _: False) is None


def test_one_that_was_reloaded_with_more_room_has_it_beside_the_others():
    mine, more = Ledger("things", 1), Ledger("things", 1000)
    assert mine.take(1, 1, lambda _: True) == 0
    assert [more.take(2, 1, lambda _: True) for _ in range(999)] == list(range(1, 1000))
    with pytest.raises(Overloaded):
        mine.take(1, 1, lambda _: True)
    ledger.forget(os.getpid())
    assert more.taken() == ([], [])


def test_other_threads_come_in_after_other_processes_may(monkeypatch):
    """The lock of the file is the whole process's: a thread that came sooner would be let out by this one's end."""
    mine, lockf, alone = Ledger("things", 4), fcntl.lockf, []

    def note(fd, how):
        if how == fcntl.LOCK_UN:
            alone.append(mine._threads.locked())
        lockf(fd, how)

    monkeypatch.setattr(fcntl, "lockf", note)
    mine.take(1, 1, lambda _: True)
    assert alone == [True]


def test_giving_back_what_the_dead_held_costs_no_descriptor():
    """gunicorn's master does so at each end of a worker, for months."""
    mine = Ledger("things", 4)
    mine.take(1, 1, lambda _: True)
    before = descriptors()
    ledger.forget(os.getpid())
    assert (descriptors(), mine.taken()) == (before, ([], []))
