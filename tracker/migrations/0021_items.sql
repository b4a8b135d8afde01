-- What stays of an item whatever else is forgotten: what it has spent, and that its id is its own.

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

-- An id is given once, also when its item is taken out: events, costs and documents know items by it. The word alone is
-- put into the table's definition, for the rows stay as they are: a million are not written anew. SQLite's own table of
-- ids comes with the first table that has the word.
CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT) STRICT;
DROP TABLE numbered;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
   SET sql = replace(sql, 'INTEGER PRIMARY KEY,', 'INTEGER PRIMARY KEY AUTOINCREMENT,')
 WHERE type = 'table' AND name = 'work_items';
PRAGMA writable_schema = RESET;

INSERT INTO sqlite_sequence (name, seq)
SELECT 'work_items',
       max((SELECT coalesce(max(item_id), 0) FROM work_items),
           (SELECT coalesce(max(item_id), 0) FROM events WHERE item_id IS NOT NULL),
           (SELECT coalesce(max(item_id), 0) FROM costs WHERE item_id IS NOT NULL));

-- What is searched for is not there any more when its item is gone.
CREATE TRIGGER work_items_forget_document
AFTER DELETE ON work_items
BEGIN
    DELETE FROM search_documents WHERE rowid = OLD.item_id;
END;

-- Where an item was taken out, another may have its id, and be found by its words: such jobs are read anew.
DELETE FROM search_documents
 WHERE rowid NOT IN (SELECT item_id
                       FROM work_items
                      WHERE job_id NOT IN (SELECT job_id FROM actions WHERE act = 'inject' AND undone_by IS NOT NULL));
DELETE FROM search_progress
 WHERE job_id IN (SELECT job_id FROM actions WHERE act = 'inject' AND undone_by IS NOT NULL);
