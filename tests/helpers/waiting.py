"""Waiting for what will happen, with a bound that a machine ten times slower still meets."""

import time


def until(happened, seconds=60):
    """What `happened` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found
