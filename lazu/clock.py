"""The door to time: integer UTC seconds since 1970. Nothing else in Lazu asks the system what time it is."""

import time
from datetime import UTC, datetime, timedelta, timezone

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


def shanghai(seconds: int) -> str:
    """`seconds` as a person in Shanghai reads it: `2026-05-24 09:56:04 Asia/Shanghai`."""
    return datetime.fromtimestamp(seconds, SHANGHAI).strftime("%Y-%m-%d %H:%M:%S %Z")


def http_date(seconds: int) -> str:
    """`seconds` as an IMF-fixdate (RFC 9110 §5.6.7)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
