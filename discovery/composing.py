"""Running one strategy inside another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from discovery.memory import EnoughError, Keep

if TYPE_CHECKING:
    from discovery.base import BaseDiscovery, FoundItem, StrategyParams
    from discovery.memory import Batch


@dataclass(slots=True)
class Found:
    """What an inner strategy found, at most so much, and the cursors with which it would have it stored."""

    most: int
    items: list[FoundItem] = field(default_factory=list)
    cursors: dict[str, Any] = field(default_factory=dict)

    def receive(self, batch: Batch) -> None:
        """Take a batch. Raises `EnoughError` when there are enough."""
        room = self.most - len(self.items)
        self.items += [item.as_found() for item in batch.items[:room]]
        if len(batch.items) > room:
            raise EnoughError
        if batch.cursor is not Keep.CURSOR:
            self.cursors[batch.source] = batch.cursor


async def discover_inside(
    outer: BaseDiscovery, kind: type[BaseDiscovery], params: dict[str, Any] | StrategyParams, *, most: int
) -> Found:
    """
    Run a strategy for another, which takes over its counts, problems and looks; at most `most` of its items.

    Its cursors are for the outer one to hand over, once it has handed over what it makes of the items. Raises
    what the inner one raises.
    """
    found = Found(most)
    inner = kind(params, replace(outer.access, receive=found.receive))
    try:
        await inner.discover()
    finally:
        outer.refused.update(inner.refused)
        outer.problems.extend(inner.problems)
        for name, look in inner.looks.items():
            look.requests += outer.looks[name].requests
            outer.looks[name] = look
    return found
