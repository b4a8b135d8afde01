"""The handler `wait_for`: parks an item until a time has come, or a condition holds."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from handlers.base import Handler, HandlerParams
from handlers.expressions import IS_EXPRESSION, check_expression, holds
from handlers.inputs import HANDED_ON, pass_on
from handlers.templates import Template, describe, is_constant, render
from pipeline.fields import Seconds  # noqa: TC001  the model is built with it
from pipeline.outcomes import GiveUp, RetryLater

if TYPE_CHECKING:
    from typing import Self

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

FURTHEST = timedelta(days=366)
"""A time further off is a mistake, and given up."""


def _check_condition(text: str) -> str:
    return check_expression(text, extra=["now"])


def _read_instant(written: str) -> datetime:
    try:
        return datetime.fromisoformat(written.strip())
    except ValueError:
        raise ValueError(f"{written.strip()!r:.100} is no instant; write 2026-01-31T12:00:00Z") from None


def _check_until(template: str) -> str:
    if is_constant(template):
        _read_instant(template)
    return template


class WaitFor(Handler):
    """
    Wait until a time has come, a while has passed, or a condition holds; if several are set, for all of them.

    The item is parked meanwhile, and keeps no worker busy. The condition is a JMESPath over `item`, whose data may grow
    under `on_change: merge`, `results` by stage, `job`, and `now`, in seconds since 1970.

    Input: the item's data and the results of all needed stages. Result: that of the nearest needed stage, passed on,
    and `"due_at"`: the instant waited for, None if only a condition was. Endings: RetryLater until then; GiveUp when
    `until` makes no instant or one over a year off, when the condition cannot be applied, or when it did not hold
    within `at_most`.
    Idempotent: the instant of the first look is remembered, by the item's key and the results before, so that a while
    does not begin anew; on a worker that remembers nothing a while is given up.
    Example: {handler: wait_for, params: {until: "{{ item.published_at }}", after: 2d}}

    Source: the JMESPath specification, jmespath.org.
    """

    class Params(HandlerParams):
        """The parameters of `wait_for`."""

        until: Annotated[Template, AfterValidator(_check_until)] | None = Field(
            None, description="A template for an instant or a date (ISO 8601; UTC where it names no zone)."
        )
        after: Seconds | None = Field(
            None, description="How long after `until` it is due; without one, after the first look."
        )
        condition: Annotated[str, AfterValidator(_check_condition), IS_EXPRESSION] | None = Field(
            None, description="A JMESPath that must hold."
        )
        every: Seconds = Field(900.0, description="How often to look whether the condition holds.")
        at_most: Seconds | None = Field(
            None, description="How long to look for the condition, from the first look; then it is given up."
        )
        pass_on: bool = Field(True, description=HANDED_ON)

        @model_validator(mode="after")
        def _must_wait_for_something(self) -> Self:
            if self.until is None and self.after is None and self.condition is None:
                raise ValueError("nothing to wait for: set `until`, `after` or `condition`")
            if self.at_most is not None and self.condition is None:
                raise ValueError("`at_most` is for a `condition`")
            return self

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Look whether the wait is over."""
        now = datetime.now(UTC)
        due = self._find_due(context, now)
        if isinstance(due, GiveUp):
            return due
        if due is not None and due > now:
            return RetryLater(at=due, reason=f"waits until {due.isoformat(timespec='seconds')}")
        unmet = self._look(context, now)
        own = {"due_at": None if due is None else due.isoformat()}
        return unmet or pass_on(context, own, self.params.pass_on)

    def _find_due(self, context: HandlerContext, now: datetime) -> datetime | GiveUp | None:
        after = timedelta(seconds=self.params.after or 0)
        if self.params.until is None:
            begun = None if self.params.after is None else _recall_first_look(context, now)
            return begun + after if isinstance(begun, datetime) else begun
        written = render(self.params.until, context, self.params)
        if isinstance(written, GiveUp):
            return written
        try:
            instant = _read_instant(written)
        except ValueError as error:
            return GiveUp(f"until: {error}")
        try:
            due = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC) + after
        except OverflowError:
            return GiveUp(f"until: {instant} is too far off")
        return due if due - now <= FURTHEST else GiveUp(f"until: {due.isoformat()} is over a year off")

    def _look(self, context: HandlerContext, now: datetime) -> RetryLater | GiveUp | None:
        if self.params.condition is None:
            return None
        met = holds(self.params.condition, {**describe(context), "now": now.timestamp()})
        if isinstance(met, GiveUp) or met:
            return met if isinstance(met, GiveUp) else None
        if self.params.at_most is not None:
            begun = _recall_first_look(context, now)
            if isinstance(begun, GiveUp):
                return begun
            if (now - begun).total_seconds() >= self.params.at_most:
                return GiveUp(f"the condition did not hold within {self.params.at_most:g} seconds")
        return RetryLater(self.params.every, "waits for the condition to hold")


def _recall_first_look(context: HandlerContext, now: datetime) -> datetime | GiveUp:
    """Recall when this wait began; it begins now if nothing is known of it."""
    before: list[Any] = [context.job, context.key, context.stage, dict(context.results)]
    digest = hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()
    name = f"wait_for:{digest}"
    if context.recall(name) is None:
        context.remember(name, now.isoformat())
    begun = context.recall(name)
    if begun is None:
        return GiveUp("this worker cannot remember since when it waits; run the stage beside the tracker")
    return datetime.fromisoformat(begun)
