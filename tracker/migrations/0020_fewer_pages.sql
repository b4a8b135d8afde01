-- A claim and a settlement write fewer pages, and take fewer steps.

-- Items in progress are few, and found by the stages of theirs that run: a claim only takes its item out of this
-- index, and a settlement only puts it in.
DROP INDEX idx_work_items_job_status;
CREATE INDEX idx_work_items_job_status ON work_items (job_id, status, priority DESC, item_id)
    WHERE status <> 'in_progress';

-- As before, but after the update: a trigger before it makes SQLite look for the row a second time.
DROP TRIGGER item_stages_refuse_illegal_moves;
CREATE TRIGGER item_stages_refuse_illegal_moves
AFTER UPDATE OF status ON item_stages
WHEN OLD.status IN ('done', 'failed', 'skipped') AND NEW.status NOT IN ('pending', OLD.status)
 AND NOT (OLD.status = 'failed' AND NEW.status = 'skipped')
BEGIN
    SELECT RAISE(ABORT, 'illegal move: an ended stage can only begin afresh, or be left out when it failed');
END;

-- As before, by one look into the index. Of failed, in_progress and pending an item has the first that a stage of it
-- has, and that is also their order in the alphabet.
DROP TRIGGER item_stages_cache_status_on_update;
CREATE TRIGGER item_stages_cache_status_on_update
AFTER UPDATE OF status ON item_stages
WHEN NEW.status <> OLD.status AND NOT (NEW.status = 'in_progress' AND OLD.status = 'pending')
BEGIN
    UPDATE work_items
       SET status = coalesce((SELECT min(s.status)
                                FROM item_stages s
                               WHERE s.item_id = NEW.item_id AND s.status BETWEEN 'failed' AND 'pending'), 'done')
     WHERE item_id = NEW.item_id;
END;
