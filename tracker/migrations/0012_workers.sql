-- Who works, and what waits for what: what `celeriac workers` and `celeriac explain` read.

-- One row for each worker, written by its parent process: when it starts, and every few seconds. What it runs is
-- in item_stages, whose `worker` is `host:pid` of one of its processes.
CREATE TABLE workers (
    host       TEXT    NOT NULL,
    pid        INTEGER NOT NULL,                -- of the parent
    name       TEXT    NOT NULL,                -- as Celery calls it
    processes  TEXT    NOT NULL,                -- JSON: the pids of those that run stages
    queues     TEXT    NOT NULL,                -- JSON: those that it serves
    version    TEXT    NOT NULL,                -- of the code that it runs
    remote     INTEGER NOT NULL CHECK (remote IN (0, 1)),       -- it cannot open this file: another wrote the row
    scoped     INTEGER NOT NULL CHECK (scoped IN (0, 1)),       -- it works for one run only
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    skew_ms    INTEGER NOT NULL,                -- how far its clock is ahead of the clock that wrote seen_at
    PRIMARY KEY (host, pid)
) STRICT, WITHOUT ROWID;

-- Of the pending stages, apart from those with the broker: what is not among these is ready.
ALTER TABLE stage_counts ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;  -- a stage that they need is not done
ALTER TABLE stage_counts ADD COLUMN parked INTEGER NOT NULL DEFAULT 0;   -- wait here for retry_at

UPDATE stage_counts
   SET blocked = counted.blocked, parked = counted.parked
  FROM (SELECT job_id, stage, sum(needs_left > 0) AS blocked, sum(needs_left = 0 AND retry_at IS NOT NULL) AS parked
          FROM item_stages
         WHERE status = 'pending' AND queued_at IS NULL
         GROUP BY job_id, stage) AS counted
 WHERE counted.job_id = stage_counts.job_id AND counted.stage = stage_counts.stage;

CREATE TRIGGER item_stages_count_waits_on_insert
AFTER INSERT ON item_stages
WHEN NEW.status = 'pending' AND NEW.queued_at IS NULL AND (NEW.needs_left > 0 OR NEW.retry_at IS NOT NULL)
BEGIN
    INSERT INTO stage_counts (job_id, stage, blocked, parked)
    VALUES (NEW.job_id, NEW.stage, NEW.needs_left > 0, NEW.needs_left = 0)
        ON CONFLICT DO UPDATE
       SET blocked = blocked + excluded.blocked, parked = parked + excluded.parked;
END;

CREATE TRIGGER item_stages_count_waits_on_update
AFTER UPDATE OF status, needs_left, retry_at, queued_at ON item_stages
WHEN (NEW.status = 'pending' AND NEW.queued_at IS NULL AND (NEW.needs_left > 0 OR NEW.retry_at IS NOT NULL))
  OR (OLD.status = 'pending' AND OLD.queued_at IS NULL AND (OLD.needs_left > 0 OR OLD.retry_at IS NOT NULL))
BEGIN
    UPDATE stage_counts
       SET blocked = blocked
                   + (NEW.status = 'pending' AND NEW.queued_at IS NULL AND NEW.needs_left > 0)
                   - (OLD.status = 'pending' AND OLD.queued_at IS NULL AND OLD.needs_left > 0),
           parked  = parked
                   + (NEW.status = 'pending' AND NEW.queued_at IS NULL AND NEW.needs_left = 0
                                             AND NEW.retry_at IS NOT NULL)
                   - (OLD.status = 'pending' AND OLD.queued_at IS NULL AND OLD.needs_left = 0
                                             AND OLD.retry_at IS NOT NULL)
     WHERE job_id = NEW.job_id AND stage = NEW.stage;
END;

CREATE TRIGGER item_stages_count_waits_on_delete
AFTER DELETE ON item_stages
WHEN OLD.status = 'pending' AND OLD.queued_at IS NULL AND (OLD.needs_left > 0 OR OLD.retry_at IS NOT NULL)
BEGIN
    UPDATE stage_counts
       SET blocked = blocked - (OLD.needs_left > 0),
           parked  = parked - (OLD.needs_left = 0)
     WHERE job_id = OLD.job_id AND stage = OLD.stage;
END;
