"""All states that a model can reach; what a state and a step are, the model says."""

from collections import deque
from collections.abc import Hashable, Iterator
from typing import NamedTuple, Protocol

State = Hashable


class World(Protocol):
    """A model: where it starts, what is wrong with a state, and each step out of one, with a word for it."""

    start: State

    def fault(self, s: State) -> str | None: ...

    def moves(self, s: State) -> Iterator[tuple[str, State]]: ...


class Report(NamedTuple):
    """What a walk found: the number of states, the first bad state's fault (None for none) and the way to it."""

    states: int
    fault: str | None
    way: list[str]


def walk(world: World) -> Report:
    """Every reachable state, nearest first, until one is bad."""
    came: dict[State, tuple[State, str] | None] = {world.start: None}
    todo = deque([world.start])
    while todo:
        s = todo.popleft()
        fault = world.fault(s)
        if fault:
            return Report(len(came), fault, way(came, s))
        for word, on in world.moves(s):
            before = len(came)
            came.setdefault(on, (s, word))  # hashes the state once
            if len(came) > before:
                todo.append(on)
    return Report(len(came), None, [])


def way(came: dict[State, tuple[State, str] | None], s: State) -> list[str]:
    words = []
    while came[s]:
        s, word = came[s]
        words.append(word)
    return words[::-1]
