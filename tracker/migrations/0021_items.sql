-- What stays of an item whatever else is forgotten: what it has spent.

-- Only of items that have spent something; kept when the costs themselves are forgotten, gone with the item.
CREATE TABLE spent_items (
    item_id INTEGER PRIMARY KEY REFERENCES work_items (item_id) ON DELETE CASCADE,
    usd     REAL NOT NULL CHECK (usd > 0)
) STRICT;

INSERT INTO spent_items (item_id, usd)
SELECT c.item_id, sum(c.usd)
  FROM costs c
  JOIN work_items i ON i.item_id = c.item_id
 WHERE c.item_id IS NOT NULL AND c.usd > 0.0
 GROUP BY c.item_id;

-- A cost may be told after its item was taken out: it counts for its job alone.
CREATE TRIGGER costs_count_items
AFTER INSERT ON costs
WHEN NEW.item_id IS NOT NULL AND NEW.usd > 0.0
BEGIN
    INSERT INTO spent_items (item_id, usd)
    SELECT item_id, NEW.usd FROM work_items WHERE item_id = NEW.item_id
        ON CONFLICT DO UPDATE SET usd = usd + excluded.usd;
END;
