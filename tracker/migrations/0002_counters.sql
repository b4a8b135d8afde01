-- Counters that nobody has to remember to keep: triggers move them with the rows, in the same transaction.
-- Status caches and counts are therefore exact, and no page or dispatch ever counts rows.

CREATE TABLE stage_counts (
    job_id      TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    pending     INTEGER NOT NULL DEFAULT 0,
    in_progress INTEGER NOT NULL DEFAULT 0,
    done        INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    queued      INTEGER NOT NULL DEFAULT 0,     -- the runway: stamped, not yet claimed
    countdown   INTEGER NOT NULL DEFAULT 0,     -- stamped with a countdown: the broker holds it until retry_at
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;

CREATE TABLE item_counts (
    job_id      TEXT    PRIMARY KEY NOT NULL,
    pending     INTEGER NOT NULL DEFAULT 0,
    in_progress INTEGER NOT NULL DEFAULT 0,
    done        INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    unopened    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- How long stages took, as a histogram: bucket b holds durations of about 2^(b/8) milliseconds (9 % wide).
CREATE TABLE stage_timings (
    job_id   TEXT    NOT NULL,
    stage    TEXT    NOT NULL,
    bucket   INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    total_ms INTEGER NOT NULL,
    max_ms   INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage, bucket)
) STRICT, WITHOUT ROWID;

-- How many attempts were settled in each minute, for rates; old minutes are pruned by the sweep.
CREATE TABLE stage_minutes (
    job_id  TEXT    NOT NULL,
    stage   TEXT    NOT NULL,
    minute  INTEGER NOT NULL,                   -- Unix minutes
    settled INTEGER NOT NULL,
    failed  INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage, minute)
) STRICT, WITHOUT ROWID;

INSERT INTO stage_counts (job_id, stage, pending, in_progress, done, failed, skipped, queued, countdown)
SELECT job_id, stage,
       sum(status = 'pending'), sum(status = 'in_progress'), sum(status = 'done'), sum(status = 'failed'),
       sum(status = 'skipped'),
       sum(queued_at IS NOT NULL AND retry_at IS NULL), sum(queued_at IS NOT NULL AND retry_at IS NOT NULL)
  FROM item_stages
 GROUP BY job_id, stage;

INSERT INTO item_counts (job_id, pending, in_progress, done, failed, skipped, unopened)
SELECT job_id,
       sum(status = 'pending'), sum(status = 'in_progress'), sum(status = 'done'), sum(status = 'failed'),
       sum(status = 'skipped'), sum(opened_at IS NULL)
  FROM work_items
 GROUP BY job_id;

-- An ended stage can only begin afresh; see pipeline/lifecycle.py, from which a test derives this.
CREATE TRIGGER item_stages_refuse_illegal_moves
BEFORE UPDATE OF status ON item_stages
WHEN OLD.status IN ('done', 'failed', 'skipped') AND NEW.status NOT IN ('pending', OLD.status)
BEGIN
    SELECT RAISE(ABORT, 'illegal move: an ended stage can only begin afresh');
END;

CREATE TRIGGER item_stages_count_inserts
AFTER INSERT ON item_stages
BEGIN
    INSERT INTO stage_counts (job_id, stage, pending, in_progress, done, failed, skipped, queued, countdown)
    VALUES (NEW.job_id, NEW.stage,
            NEW.status = 'pending', NEW.status = 'in_progress', NEW.status = 'done', NEW.status = 'failed',
            NEW.status = 'skipped',
            NEW.queued_at IS NOT NULL AND NEW.retry_at IS NULL,
            NEW.queued_at IS NOT NULL AND NEW.retry_at IS NOT NULL)
        ON CONFLICT DO UPDATE
       SET pending     = pending + excluded.pending,
           in_progress = in_progress + excluded.in_progress,
           done        = done + excluded.done,
           failed      = failed + excluded.failed,
           skipped     = skipped + excluded.skipped,
           queued      = queued + excluded.queued,
           countdown   = countdown + excluded.countdown;
