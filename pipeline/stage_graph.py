"""What needs what: the checks on the stages of a job as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeline.catalog import find_nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class GraphProblem:
    """What is wrong with the stage at `stage`, or with its need at `need` (positions in their lists)."""

    stage: int
    message: str
    allowed: str
    need: int | None = None

    @property
    def path(self) -> tuple[str | int, ...]:
        """The keys below the job."""
        return ("stages", self.stage) if self.need is None else ("stages", self.stage, "needs", self.need)


def resolve_needs(names: Sequence[str], needs: Sequence[Sequence[str] | None]) -> list[tuple[str, ...]]:
    """
    Fill in the needs that are not given: the stage before, or none for the first.

    >>> resolve_needs(["a", "b", "c"], [None, None, ["a"]])
    [(), ('a',), ('a',)]
    """
    before = [(), *((name,) for name in names)]
    return [tuple(given) if given is not None else before[index] for index, given in enumerate(needs)]


def find_graph_problems(stages: Sequence[tuple[str, Sequence[str]]]) -> list[GraphProblem]:
    """Find repeated names, unknown and repeated needs and cycles in (name, needs), in this order."""
    # with a name given twice, nobody knows what leads where
    repeated = list(_find_repeated(stages))
    return [*repeated, *_find_wrong_needs(stages), *([] if repeated else _find_cycles(stages))]


def _find_repeated(stages: Sequence[tuple[str, Sequence[str]]]) -> Iterator[GraphProblem]:
    seen: set[str] = set()
    for index, (name, _) in enumerate(stages):
        if name in seen:
            yield GraphProblem(
                index, f"duplicate stage {name!r}", "each name once; give this one another name"
            )
        seen.add(name)


def _find_wrong_needs(stages: Sequence[tuple[str, Sequence[str]]]) -> Iterator[GraphProblem]:
    names = [name for name, _ in stages]
    for index, (name, needs) in enumerate(stages):
        for position, need in enumerate(needs):
            if need not in names:
                others = [other for other in dict.fromkeys(names) if other != name]
                nearest = find_nearest(need, others)
                hint = f"; did you mean {nearest!r}?" if nearest else ""
                allowed = ", ".join(others) or "nothing: there is no other stage"
                yield GraphProblem(index, f"no stage named {need!r}{hint}", allowed, position)
            elif need in needs[:position]:
                yield GraphProblem(index, f"{need!r} is needed already", "each name once", position)


def _find_cycles(stages: Sequence[tuple[str, Sequence[str]]]) -> Iterator[GraphProblem]:
    graph = {name: set(needs) for name, needs in stages}
    names = [name for name, _ in stages]
    while cycle := _find_cycle(graph):
        # the later stage of the list is the likelier mistake; without its need, look for the next cycle
        needing, needed = max(pairwise(cycle), key=lambda pair: names.index(pair[0]))
        circle = " needs ".join(cycle)
        yield GraphProblem(names.index(needing), f"a circle: {circle}", "needs that lead to a first stage")
        graph[needing].discard(needed)


def _find_cycle(graph: Mapping[str, set[str]]) -> list[str] | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]
    return None
