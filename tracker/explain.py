"""
The facts by which it is judged why something does not move: all of them in one row, from counters and indexes.

Nothing is judged here, and its cost does not grow with the items; see `runner.causes`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from tracker.clock import now_ms
from tracker.facts import (
    Facts,
    Failed,
    Held,
    ItemCounts,
    ItemFact,
    ItemStage,
    Look,
    NextRetry,
    Paused,
    Serving,
    Since,
    SlowHost,
    StageCounts,
)

if TYPE_CHECKING:
    from tracker.connection import Connection

EXPLAIN = """
SELECT (SELECT json_group_array(json_object('scope', scope, 'stage', stage, 'host', host, 'cause', cause,
                                            'reason', reason, 'by', by, 'since_at', since_at, 'until_at', until_at,
                                            'probes_left', probes_left))
          FROM pauses
         WHERE scope IN ('all', 'host') OR job_id = :job_id) AS pauses,
       (SELECT json_group_array(json_object('name', name, 'host', host, 'pid', pid, 'processes', json(processes),
                                            'queues', json(queues), 'is_scoped', scoped, 'seen_at', seen_at))
          FROM workers) AS workers,
       (SELECT json_group_array(json_object('job', job_id, 'cap', cap, 'usd', usd, 'until_at', until_at))
          FROM budget_holds
         WHERE job_id IN (:job_id, '*') AND stage = '') AS holds,
       (SELECT json_group_array(json_object('host', host, 'slowed_until', slowed_until, 'reason', reason))
          FROM hosts
         WHERE slowed_until > :now) AS slow_hosts,
       (SELECT json_group_array(json_object(
                   'stage', c.stage, 'pending', c.pending, 'running', c.in_progress, 'failed', c.failed,
                   'queued', c.queued, 'countdown', c.countdown, 'blocked', c.blocked, 'parked', c.parked,
                   'over_budget', (SELECT count(*) FROM item_stages o INDEXED BY idx_item_stages_over_budget
                                    WHERE o.job_id = c.job_id AND o.stage = c.stage
                                      AND o.status = 'pending' AND o.over_budget = 1),
                   'loads_queued', (SELECT count(DISTINCT q.queued_at)
                                      FROM item_stages q INDEXED BY idx_item_stages_sent
                                     WHERE q.status = 'pending' AND q.queued_at IS NOT NULL AND q.retry_at IS NULL
                                       AND q.job_id = c.job_id AND q.stage = c.stage),
                   'loads_running', (SELECT count(DISTINCT a.worker || ' ' || a.started_at)
                                       FROM item_stages a INDEXED BY idx_item_stages_leased
                                      WHERE a.status = 'in_progress'
                                        AND a.job_id = c.job_id AND a.stage = c.stage),
                   'free_us', r.free_us,
                   'expected_usd', iif(u.attempts > 0, u.usd / u.attempts, NULL),
                   'known_costs', coalesce(u.attempts, 0), 'has_costs', u.stage IS NOT NULL,
                   'finished', (SELECT coalesce(sum(t.count), 0) FROM stage_timings t
                                 WHERE t.job_id = c.job_id AND t.stage = c.stage)))
          FROM stage_counts c
          LEFT JOIN rates r ON r.job_id = c.job_id AND r.stage = c.stage
          LEFT JOIN stage_costs u ON u.job_id = c.job_id AND u.stage = c.stage
         WHERE c.job_id = :job_id) AS stages,
       (SELECT json_group_array(json_array(need, stage)) FROM stage_needs WHERE job_id = :job_id) AS needs,
       (SELECT json_group_array(json_object('stage', stage, 'worker', worker, 'since_at', since_at,
                                            'leased_until', leased_until))
          FROM (SELECT stage, worker, min(started_at) AS since_at, leased_until
                  FROM item_stages INDEXED BY idx_item_stages_leased
                 WHERE status = 'in_progress' AND job_id = :job_id
                 GROUP BY stage)) AS longest,
       (SELECT json_group_array(json_object('stage', stage, 'since_at', since_at, 'resend_at', resend_at))
          FROM (SELECT stage, min(queued_at) AS since_at, resend_at
                  FROM item_stages INDEXED BY idx_item_stages_sent
                 WHERE status = 'pending' AND queued_at IS NOT NULL AND retry_at IS NULL AND job_id = :job_id
                 GROUP BY stage)) AS sent,
       (SELECT json_object('stage', n.stage, 'retry_at', n.retry_at, 'reason', n.reason,
                           'waits_for_host', (SELECT w.host FROM host_waits w
                                               WHERE w.item_id = n.item_id AND w.stage = n.stage
                                                 AND w.retry_at = n.retry_at LIMIT 1))
          FROM (SELECT item_id, stage, retry_at, reason
                  FROM item_stages INDEXED BY idx_item_stages_parked
                 WHERE job_id = :job_id AND status = 'pending' AND retry_at IS NOT NULL
                 ORDER BY retry_at
                 LIMIT 1) n) AS next_retry,
       (SELECT json_group_array(json_object('stage', stage, 'name', name, 'error_type', error_type,
                                            'signature', signature, 'failed', failed))
          FROM (SELECT stage, name, error_type, signature, max(failed) AS failed
                  FROM (SELECT *
                          FROM failure_groups INDEXED BY idx_failure_groups_failed
                         WHERE job_id = :job_id AND failed > 0
                         ORDER BY failed DESC
                         LIMIT 1000)
                 GROUP BY stage)) AS failures,
       (SELECT json_object('total', pending + in_progress + done + failed + skipped, 'unopened', unopened,
                           'held', held)
          FROM item_counts
         WHERE job_id = :job_id) AS items,
       (SELECT json_object('started_at', started_at, 'ended_at', ended_at, 'leased_until', leased_until,
                           'outcome', outcome, 'error', error, 'retry_at', retry_at, 'waits_for', waits_for)
          FROM (SELECT started_at, ended_at, leased_until, outcome, error, retry_at, waits_for
                  FROM discovery_runs
                 WHERE job_id = :job_id
                 ORDER BY run_id DESC
                 LIMIT 1)) AS look,
       (SELECT min(discovered_at)
          FROM work_items INDEXED BY idx_work_items_fresh
         WHERE job_id = :job_id AND fresh = 1 AND discovered_at > 0) AS oldest_fresh_at,
       (SELECT woken_at FROM jobs WHERE job_id = :job_id) AS woken_at,
       (SELECT value FROM meta WHERE name = 'swept_at') AS swept_at,
       (SELECT value FROM meta WHERE name = 'beat_at') AS ticked_at,
       EXISTS (SELECT 1 FROM item_stages INDEXED BY idx_item_stages_leased
                WHERE status = 'in_progress' AND leased_until > :now) AS is_anything_held,
       EXISTS (SELECT 1 FROM plan_changes WHERE job_id = :job_id) AS is_changing,
       (SELECT json_object('item_id', item_id, 'status', status, 'host', host, 'opened_at', opened_at)
          FROM work_items
         WHERE job_id = :job_id AND key = :key) AS item,
       (SELECT held_at FROM held_items WHERE job_id = :job_id AND key = :key) AS held_at,
       (SELECT json_group_array(json_object(
                   'stage', s.stage, 'status', s.status, 'attempt', s.attempt, 'needs_left', s.needs_left,
                   'queued_at', s.queued_at, 'resend_at', s.resend_at, 'retry_at', s.retry_at,
                   'leased_until', s.leased_until, 'worker', s.worker, 'started_at', s.started_at,
                   'reason', s.reason, 'backfill', s.backfill, 'over_budget', s.over_budget,
                   'cancelled_by', s.cancelled_by, 'done', p.done, 'total', p.total, 'note', p.note,
                   'error_type', f.error_type, 'message', f.message, 'signature', f.signature, 'failure_group', g.name,
                   'alike', coalesce(g.failed, 0),
                   'waits_for_host', (SELECT w.host FROM host_waits w
                                       WHERE w.item_id = s.item_id AND w.stage = s.stage
                                         AND w.retry_at = s.retry_at LIMIT 1))
                   ORDER BY s.position)
          FROM work_items i
          JOIN item_stages s ON s.item_id = i.item_id
          LEFT JOIN progress p ON p.item_id = s.item_id AND p.stage = s.stage
          LEFT JOIN failures f ON f.item_id = s.item_id AND f.stage = s.stage AND f.attempt = s.attempt
          LEFT JOIN failure_groups g ON g.group_id = s.failure_group
         WHERE i.job_id = :job_id AND i.key = :key) AS item_stages
