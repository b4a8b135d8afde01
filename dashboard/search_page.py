"""One box for everything: an item by its key, a job by its name, and all that items and their results say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request

from dashboard.addresses import write_query
from dashboard.house import house_of
from dashboard.rendering import render
from dashboard.visitors import Needs
from pipeline.errors import TakesTooLongError
from pipeline.search_words import MOST_CHARACTERS, read_search
from tracker.patience import for_at_most
from tracker.reports import list_job_names
from tracker.search import Found, find_key, search
from tracker.search_index import find_position, is_behind

if TYPE_CHECKING:
    from starlette.responses import Response

    from dashboard.house import House
    from pipeline.search_words import SearchWords

router = APIRouter(include_in_schema=False)

ROWS = 20
SEARCH_SECONDS = 2.0
MOST_JOBS = 20


@router.get("/search", dependencies=[Depends(Needs("view"))], response_model=None)
def show_search(request: Request, q: str = "", before: int | None = None) -> Response:
    """Show what a text finds: the exact key of an item, names of jobs, then what items say, the newest first."""
    house = house_of(request)
    typed = q.strip()[:MOST_CHARACTERS]
    wanted = read_search(typed)
    listed, problem = _search(house, wanted, before) if wanted else ([], None)
    found = listed[:ROWS]
    last = found[-1].item_id if len(listed) > ROWS else None
    return render(
        request,
        "search.html",
        typed=typed,
        keys=find_key(house.reader, typed) if typed and before is None else [],
        jobs=_find_jobs(house, typed) if typed and before is None else [],
        found=found,
        problem=problem,
        next_url=f"/search?q={write_query(typed)}&before={last}" if last else None,
        unread=_list_unread(house) if typed else [],
        unsearched=_list_unsearched(house) if typed else [],
    )


def _search(house: House, wanted: SearchWords, before: int | None) -> tuple[list[Found], str | None]:
    try:
        with for_at_most(house.reader, SEARCH_SECONDS):
            return search(house.reader, wanted, ROWS + 1, before), None  # whether there are more
    except TakesTooLongError:
        return [], "These words are in very many items, and rarely together: look for rarer ones."


def _find_jobs(house: House, typed: str) -> list[tuple[str, str]]:
    """Find the jobs whose name or title has what was typed in it, as (name, title)."""
    jobs, _ = house.read_jobs()
    titles = {name: job.title for name, job in jobs.jobs.items()} if jobs else {}
    known = {**dict.fromkeys(list_job_names(house.reader), ""), **titles}
    wanted = typed.casefold()
    fits = [(name, title) for name, title in known.items() if wanted in f"{name}\n{title}".casefold()]
    return sorted(fits)[:MOST_JOBS]


def _list_unread(house: House) -> list[str]:
    """List the jobs of which not all items are read in yet."""
    return [name for name in list_job_names(house.reader) if is_behind(house.reader, name)]


def _list_unsearched(house: House) -> list[str]:
    jobs, _ = house.read_jobs()
    off = {name for name, job in jobs.jobs.items() if not job.search} if jobs else set()
    return sorted(name for name in off if find_position(house.reader, name) is None)
