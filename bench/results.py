"""What a row gives: figures side by side, and how they stand to the aims."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.measure import Contender, Race, Sample

MIB = 1 << 20


class Missing(Exception):
    """The row can't be measured here; the message says what it lacks."""


@dataclass(frozen=True)
class Plan:
    """How much to do: a quick run takes smaller files and fewer rounds, so its ratios are rougher.

    `sizes` are those of the table of growth, if they were asked for.
    """

    quick: bool
    skip: frozenset[str] = frozenset()
    sizes: tuple[int, ...] = ()

    def pick(self, quick: int, full: int) -> int:
        return quick if self.quick else full

    def keep(self, contenders: dict[str, Contender]) -> dict[str, Contender]:
        """Those that were not asked to be left out."""
        return {name: contender for name, contender in contenders.items() if name not in self.skip}

    @property
    def rounds(self) -> int:
        return self.pick(3, 7)


@dataclass(frozen=True)
class Unit:
    """How a sample is shown: its figure, and what it cost the server. Its functions have names, so that it is kept."""

    name: str
    figure: Callable[[Sample], float]
    cost_name: str
    cost: Callable[[Sample], float]
    less: bool = False


def rate(sample: Sample) -> float:
    return sample.rate


def megabytes(sample: Sample) -> float:
    return sample.rate / 1e6


def per_gigabyte(sample: Sample) -> float:
    return sample.cost * 1e9


def milliseconds(sample: Sample) -> float:
    return sample.seconds * 1e3


def cpu_milliseconds(sample: Sample) -> float:
    return sample.cost * 1e3


def cpu_microseconds(sample: Sample) -> float:
    return sample.cost * 1e6


def cpu_of_all(sample: Sample) -> float:
    return sample.cpu * 1e3


MBS = Unit("MB/s", megabytes, "CPU s/GB", per_gigabyte)
REQUESTS = Unit("requests/s", rate, "CPU ms/request", cpu_milliseconds)
MS = Unit("ms", milliseconds, "CPU ms", cpu_of_all, less=True)
EVENTS = Unit("events/s", rate, "CPU µs/event", cpu_microseconds)


@dataclass(frozen=True)
class Aim:
    """One line of the aims: `most` says whether `value` should be at most or at least `limit`."""

    text: str
    value: float
    limit: float
    most: bool = False

    @property
    def met(self) -> bool:
        return self.value <= self.limit if self.most else self.value >= self.limit


@dataclass(frozen=True)
class Result:
    """A row's outcome. `base` is the contender that the others' ratio is taken to.

    `durable` ones have on the disk what they acknowledge; it is empty where that is not asked.
    """

    title: str
    race: Race
    unit: Unit
    base: str
    aims: list[Aim]
    notes: list[str] = field(default_factory=list)
    durable: frozenset[str] = frozenset()
