"""Nobody's demand starves another key: each attack by one key or by none, and another key's requests meanwhile.

Loose bounds, for a machine ten times slower that others use too; `bench/run neighbours` has the figures.
"""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from helpers import attack
from helpers.wire import request, stored

#: How many metadata requests are made beside an attack.
REQUESTS = 12
ROUNDS = 5
#: Beside it, times the idle time of the same run; and seconds, for a machine that others use too.
RATIO, METADATA, UPLOAD, HEALTH = 100, 2, 6, 2


@contextmanager
def attacked(server, kind, *keys):
    """The server, while clients of one kind ask too much of it by these keys."""
    argv = [sys.executable, Path(attack.__file__), kind, str(server.port), ",".join(keys)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            time.sleep(0.3)
            yield
        finally:
            process.kill()


def timed(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def times(server, key, file):
    """Seconds of metadata requests, of uploads of 1 MB and of /healthz, in turns."""
    metadata, uploads, health = [], [], []
    for number in range(REQUESTS):
        metadata.append(timed(lambda: request(server, "GET", f"/v1/files/{file['id']}", key)))
        health.append(timed(lambda: request(server, "GET", "/healthz")))
        if number % 6 == 0:
            content = os.urandom(2**20)
            uploads.append(timed(lambda: stored(server, key, content, "a.dat")))  # noqa: B023  used at once
    return metadata, uploads, health


def figures(name, measured):
    return f"{name}: " + ", ".join(f"{median(each) * 1e3:.1f} / {max(each) * 1e3:.0f} ms" for each in measured)


#: Documents have their own test (test_readers.py). Through nginx those that get through it: it waits for heads, and
#: puts chunks together.
KINDS = [kind for kind in attack.KINDS if "documents" not in kind]
THROUGH = [(kind, "direct") for kind in KINDS]
THROUGH += [(kind, "nginx") for kind in KINDS if "heads" not in kind and "chunks" not in kind]


def is_served(idle, beside):
    metadata, uploads, health = (median(each) for each in beside)
    return metadata < min(METADATA, RATIO * median(idle[0]) + 0.02) and uploads < UPLOAD and health < HEALTH


@pytest.mark.parametrize(("kind", "through"), THROUGH)
def test_another_key_is_served_beside(edge, kind, through, record_property):
    """In the best of some rounds: an attack that starves others does so in each, a busy machine does not."""
    server = edge if through == "nginx" else edge.server
    record_property("metadata, upload, healthz: median / longest", served_beside(server, kind, server.new_key()))


@pytest.mark.parametrize("kind", ["metadata", "small uploads"])
def test_another_key_is_served_beside_eight_that_want_too_much(edge, kind, record_property):
    keys = [edge.new_key() for _ in range(8)]
    record_property("metadata, upload, healthz: median / longest", served_beside(edge.server, kind, *keys))


def served_beside(server, kind, *attackers):
    """Judge another key's requests beside an attack by these keys; gives the figures of the round that passed."""
    key = server.new_key()
    file, told = stored(server, key), []
    for _ in range(ROUNDS):
        idle = times(server, key, file)
        with attacked(server, kind, *attackers):
            beside = times(server, key, file)
        told.append(f"{figures('idle', idle)}; {figures(kind, beside)}")
        if is_served(idle, beside):
            return told[-1]
    return pytest.fail("\n".join(told))
