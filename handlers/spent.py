"""What an attempt spent, as a handler says it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True)
class Spent:
    """
    Something that an attempt spent, as `HandlerContext.cost` was told.

    `usd` is None when the price is unknown. `price` is what was reckoned with, such as US dollars a million
    tokens by kind and where they are from; None when the endpoint itself named the sum. By its `receipt` a cost
    that is reported again is known.
    """

    usd: float | None
    provider: str
    units: Mapping[str, float]
    model: str | None = None
    price: Mapping[str, Any] | None = None
    receipt: str = field(default_factory=lambda: token_hex(8), compare=False)

    @classmethod
    def of(
        cls,
        usd: float | None,
        provider: str,
        units: Mapping[str, float],
        model: str | None = None,
        price: Mapping[str, Any] | None = None,
    ) -> Self:
        """Take what a handler says, which may count in decimals. Raises ValueError for what is no number."""
        if usd is not None and not 0 <= usd < math.inf:
            raise ValueError(f"a cost in US dollars is 0 or more, or None when unknown; not {usd!r}")
        try:
            counted = {name: count if type(count) is int else float(count) for name, count in units.items()}
            are_finite = all(map(math.isfinite, counted.values()))
        except (TypeError, ValueError):
            are_finite = False
        if not are_finite:
            raise ValueError(
                f"units are finite numbers by their names, as input_tokens=812; not {dict(units)}"
            )
        return cls(
            usd=None if usd is None else float(usd),
            provider=str(provider),
            units=counted,
            model=None if model is None else str(model),
            price=None if price is None else _copy_json(price),
        )


def _copy_json(price: Mapping[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(dict(price), default=float, allow_nan=False))
    return copied


RecordCost = Callable[[Spent], None]
"""Takes what `HandlerContext.cost` was told."""
