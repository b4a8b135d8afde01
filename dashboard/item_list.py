"""The list of a job's items that a URL asks for: a filter, an order, and a place to go on from."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from dashboard.addresses import job_path
from dashboard.filters import read_filter
from pipeline.errors import InvalidFilterError, TakesTooLongError, UnclearRequestError
from pipeline.filter_words import FILTER_WORDS, ValueKind
from tracker.item_lists import ListPage, list_by_key, list_by_priority, list_stages_of
from tracker.patience import for_at_most
from tracker.selected import Cursor
from tracker.selecting import count_matching, look_for_page, select_page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.filters import Filter
    from tracker.connection import Connection
    from tracker.selected import Count, Page, Selected

ROWS = 50
LOOK_SECONDS = 0.05
"""How long a page looks for its rows where no index has the answer: the next page goes on where it was."""

COUNT_SECONDS = 0.03
LOOKED_INTO = ("text", "cost")
"""The words whose answer no index has."""

COUNT_AT_MOST = 20_000


class Sort(StrEnum):
    """In which order items are listed."""

    NEWEST = "newest"
    OLDEST = "oldest"
    KEY = "key"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a URL asks for: of which job, by which filter ('' for all), in which order, after which place."""

    job: str
    filter: str = ""
    sort: Sort = Sort.NEWEST
    after: str | None = None

    @property
    def path(self) -> str:
        """The path of the list."""
        return f"{job_path(self.job)}/items"

    def url(self, **others: str | None) -> str:
        """Write the URL of this list, with some of its parts others."""
        parts = {"filter": self.filter, "sort": self.sort.value, **others}
        said = {name: value for name, value in parts.items() if value and (name, value) != ("sort", "newest")}
        return f"{self.path}?{urlencode(said)}" if said else self.path

    def read_filter(self) -> Filter:
        """Read the filter, narrowed to the job. Raises `InvalidFilterError`."""
        return read_filter(self.filter, self.job)


@dataclass(frozen=True, slots=True)
class Listed:
    """
    A page of a list: its rows, the stages of its items, and the URL of the next page, None when that was all.

    `problem` says why there is none; `total` is how many the filter selects, None when that is not known soon. One that
    is `looked_for` shows what was found so far: there may be more behind it, or nothing.
    """

    rows: list[Selected]
    stages: dict[int, list[tuple[str, str]]]
    next_url: str | None
    of_stages: bool = False
    total: Count | None = None
    problem: str | None = None
    looked_for: bool = False


def list_sorts(wanted: Filter) -> list[Sort]:
    """List the orders that an index has for what a filter selects, which is of one job."""
    others = [term for term in wanted.terms if term.word != "job"]
    sorts = [Sort.NEWEST, Sort.OLDEST]
    if not others:
        sorts.append(Sort.KEY)
    if _find_only_status(wanted) is not None:
        sorts.append(Sort.PRIORITY)
    return sorts


def _find_only_status(wanted: Filter) -> str | None:
    others = [term for term in wanted.terms if term.word != "job"]
    is_one = len(others) == 1 and others[0].word == "status" and not others[0].negated
    return others[0].values[0].text if is_one and len(others[0].values) == 1 else None


def read_list(conn: Connection, asked: Asked, *, counts: bool) -> Listed:
    """Read a page of a list; what is wrong with the filter, or with the order, is said in its `problem`."""
    try:
        wanted = asked.read_filter()
    except InvalidFilterError as error:
        return Listed([], {}, None, problem=str(error))
    if asked.sort not in list_sorts(wanted):
        return Listed([], {}, None, problem=_say_unsorted(asked.sort))
    looked_for = any(term.word in LOOKED_INTO for term in wanted.terms)
    page = _look_for_page(conn, asked, wanted) if looked_for else _read_page(conn, asked, wanted)
    return Listed(
        page.rows,
        {} if wanted.selects_stages else list_stages_of(conn, [row.item_id for row in page.rows]),
        asked.url(after=page.next_after) if page.next_after else None,
        wanted.selects_stages,
        count(conn, wanted) if counts and not looked_for else None,
        looked_for=looked_for,
    )


def _say_unsorted(sort: Sort) -> str:
    if sort is Sort.KEY:
        return "By key only all items of a job can be listed: take the filter away."
    return "By priority only the items of one status can be listed: filter by status:pending or another one alone."


def _read_page(conn: Connection, asked: Asked, wanted: Filter) -> ListPage:
    try:
        if asked.sort is Sort.KEY:
            return list_by_key(conn, asked.job, asked.after, ROWS)
        if asked.sort is Sort.PRIORITY:
            status = _find_only_status(wanted) or ""
            return list_by_priority(conn, asked.job, status, asked.after, ROWS)
    except ValueError:
        raise _no_such_place() from None
    return _as_list_page(
        select_page(
            conn, wanted, after=_read_place(asked), limit=ROWS, newest_first=asked.sort is Sort.NEWEST
        )
    )


def _look_for_page(conn: Connection, asked: Asked, wanted: Filter) -> ListPage:
    page = look_for_page(
        conn,
        wanted,
        asked.job,
        after=_read_place(asked),
        limit=ROWS,
        newest_first=asked.sort is Sort.NEWEST,
        seconds=LOOK_SECONDS,
    )
    return _as_list_page(page)


def _read_place(asked: Asked) -> Cursor | None:
    try:
        return None if asked.after is None else Cursor.parse(asked.after)
    except ValueError:
        raise _no_such_place() from None


def _no_such_place() -> UnclearRequestError:
    return UnclearRequestError("there is no such place in this list: begin at its first page")


def _as_list_page(page: Page) -> ListPage:
    return ListPage(page.rows, None if page.next_after is None else str(page.next_after))


def count(conn: Connection, wanted: Filter) -> Count | None:
    """Count what a filter selects, as far as that takes a moment; None when it would take longer."""
    with suppress(TakesTooLongError), for_at_most(conn, COUNT_SECONDS):
        return count_matching(conn, wanted, COUNT_AT_MOST)
    return None


# -- suggestions ------------------------------------------------------------------------------------------


def suggest(typed: str, stages: Iterable[str]) -> list[tuple[str, str]]:
    """Suggest what might be typed next, as (the whole text, what it means)."""
    begin = f"{typed.strip()} " if typed.strip() else ""
    return [(f"{begin}{term}", meaning) for term, meaning in _list_terms(stages)]


def _list_terms(stages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for word in FILTER_WORDS.values():
        if word.name == "job":
            continue
        if word.name == "stage":
            yield from ((f"stage:{stage}", word.help) for stage in stages)
        elif word.kind is ValueKind.CHOICE:
            yield from ((f"{word.name}:{choice}", word.help) for choice in word.choices)
        else:
            yield word.example, word.help
