"""Go through all states of a machine, the nearest first; find the shortest way to a bad one, or none."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

Steps = Callable[[Any], Iterable[tuple[Any, Any]]]


@dataclass(frozen=True)
class Counterexample:
    """The shortest way to something bad, and what is bad there."""

    wrong: str
    trace: tuple[tuple[Any, Any], ...]
    """Each step with the state after it; the first has no step."""

    def __str__(self) -> str:
        lines = [f"{self.wrong}, after {len(self.trace) - 1} steps:"]
        lines += [f"  {number}. {step}" for number, (step, _) in enumerate(self.trace) if number]
        return "\n".join([*lines, f"  and then: {self.trace[-1][1]}"])


@dataclass(frozen=True)
class Explored:
    """What was found: how much there is, and what is bad, if anything."""

    states: int
    edges: int
    counterexample: Counterexample | None


class Space:
    """The states that were reached, each with the step that reached it first."""

    def __init__(self, start: Hashable) -> None:
        self.known: dict[Any, int] = {start: 0}
        self.order: list[Any] = [start]
        self.reached_from = array("l", [-1])
        self.reached_by: list[Any] = [None]
        self.edges = 0
        self.fair_sources, self.fair_targets = array("l"), array("l")

    def add(self, state: Any, source: int, step: Any) -> int:
        """Give a state's number; a new one is remembered with how it was reached."""
        number = self.known.setdefault(state, len(self.order))
        if number == len(self.order):
            self.order.append(state)
            self.reached_from.append(source)
            self.reached_by.append(step)
        return number

    def trace(self, number: int) -> tuple[tuple[Any, Any], ...]:
        """Give the shortest way from the start to a state."""
        steps = []
        while number >= 0:
            steps.append((self.reached_by[number], self.order[number]))
            number = self.reached_from[number]
        return tuple(reversed(steps))


def explore(
    start: Hashable,
    steps: Steps,
    *,
    find_wrong: Callable[[Any], str | None],
    find_wrong_step: Callable[[Any, Any, Any], str | None],
    is_fair: Callable[[Any], bool],
    is_end: Callable[[Any], bool],
) -> Explored:
    """
    Go through all states. Bad are: a wrong state, a wrong step, and a state from which no fair steps lead to an end.

    The nearest wrong state or step ends it.
    """
    space, number = Space(start), 0
    while number < len(space.order):
        state = space.order[number]
        for step, after in steps(state):
            space.edges += 1
            known = len(space.order)
            target = space.add(after, number, step)
            wrong = find_wrong_step(state, step, after) or (find_wrong(after) if target == known else None)
            if wrong:
                trace = (*space.trace(number), (step, after))
                return Explored(len(space.order), space.edges, Counterexample(wrong, trace))
            if is_fair(step):
                space.fair_sources.append(number)
                space.fair_targets.append(target)
        number += 1
    stuck = _find_stuck(space, is_end)
    found = None if stuck is None else Counterexample("no fair steps lead to an end", space.trace(stuck))
    return Explored(len(space.order), space.edges, found)


def _find_stuck(space: Space, is_end: Callable[[Any], bool]) -> int | None:
    """Find the nearest state from which no fair steps lead to an end, by going back from all ends."""
    before: list[list[int]] = [[] for _ in space.order]
    for source, target in zip(space.fair_sources, space.fair_targets, strict=True):
        before[target].append(source)
    waiting = [number for number, state in enumerate(space.order) if is_end(state)]
    leads_to_end = bytearray(len(space.order))
    for number in waiting:
        leads_to_end[number] = 1
    while waiting:
        for source in before[waiting.pop()]:
            if not leads_to_end[source]:
                leads_to_end[source] = 1
                waiting.append(source)
    stuck = leads_to_end.find(0)
    return None if stuck < 0 else stuck
