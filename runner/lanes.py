"""Share a runway's room out: fresh work first, and backfill its share while fresh work waits."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracker.dispatch import Candidate

Load = list["Candidate"]

NEARLY = 1e-9
"""A share such as 0.1 is not exact: ten of them are a little less than one."""


class Payer(Protocol):
    """Whoever pays for what is sent."""

    def take(self, load: Load) -> Load:
        """Set aside what a load costs; what of it can be paid for."""


class _Lane:
    """The loads of one lane, best first, of which those go whose stage still may."""

    def __init__(
        self, loads: Iterable[Load], allowed: Mapping[str, int], taken: Counter[str], payer: Payer | None
    ) -> None:
        self._waiting, self._allowed, self._taken, self._payer = deque(sorted(loads)), allowed, taken, payer

    def next_load(self) -> Load | None:
        """Give the first load that may go, paid for or not; None when there is none."""
        while (
            self._waiting
            and self._taken[self._waiting[0][0].stage] >= self._allowed[self._waiting[0][0].stage]
        ):
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None

    def take(self) -> Load:
        """Take the first load, as far as it can be paid for."""
        load = self._waiting.popleft()
        paid = load if self._payer is None else self._payer.take(load)
        self._taken[load[0].stage] += bool(paid)
        return paid


def share_out(
    loads: Sequence[Load],
    allowed: Mapping[str, int],
    room: int,
    *,
    share: float,
    owed: float,
    payer: Payer | None = None,
) -> tuple[list[Load], float]:
    """
    Choose at most `room` loads, of each stage at most as many as are `allowed`; and tell what backfill is owed then.

    While both lanes have a load that may go, each that is chosen adds `share` to what backfill is `owed`, and backfill
    has its turn whenever that makes a whole load: so it never has more than its share, and always has it in the end.
    A load that cannot be paid for does not hold up the others.
    """
    taken: Counter[str] = Counter()
    fresh = _Lane((load for load in loads if not load[0].backfill), allowed, taken, payer)
    backfill = _Lane((load for load in loads if load[0].backfill), allowed, taken, payer)
    chosen: list[Load] = []
    while len(chosen) < room:
        is_fresh, is_backfill = fresh.next_load() is not None, backfill.next_load() is not None
        if not (is_fresh or is_backfill):
            break
        is_contended = is_fresh and is_backfill
        turn = backfill if is_backfill and (not is_fresh or owed + share >= 1 - NEARLY) else fresh
        if not (load := turn.take()):
            continue
        chosen.append(load)
        if is_contended:
            owed = max(0.0, owed + share - (turn is backfill))
    return chosen, owed


def split_into_lanes(found: Iterable[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Split into what is fresh and what is backfill, in their order."""
    lanes: tuple[list[Candidate], list[Candidate]] = [], []
    for one in found:
        lanes[one.backfill].append(one)
    return lanes
