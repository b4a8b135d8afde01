"""A day of a job as a small picture: bars of what was done in each half hour, and of what failed on top of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.clock import to_datetime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.activity import Slot

WIDTH, HEIGHT, GAP = 240, 32, 1
LEAST_HEIGHT = 1.5
"""A few beside many are still seen."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """All bars as two paths of SVG, and what they say in words, for who does not see them."""

    done: str
    failed: str
    words: str
    width: int = WIDTH
    height: int = HEIGHT


def draw(slots: Sequence[Slot]) -> Sparkline:
    """Draw a day."""
    most = max((slot.done + slot.failed for slot in slots), default=0)
    step = WIDTH / max(1, len(slots))
    done, failed = [], []
    for index, slot in enumerate(slots):
        height, on_top = _share(_scale(slot.done, most), _scale(slot.failed, most))
        done.append(_draw_bar(index * step, HEIGHT - height, step - GAP, height))
        failed.append(_draw_bar(index * step, HEIGHT - height - on_top, step - GAP, on_top))
    return Sparkline("".join(done), "".join(failed), _say(slots, most))


def _scale(count: int, most: int) -> float:
    return max(LEAST_HEIGHT, HEIGHT * count / most) if count else 0.0


def _share(height: float, on_top: float) -> tuple[float, float]:
    """Make two heights fit on each other, the larger one giving way."""
    excess = max(0.0, height + on_top - HEIGHT)
    return (height - excess, on_top) if height > on_top else (height, on_top - excess)


def _draw_bar(x: float, y: float, width: float, height: float) -> str:
    """
    Draw one bar from its upper left corner; nothing where it has no height.

    >>> _draw_bar(5, 12, 4, 20), _draw_bar(5, 32, 4, 0)
    ('M5 12h4v20h-4z', '')
    """
    return f"M{x:.4g} {y:.4g}h{width:.4g}v{height:.4g}h-{width:.4g}z" if height > 0 else ""


def _say(slots: Sequence[Slot], most: int) -> str:
    if not most:
        return "No item ended within the last 24 hours."
    done, failed = sum(slot.done for slot in slots), sum(slot.failed for slot in slots)
    peak = max(slots, key=lambda slot: slot.done + slot.failed)
    return (
        f"Items within the last 24 hours: {done:,} done, {failed:,} failed; "
        f"most in the half hour from {to_datetime(peak.at):%H:%M} UTC, {most:,}."
    )
