"""The first word of a job: the tracker knows it from then on, whatever it has to do."""

from __future__ import annotations

INTRODUCE_JOB = "INSERT INTO jobs (job_id, first_seen_at) VALUES (:job_id, :now) ON CONFLICT DO NOTHING"
