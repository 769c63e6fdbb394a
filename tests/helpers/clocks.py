"""Clocks that are off: a stopped one, which only a test moves, is `freezegun.freeze_time`."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from freezegun import freeze_time


@contextmanager
def ahead(seconds):
    """The clock of this process is so many seconds ahead, and goes on; what this gives can move it further."""
    with freeze_time(datetime.now(UTC) + timedelta(seconds=seconds), tick=True) as clock:
        clock.tick = lambda more: clock.move_to(datetime.now(UTC) + timedelta(seconds=more))  # freezegun's forgets what has passed
        yield clock
