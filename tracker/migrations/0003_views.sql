-- What people read: derived status, the trigger that caches it, and views with times as text.

CREATE VIEW item_derived_status AS
SELECT i.item_id,
       i.job_id,
       (SELECT CASE
                   WHEN count(*) = 0                                      THEN 'pending'
                   WHEN max(s.status = 'failed')                          THEN 'failed'
                   WHEN NOT max(s.status IN ('pending', 'in_progress'))   THEN 'done'
                   WHEN max(s.status = 'in_progress')                     THEN 'in_progress'
                   ELSE 'pending'
               END
          FROM item_stages s
         WHERE s.item_id = i.item_id) AS derived_status
  FROM work_items i;

CREATE TRIGGER item_stages_cache_status_on_insert
AFTER INSERT ON item_stages
WHEN NEW.status <> 'pending' OR (SELECT status FROM work_items WHERE item_id = NEW.item_id) <> 'pending'
BEGIN
    UPDATE work_items
       SET status = (SELECT derived_status FROM item_derived_status WHERE item_id = NEW.item_id)
     WHERE item_id = NEW.item_id
       AND status <> (SELECT derived_status FROM item_derived_status WHERE item_id = NEW.item_id);
END;

CREATE TRIGGER item_stages_cache_status_on_update
AFTER UPDATE OF status ON item_stages
WHEN NEW.status <> OLD.status
BEGIN
    UPDATE work_items
       SET status = d.derived_status
      FROM item_derived_status d
     WHERE d.item_id = NEW.item_id
       AND work_items.item_id = NEW.item_id
       AND work_items.status <> d.derived_status;
END;

CREATE TRIGGER item_stages_cache_status_on_delete
AFTER DELETE ON item_stages
BEGIN
    UPDATE work_items
       SET status = (SELECT derived_status FROM item_derived_status WHERE item_id = OLD.item_id)
     WHERE item_id = OLD.item_id;
END;

CREATE VIEW v_items AS
SELECT i.job_id                                                      AS job,
       i.key,
       i.status,
       i.priority,
       strftime('%F %T', i.discovered_at / 1000.0, 'unixepoch')      AS discovered,
       (SELECT group_concat(s.stage || ':' || s.status, ' ')
          FROM (SELECT stage, status FROM item_stages WHERE item_id = i.item_id ORDER BY position) s) AS stages,
       i.data,
       i.item_id
  FROM work_items i;

CREATE VIEW v_stages AS
SELECT s.job_id                                                      AS job,
       i.key,
       s.stage,
       s.status,
       s.attempt,
       s.retries,
       s.reason,
       s.worker,
       strftime('%F %T', s.queued_at / 1000.0, 'unixepoch')          AS queued,
       strftime('%F %T', s.retry_at / 1000.0, 'unixepoch')           AS retry,
       strftime('%F %T', s.started_at / 1000.0, 'unixepoch')         AS started,
       strftime('%F %T', s.ended_at / 1000.0, 'unixepoch')           AS ended,
       round((s.ended_at - s.started_at) / 1000.0, 3)                AS seconds,
       s.item_id
  FROM item_stages s
  JOIN work_items i ON i.item_id = s.item_id;

CREATE VIEW v_failures AS
SELECT s.job_id                                                      AS job,
       i.key,
       s.stage,
       s.attempt,
       f.error_type,
       coalesce(f.message, s.reason)                                 AS message,
       f.signature,
       strftime('%F %T', s.ended_at / 1000.0, 'unixepoch')           AS failed,
       f.traceback,
       s.item_id
  FROM item_stages s
  JOIN work_items i ON i.item_id = s.item_id
  LEFT JOIN failures f ON f.item_id = s.item_id AND f.stage = s.stage AND f.attempt = s.attempt
 WHERE s.status = 'failed';

CREATE VIEW v_results AS
SELECT r.job_id                                                      AS job,
       i.key,
       r.stage,
       r.result,
       r.handler_version,
       r.attempt,
       strftime('%F %T', r.stored_at / 1000.0, 'unixepoch')          AS stored,
       r.item_id
  FROM results r
  JOIN work_items i ON i.item_id = r.item_id;

CREATE VIEW v_costs AS
SELECT c.job_id                                                      AS job,
       i.key,
       c.stage,
       c.attempt,
       c.usd,
       c.provider,
       c.units,
       strftime('%F %T', c.spent_at / 1000.0, 'unixepoch')           AS spent,
       c.item_id
  FROM costs c
  LEFT JOIN work_items i ON i.item_id = c.item_id;
