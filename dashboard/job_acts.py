"""What people do to a whole job, or to everything, from its page: each asks first, with the number that it touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse

from dashboard import deeds
from dashboard.addresses import job_path
from dashboard.asking import Question, ask
from dashboard.house import house_of
from dashboard.known import require_job
from dashboard.visitors import Needs, find_visitor
from runner import choices, operate, pausing
from runner.actions import Order
from runner.applying import apply_job
from runner.dispatch import dispatch_job
from runner.planning import plan_jobs
from tracker.action_batches import count_failed
from tracker.held import count_held
from tracker.pauses import Target
from tracker.stats import all_job_stats, get_job_stats, stage_stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from dashboard.house import House

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for: of which job (None: everything), of which of its stages, and who asks."""

    house: House
    job: str | None
    stage: str | None
    by: str


@dataclass(frozen=True, slots=True)
class JobAct:
    """
    One thing to do to a job.

    `count` says how many it touches, reading only. `do` does it and gives the query of the page that says so.
    """

    name: str
    needs: str
    title: str
    words: str
    count: Callable[[Asked], int]
    do: Callable[[Asked], str]


def count_waiting(asked: Asked) -> int:
    """Count the unfinished items of a job, or of all; of one stage those that are not through it."""
    if asked.job is not None and asked.stage is not None:
        counts = stage_stats(asked.house.reader, asked.job).get(asked.stage, {})
        unopened = get_job_stats(asked.house.reader, asked.job)["unopened"]
        return unopened + counts.get("pending", 0) + counts.get("in_progress", 0)
    counted = all_job_stats(asked.house.reader, asked.job).values()
    return sum(counts["pending"] + counts["in_progress"] for counts in counted)


def _count_failed(asked: Asked) -> int:
    return count_failed(asked.house.reader, asked.job, asked.stage, only_switched_on=True)


def _count_plan(asked: Asked) -> int:
    jobs, _ = asked.house.read_jobs()
    plans = plan_jobs(asked.house.reader, jobs, asked.job) if jobs else []
    return sum(plan.items for plan in plans)


def find_target(asked: Asked) -> Target:
    """Find what is to be paused, or let go on."""
    if asked.job is None:
        return Target.everything()
    return Target.of_stage(asked.job, asked.stage) if asked.stage else Target.of_job(asked.job)


def _unpause(asked: Asked) -> str:
    pausing.unpause(asked.house.runtime, find_target(asked), asked.by)
    return "did=unpause"


def _wake(asked: Asked) -> str:
    operate.wake(asked.house.runtime, asked.job or "", asked.by)
    return "did=wake"


def _approve(asked: Asked) -> str:
    return deeds.do_behind(
        asked.house, "approve", lambda: operate.approve(asked.house.runtime, asked.job or "", asked.by)
    )


def _dismiss(asked: Asked) -> str:
    return deeds.do_behind(
        asked.house, "dismiss", lambda: operate.dismiss(asked.house.runtime, asked.job or "", asked.by)
    )


def _retry(asked: Asked) -> str:
    order = Order("retry", asked.job, asked.by, asked.stage, choices.EVERY_FAILURE)
    return deeds.carry_out(asked.house, order)


def _apply(asked: Asked) -> str:
    return deeds.do_behind(asked.house, "apply", lambda: _apply_whole(asked))


def _apply_whole(asked: Asked) -> None:
    runtime, job = asked.house.runtime, asked.job or ""
    for _ in apply_job(runtime, job, asked.by):
        pass
    spec = runtime.jobs.jobs.get(job)
    if spec is not None and spec.enabled:
        dispatch_job(runtime, spec)


UNPAUSE = JobAct(
    "unpause", "unpause", "Let {what} go on", "unfinished [item|items] may go on.", count_waiting, _unpause
)

JOB_ACTS = (
    UNPAUSE,
    JobAct("wake", "wake", "Look for items of {what} now",
           "job looks for items at the next sweep, whatever its schedule says.", lambda _: 1, _wake),
    JobAct("approve", "approve", "Let in the held items of {what}",
           "held [item is|items are] let in, the earliest found first, and [goes|go] through all stages.",
           lambda asked: count_held(asked.house.reader, asked.job or ""), _approve),
    JobAct("dismiss", "approve", "Leave out the held items of {what}",
           "held [item becomes|items become] known, and none of [its|their] stages is run.",
           lambda asked: count_held(asked.house.reader, asked.job or ""), _dismiss),
    JobAct("retry", "retry", "Try again what failed of {what}",
           "failed [stage is|stages are] tried again. It can be undone where nothing has run since.",
           _count_failed, _retry),
    JobAct("apply", "apply", "Apply jobs.yaml to {what}",
           "[item|items] at most [is|are] brought to the stages that jobs.yaml has now. A stage that may have been "
           "renamed is taken for one removed and another added.", _count_plan, _apply),
)  # fmt: skip
"""Everything but pausing, which asks for a reason and an end as well."""


def address_of(job: str | None, act: str) -> str:
    """Give the address at which an act is asked about and done."""
    return f"/{act}" if job is None else f"{job_path(job)}/{act}"


def name_what(job: str | None, stage: str | None) -> str:
    """Name what an act is about: everything, a job, or a stage of it."""
    return "everything" if job is None else f"the stage {stage} of {job}" if stage else job


def check(request: Request, job: str | None, stage: str | None) -> Asked:
    """Tell what is asked for, and by whom. Raises `NotFoundError` for a job that is not there."""
    house, visitor = house_of(request), find_visitor(request)
    if job is not None:
        require_job(house, job)
    return Asked(house, job, stage or None, visitor.name if visitor else "unknown")


def go_back(request: Request, job: str | None, query: str) -> Response:
    """Go to the page of what was acted on, with a query that says what was done."""
    return RedirectResponse(f"{house_of(request).served.prefix}{job_path(job)}?{query}", 303)


def ask_about(request: Request, act: JobAct, job: str | None, stage: str | None) -> Response:
    """Ask before an act is done, with the number that it touches."""
    question = Question(
        title=act.title.format(what=name_what(job, stage)),
        number=act.count(check(request, job, stage)),
        words=act.words,
        do="Do it",
        to=address_of(job, act.name),
        back=job_path(job),
        hidden={"stage": stage} if stage else {},
    )
    return ask(request, question)


def _add_routes(act: JobAct) -> None:
    """Add the two routes of an act: the question, and the deed."""

    def ask_first(request: Request, job: str, stage: str | None = None) -> Response:
        return ask_about(request, act, job, stage)

    def do(request: Request, job: str, stage: Annotated[str | None, Form()] = None) -> Response:
        return go_back(request, job, act.do(check(request, job, stage)))

    for method, endpoint in (("GET", ask_first), ("POST", do)):
        router.add_api_route(
            f"/jobs/{{job}}/{act.name}",
            endpoint,
            methods=[method],
            dependencies=[Depends(Needs(act.needs))],
            response_model=None,
        )


for _act in JOB_ACTS:
    _add_routes(_act)
