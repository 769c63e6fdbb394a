"""Ports of this machine."""

from contextlib import closing, suppress
from functools import cache
from itertools import cycle
from random import sample
from socket import AF_UNIX, socket

#: Below those that the kernel gives to whoever asks for any, in blocks: one for each process that runs tests.
BLOCKS = [range(start, start + 500) for start in range(10_000, 32_000, 500)]


@cache
def _ours():
    """What claims a block of ports, and those, over and over."""
    for block in sample(BLOCKS, len(BLOCKS)):
        claim = socket(AF_UNIX)
        try:
            claim.bind(f"\0lazu-ports-{block.start}")  # until this process ends
        except OSError:
            claim.close()
        else:
            return claim, cycle(block)
    raise AssertionError(f"more than {len(BLOCKS)} processes run tests")


def free_port() -> int:
    """A port that nobody takes before it is used: a server that came first would answer in the place of ours."""
    _, ports = _ours()
    for port in ports:
        with closing(socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError  # it goes round for ever


def listening(port: int) -> bool:
    with closing(socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
