"""One attempt of a stage, wherever it runs: what its handler is handed, and what it spends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from handlers.base import HandlerContext
from runner.judge import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from net.client import PoliteClient

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cost:
    """Something that an attempt spent."""

    usd: float | None
    provider: str
    units: Mapping[str, float]

    @classmethod
    def of(cls, usd: float | None, provider: str, units: Mapping[str, float]) -> Cost:
        """Take a cost from a handler, which may count in decimals. Raises ValueError for what is no number."""
        counted = {name: count if type(count) is int else float(count) for name, count in units.items()}
        if not all(map(math.isfinite, counted.values())):
            raise ValueError(f"units are finite numbers; not {dict(units)}")
        return cls(None if usd is None else float(usd), as_text(provider), counted)


@dataclass(frozen=True, slots=True)
class Work:
    """The item and stage that an attempt is about, wherever it runs."""

    job: str
    key: str
    stage: str
    attempt: int
    data: Mapping[str, Any]
    results: Mapping[str, dict[str, Any]]
    timeout_seconds: float


def _never() -> bool:
    return False


def make_context(
    work: Work,
    http: PoliteClient,
    record_cost: Callable[[Cost], None],
    stop_asked: Callable[[], bool] = _never,
) -> HandlerContext:
    """Make what a handler is handed; its deadline counts from now."""
    return HandlerContext(
        job=work.job,
        key=work.key,
        data=work.data,
        results=work.results,
        attempt=work.attempt,
        log=log.bind(job=work.job, key=work.key, stage=work.stage, attempt=work.attempt),
        http=http,
        deadline=datetime.now(UTC) + timedelta(seconds=work.timeout_seconds),
        record_cost=lambda usd, provider, units: record_cost(Cost.of(usd, provider, units)),
        stop_asked=stop_asked,
    )
