"""What `celeriac items` shows of a filter: a page of items or stages, or how many there are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cli.filtering import parse_cursor, read_filter
from cli.lines import write_line
from cli.reading import reading
from cli.render import say_ago, shorten, write_json, write_table
from tracker.selecting import WALK_AT_MOST, count_matching, select_page

if TYPE_CHECKING:
    from cli.filtering import Asked
    from tracker.selecting import Selected


def count_selected(asked: Asked, *, exact: bool, as_json: bool) -> None:
    """Say how many there are, or how many there are at least."""
    with reading() as conn:
        count = count_matching(conn, read_filter(conn, asked), None if exact else WALK_AT_MOST)
    if as_json:
        write_json({"count": count.number, "is_exact": count.is_exact})
    else:
        sys.stdout.write(f"{count}\n")


def list_selected(asked: Asked, after: str | None, limit: int, *, as_json: bool) -> None:
    """List one page, and say on standard error where the next begins."""
    with reading() as conn:
        wanted = read_filter(conn, asked)
        page = select_page(conn, wanted, after=parse_cursor(after), limit=limit)
    next_after = None if page.next_after is None else str(page.next_after)
    if as_json:
        write_json({"items": page.rows, "next_after": next_after})
        return
    if wanted.selects_stages:
        write_table(
            ["job", "key", "stage", "status", "#attempt", "reason"],
            map(_as_stage, page.rows),
            "no such stage",
        )
    else:
        write_table(
            ["job", "key", "status", "#priority", "discovered"], map(_as_item, page.rows), "no such item"
        )
    if next_after is not None:
        write_line(f"there are more: --after {next_after}", err=True)


def _as_stage(one: Selected) -> tuple[object, ...]:
    return one.job_id, one.key, one.stage, one.status, one.attempt, shorten(one.reason or "", 80)


def _as_item(one: Selected) -> tuple[object, ...]:
    return one.job_id, one.key, one.status, one.priority, say_ago(one.discovered_at)