END;

CREATE TRIGGER item_stages_count_updates
AFTER UPDATE OF status, queued_at, retry_at ON item_stages
BEGIN
    UPDATE stage_counts
       SET pending     = pending + (NEW.status = 'pending') - (OLD.status = 'pending'),
           in_progress = in_progress + (NEW.status = 'in_progress') - (OLD.status = 'in_progress'),
           done        = done + (NEW.status = 'done') - (OLD.status = 'done'),
           failed      = failed + (NEW.status = 'failed') - (OLD.status = 'failed'),
           skipped     = skipped + (NEW.status = 'skipped') - (OLD.status = 'skipped'),
           queued      = queued + (NEW.queued_at IS NOT NULL AND NEW.retry_at IS NULL)
                                - (OLD.queued_at IS NOT NULL AND OLD.retry_at IS NULL),
           countdown   = countdown + (NEW.queued_at IS NOT NULL AND NEW.retry_at IS NOT NULL)
                                   - (OLD.queued_at IS NOT NULL AND OLD.retry_at IS NOT NULL)
     WHERE job_id = NEW.job_id AND stage = NEW.stage;
END;

CREATE TRIGGER item_stages_count_deletes
AFTER DELETE ON item_stages
BEGIN
    UPDATE stage_counts
       SET pending     = pending - (OLD.status = 'pending'),
           in_progress = in_progress - (OLD.status = 'in_progress'),
           done        = done - (OLD.status = 'done'),
           failed      = failed - (OLD.status = 'failed'),
           skipped     = skipped - (OLD.status = 'skipped'),
           queued      = queued - (OLD.queued_at IS NOT NULL AND OLD.retry_at IS NULL),
           countdown   = countdown - (OLD.queued_at IS NOT NULL AND OLD.retry_at IS NOT NULL)
     WHERE job_id = OLD.job_id AND stage = OLD.stage;
END;

CREATE TRIGGER work_items_count_inserts
AFTER INSERT ON work_items
BEGIN
    INSERT INTO item_counts (job_id, pending, in_progress, done, failed, skipped, unopened)
    VALUES (NEW.job_id,
            NEW.status = 'pending', NEW.status = 'in_progress', NEW.status = 'done', NEW.status = 'failed',
            NEW.status = 'skipped', NEW.opened_at IS NULL)
        ON CONFLICT DO UPDATE
       SET pending     = pending + excluded.pending,
           in_progress = in_progress + excluded.in_progress,
           done        = done + excluded.done,
           failed      = failed + excluded.failed,
           skipped     = skipped + excluded.skipped,
           unopened    = unopened + excluded.unopened;
END;

CREATE TRIGGER work_items_count_updates
AFTER UPDATE OF status, opened_at ON work_items
BEGIN
    UPDATE item_counts
       SET pending     = pending + (NEW.status = 'pending') - (OLD.status = 'pending'),
           in_progress = in_progress + (NEW.status = 'in_progress') - (OLD.status = 'in_progress'),
           done        = done + (NEW.status = 'done') - (OLD.status = 'done'),
           failed      = failed + (NEW.status = 'failed') - (OLD.status = 'failed'),
           skipped     = skipped + (NEW.status = 'skipped') - (OLD.status = 'skipped'),
           unopened    = unopened + (NEW.opened_at IS NULL) - (OLD.opened_at IS NULL)
     WHERE job_id = NEW.job_id;
END;

CREATE TRIGGER work_items_count_deletes
AFTER DELETE ON work_items
BEGIN
    UPDATE item_counts
       SET pending     = pending - (OLD.status = 'pending'),
           in_progress = in_progress - (OLD.status = 'in_progress'),
           done        = done - (OLD.status = 'done'),
           failed      = failed - (OLD.status = 'failed'),
           skipped     = skipped - (OLD.status = 'skipped'),
           unopened    = unopened - (OLD.opened_at IS NULL)
     WHERE job_id = OLD.job_id;
END;
