-- Failures by group; and what filters look at, with the indexes by which they find it.

ALTER TABLE work_items ADD COLUMN source TEXT;  -- where it was found; NULL where its strategy has but one source
ALTER TABLE work_items ADD COLUMN host TEXT;    -- of its data's `url`, else `link`, in lower case; NULL without one
ALTER TABLE held_items ADD COLUMN host TEXT;

-- JSON splits a text where SQLite's functions would find but the first place: `a/b` becomes `["a","b"]`.
UPDATE work_items
   SET host = nullif(nullif(lower(('[' || replace(json_quote(('[' || replace(json_quote(('[' || replace(
                  replace(replace(replace(json_quote(coalesce(data ->> '$.url', data ->> '$.link')),
                                          '\\', '/'), '?', '/'), '#', '/'),
                  '/', '","') || ']') ->> '$[2]'), '@', '","') || ']') ->> '$[#-1]'), ':', '","') || ']') ->> '$[0]'),
              ''), '[')
 WHERE instr(data, '://') AND json_valid(data)
   AND lower(coalesce(data ->> '$.url', data ->> '$.link')) GLOB 'http*://*';

CREATE INDEX idx_work_items_host ON work_items (job_id, host, item_id) WHERE host IS NOT NULL;
CREATE INDEX idx_work_items_source ON work_items (job_id, source, item_id) WHERE source IS NOT NULL;
CREATE INDEX idx_work_items_discovered ON work_items (job_id, discovered_at, item_id);

-- Those that run are few, and have an index of their own: a claim need not touch this one.
DROP INDEX idx_item_stages_ended;               -- this one is that one's, too
CREATE INDEX idx_item_stages_status ON item_stages (job_id, stage, status, item_id) WHERE status <> 'in_progress';

ALTER TABLE failures ADD COLUMN host TEXT;             -- that was asked when it failed; NULL when nobody knows
ALTER TABLE failures ADD COLUMN handler_version TEXT;  -- of the handler that failed

-- Failures that are alike: of one job, stage and host, with one signature. Kept by triggers.
CREATE TABLE failure_groups (
    group_id        INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL DEFAULT (lower(hex(randomblob(4)))),  -- by which people call it
    job_id          TEXT    NOT NULL,
    stage           TEXT    NOT NULL,
    host            TEXT    NOT NULL,           -- where it failed, else the item's; '' when there is none
    signature       TEXT    NOT NULL,
    error_type      TEXT    NOT NULL,
    failed          INTEGER NOT NULL DEFAULT 0, -- stages that are failed with it now
    attempts        INTEGER NOT NULL DEFAULT 0, -- attempts that ever failed with it, those tried again included
    first_seen_at   INTEGER NOT NULL,
    last_seen_at    INTEGER NOT NULL,
    example_item_id INTEGER NOT NULL,           -- the last attempt that failed with it
    example_attempt INTEGER NOT NULL,
    muted_at        INTEGER,
    muted_by        TEXT,
    UNIQUE (job_id, stage, host, signature),
    CHECK ((muted_at IS NULL) = (muted_by IS NULL))
) STRICT;

CREATE INDEX idx_failure_groups_name ON failure_groups (name);
CREATE INDEX idx_failure_groups_failed ON failure_groups (job_id, failed DESC, group_id) WHERE failed > 0;

-- The versions of the handler under which a group was seen.
CREATE TABLE failure_group_versions (
    group_id        INTEGER NOT NULL REFERENCES failure_groups (group_id) ON DELETE CASCADE,
    handler_version TEXT    NOT NULL,
    attempts        INTEGER NOT NULL,
    last_seen_at    INTEGER NOT NULL,
    PRIMARY KEY (group_id, handler_version)
) STRICT, WITHOUT ROWID;

INSERT INTO failure_groups (job_id, stage, host, signature, error_type, attempts, first_seen_at, last_seen_at,
                            example_item_id, example_attempt)
SELECT f.job_id, f.stage, coalesce(i.host, ''), f.signature, f.error_type, count(*), min(f.failed_at),
       max(f.failed_at), f.item_id, f.attempt
  FROM failures f
  JOIN work_items i ON i.item_id = f.item_id
 GROUP BY f.job_id, f.stage, coalesce(i.host, ''), f.signature;

-- The group of its last failure; see the index, which holds those that are failed now.
ALTER TABLE item_stages ADD COLUMN failure_group INTEGER;

UPDATE item_stages
   SET failure_group = (SELECT g.group_id
                          FROM failures f
                          JOIN work_items i ON i.item_id = f.item_id
                          JOIN failure_groups g ON g.job_id = f.job_id AND g.stage = f.stage
                                               AND g.host = coalesce(i.host, '') AND g.signature = f.signature
                         WHERE f.item_id = item_stages.item_id AND f.stage = item_stages.stage
                           AND f.attempt = item_stages.attempt)
 WHERE status = 'failed';

CREATE INDEX idx_item_stages_failure_group ON item_stages (failure_group, item_id, stage) WHERE status = 'failed';

UPDATE failure_groups
   SET failed = (SELECT count(*)
                   FROM item_stages INDEXED BY idx_item_stages_failure_group
                  WHERE failure_group = failure_groups.group_id AND status = 'failed');

