"""Loads: what one task carries, which is one stage of one item, or of up to `batch` items."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pipeline.jobspec import JobSpec, StageSpec


class _Member(Protocol):
    @property
    def stage(self) -> str: ...

    @property
    def crashes(self) -> int: ...


T = TypeVar("T", bound=_Member)


def size_of_load(stage: StageSpec) -> int:
    """Tell how many items a task of this stage takes at most."""
    return stage.batch or 1


def split_into_loads(members: Iterable[T], size: int) -> list[list[T]]:
    """
    Split into loads of `size`, in their order; the last may be short.

    One under which a worker has died goes alone: if it was the cause, it takes no other with it.
    """
    alone: list[T] = []
    together: list[T] = []
    for one in members:
        (alone if one.crashes else together).append(one)
    return [[one] for one in alone] + [
        together[first : first + size] for first in range(0, len(together), size)
    ]


def list_loads(job: JobSpec, members: Sequence[T]) -> Iterator[tuple[StageSpec, list[T]]]:
    """Give the loads that a job's messages make, or what is chosen to be sent, in their order."""
    for name, of_stage in groupby(members, key=lambda member: member.stage):
        stage = job.stage(name)
        for load in split_into_loads(of_stage, size_of_load(stage)):
            yield stage, load
