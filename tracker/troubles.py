"""What is wrong now, of what people can be told: each read from counters and small tables, never from the items."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from pipeline.notify import TroubleKind
from tracker.chores import find_last_chore
from tracker.clock import DAY_MS, format_ms, now_ms
from tracker.held import count_held
from tracker.jobs import get_job_error
from tracker.sources import list_failing, list_silent
from tracker.spending import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tracker.connection import Connection

SHARE_MINUTES = 60
LEAST_ENDED = 10
"""So many items must have ended within the hour before a share of failures means something."""

TROUBLED_AFTER = 3
"""
So often must a discovery have been tried in vain before it counts as failing, unless it failed for good. To wait for a
paused host is not to try.
"""

Key = tuple[str, str, str]
"""What is wrong, its job ('' for none), and what of the job."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now: what it is about, and in words."""

    kind: TroubleKind
    job: str
    subject: str
    words: str

    @property
    def key(self) -> Key:
        """By what it is known again."""
        return self.kind.value, self.job, self.subject


LIST_OPEN_BREAKERS = """
SELECT job_id, host, reason, until_at FROM pauses WHERE cause = 'breaker' ORDER BY job_id, host
"""

LIST_REACHED_BUDGETS = """
SELECT job_id, cap, stage, usd, until_at FROM budget_holds ORDER BY job_id, cap, stage
"""


def list_general_troubles(conn: Connection, chores: Collection[str]) -> Iterator[Trouble]:
    """List open breakers, reached budgets and failed chores, of jobs and of none."""
    for job_id, host, reason, until_at in conn.execute(LIST_OPEN_BREAKERS).fetchall():
        until = f", until {format_ms(until_at)} UTC, then a probe" if until_at else "; a probe is under way"
        yield Trouble(TroubleKind.BREAKER, job_id, host, f"paused: {reason}{until}")
    for job_id, cap, stage, usd, until_at in conn.execute(LIST_REACHED_BUDGETS).fetchall():
        until = f", until {format_ms(until_at)} UTC" if until_at else ""
        whose = f" of stage {stage}" if stage else ""
        words = f"the budget {cap} of ${usd:g}{whose} is reached; what costs waits{until}"
        yield Trouble(
            TroubleKind.BUDGET, "" if job_id == EVERYTHING else job_id, f"{cap} {stage}".strip(), words
        )
    for chore in chores:
        last = find_last_chore(conn, chore)
        if last is not None and last.error is not None:
            yield Trouble(TroubleKind.MAINTENANCE, "", chore, f"the chore {chore} failed: {last.error}")


def list_job_troubles(
    conn: Connection, job_id: str, failed_share: float, known: Collection[Key]
) -> Iterator[Trouble]:
    """
    List what is wrong with one job: its sources, failures, discovery, held items.

    `known` are the troubles that people know of already: a share of failures ends at half of what it began at, and a
    discovery that is tried again now has not succeeded yet.
    """
    yield from _list_sources_in_trouble(conn, job_id, known)
    is_known = (TroubleKind.FAILURES.value, job_id, "") in known
    if words := _say_failures(conn, job_id, failed_share / 2 if is_known else failed_share):
        yield Trouble(TroubleKind.FAILURES, job_id, "", words)
    if words := _say_discovery(conn, job_id, is_known=(TroubleKind.DISCOVERY.value, job_id, "") in known):
        yield Trouble(TroubleKind.DISCOVERY, job_id, "", words)
    if held := count_held(conn, job_id):
        yield Trouble(
            TroubleKind.HELD,
            job_id,
            "",
            f"{held:,} found items wait until somebody lets them in: celeriac approve {job_id}",
        )


def _list_sources_in_trouble(conn: Connection, job_id: str, known: Collection[Key]) -> Iterator[Trouble]:
    """
    List the sources that have gone silent, or fail.

    While looking for items fails as a whole, that is told, and not each source; but what people know of is not over.
    """
    since = _find_since(conn, job_id)
    for source, empty_looks in list_silent(conn, job_id, since):
        words = f"used to have something, and had nothing {empty_looks} times in a row"
        yield Trouble(TroubleKind.SILENT, job_id, source, f"{_name_source(source)} {words}")
    fails_as_a_whole = get_job_error(conn, job_id) is not None
    for source, failures, error in list_failing(conn, job_id, since):
        words = f"{_name_source(source)} failed {failures} times in a row: {error}"
        trouble = Trouble(TroubleKind.SOURCE, job_id, source, words)
        if not fails_as_a_whole or trouble.key in known:
            yield trouble


def _name_source(source: str) -> str:
    return f"the source {source}" if source else "its source"


def _find_since(conn: Connection, job_id: str) -> int:
    """Find since when (Unix ms) a job's source has been looked at, if it still is one: for a day, or three looks."""
    looks = conn.execute(LAST_LOOKS, {"job_id": job_id}).fetchall()
    third = looks[TROUBLED_AFTER - 1]["started_at"] if len(looks) >= TROUBLED_AFTER else 0
    return min(third, now_ms() - DAY_MS)


COUNT_ENDED = """
SELECT coalesce(sum(done), 0), coalesce(sum(failed), 0)
  FROM item_minutes
 WHERE job_id = :job_id AND minute > :since
"""


def _say_failures(conn: Connection, job_id: str, share: float) -> str | None:
    since = now_ms() // 60_000 - SHARE_MINUTES
    done, failed = conn.execute(COUNT_ENDED, {"job_id": job_id, "since": since}).fetchone()
    ended = done + failed
    if ended < LEAST_ENDED or failed < share * ended:
        return None
    return f"{failed:,} of the {ended:,} items that ended within the last hour failed ({failed / ended:.0%})"


LAST_LOOKS = """
SELECT outcome, attempt - waits AS tries, started_at
  FROM discovery_runs
 WHERE job_id = :job_id
 ORDER BY run_id DESC
 LIMIT 10
"""


def _has_failed(conn: Connection, job_id: str) -> bool | None:
    """
    Tell whether the last look failed for good, or too often in a row; None where there was none.

    A job that looks often is tried anew before it is tried again: its failed looks count together.
    """
    looks = conn.execute(LAST_LOOKS, {"job_id": job_id}).fetchall()
    if not looks:
        return None
    last: str | None = looks[0]["outcome"]
    in_vain = takewhile(lambda look: look["outcome"] != "found", looks)
    tries = sum(look["tries"] for look in in_vain if look["outcome"] in {"unavailable", "failed"})
    return last == "failed" or (last == "unavailable" and tries >= TROUBLED_AFTER)


def _say_discovery(conn: Connection, job_id: str, *, is_known: bool) -> str | None:
    error = get_job_error(conn, job_id)
    has_failed = _has_failed(conn, job_id)
    if error is None or has_failed is None:
        return None
    return f"looking for items fails: {error}" if has_failed or is_known else None
