"""What a filter selects, as records: items or stages, a place among them, a page, a count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Cursor(NamedTuple):
    """The place behind something selected; `stage` is '' where items are selected."""

    job_id: str
    item_id: int
    stage: str = ""

    def __str__(self) -> str:
        return f"{self.job_id}:{self.item_id}:{self.stage}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """
        Read what `str` wrote; raises ValueError.

        >>> Cursor.parse("hn:17:fetch")
        Cursor(job_id='hn', item_id=17, stage='fetch')
        """
        job_id, number, stage = text.split(":")
        if not 0 <= (item_id := int(number)) < 2**62:
            raise ValueError(f"{text!r} is no place among items")
        return cls(job_id, item_id, stage)


@dataclass(frozen=True, slots=True)
class Selected:
    """An item, or with `stage` a stage of it; then status and attempt are the stage's. Times are Unix ms."""

    item_id: int
    job_id: str
    key: str
    stage: str | None
    status: str
    attempt: int | None
    priority: int
    discovered_at: int
    host: str | None
    source: str | None
    reason: str | None

    @property
    def cursor(self) -> Cursor:
        """The place behind it."""
        return Cursor(self.job_id, self.item_id, self.stage or "")


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what a filter selects; `next_after` is where it goes on, None when that was all."""

    rows: list[Selected]
    next_after: Cursor | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many a filter selects: just so many, or at least so many."""

    number: int
    is_exact: bool = True

    def __str__(self) -> str:
        return f"{'' if self.is_exact else 'at least '}{self.number:,}"
