-- Results that were replaced, how many each version made, and the stages that are done again.

-- How many results of a stage each version made, kept by triggers; '' where nobody said which.
CREATE TABLE result_versions (
    job_id          TEXT    NOT NULL,
    stage           TEXT    NOT NULL,
    handler_version TEXT    NOT NULL,
    results         INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage, handler_version)
) STRICT, WITHOUT ROWID;

INSERT INTO result_versions (job_id, stage, handler_version, results)
SELECT job_id, stage, coalesce(handler_version, ''), count(*)
  FROM results
 GROUP BY job_id, stage, coalesce(handler_version, '');

CREATE TRIGGER results_count_version_on_insert
AFTER INSERT ON results
BEGIN
    INSERT INTO result_versions (job_id, stage, handler_version, results)
    VALUES (NEW.job_id, NEW.stage, coalesce(NEW.handler_version, ''), 1)
        ON CONFLICT DO UPDATE SET results = results + 1;
END;

CREATE TRIGGER results_count_version_on_update
AFTER UPDATE OF handler_version ON results
WHEN NEW.handler_version IS NOT OLD.handler_version
BEGIN
    INSERT INTO result_versions (job_id, stage, handler_version, results)
    VALUES (NEW.job_id, NEW.stage, coalesce(NEW.handler_version, ''), 1)
        ON CONFLICT DO UPDATE SET results = results + 1;
    UPDATE result_versions
       SET results = results - 1
     WHERE job_id = OLD.job_id AND stage = OLD.stage AND handler_version = coalesce(OLD.handler_version, '');
    DELETE FROM result_versions
     WHERE job_id = OLD.job_id AND stage = OLD.stage AND handler_version = coalesce(OLD.handler_version, '')
       AND results = 0;
END;

CREATE TRIGGER results_count_version_on_delete
AFTER DELETE ON results
BEGIN
    UPDATE result_versions
       SET results = results - 1
     WHERE job_id = OLD.job_id AND stage = OLD.stage AND handler_version = coalesce(OLD.handler_version, '');
    DELETE FROM result_versions
     WHERE job_id = OLD.job_id AND stage = OLD.stage AND handler_version = coalesce(OLD.handler_version, '')
       AND results = 0;
END;

