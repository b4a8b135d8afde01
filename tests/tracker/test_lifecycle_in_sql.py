from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import apsw
import pytest

import tracker
from pipeline.lifecycle import ENDED, LEGAL, Status, derive_item_status, draw_diagram, draw_table

DOCUMENT = Path(__file__).parents[2] / "docs" / "lifecycle.md"

# what a row must have besides its status
LEASES = {Status.IN_PROGRESS: 9}
ENDS = dict.fromkeys(ENDED, 9)
SET_STATUS = (
    "UPDATE item_stages SET status = ?, leased_until = ?, ended_at = ? WHERE item_id = ? AND stage = ?"
)


def set_status(conn, item_id, stage, status):
    conn.execute(SET_STATUS, (status, LEASES.get(status), ENDS.get(status), item_id, stage))


@pytest.mark.parametrize("table", ["item_stages", "work_items"])
def test_the_check_of_a_status_lists_the_lifecycles_own(conn, table):
    sql = conn.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    (listed,) = re.findall(r"status\s+TEXT[^,]*?CHECK \(((?:status = '\w+'(?: OR )?)+)\)", sql, re.DOTALL)
    assert re.findall(r"'(\w+)'", listed) == list(Status)


@pytest.mark.parametrize(("source", "target"), list(product(Status, Status)))
def test_the_trigger_lets_through_just_the_legal_moves(conn, opened_id, source, target):
    if source is not Status.PENDING:  # pending leads everywhere in one move, but for itself
        set_status(conn, opened_id, "fetch", source)
    if source is target or (source, target) in LEGAL:
        set_status(conn, opened_id, "fetch", target)
    else:
        with pytest.raises(apsw.ConstraintError, match="illegal move"):
            set_status(conn, opened_id, "fetch", target)
        target = source
    assert tracker.get_stage_status(conn, opened_id, "fetch") is target


@pytest.mark.parametrize("change", [
    "status = 'finished'",
    "leased_until = 9",
    "ended_at = 9",
    "status = 'in_progress'",
    "status = 'done'",
    "status = 'done', ended_at = 9, retry_at = 9",
    "status = 'in_progress', leased_until = 9, queued_at = 9, resend_at = 9",
    "queued_at = 9",
    "needs_left = -1",
    "attempt = 'first'",
])  # fmt: skip
def test_a_row_that_cannot_be_is_refused(conn, opened_id, change):
    with pytest.raises(apsw.ConstraintError):
        conn.execute(f"UPDATE item_stages SET {change} WHERE item_id = {opened_id} AND stage = 'fetch'")  # noqa: S608


@pytest.mark.parametrize("statuses", list(product(Status, repeat=3)), ids="-".join)
def test_an_items_status_is_derived_alike_in_sql_and_in_python_and_cached(
    conn, opened_id, item_status, statuses
):
    for stage, status in zip(["fetch", "extract", "store"], statuses, strict=True):
        set_status(conn, opened_id, stage, status)
    derived = conn.execute("SELECT derived_status FROM item_derived_status WHERE item_id = ?", (opened_id,))
    assert derived.fetchone()[0] == item_status(opened_id) == derive_item_status(statuses)


def test_the_derived_status_is_read_from_its_covering_index(conn, opened_id):
    plan = conn.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM item_derived_status WHERE item_id = ?", (opened_id,)
    )
    stages = [row["detail"] for row in plan if " s " in row["detail"]]
    assert stages
    assert all("idx_item_stages_item_status" in detail and "COVERING" in detail for detail in stages), stages


@pytest.mark.parametrize(("part", "draw"), [("diagram", draw_diagram), ("moves", draw_table)])
def test_the_document_shows_the_lifecycle_as_it_is(part, draw):
    text = DOCUMENT.read_text(encoding="utf-8")
    (shown,) = re.findall(rf"<!-- {part}:.*?-->\n(.*?)\n<!-- end of {part} -->", text, re.DOTALL)
    assert shown.removeprefix("```mermaid\n").removesuffix("\n```") == draw()
