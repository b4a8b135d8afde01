-- The cache of an item's status, as before, at less cost: a claim decides it alone, and what else moves a stage asks
-- the index whether the item has a stage of each status, instead of reading the view into a table of its own.

DROP TRIGGER item_stages_cache_status_on_update;

-- A stage that waited made its item pending, unless another runs or failed: these keep the status that they gave it.
CREATE TRIGGER item_stages_cache_status_on_claim
AFTER UPDATE OF status ON item_stages
WHEN NEW.status = 'in_progress' AND OLD.status = 'pending'
BEGIN
    UPDATE work_items SET status = 'in_progress' WHERE item_id = NEW.item_id AND status = 'pending';
END;

CREATE TRIGGER item_stages_cache_status_on_update
AFTER UPDATE OF status ON item_stages
WHEN NEW.status <> OLD.status AND NOT (NEW.status = 'in_progress' AND OLD.status = 'pending')
BEGIN
    UPDATE work_items
       SET status = CASE
                        WHEN EXISTS (SELECT 1 FROM item_stages s WHERE s.item_id = NEW.item_id AND s.status = 'failed')
                        THEN 'failed'
                        WHEN EXISTS (SELECT 1 FROM item_stages s
                                      WHERE s.item_id = NEW.item_id AND s.status = 'in_progress')
                        THEN 'in_progress'
                        WHEN EXISTS (SELECT 1 FROM item_stages s WHERE s.item_id = NEW.item_id AND s.status = 'pending')
                        THEN 'pending'
                        ELSE 'done'
                    END
     WHERE item_id = NEW.item_id;
END;