-- Results that a later one has replaced, `keep` of them for each stage of an item.
CREATE TABLE results_history (
    history_id      INTEGER PRIMARY KEY,
    item_id         INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage           TEXT    NOT NULL,
    job_id          TEXT    NOT NULL,
    attempt         INTEGER NOT NULL,
    result          TEXT    NOT NULL,
    handler_version TEXT,
    input_hash      TEXT,
    output_hash     TEXT,
    stored_at       INTEGER NOT NULL,
    replaced_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX idx_results_history_stage ON results_history (item_id, stage, history_id);
CREATE INDEX idx_results_history_replaced ON results_history (replaced_at);

ALTER TABLE job_stages ADD COLUMN keep INTEGER NOT NULL DEFAULT 3 CHECK (keep >= 0);

-- Whoever replaces a result, the one before is kept; the same result by another version replaces nothing.
CREATE TRIGGER results_keep_history
AFTER UPDATE OF result ON results
WHEN NEW.result IS NOT OLD.result AND (NEW.output_hash IS NULL OR NEW.output_hash IS NOT OLD.output_hash)
BEGIN
    INSERT INTO results_history (item_id, stage, job_id, attempt, result, handler_version, input_hash, output_hash,
                                 stored_at, replaced_at)
    VALUES (OLD.item_id, OLD.stage, OLD.job_id, OLD.attempt, OLD.result, OLD.handler_version, OLD.input_hash,
            OLD.output_hash, OLD.stored_at, NEW.stored_at);
    DELETE FROM results_history
     WHERE history_id IN (SELECT history_id
                            FROM results_history
                           WHERE item_id = OLD.item_id AND stage = OLD.stage
                           ORDER BY history_id DESC
                           LIMIT -1
                          OFFSET coalesce((SELECT keep FROM job_stages
                                            WHERE job_id = NEW.job_id AND stage = NEW.stage), 3));
END;

-- A stage that is done again because of a new version. It `runs` once more, and what needs it follows only if its
-- result is another one; or it is ended and `waits` for what it needs, at any distance, before it runs.
ALTER TABLE item_stages ADD COLUMN again TEXT CHECK (again IN ('runs', 'waits'));

CREATE INDEX idx_item_stages_again ON item_stages (item_id, stage) WHERE again = 'waits';

-- However a stage moves, what it is marked with says what it is.
CREATE TRIGGER item_stages_keep_again
AFTER UPDATE OF status ON item_stages
WHEN NEW.again IS NOT NULL AND NEW.status <> OLD.status
BEGIN
    UPDATE item_stages
       SET again = iif(NEW.status IN ('done', 'skipped'), NULL, 'runs')
     WHERE item_id = NEW.item_id AND stage = NEW.stage;
END;

ALTER TABLE action_stages ADD COLUMN again TEXT;    -- before, as in item_stages

-- Rebuilt, because history refers to files as well.
CREATE TABLE artifact_uses_before (
    kind   TEXT    NOT NULL,
    id     INTEGER NOT NULL,
    stage  TEXT    NOT NULL,
    sha256 TEXT    NOT NULL
) STRICT;

INSERT INTO artifact_uses_before SELECT kind, id, stage, sha256 FROM artifact_uses;

DROP TABLE artifact_uses;

CREATE TABLE artifact_uses (
    kind   TEXT    NOT NULL CHECK (kind IN ('result', 'history', 'item', 'held', 'answer', 'attempt')),
    id     INTEGER NOT NULL,                    -- of the item, the row of history, the held item or the answer
    stage  TEXT    NOT NULL,                    -- of a result or an attempt; else ''
    sha256 TEXT    NOT NULL,
    PRIMARY KEY (kind, id, stage, sha256)
) STRICT, WITHOUT ROWID;

INSERT INTO artifact_uses SELECT kind, id, stage, sha256 FROM artifact_uses_before;

DROP TABLE artifact_uses_before;

CREATE INDEX idx_artifact_uses_sha256 ON artifact_uses (sha256);

CREATE TRIGGER artifact_uses_count_inserts
AFTER INSERT ON artifact_uses
BEGIN
    UPDATE artifacts SET uses = uses + 1 WHERE sha256 = NEW.sha256;
END;

CREATE TRIGGER artifact_uses_count_deletes
AFTER DELETE ON artifact_uses
BEGIN
    UPDATE artifacts SET uses = uses - 1 WHERE sha256 = OLD.sha256;
END;

CREATE TRIGGER results_history_note_artifacts_on_insert
AFTER INSERT ON results_history
WHEN instr(NEW.result, '"sha256:')
BEGIN
    INSERT INTO artifact_uses (kind, id, stage, sha256)
        SELECT DISTINCT 'history', NEW.history_id, '', substr(atom, 8)
          FROM json_tree(NEW.result)
         WHERE key = 'artifact' AND length(atom) = 71 AND atom GLOB 'sha256:*'
           AND substr(atom, 8) NOT GLOB '*[^0-9a-f]*';
END;

CREATE TRIGGER results_history_forget_artifacts_on_delete
AFTER DELETE ON results_history
WHEN instr(OLD.result, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'history' AND id = OLD.history_id AND stage = '';
END;

CREATE VIEW v_history AS
SELECT h.job_id                                                      AS job,
       i.key,
       h.stage,
       h.attempt,
       h.result,
       h.handler_version,
       strftime('%F %T', h.stored_at / 1000.0, 'unixepoch')          AS stored,
       strftime('%F %T', h.replaced_at / 1000.0, 'unixepoch')        AS replaced,
       h.item_id
  FROM results_history h
  JOIN work_items i ON i.item_id = h.item_id;
