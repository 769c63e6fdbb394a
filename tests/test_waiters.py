"""Threads that wait for locks: a few stay, none is left behind, none is expected to have come through a fork."""

import subprocess
import sys
import threading

import pytest

from helpers.server import PROJECT
from helpers.waiting import until
from lazu.errors import Busy
from lazu.store import disk, waiters


def waiting():
    return [thread for thread in threading.enumerate() if thread.name == "lazu-lock"]


def test_of_the_threads_that_waited_for_locks_a_few_stay(tmp_path):
    def wait():
        with disk.lock(tmp_path, seconds=60):
            pass

    crowd = [threading.Thread(target=wait, daemon=True) for _ in range(12)]
    with disk.lock(tmp_path):
        for thread in crowd:
            thread.start()
        until(lambda: len(waiting()) >= len(crowd))
    for thread in crowd:
        thread.join()
    until(lambda: len(waiting()) <= waiters._KEEP, 20)


def test_who_gives_up_at_once_leaves_no_thread_behind(tmp_path):
    with disk.lock(tmp_path):
        before = len(waiting())
        for _ in range(12):
            with pytest.raises(Busy), disk.lock(tmp_path, seconds=0.01):
                pass
        assert len(waiting()) == before


FORKING = """
import os, sys, threading, time
from lazu.store import disk, waiters

def meet():
    "Wait for a lock that somebody has for a moment."
    held = disk.lock(sys.argv[1])
    held.__enter__()
    threading.Timer(0.2, held.__exit__, (None, None, None)).start()
    with disk.lock(sys.argv[1], seconds=20):
        pass

meet()
while not waiters._idle:
    time.sleep(0.01)
child = os.fork()
if not child:
    try:
        meet()
    except BaseException:
        os._exit(1)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_after_a_fork_locks_are_waited_for_by_threads_that_are_there(tmp_path):
    command = [sys.executable, "-c", FORKING, str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
