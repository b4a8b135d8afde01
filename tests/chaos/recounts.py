"""What must be found nowhere: the rows that should be gone, and the counters that differ from what they count."""

# Whatever belongs to an attempt that runs, or to a message on its way, must be gone when that is.
LEFT_BEHIND = {
    "a reservation": """
SELECT r.item_id, r.stage FROM reservations r
 WHERE NOT EXISTS (SELECT 1 FROM item_stages s
                    WHERE s.item_id = r.item_id AND s.stage = r.stage
                      AND (s.status = 'in_progress' OR s.queued_at IS NOT NULL))
""",
    "a held file": """
SELECT u.id, u.stage FROM artifact_uses u
 WHERE u.kind = 'attempt'
   AND NOT EXISTS (SELECT 1 FROM item_stages s
                    WHERE s.item_id = u.id AND s.stage = u.stage AND s.status = 'in_progress')
""",
    "progress": """
SELECT p.item_id, p.stage FROM progress p
 WHERE NOT EXISTS (SELECT 1 FROM item_stages s
                    WHERE s.item_id = p.item_id AND s.stage = p.stage AND s.status = 'in_progress')
""",
    "a lease": """
SELECT item_id, stage FROM item_stages WHERE (leased_until IS NOT NULL) <> (status = 'in_progress')
""",
    "a stamp": """
SELECT item_id, stage FROM item_stages WHERE status <> 'pending' AND (queued_at IS NOT NULL OR retry_at IS NOT NULL)
""",
}

MISCOUNTED = {
    "stage_counts": """
WITH counted AS (
    SELECT job_id, stage, sum(status = 'pending') AS pending, sum(status = 'in_progress') AS in_progress,
           sum(status = 'done') AS done, sum(status = 'failed') AS failed, sum(status = 'skipped') AS skipped,
           sum(queued_at IS NOT NULL AND retry_at IS NULL) AS queued,
           sum(queued_at IS NOT NULL AND retry_at IS NOT NULL) AS countdown
      FROM item_stages GROUP BY job_id, stage)
SELECT k.job_id || '.' || k.stage FROM stage_counts k
  LEFT JOIN counted c ON c.job_id = k.job_id AND c.stage = k.stage
 WHERE (k.pending, k.in_progress, k.done, k.failed, k.skipped, k.queued, k.countdown)
    IS NOT (coalesce(c.pending, 0), coalesce(c.in_progress, 0), coalesce(c.done, 0), coalesce(c.failed, 0),
            coalesce(c.skipped, 0), coalesce(c.queued, 0), coalesce(c.countdown, 0))
""",
    "item_counts": """
WITH counted AS (
    SELECT job_id, sum(status = 'pending') AS pending, sum(status = 'in_progress') AS in_progress,
           sum(status = 'done') AS done, sum(status = 'failed') AS failed, sum(status = 'skipped') AS skipped,
           sum(opened_at IS NULL) AS unopened
      FROM work_items GROUP BY job_id)
SELECT k.job_id FROM item_counts k LEFT JOIN counted c ON c.job_id = k.job_id
 WHERE (k.pending, k.in_progress, k.done, k.failed, k.skipped, k.unopened)
    IS NOT (coalesce(c.pending, 0), coalesce(c.in_progress, 0), coalesce(c.done, 0), coalesce(c.failed, 0),
            coalesce(c.skipped, 0), coalesce(c.unopened, 0))
""",
    "result_versions": """
WITH counted AS (
    SELECT job_id, stage, coalesce(handler_version, '') AS version, count(*) AS results
      FROM results GROUP BY job_id, stage, version)
SELECT k.job_id || '.' || k.stage FROM result_versions k
  LEFT JOIN counted c ON c.job_id = k.job_id AND c.stage = k.stage AND c.version = k.handler_version
 WHERE k.results IS NOT c.results
""",
    "spent_totals": """
SELECT k.job_id FROM spent_totals k
 WHERE abs(k.usd - (SELECT total(usd) FROM costs c WHERE k.job_id IN (c.job_id, '*'))) > 1e-6
""",
    "spent_items": """
WITH counted AS (
    SELECT c.item_id, total(c.usd) AS usd FROM costs c JOIN work_items i ON i.item_id = c.item_id GROUP BY c.item_id)
SELECT coalesce(c.item_id, k.item_id) FROM counted c FULL JOIN spent_items k ON k.item_id = c.item_id
 WHERE abs(coalesce(c.usd, 0.0) - coalesce(k.usd, 0.0)) > 1e-6
""",
    "failure_groups": """
SELECT g.job_id || '.' || g.stage FROM failure_groups g
 WHERE g.failed <> (SELECT count(*) FROM item_stages s
                     WHERE s.failure_group = g.group_id AND s.status = 'failed')
""",
}
