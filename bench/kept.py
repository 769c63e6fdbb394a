"""Rows that full runs measured, kept beside their reports: a run can be made in pieces, and reported as one."""

import pickle
import time
from dataclasses import dataclass

from bench.procs import WORK
from bench.results import Missing, Result
from bench.rows import ROWS

PLACE = WORK / "report" / "rows"


@dataclass(frozen=True)
class Kept:
    """What a row gave, on which day, in how many seconds."""

    result: Result | Missing
    day: str
    seconds: float


def keep(name: str, result: Result | Missing, seconds: float) -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    (PLACE / name).write_bytes(pickle.dumps(Kept(result, time.strftime("%Y-%m-%d"), seconds)))


def all_rows() -> dict[str, Kept]:
    """The latest of each row; raises `SystemExit` when one was never measured in full."""
    missing = [name for name in ROWS if not (PLACE / name).exists()]
    if missing:
        raise SystemExit(f"no full run yet of {', '.join(missing)}")
    return {name: pickle.loads((PLACE / name).read_bytes()) for name in ROWS}
