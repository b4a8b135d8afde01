"""One attempt of a stage, wherever it runs: what its handler is handed, and what it spends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from handlers.base import HandlerContext
from handlers.desk import NoDesk
from handlers.places import ItemFiles
from runner.judge import clean_spent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from handlers.desk import Desk
    from handlers.spent import RecordCost
    from net.client import PoliteClient

log = structlog.get_logger(__name__)

NO_DESK = NoDesk()
NO_FILES = ItemFiles()


@dataclass(frozen=True, slots=True)
class Work:
    """The item and stage that an attempt is about, wherever it runs; and the files that the item may name."""

    job: str
    key: str
    stage: str
    attempt: int
    data: Mapping[str, Any]
    results: Mapping[str, dict[str, Any]]
    timeout_seconds: float
    item_files: ItemFiles = NO_FILES


def _never() -> bool:
    return False


def make_context(
    work: Work,
    http: PoliteClient,
    record_cost: RecordCost,
    stop_asked: Callable[[], bool] = _never,
    desk: Desk = NO_DESK,
) -> HandlerContext:
    """Make what a handler is handed; its deadline counts from now."""
    return HandlerContext(
        job=work.job,
        key=work.key,
        stage=work.stage,
        data=work.data,
        results=work.results,
        attempt=work.attempt,
        log=log.bind(job=work.job, key=work.key, stage=work.stage, attempt=work.attempt),
        http=http,
        deadline=datetime.now(UTC) + timedelta(seconds=work.timeout_seconds),
        record_cost=lambda spent: record_cost(clean_spent(spent)),
        stop_asked=stop_asked,
        desk=desk,
        item_files=work.item_files,
    )
