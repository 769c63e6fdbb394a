"""Ledgers that processes share, as those of a server do."""

import os
import subprocess
import sys
from contextlib import contextmanager

from helpers.server import PROJECT
from lazu import ledger

WRITING = "import fcntl, sys; fcntl.lockf({}, fcntl.LOCK_EX); print(0, flush=True); sys.stdin.read()"


@contextmanager
def shared(*names):
    """This process has made those called `names`."""
    ledger.share(names)
    try:
        yield
    finally:
        for name in names:
            os.close(ledger._files.pop(name))


def started(name, code):
    """A process that is forked from this one, runs `code`, in which `{}` is the ledger's file, and has said a word."""
    fd = ledger._files[name]
    process = subprocess.Popen(
        [sys.executable, "-c", code.format(fd)],
        cwd=PROJECT, pass_fds=[fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return process, process.stdout.readline().strip()


@contextmanager
def written(name):
    """A process is stopped while it writes into it."""
    process, _ = started(name, WRITING)
    try:
        yield
    finally:
        process.communicate()
