"""What a handler or a strategy is handed, for trying it out and for tests: no job, no tracker, no worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discovery.base import Access, ItemPage
from net.client import PoliteClient
from net.guard import Guard
from runner.attempt import Work, make_context
from runner.scratch_desk import ScratchDesk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from handlers.base import HandlerContext
    from handlers.spent import RecordCost

TRIAL = "trial"
TIMEOUT_SECONDS = 600.0


def make_scratch_context(
    folder: Path,
    *,
    data: Mapping[str, Any] | None = None,
    results: Mapping[str, dict[str, Any]] | None = None,
    key: str = "k1",
    allow_hosts: Sequence[str] = (),
    record_cost: RecordCost = lambda _: None,
) -> HandlerContext:
    """
    Make a handler's context; what it keeps is in `folder`, what it remembers goes with the context.

    `allow_hosts` may be asked over HTTP, and no others.
    """
    work = Work(TRIAL, key, TRIAL, 1, data or {}, results or {}, TIMEOUT_SECONDS)
    http = PoliteClient(contact=None, allow_hosts=allow_hosts)
    return make_context(work, http, record_cost, desk=ScratchDesk(folder, key))


def make_scratch_access(*, allow_hosts: Sequence[str] = ()) -> Access:
    """Make what a strategy may reach: `allow_hosts`, and no others; a tracker without items; nothing piped in."""
    http, guard = PoliteClient(contact=None, allow_hosts=allow_hosts), Guard.allowing(allow_hosts)
    return Access(http=http, read_items=_read_no_items, job=TRIAL, guard=guard)


def _read_no_items(job_id: str, *, stage: str | None, status: str | None, after: Any, limit: int) -> ItemPage:
    del job_id, stage, status, limit
    return ItemPage([], after, is_last=True)
