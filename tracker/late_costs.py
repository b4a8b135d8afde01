"""
What was spent late under a name that a stage is about to get.

An attempt that was overtaken says what it spent under the name by which it began: that may be the new one by now.
"""

from __future__ import annotations

ADD_LATE_COSTS = """
INSERT INTO stage_costs (job_id, stage, attempts, usd, unknown)
SELECT job_id, :old, attempts, usd, unknown FROM stage_costs WHERE job_id = :job_id AND stage = :new
    ON CONFLICT DO UPDATE
   SET attempts = attempts + excluded.attempts, usd = usd + excluded.usd, unknown = unknown + excluded.unknown
"""
DROP_LATE_COSTS = "DELETE FROM stage_costs WHERE job_id = :job_id AND stage = :new"
ADD_LATE_DAYS = """
INSERT INTO spent_days (day, job_id, stage, provider, model, usd, costs, unknown)
SELECT day, job_id, :old, provider, model, usd, costs, unknown
  FROM spent_days
 WHERE job_id = :job_id AND stage = :new
    ON CONFLICT DO UPDATE
   SET usd = usd + excluded.usd, costs = costs + excluded.costs, unknown = unknown + excluded.unknown
"""
DROP_LATE_DAYS = "DELETE FROM spent_days WHERE job_id = :job_id AND stage = :new"
ADD_LATE_UNITS = """
INSERT INTO spent_units (day, job_id, stage, provider, model, unit, count)
SELECT day, job_id, :old, provider, model, unit, count FROM spent_units WHERE job_id = :job_id AND stage = :new
    ON CONFLICT DO UPDATE
   SET count = count + excluded.count
"""
DROP_LATE_UNITS = "DELETE FROM spent_units WHERE job_id = :job_id AND stage = :new"

TAKE_LATE_COSTS = (
    ADD_LATE_COSTS,
    DROP_LATE_COSTS,
    ADD_LATE_DAYS,
    DROP_LATE_DAYS,
    ADD_LATE_UNITS,
    DROP_LATE_UNITS,
)
"""Add up under the old name what was spent under the new one, before that is renamed."""