CREATE TRIGGER failures_join_group_on_insert
AFTER INSERT ON failures
BEGIN
    INSERT INTO failure_groups (job_id, stage, host, signature, error_type, attempts, first_seen_at, last_seen_at,
                                example_item_id, example_attempt)
    VALUES (NEW.job_id, NEW.stage,
            coalesce(NEW.host, (SELECT host FROM work_items WHERE item_id = NEW.item_id), ''),
            NEW.signature, NEW.error_type, 1, NEW.failed_at, NEW.failed_at, NEW.item_id, NEW.attempt)
        ON CONFLICT (job_id, stage, host, signature) DO UPDATE
       SET attempts = attempts + 1, last_seen_at = max(last_seen_at, excluded.last_seen_at),
           example_item_id = excluded.example_item_id, example_attempt = excluded.example_attempt;
    INSERT INTO failure_group_versions (group_id, handler_version, attempts, last_seen_at)
    SELECT group_id, NEW.handler_version, 1, NEW.failed_at
      FROM failure_groups
     WHERE NEW.handler_version IS NOT NULL
       AND job_id = NEW.job_id AND stage = NEW.stage AND signature = NEW.signature
       AND host = coalesce(NEW.host, (SELECT host FROM work_items WHERE item_id = NEW.item_id), '')
        ON CONFLICT DO UPDATE
       SET attempts = attempts + 1, last_seen_at = max(last_seen_at, excluded.last_seen_at);
    UPDATE item_stages
       SET failure_group = (SELECT group_id
                              FROM failure_groups
                             WHERE job_id = NEW.job_id AND stage = NEW.stage AND signature = NEW.signature
                               AND host = coalesce(NEW.host,
                                                   (SELECT host FROM work_items WHERE item_id = NEW.item_id), ''))
     WHERE item_id = NEW.item_id AND stage = NEW.stage AND attempt = NEW.attempt AND status = 'failed';
END;

-- An attempt that is failed once more, by hand: as above.
CREATE TRIGGER failures_join_group_on_update
AFTER UPDATE OF failed_at, signature ON failures
BEGIN
    INSERT INTO failure_groups (job_id, stage, host, signature, error_type, attempts, first_seen_at, last_seen_at,
                                example_item_id, example_attempt)
    VALUES (NEW.job_id, NEW.stage,
            coalesce(NEW.host, (SELECT host FROM work_items WHERE item_id = NEW.item_id), ''),
            NEW.signature, NEW.error_type, 1, NEW.failed_at, NEW.failed_at, NEW.item_id, NEW.attempt)
        ON CONFLICT (job_id, stage, host, signature) DO UPDATE
       SET attempts = attempts + 1, last_seen_at = max(last_seen_at, excluded.last_seen_at),
           example_item_id = excluded.example_item_id, example_attempt = excluded.example_attempt;
    INSERT INTO failure_group_versions (group_id, handler_version, attempts, last_seen_at)
    SELECT group_id, NEW.handler_version, 1, NEW.failed_at
      FROM failure_groups
     WHERE NEW.handler_version IS NOT NULL
       AND job_id = NEW.job_id AND stage = NEW.stage AND signature = NEW.signature
       AND host = coalesce(NEW.host, (SELECT host FROM work_items WHERE item_id = NEW.item_id), '')
        ON CONFLICT DO UPDATE
       SET attempts = attempts + 1, last_seen_at = max(last_seen_at, excluded.last_seen_at);
    UPDATE item_stages
       SET failure_group = (SELECT group_id
                              FROM failure_groups
                             WHERE job_id = NEW.job_id AND stage = NEW.stage AND signature = NEW.signature
                               AND host = coalesce(NEW.host,
                                                   (SELECT host FROM work_items WHERE item_id = NEW.item_id), ''))
     WHERE item_id = NEW.item_id AND stage = NEW.stage AND attempt = NEW.attempt AND status = 'failed';
END;

CREATE TRIGGER item_stages_count_group_on_insert
AFTER INSERT ON item_stages
WHEN NEW.status = 'failed' AND NEW.failure_group IS NOT NULL
BEGIN
    UPDATE failure_groups SET failed = failed + 1 WHERE group_id = NEW.failure_group;
END;

CREATE TRIGGER item_stages_count_group_on_update
AFTER UPDATE OF status, failure_group ON item_stages
WHEN (OLD.status = 'failed' OR NEW.status = 'failed')
 AND (OLD.status <> NEW.status OR OLD.failure_group IS NOT NEW.failure_group)
BEGIN
    UPDATE failure_groups SET failed = failed - 1 WHERE group_id = OLD.failure_group AND OLD.status = 'failed';
    UPDATE failure_groups SET failed = failed + 1 WHERE group_id = NEW.failure_group AND NEW.status = 'failed';
END;

CREATE TRIGGER item_stages_count_group_on_delete
AFTER DELETE ON item_stages
WHEN OLD.status = 'failed' AND OLD.failure_group IS NOT NULL
BEGIN
    UPDATE failure_groups SET failed = failed - 1 WHERE group_id = OLD.failure_group;
END;

CREATE VIEW v_failure_groups AS
SELECT g.name                                                        AS id,
       g.job_id                                                      AS job,
       g.stage,
       g.host,
       g.signature,
       g.failed,
       g.attempts,
       strftime('%F %T', g.first_seen_at / 1000.0, 'unixepoch')      AS first_seen,
       strftime('%F %T', g.last_seen_at / 1000.0, 'unixepoch')       AS last_seen,
       (SELECT group_concat(v.handler_version, ' ')
          FROM failure_group_versions v
         WHERE v.group_id = g.group_id)                              AS versions,
       strftime('%F %T', g.muted_at / 1000.0, 'unixepoch')           AS muted,
       g.muted_by
  FROM failure_groups g;
