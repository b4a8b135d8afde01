from __future__ import annotations

import pytest

from pipeline.filters import parse_filter
from pipeline.lifecycle import Status
from tracker.claims import claim
from tracker.endings import Ending
from tracker.item_lists import list_by_priority
from tracker.items import list_items
from tracker.moves import settle
from tracker.plan import StagePlan
from tracker.selecting import count_matching, select_page

BESIDE = StagePlan(("fetch", "guess"), {"fetch": (), "guess": ()}, frozenset({"fetch", "guess"}))
"""Two stages of which neither needs the other."""


def claim_stages(conn, item_id, *stages):
    for stage in stages:
        assert claim(conn, item_id, stage, 1, worker="host:1")


@pytest.fixture
def running(conn, add_opened):
    """Let items run with one stage or two, and beside them one that failed although a stage of it runs."""
    one, two, failed, last, _ = add_opened("one", "two", "failed", "last", "waits", stages=BESIDE)
    (urgent,) = add_opened("urgent", stages=BESIDE, priority=5)
    (elsewhere,) = add_opened("elsewhere", stages=BESIDE, job_id="rss")
    for item_id, stages in ((last, ["guess"]), (one, ["fetch"]), (urgent, ["guess"]), (elsewhere, ["fetch"])):
        claim_stages(conn, item_id, *stages)
    for item_id in (two, failed):
        claim_stages(conn, item_id, "fetch", "guess")
    settle(conn, failed, "fetch", 1, Ending.gave_up("gone"))
    return conn


def read_pages(read):
    """Read page after page to the end; the keys of each."""
    pages, after = [], None
    while not pages or after is not None:
        rows, after = read(after)
        pages.append(" ".join(row.key for row in rows))
    return pages


def test_items_in_progress_are_listed_once_however_many_of_their_stages_run(running):
    rows = list_items(running, "papers", Status.IN_PROGRESS, 9)
    assert [row["key"] for row in rows] == ["urgent", "one", "two", "last"]
    assert len(list_items(running, "papers", Status.IN_PROGRESS, 3)) == 3


def test_items_in_progress_are_listed_by_priority_page_by_page(running):
    def read(after):
        page = list_by_priority(running, "papers", "in_progress", after, 2)
        return page.rows, page.next_after

    assert read_pages(read) == ["urgent one", "two last"]


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("job:papers status:in_progress", ["one two", "last urgent"]),
        ("job:papers status:in_progress priority:<5", ["one two", "last"]),
        ("job:papers status:in_progress,failed", ["one two", "failed last", "urgent"]),
        ("status:in_progress priority:5", ["urgent"]),
    ],
)
def test_a_filter_finds_items_in_progress_by_what_runs(running, text, pages):
    def read(after):
        page = select_page(running, parse_filter(text), after=after, limit=2)
        return page.rows, page.next_after

    assert read_pages(read) == pages
    assert count_matching(running, parse_filter(text)).number == len(" ".join(pages).split())
