"""When a job or a host that fails again and again is paused, and for how long."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.durations import format_duration
from pipeline.fields import Seconds, Whole
from pipeline.problems import InvalidValueError
from pipeline.spec import Spec


class FailuresOf(StrEnum):
    """Which failures in a row are counted together."""

    SAME = "same"
    """Those of one signature; another one begins a new row."""

    ANY = "any"
    """All of them."""


class BreakerSpec(Spec):
    """
    A breaker: `after` failures in a row it pauses, then lets `probe` attempts out to see.

    A success lifts the pause; a failure doubles it, up to `max`.
    """

    after: Annotated[Whole, Field(ge=1, le=1_000_000)] = Field(
        10, description="How many failures in a row open it."
    )
    of: FailuresOf = Field(
        FailuresOf.SAME, description="same: of one signature, which another begins anew; any: all count."
    )
    pause: Seconds = Field(
        900.0,
        description="How long the first pause is; each that follows without a success is twice as long.",
    )
    max: Seconds = Field(43_200.0, description="How long a pause is at most.")
    probe: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        1, description="How many attempts are then let out to see whether all is well again."
    )

    @model_validator(mode="after")
    def _check_max(self) -> Self:
        if self.max < self.pause:
            raise InvalidValueError(
                f"`max` ({format_duration(self.max)}) is shorter than `pause` ({format_duration(self.pause)})",
                "a `max` as long as `pause`, or longer",
                ("max",),
            )
        return self

    def pause_ms(self, openings: int) -> int:
        """
        Tell how many milliseconds a pause takes that follows so many without a success.

        >>> [BreakerSpec().pause_ms(openings) // 60_000 for openings in (0, 1, 2, 9)]
        [15, 30, 60, 720]
        """
        return int(min(self.pause * 2.0 ** min(openings, 60), self.max) * 1000)
