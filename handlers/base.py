"""The contract of a handler: its parameters, what it is handed, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from types import ModuleType

    from structlog.typing import FilteringBoundLogger

    from net.client import PoliteClient
    from pipeline.outcomes import Outcome

RecordCost = Callable[[float | None, str, Mapping[str, float]], None]
"""Takes what `HandlerContext.cost` was told: the US dollars or None, the provider, the units."""


class HandlerParams(BaseModel):
    """The parameters that a stage may set; an unknown one is refused. Describe each field for the docs."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class HandlerContext:
    """
    Everything a handler may know of its attempt.

    `results` holds, by stage, the results of the stages that this one needs, in the order of the job's
    stages; one that was skipped is absent. `attempt` counts from 1. `deadline` is aware, in UTC. `log` has
    job, item, stage and attempt bound.
    """

    job: str
    key: str
    data: Mapping[str, Any]
    results: Mapping[str, dict[str, Any]]
    attempt: int
    log: FilteringBoundLogger
    http: PoliteClient
    deadline: datetime
    record_cost: RecordCost
    stop_asked: Callable[[], bool] = _never

    def cost(self, usd: float | None, provider: str, **units: float) -> None:
        """
        Report what this attempt has just spent; call it as often as money is spent.

        `usd` is None when the price is unknown, which is not the same as 0. `units` are counts such as
        `input_tokens=812`. Raises ValueError for an amount that is negative or no number.
        """
        if usd is not None and not 0 <= usd < float("inf"):
            raise ValueError(f"a cost in US dollars is 0 or more, or None when unknown; not {usd!r}")
        self.record_cost(usd, provider, units)

    def cancelled(self) -> bool:
        """Tell whether to stop: nobody waits for the result any more. Ask between the steps of long work."""
        return datetime.now(UTC) >= self.deadline or self.stop_asked()


class Handler:
    """
    Turn one item's context into an outcome. Override `Params` and `run`.

    A handler may be run twice for the same item, because execution is at least once: what it changes outside
    must come out the same the second time. Set `VERSION` to decide by hand which results are stale; without
    it the source and the stage's parameters decide.
    """

    Params: ClassVar[type[HandlerParams]] = HandlerParams
    VERSION: ClassVar[str | None] = None
    params: HandlerParams

    def __init__(self, params: Mapping[str, Any] | HandlerParams) -> None:
        self.params = params if isinstance(params, self.Params) else self.Params.model_validate(params)

    def __str__(self) -> str:
        return type(self).__name__

    def run(self, context: HandlerContext) -> Outcome | Awaitable[Outcome]:
        """Do the stage's work, as a plain or an async function. Raise only what is unexpected."""
        raise NotImplementedError(f"{self} has no run()")

    @classmethod
    def list_source_modules(cls, params: Mapping[str, Any]) -> list[ModuleType]:  # noqa: ARG003 - for overriding
        """List the modules whose source makes this handler's version; `params` are unresolved."""
        ours = [kind for kind in cls.__mro__ if issubclass(kind, Handler) and kind is not Handler]
        return [sys.modules[kind.__module__] for kind in ours if kind.__module__ in sys.modules]