"""


def read_facts(conn: Connection, job_id: str, key: str | None = None) -> Facts:
    """Read the facts about a job, and about one item of it if a key is given, which may be unknown."""
    now = now_ms()
    row = conn.execute(EXPLAIN, {"job_id": job_id, "key": key, "now": now}).fetchone()
    stages = _read_list(StageCounts, row["stages"])
    needs: dict[str, list[str]] = {}
    for need, stage in json.loads(row["needs"]):
        needs.setdefault(stage, []).append(need)
    return Facts(
        job=job_id,
        key=key,
        now=now,
        pauses=_read_list(Paused, row["pauses"]),
        workers=_read_list(Serving, row["workers"]),
        holds=_read_list(Held, row["holds"]),
        slow_hosts=_read_list(SlowHost, row["slow_hosts"]),
        stages={one.stage: one for one in stages},
        needs=needs,
        longest={one.stage: one for one in _read_list(Since, row["longest"])},
        sent={one.stage: one for one in _read_list(Since, row["sent"])},
        next_retry=_read(NextRetry, row["next_retry"]),
        failures={one.stage: one for one in _read_list(Failed, row["failures"])},
        items=_read(ItemCounts, row["items"]) or ItemCounts(),
        look=_read(Look, row["look"]),
        oldest_fresh_at=row["oldest_fresh_at"],
        woken_at=row["woken_at"],
        swept_at=None if row["swept_at"] is None else int(row["swept_at"]),
        ticked_at=None if row["ticked_at"] is None else int(row["ticked_at"]),
        is_anything_held=bool(row["is_anything_held"]),
        is_changing=bool(row["is_changing"]),
        item=_read(ItemFact, row["item"]),
        held_at=row["held_at"],
        item_stages=_read_list(ItemStage, row["item_stages"]),
    )


T = TypeVar("T")


def _read_list(kind: type[T], text: str) -> list[T]:
    return [kind(**one) for one in json.loads(text)]


def _read(kind: type[T], text: str | None) -> T | None:
    return None if text is None else kind(**json.loads(text))
