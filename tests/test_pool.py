"""The threads of requests: as many as are needed, none too many, and some work goes on where the system has no more."""

import os
import threading
import time
import weakref
from contextlib import ExitStack

import pytest
from gunicorn.workers.gthread import PollableMethodQueue, ThreadWorker

from helpers.broken import no_thread
from helpers.in_process import uncollected
from helpers.waiting import until
from lazu.server import pool
from lazu.server.pool import Pool
from lazu.server.worker import Worker


def running():
    return [thread for thread in threading.enumerate() if thread.name == "lazu-request"]


@pytest.fixture
def hasty(monkeypatch):
    """Threads that have nothing to do for 0.1 s end."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.1)


def test_a_burst_leaves_no_threads_behind(hasty):
    before, gate = len(running()), threading.Event()
    made = Pool(keep=2, most=50)
    futures = [made.submit(gate.wait) for _ in range(80)]
    assert len(running()) == before + 50
    gate.set()
    assert all(future.result(30) for future in futures)
    until(lambda: len(running()) <= before + 2)
    assert made.submit(lambda: 7).result(30) == 7


def test_threads_that_are_too_many_end_while_others_work(hasty):
    """All took turns, so that none had a rest."""
    before, gate = len(running()), threading.Event()
    made = Pool(keep=1, most=50)
    futures = [made.submit(gate.wait) for _ in range(50)]
    gate.set()
    assert all(future.result(30) for future in futures)
    deadline = time.monotonic() + 30
    while len(running()) > before + 3:
        assert time.monotonic() < deadline
        made.submit(int).result(30)


def test_threads_are_used_again(hasty):
    made = Pool(keep=1, most=50)
    used = {made.submit(threading.get_ident).result(30) for _ in range(200)}
    assert len(used) < 10


def test_without_a_thread_left_those_that_are_there_do_the_work():
    made, gate = Pool(keep=1, most=50), threading.Event()
    first = made.submit(gate.wait)
    with no_thread():
        second = made.submit(lambda: 7)
        gate.set()
        assert (first.result(30), second.result(30)) == (True, 7)


def test_a_pool_without_threads_left_goes_on_when_there_are_some():
    made = Pool(keep=1, most=4)
    with no_thread():
        future = made.submit(lambda: "done")
    made.revive()
    assert future.result(30) == "done"


def test_jobs_that_come_at_once_do_not_wait_for_each_other():
    made, gate = Pool(keep=1, most=2), threading.Event()
    made.submit(int).result(30)
    until(lambda: len(made._gates) == 1)
    first, second = made.submit(gate.wait), made.submit(lambda: 7)
    try:
        assert second.result(30) == 7
    finally:
        gate.set()
    assert first.result(30)


def test_a_job_that_raises_leaves_its_place_to_the_next(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # it prints the trace
    made, before = Pool(keep=0, most=1), len(running())
    for _ in range(3):
        assert isinstance(made.submit(lambda: 1 / 0).exception(30), ZeroDivisionError)
    assert made.submit(lambda: 7).result(30) == 7
    until(lambda: len(running()) <= before + 1)


def test_what_a_job_gave_is_held_no_longer_than_by_who_asked_for_it():
    class Much:
        pass

    made = Pool(keep=1, most=1)
    with uncollected():
        gone = weakref.ref(made.submit(Much).result(30))
        until(lambda: gone() is None, 20)


def test_what_ends_after_its_worker_writes_into_no_file(tmp_path, monkeypatch):
    """The number of the pipe that gunicorn closed was that of the database by then: it began with zeros."""
    worker = Worker.__new__(Worker)
    worker.method_queue = PollableMethodQueue()
    monkeypatch.setattr(ThreadWorker, "init_process", lambda worker: worker.method_queue.init())
    worker.init_process()
    worker.method_queue.close()
    with ExitStack() as files:
        written = [files.enter_context((tmp_path / str(number)).open("w+b")) for number in range(8)]
        worker.method_queue.defer(print)
        assert [os.fstat(file.fileno()).st_size for file in written] == [0] * 8
