"""One item: why it does not move, its stages, what came out, what happened to it, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request

from dashboard.addresses import item_path
from dashboard.house import house_of
from dashboard.kept_files import show_page
from dashboard.kinds import find_at, make_tree
from dashboard.known import list_stage_names, require_job
from dashboard.rendering import render
from dashboard.visitors import Needs
from pipeline.errors import NotFoundError
from runner.apart import replay_apart
from runner.comparing import compare_stored
from runner.explain import explain_item, find_job
from runner.saying import say_no_log
from tracker import item_story
from tracker.item_attempts import list_attempts
from tracker.item_reports import list_stages
from tracker.near_keys import no_such_item
from tracker.progress import list_progress_of_item

if TYPE_CHECKING:
    from starlette.responses import Response

    from dashboard.house import House
    from tracker.item_story import ItemFacts

router = APIRouter(include_in_schema=False)


@router.get("/items", dependencies=[Depends(Needs("view"))], response_model=None)
def show_item(
    request: Request,
    job: str = "",
    key: str = "",
    item_id: Annotated[int | None, Query(alias="id")] = None,
    before: int | None = None,
    diff: str | None = None,
    a: int | None = None,
    b: int | None = None,
) -> Response:
    """Show one item, by its key or its id; with `diff` what differs between two results of that stage."""
    house = house_of(request)
    item = _get_item(house, job, key, item_id)
    conn = house.reader
    events = item_story.list_events(conn, item.item_id, before)
    return render(
        request,
        "item.html",
        item=item,
        url=item_path(item.job, item.key, item.item_id),
        explained=explain_item(conn, find_job(house.read_jobs()[0], job), job, item.key),
        stages=list_stages(conn, item.item_id),
        stage_names=list_stage_names(house, job),
        needs=_find_needs(house, job),
        progress={told.stage: told for told in list_progress_of_item(conn, item.item_id)},
        data=make_tree(item.data),
        results={
            stage: (one, make_tree(one.result))
            for stage, one in item_story.list_results_of(conn, item.item_id).items()
        },
        versions=item_story.list_versions(conn, item.item_id),
        attempts=list_attempts(conn, item.item_id),
        say_no_log=say_no_log,
        costs=item_story.list_costs(conn, item.item_id),
        events=events,
        older=events[-1].event_id if len(events) == item_story.EVENTS_AT_ONCE else None,
        compared=_compare(house, item, diff, a, b),
    )


def _get_item(house: House, job: str, key: str, item_id: int | None = None) -> ItemFacts:
    require_job(house, job)
    if item_id is not None:
        return _get_item_by_id(house, job, item_id)
    item = item_story.find_facts(house.reader, job, key)
    if item is None:
        raise no_such_item(house.reader, job, key)
    return item


def _get_item_by_id(house: House, job: str, item_id: int) -> ItemFacts:
    item = item_story.find_facts_by_id(house.reader, job, item_id)
    if item is None:
        raise NotFoundError(f"item of job {job!r} with the id", str(item_id))
    return item


def _find_needs(house: House, job: str) -> dict[str, tuple[str, ...]]:
    jobs, _ = house.read_jobs()
    spec = jobs.jobs.get(job) if jobs else None
    return {stage.name: tuple(stage.needs) for stage in spec.stages} if spec else {}


def _compare(house: House, item: ItemFacts, stage: str | None, a: int | None, b: int | None) -> Any:
    if stage is None:
        return None
    attempts = [attempt for attempt in (a, b) if attempt is not None]
    return compare_stored(house.runtime, house.reader, item.job, item.key, stage, attempts)


# -- what is HTML, on its own -----------------------------------------------------------------------------


@router.get("/items/page", dependencies=[Depends(Needs("view"))], response_model=None)
def show_html(
    request: Request,
    job: str = "",
    key: str = "",
    item_id: Annotated[int | None, Query(alias="id")] = None,
    stage: str = "",
    at: str = "",
) -> Response:
    """Show a text of an item's data (without a stage) or of a result as the page that it is, made harmless."""
    house = house_of(request)
    item = _get_item(house, job, key, item_id)
    value: Any = item.data
    if stage:
        found = item_story.list_results_of(house.reader, item.item_id).get(stage)
        value = found.result if found else None
    text = find_at(value, at)
    if not isinstance(text, str):
        raise NotFoundError(f"text of {item.key[:80]!r} at", at)
    return show_page(text)


# -- again, aside -----------------------------------------------------------------------------------------


@router.post("/items/replay", dependencies=[Depends(Needs("replay"))], response_model=None)
def replay(
    request: Request, job: Annotated[str, Form()], item: Annotated[int, Form()], stage: Annotated[str, Form()]
) -> Response:
    """Run a stage again on what is stored, recording nothing, and show what would change."""
    house = house_of(request)
    require_job(house, job)
    facts = _get_item_by_id(house, job, item)
    spec = house.runtime.jobs.get_job(job).stage(stage)
    replayed = replay_apart(house.settings, job, facts.key, stage, spec.timeout)
    result = replayed["ran"]["result"]
    return render(
        request,
        "replay.html",
        item=facts,
        url=item_path(facts.job, facts.key, facts.item_id),
        stage=stage,
        replayed=replayed,
        tree=None if result is None else make_tree(result),
    )
