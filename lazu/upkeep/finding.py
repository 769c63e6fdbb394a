"""The result of one check of `flask doctor`."""

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One check: its `state` (`ok`, `warn`, `fail`), what was found, and the cure of what is not ok."""

    check: str
    state: str
    found: str
    cure: str = ""
