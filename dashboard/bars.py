"""A row of bars as a picture that the server draws, with what it says in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, GAP = 240, 32, 1

LEAST = 1.5
"""So high is the lowest bar: a few beside many are still seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Bars:
    """All bars, and what they say in words."""

    bars: tuple[Bar, ...]
    words: str
    width: int = WIDTH
    height: int = HEIGHT


def draw_bars(values: Sequence[float], titles: Sequence[str], words: str) -> Bars:
    """Draw a bar for each value that is not 0, the first on the left."""
    most = max(values, default=0)
    step = WIDTH / max(1, len(values))
    drawn = []
    for index, (value, title) in enumerate(zip(values, titles, strict=True)):
        if value:
            height = round(max(LEAST, HEIGHT * value / most), 2)
            drawn.append(
                Bar(round(index * step, 2), round(HEIGHT - height, 2), round(step - GAP, 2), height, title)
            )
    return Bars(tuple(drawn), words)
