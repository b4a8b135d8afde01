"""
What people do to many stages at once: every act, and what it makes of a stage.

The statements take `places`, a JSON list of [item, stage]. What is done around them is in `tracker.bulk`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.lifecycle import ENDED, RESET, RETRY_FAILED, SKIP, Move, Status


class Reach(StrEnum):
    """Which stages of an item an act is about."""

    STAGE = "stage"
    """The stage that was named; all, if none was."""

    REST = "rest"
    """The stage that was named, and all that needs it, at any distance; all, if none was named."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    What happens to the stages that are in one of `sources`.

    `move` is None where their status stays; `made` too, where that is not the same for all.
    """

    statement: str
    sources: frozenset[Status]
    made: Status | None
    move: Move | None = None
    only_waiting: bool = False
    """Whether it is for those alone that wait for a time."""
    only_marked: bool = False
    """Whether it is for those alone that wait to be done again."""
    only_unmarked: bool = False
    """Whether it leaves alone what waits to be done again already."""
    only_uncancelled: bool = False
    """Whether it leaves alone what runs and was asked to stop already."""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that people do to many stages. `event` is the kind of the one event that records it whole."""

    name: str
    event: str
    changes: tuple[Change, ...]
    reach: Reach = Reach.STAGE
    counts: str = "stages"
    """What its numbers count: stages or items."""
    only_switched_on: bool = True
    opens: bool = False
    """Whether it concerns items that have no stages yet, which are then opened."""
    only_ended_items: bool = False
    only_earlier: bool = False
    """Whether it leaves alone what ended after it was asked for."""
    lifts_cancels: bool = False
    """Whether what was cancelled of an item follows other results again."""


TO_PENDING = """
UPDATE item_stages
   SET status = 'pending', ended_at = NULL, leased_until = NULL, reason = NULL, retries = 0, crashes = 0,
       cancelled_by = NULL, backfill = 1
  FROM json_each(:places) place
 WHERE item_id = place.value ->> 0 AND stage = place.value ->> 1
"""

# Which of them run at once, and which wait for others of them, `tracker.cutoff` decides.
TO_BE_DONE_AGAIN = """
UPDATE item_stages
   SET again = 'waits'
  FROM json_each(:places) place
 WHERE item_id = place.value ->> 0 AND stage = place.value ->> 1
"""

TO_SKIPPED = """
UPDATE item_stages
   SET status = 'skipped', ended_at = :now, reason = :reason, queued_at = NULL, resend_at = NULL, retry_at = NULL,
       over_budget = 0
  FROM json_each(:places) place
 WHERE item_id = place.value ->> 0 AND stage = place.value ->> 1
"""

# By whom it was cancelled is kept: it does not follow a result that is under way.
TO_CANCELLED = """
UPDATE item_stages
   SET status = 'skipped', ended_at = :now, reason = :reason, queued_at = NULL, resend_at = NULL, retry_at = NULL,
       over_budget = 0, cancelled_by = :by
  FROM json_each(:places) place
 WHERE item_id = place.value ->> 0 AND stage = place.value ->> 1
"""

ASK_TO_STOP = """
UPDATE item_stages
   SET cancelled_by = :by
  FROM json_each(:places) place
 WHERE item_id = place.value ->> 0 AND stage = place.value ->> 1
"""

# What waits to be done again stays as it ended. One that failed is still done again when it is retried.
LEAVE_AS_ENDED = """
UPDATE item_stages
   SET again = iif(status = 'failed', 'runs', NULL), cancelled_by = :by
  FROM json_each(:places) place
 WHERE item_id = place.value ->> 0 AND stage = place.value ->> 1
"""

WAKE_STAGES = """
UPDATE item_stages
   SET retry_at = NULL, queued_at = NULL, resend_at = NULL
  FROM json_each(:places) place
 WHERE item_id = place.value ->> 0 AND stage = place.value ->> 1
"""

ACTS = {
    act.name: act
    for act in (
        Act(
            "retry",
            "retry_stages",
            (Change(TO_PENDING, frozenset({Status.FAILED}), Status.PENDING, RETRY_FAILED),),
            only_earlier=True,
        ),
        Act(
            "skip",
            "skip_stages",
            (Change(TO_SKIPPED, frozenset({Status.FAILED, Status.PENDING}), Status.SKIPPED, SKIP),),
            only_switched_on=False,
            opens=True,
            only_earlier=True,
        ),
        Act(
            "reset",
            "reset_stage",
            (Change(TO_PENDING, RESET.sources, Status.PENDING, RESET),),
            reach=Reach.REST,
            counts="items",
        ),
        Act(
            "reprocess",
            "reprocess",
            (Change(TO_BE_DONE_AGAIN, frozenset({Status.DONE}), Status.DONE, only_unmarked=True),),
            lifts_cancels=True,
        ),
        Act(
            "reopen",
            "reopen_items",
            (
                Change(
                    TO_PENDING,
                    frozenset({Status.DONE, Status.FAILED, Status.SKIPPED}),
                    Status.PENDING,
                    RESET,
                ),
            ),
            counts="items",
            only_ended_items=True,
        ),
        Act(
            "cancel",
            "cancel_stages",
            (
                Change(TO_CANCELLED, frozenset({Status.PENDING}), Status.SKIPPED, SKIP),
                Change(
                    ASK_TO_STOP, frozenset({Status.IN_PROGRESS}), Status.IN_PROGRESS, only_uncancelled=True
                ),
                Change(LEAVE_AS_ENDED, ENDED, None, only_marked=True),
            ),
            reach=Reach.REST,
            only_switched_on=False,
            opens=True,
        ),
        Act(
            "wake",
            "wake_stages",
            (Change(WAKE_STAGES, frozenset({Status.PENDING}), Status.PENDING, only_waiting=True),),
        ),
        Act("priority", "prioritise_items", (), counts="items"),  # see tracker.priorities
        Act("inject", "inject", (), counts="items"),  # see tracker.injecting
    )
}
"""Every act, by its name. `undo` is none of them: it is in `tracker.undoing`."""
