"""What a test can't make fail by itself: the disk, and a system that has no thread left. Whatever else fails in tests is real."""

import errno
import os
import threading
from contextlib import contextmanager
from functools import wraps

import pytest

from lazu.store import disk


@contextmanager
def failing(where, call, code=errno.EIO):
    """The disk answers each `call` of `where` with this error: `failing(disk, "sync_all")`."""

    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(where, call, fail)
        yield


@contextmanager
def before_syncs(act):
    """Each sync of the whole file system begins with `act(fd)`, which looks, waits, or raises what the sync meets."""
    sync_all = disk.sync_all

    @wraps(sync_all)
    def sync(fd):
        act(fd)
        sync_all(fd)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(disk, "sync_all", sync)
        yield


@contextmanager
def no_thread(name=""):
    """The system has no thread left, or none for what is called `name`."""
    start = threading.Thread.start

    def refuse(thread):
        if name in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        yield
