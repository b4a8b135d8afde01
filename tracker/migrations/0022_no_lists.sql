-- A claim and a settlement build no tables of their own.
--
-- SQLite builds a temporary table of a list of three values or more, each time that a statement or a trigger meets one:
-- eleven for each stage, a third of the time of its two transactions. Two values are only compared.

-- In the tables' definitions the words alone are changed, as in the migration before: the rows are as they have to be.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
   SET sql = replace(replace(sql,
       'CHECK (status IN (''pending'', ''in_progress'', ''done'', ''failed'', ''skipped''))',
       'CHECK (status = ''pending'' OR status = ''in_progress'' OR status = ''done'' OR status = ''failed'' OR status = ''skipped'')'),
       'CHECK ((status IN (''done'', ''failed'', ''skipped'')) = (ended_at IS NOT NULL))',
       'CHECK ((status NOT IN (''pending'', ''in_progress'')) = (ended_at IS NOT NULL))')
 WHERE type = 'table' AND name IN ('work_items', 'item_stages');
PRAGMA writable_schema = RESET;

-- And it prepares each trigger that an update may concern, whether or not it does: so what concerns ended stages is one
-- trigger. As before: an ended stage moves only in the ways that it may; one that begins afresh is not fresh any more, and
-- neither is what its item still waits for; a group of failures counts those that are failed.
DROP TRIGGER item_stages_refuse_illegal_moves;
DROP TRIGGER item_stages_join_backfill;
DROP TRIGGER item_stages_count_group_on_update;
CREATE TRIGGER item_stages_move_at_the_end
AFTER UPDATE OF status, failure_group ON item_stages
WHEN OLD.status NOT IN ('pending', 'in_progress') OR NEW.status = 'failed'
BEGIN
    SELECT RAISE(ABORT, 'illegal move: an ended stage can only begin afresh, or be left out when it failed')
     WHERE OLD.status NOT IN ('pending', 'in_progress') AND NEW.status NOT IN ('pending', OLD.status)
       AND NOT (OLD.status = 'failed' AND NEW.status = 'skipped');
    UPDATE item_stages
       SET backfill = 1
     WHERE NEW.status = 'pending' AND item_id = NEW.item_id AND status = 'pending' AND backfill = 0;
    UPDATE work_items
       SET fresh = 0
     WHERE NEW.status = 'pending' AND item_id = NEW.item_id AND fresh = 1;
    UPDATE failure_groups
       SET failed = failed - 1
     WHERE OLD.status = 'failed' AND group_id = OLD.failure_group
       AND (NEW.status <> 'failed' OR NEW.failure_group IS NOT OLD.failure_group);
    UPDATE failure_groups
       SET failed = failed + 1
     WHERE NEW.status = 'failed' AND group_id = NEW.failure_group
       AND (OLD.status <> 'failed' OR NEW.failure_group IS NOT OLD.failure_group);
END;

-- As before, in one trigger for every move.
DROP TRIGGER item_stages_cache_status_on_claim;
DROP TRIGGER item_stages_cache_status_on_update;
CREATE TRIGGER item_stages_cache_status_on_update
AFTER UPDATE OF status ON item_stages
WHEN NEW.status <> OLD.status
BEGIN
    UPDATE work_items
       SET status = iif(NEW.status = 'in_progress',
                        'in_progress',
                        coalesce((SELECT min(s.status)
                                    FROM item_stages s
                                   WHERE s.item_id = NEW.item_id AND s.status BETWEEN 'failed' AND 'pending'), 'done'))
     WHERE item_id = NEW.item_id AND (NEW.status <> 'in_progress' OR status = 'pending');
END;

-- As before, in one trigger: an item that has ended is not fresh any more, and is counted in the minute of its end.
DROP TRIGGER work_items_end_fresh;
DROP TRIGGER work_items_count_minutes;
CREATE TRIGGER work_items_end
AFTER UPDATE OF status ON work_items
WHEN NEW.status <> OLD.status AND NEW.status NOT IN ('pending', 'in_progress')
BEGIN
    UPDATE work_items SET fresh = 0 WHERE item_id = NEW.item_id AND fresh = 1;
    INSERT INTO item_minutes (job_id, minute, done, failed)
    VALUES (NEW.job_id,
            (SELECT coalesce(max(ended_at) / 60000, unixepoch() / 60) FROM item_stages WHERE item_id = NEW.item_id),
            NEW.status = 'done', NEW.status = 'failed')
        ON CONFLICT DO UPDATE SET done = done + excluded.done, failed = failed + excluded.failed;
END;

-- As before, but only where there is something to let go of: to look is cheap, to delete nothing is not.
DROP TRIGGER item_stages_let_go_on_update;
CREATE TRIGGER item_stages_let_go_on_update
AFTER UPDATE OF status ON item_stages
WHEN OLD.status = 'in_progress' AND NEW.status <> 'in_progress'
 AND (EXISTS (SELECT 1 FROM artifact_uses WHERE kind = 'attempt' AND id = OLD.item_id AND stage = OLD.stage)
      OR EXISTS (SELECT 1 FROM progress WHERE item_id = OLD.item_id AND stage = OLD.stage))
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'attempt' AND id = OLD.item_id AND stage = OLD.stage;
    DELETE FROM progress WHERE item_id = OLD.item_id AND stage = OLD.stage;
END;

-- As before.
DROP TRIGGER item_stages_reserve_late_claim;
CREATE TRIGGER item_stages_reserve_late_claim
AFTER UPDATE OF status ON item_stages
WHEN NEW.status = 'in_progress' AND OLD.queued_at IS NULL
 AND (EXISTS (SELECT 1 FROM budgets WHERE job_id = NEW.job_id) OR EXISTS (SELECT 1 FROM budgets WHERE job_id = '*'))
BEGIN
    INSERT INTO reservations (item_id, stage, attempt, job_id, usd)
    SELECT NEW.item_id, NEW.stage, NEW.attempt, NEW.job_id, usd / attempts
      FROM stage_costs
     WHERE job_id = NEW.job_id AND stage = NEW.stage AND attempts > 0 AND usd > 0.0
        ON CONFLICT DO UPDATE
       SET attempt = excluded.attempt, usd = excluded.usd;
END;
