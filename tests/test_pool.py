"""The threads of requests: as many as are needed, none too many, and some work goes on where the system has no more."""

import threading
import time

import pytest

from lazu.server import pool
from lazu.server.pool import Pool


def running():
    return [thread for thread in threading.enumerate() if thread.name == "lazu-request"]


@pytest.fixture
def hasty(monkeypatch):
    """Threads that have nothing to do for 0.1 s end."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.1)


def rest(count):
    deadline = time.monotonic() + 30
    while len(running()) > count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_burst_leaves_no_threads_behind(hasty):
    before, gate = len(running()), threading.Event()
    made = Pool(keep=2, most=50)
    futures = [made.submit(gate.wait) for _ in range(80)]
    assert len(running()) == before + 50
    gate.set()
    assert all(future.result(30) for future in futures)
    rest(before + 2)
    assert made.submit(lambda: 7).result(30) == 7


def test_threads_are_used_again(hasty):
    made = Pool(keep=1, most=50)
    used = {made.submit(threading.get_ident).result(30) for _ in range(200)}
    assert len(used) < 10


def test_without_a_thread_left_those_that_are_there_do_the_work(monkeypatch):
    made, gate = Pool(keep=1, most=50), threading.Event()
    first = made.submit(gate.wait)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    second = made.submit(lambda: 7)
    gate.set()
    assert (first.result(30), second.result(30)) == (True, 7)
