"""Explain why an item does not move, or a job: the one cause, from one query, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.errors import JobsFileError
from pipeline.jobs_file import load_jobs_file
from runner.budgets import read_limits
from runner.causes import CAUSES, Told, find_cause
from runner.places import JobOnFile, Place, State
from tracker.explain import read_facts
from tracker.facts import ItemStage
from tracker.near_keys import no_such_item

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.filespec import JobsFile
    from tracker.connection import Connection
    from tracker.facts import Facts


@dataclass(frozen=True, slots=True)
class StageExplained:
    """One stage of an item, and its own cause."""

    stage: str
    status: str
    cause: Told


@dataclass(frozen=True, slots=True)
class ItemExplained:
    """Why an item does not move: the cause of the `stage` with which it goes on, if any; and that of each stage."""

    job: str
    key: str
    stage: str | None
    cause: Told
    stages: list[StageExplained]


@dataclass(frozen=True, slots=True)
class Part:
    """So many stages of a job (or items, where `stage` is None) that stand alike, and the cause of the foremost."""

    stage: str | None
    state: str
    count: int
    cause: Told


@dataclass(frozen=True, slots=True)
class JobExplained:
    """Why a job does not move, or that it does; and part by part why what is left of it does not."""

    job: str
    moves: bool
    cause: Told
    parts: list[Part]


# -- what jobs.yaml says ----------------------------------------------------------------------------------


def read_job(path: Path, job: str) -> tuple[JobOnFile, str | None]:
    """
    Read what a jobs file says of one job, or why the file is refused.

    Plugins are imported only when somebody asks what the job lacks: that takes longer than all else.
    """
    try:
        found = find_job(load_jobs_file(path, only=job, plugins=False), job)
    except JobsFileError as error:
        return JobOnFile("unknown"), str(error)
    return replace(found, find_lacks=lambda: _read_lacks(path, job)), None


def _read_lacks(path: Path, job: str) -> str:
    try:
        return _say_lacks(load_jobs_file(path, only=job), job)
    except JobsFileError as error:
        return str(error)


def _say_lacks(jobs: JobsFile, job: str) -> str:
    return "; ".join(problem.message for problem in jobs.unavailable.get(job, ()))


def find_job(jobs: JobsFile | None, job: str) -> JobOnFile:
    """Find what jobs.yaml says of a job; without the file, nothing is known."""
    if jobs is None:
        return JobOnFile("unknown")
    spec = jobs.jobs.get(job)
    if spec is None:
        return JobOnFile("gone")
    return JobOnFile("on" if spec.enabled else "off", spec, jobs.budget, lambda: _say_lacks(jobs, job))


def _add_limits(conn: Connection, file: JobOnFile) -> JobOnFile:
    if file.spec is None or not file.has_budget:
        return file
    return replace(file, limits=tuple(read_limits(conn, file.spec, file.everything)))


# -- an item ----------------------------------------------------------------------------------------------


def explain_item(conn: Connection, file: JobOnFile, job: str, key: str) -> ItemExplained:
    """Explain why one item does not move. Raises `NotFoundError` with the nearest key."""
    facts = read_facts(conn, job, key)
    if not facts.is_known:
        raise no_such_item(conn, job, key)
    return judge_item(facts, _add_limits(conn, file))


def judge_item(facts: Facts, file: JobOnFile) -> ItemExplained:
    """Judge an item by the facts: the cause is that of the stage with which it goes on soonest."""
    places = _place_item(facts, file)
    foremost = min(places, key=lambda place: list(State).index(place.state))
    stages = [
        StageExplained(place.stage, place.at.status, find_cause(place))
        for place in places
        if place.at is not None and place.stage is not None
    ]
    goes_on_with = None if foremost.state is State.ENDED else foremost.stage
    return ItemExplained(facts.job, facts.key or "", goes_on_with, find_cause(foremost), stages)


def _place_item(facts: Facts, file: JobOnFile) -> list[Place]:
    if facts.item is None:
        return [Place(facts, file, State.HELD)]
    if not facts.item_stages:
        return [Place(facts, file, State.READY, _find_root(facts, file))]
    return [Place(facts, file, find_state(one), one.stage, one) for one in facts.item_stages]


def find_state(at: ItemStage) -> State:
    """Find what a stage of an item is in."""
    if at.status == "pending":
        return _find_pending_state(at)
    return {"in_progress": State.RUNNING, "failed": State.FAILED}.get(at.status, State.ENDED)


def _find_pending_state(at: ItemStage) -> State:
    if at.needs_left:
        return State.BLOCKED
    if at.retry_at is not None:
        return State.PARKED
    return State.SENT if at.queued_at is not None else State.READY


def _find_root(facts: Facts, file: JobOnFile) -> str | None:
    if file.spec is not None:
        return next(iter(file.spec.roots), None)
    return next((stage for stage in facts.stages if stage not in facts.needs), None)


# -- a job ------------------------------------------------------------------------------------------------

REPRESENTS = {State.RUNNING: "the longest ", State.SENT: "the first ", State.PARKED: "the first ",
              State.FAILED: "most of them "}  # fmt: skip
"""What is said before the words of a part, when they are those of one of several."""

OF_ONE = {"claimed", "worker_silent", "failed", "retry_at", "message_lost", "sent"}
"""The causes whose words are those of one stage, and not of what holds all of them."""

JOB_WIDE = [cause for cause in CAUSES if cause.name in {"not_in_jobs_file", "switched_off", "paused", "breaker_open",
                                                        "breaker_probing"}]  # fmt: skip
"""The causes that hold all of a job, when they hold its looks for items too."""

FOREMOST = [State.RUNNING, State.SENT, State.READY, State.PARKED, "look_failed", State.HELD, State.FAILED,
            State.LOOKING, State.BLOCKED]  # fmt: skip
"""Which part of a job that does not move says why: what could go first of all."""


def explain_job(conn: Connection, file: JobOnFile, job: str) -> JobExplained:
    """Explain why a job does not move. Its cost does not grow with its items."""
    return judge_job(read_facts(conn, job), _add_limits(conn, file))


def judge_job(facts: Facts, file: JobOnFile) -> JobExplained:
    """Judge a job by the facts."""
    looking = Place(facts, file, State.LOOKING)
    parts = [_tell_part(place) for place in _place_job(facts, file)]
    wide = next((told for cause in JOB_WIDE if (told := cause.tell(looking)) is not None), None)
    if wide is not None:
        return JobExplained(facts.job, False, wide, parts)
    going = [part for part in parts if part.cause.moves]
    foremost = min(going or parts, key=_rank, default=None)
    if foremost is None or (not going and _rank(foremost) > FOREMOST.index(State.PARKED)):
        foremost = min([*parts, Part(None, State.LOOKING, 1, find_cause(looking))], key=_rank)
    return JobExplained(facts.job, foremost.cause.moves, foremost.cause, parts)


def _rank(part: Part) -> int:
    """Rank a part by what could go first of all; a look that is meant to be now before what waits for people."""
    is_later = part.cause.cause in {"next_look", "no_schedule", "cannot_run_here"}
    return FOREMOST.index("look_failed" if part.state is State.LOOKING and not is_later else part.state)


def _tell_part(place: Place) -> Part:
    told = find_cause(place)
    before = _say_of_which(place) if place.count > 1 and told.cause in OF_ONE else ""
    return Part(place.stage, place.state, place.count, replace(told, words=f"{before}{told.words}"))


def _say_of_which(place: Place) -> str:
    if place.state is State.FAILED and place.at is not None and 2 * place.at.alike <= place.count:
        return "some of them "
    return REPRESENTS.get(place.state, "")


def _place_job(facts: Facts, file: JobOnFile) -> Iterator[Place]:
    """Give the places of a job that hold anything: the furthest stage first, as dispatch goes."""
    root = _find_root(facts, file)
    for stage in reversed(_list_stages(facts, file)):
        unopened = facts.items.unopened if stage == root else 0
        yield from _place_stage(facts, file, stage, unopened)
    if facts.items.held:
        yield Place(facts, file, State.HELD, count=facts.items.held)


def _list_stages(facts: Facts, file: JobOnFile) -> list[str]:
    on_file = list(file.spec.stage_names) if file.spec else []
    return [*on_file, *(stage for stage in facts.stages if stage not in on_file)]


def _place_stage(facts: Facts, file: JobOnFile, stage: str, unopened: int) -> Iterator[Place]:
    counts = facts.stages.get(stage)
    if counts is None:
        if unopened:
            yield Place(facts, file, State.READY, stage, count=unopened)
        return
    over = min(counts.over_budget, counts.ready)
    for state, count, at in (
        (State.RUNNING, counts.running, _find_longest(facts, stage)),
        (State.SENT, counts.queued, _find_first_sent(facts, stage)),
        (State.READY, counts.ready - over + unopened, None),
        (State.READY, over, ItemStage(stage, "pending", over_budget=1)),
        (State.PARKED, counts.parked + counts.countdown, _find_next_retry(facts, stage)),
        (State.FAILED, counts.failed, _find_most_failed(facts, stage)),
        (State.BLOCKED, counts.blocked, None),
    ):
        if count:
            yield Place(facts, file, state, stage, at, count)


def _find_longest(facts: Facts, stage: str) -> ItemStage:
    since = facts.longest.get(stage)
    if since is None:  # it ended between the counter and the row: one query, but let nothing hang on it
        return ItemStage(stage, "in_progress", started_at=facts.now)
    return ItemStage(
        stage, "in_progress", worker=since.worker, started_at=since.since_at, leased_until=since.leased_until
    )


def _find_first_sent(facts: Facts, stage: str) -> ItemStage:
    since = facts.sent.get(stage)
    return ItemStage(
        stage,
        "pending",
        queued_at=since.since_at if since else facts.now,
        resend_at=since.resend_at if since else None,
    )


def _find_next_retry(facts: Facts, stage: str) -> ItemStage | None:
    known = facts.next_retry
    if known is None or known.stage != stage:
        return None
    return ItemStage(
        stage,
        "pending",
        retry_at=known.retry_at,
        reason=known.reason,
        waits_for_host=known.waits_for_host,
    )


def _find_most_failed(facts: Facts, stage: str) -> ItemStage:
    group = facts.failures.get(stage)
    if group is None:
        return ItemStage(stage, "failed")
    return ItemStage(
        stage,
        "failed",
        error_type=group.error_type,
        signature=group.signature,
        failure_group=group.name,
        alike=group.failed,
    )
