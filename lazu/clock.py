"""The door to time: integer UTC seconds since 1970. Nothing else in Lazu asks the system what time it is."""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

DAY = 86400

#: Asia/Shanghai has had no daylight saving since 1991 (IANA tz database), so its offset is a constant.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


def now() -> int:
    """Seconds since 1970, UTC."""
    return milliseconds() // 1000


def milliseconds() -> int:
    """Milliseconds since 1970, UTC: the time inside a file id."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds since some point, never set back: for time limits, not for dates."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def shanghai(seconds: int) -> str:
    """`seconds` as a person in Shanghai reads it: `2026-05-24 09:56:04 Asia/Shanghai`."""
    return datetime.fromtimestamp(seconds, SHANGHAI).strftime("%Y-%m-%d %H:%M:%S %Z")


def day(seconds: int) -> str:
    """The day of `seconds` in Shanghai: `2026-05-24`."""
    return datetime.fromtimestamp(seconds, SHANGHAI).strftime("%Y-%m-%d")


def midnight(seconds: int) -> int:
    """When the day of `seconds` began in Shanghai."""
    offset = 8 * 3600
    return (seconds + offset) // DAY * DAY - offset


@lru_cache(maxsize=4)
def iso(seconds: int, zone: str) -> str:
    """`seconds` as log lines have it, `2026-05-24T09:56:04+08:00`; `zone` is `shanghai` or `utc`."""
    return datetime.fromtimestamp(seconds, SHANGHAI if zone == "shanghai" else UTC).isoformat()


def local(seconds: int) -> datetime:
    """`seconds` in the zone of this host, which is cron's."""
    return datetime.fromtimestamp(seconds, UTC).astimezone()


def has_summer_time(seconds: int) -> bool:
    """Whether this host's clock is put forward and back within the year after `seconds`."""
    return len({local(seconds + month * 30 * DAY).utcoffset() for month in range(12)}) > 1


def http_date(seconds: int) -> str:
    """`seconds` as an IMF-fixdate (RFC 9110 §5.6.7)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def from_http_date(text: str) -> int | None:
    """The seconds that an HTTP date says, in any of the three forms of RFC 9110 §5.6.7; None for anything else."""
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"):
        with suppress(ValueError):
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp())
    return None


class Pace:
    """A context manager around each portion of long work, so that others get half of the time.

    Entering it waits until they had as long as the portion before took, at most 0.1 s.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def __enter__(self) -> None:
        sleep(max(0, self._next - monotonic()))
        self._begun = monotonic()

    def __exit__(self, *_: object) -> None:
        ended = monotonic()
        self._next = ended + min(ended - self._begun, 0.1)
