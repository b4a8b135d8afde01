-- What handlers keep beside their results: files, answers, fingerprints, and how far an attempt is.

-- Files by the hash of their content, in the folder `artifacts`. Written before the file gets its name there.
CREATE TABLE artifacts (
    sha256        TEXT    PRIMARY KEY NOT NULL CHECK (length(sha256) = 64),
    bytes         INTEGER NOT NULL CHECK (bytes >= 0),
    name          TEXT    NOT NULL,             -- for people: what it was called when it was first kept
    content_type  TEXT,
    first_kept_at INTEGER NOT NULL,
    last_kept_at  INTEGER NOT NULL,             -- the same bytes may be kept again and again
    uses          INTEGER NOT NULL CHECK (uses >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_artifacts_unused ON artifacts (sha256, bytes) WHERE uses = 0;
CREATE INDEX idx_artifacts_first_kept ON artifacts (first_kept_at);

-- Who refers to a file: pointers `{"artifact": "sha256:..."}` in JSON, and attempts that run and touched it.
CREATE TABLE artifact_uses (
    kind   TEXT    NOT NULL CHECK (kind IN ('result', 'item', 'held', 'answer', 'attempt')),
    id     INTEGER NOT NULL,                    -- of the item, the held item or the answer
    stage  TEXT    NOT NULL,                    -- of a result or an attempt; else ''
    sha256 TEXT    NOT NULL,
    PRIMARY KEY (kind, id, stage, sha256)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_artifact_uses_sha256 ON artifact_uses (sha256);

-- What was paid for once, under a hash of all that it depends on.
CREATE TABLE answers (
    answer_id     INTEGER PRIMARY KEY,
    key_hash      TEXT    NOT NULL UNIQUE,      -- SHA-256 of the key, in hexadecimal digits
    value         TEXT    NOT NULL,             -- JSON
    remembered_at INTEGER NOT NULL
) STRICT;

-- SimHashes of what items hold, 64 bits as SQLite's signed integers. An item's place is where it was first noted.
CREATE TABLE fingerprints (
    place       INTEGER PRIMARY KEY,
    job_id      TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    item_id     INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    fingerprint INTEGER NOT NULL,
    UNIQUE (item_id, stage)
) STRICT;

CREATE INDEX idx_fingerprints_value ON fingerprints (job_id, stage, fingerprint, place);

-- Each fingerprint in four bands of 16 bits, once however many items have it. Two that differ in at most 7 bits
-- have a band in which they differ in at most one.
CREATE TABLE fingerprint_bands (
    job_id      TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    band        INTEGER NOT NULL,
    bits        INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage, band, bits, fingerprint)
) STRICT, WITHOUT ROWID;

-- How far the attempts are that run now and said so: at most one row for each.
CREATE TABLE progress (
    item_id INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage   TEXT    NOT NULL,
    job_id  TEXT    NOT NULL,
    done    REAL    NOT NULL,
    total   REAL,                               -- NULL: nobody knows
    note    TEXT    NOT NULL,
    told_at INTEGER NOT NULL,
    PRIMARY KEY (item_id, stage)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_progress_job ON progress (job_id, told_at);

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

CREATE TRIGGER item_stages_let_go_on_update
AFTER UPDATE OF status ON item_stages
WHEN OLD.status = 'in_progress' AND NEW.status <> 'in_progress'
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'attempt' AND id = OLD.item_id AND stage = OLD.stage;
    DELETE FROM progress WHERE item_id = OLD.item_id AND stage = OLD.stage;
END;

CREATE TRIGGER item_stages_let_go_on_delete
AFTER DELETE ON item_stages
WHEN OLD.status = 'in_progress'
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'attempt' AND id = OLD.item_id AND stage = OLD.stage;
    DELETE FROM progress WHERE item_id = OLD.item_id AND stage = OLD.stage;
END;

CREATE TRIGGER fingerprints_band_on_insert
AFTER INSERT ON fingerprints
BEGIN
    INSERT INTO fingerprint_bands (job_id, stage, band, bits, fingerprint)
    SELECT NEW.job_id, NEW.stage, value, (NEW.fingerprint >> (16 * value)) & 65535, NEW.fingerprint
      FROM json_each('[0, 1, 2, 3]')
     WHERE true
        ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER fingerprints_band_on_update
AFTER UPDATE OF fingerprint ON fingerprints
WHEN NEW.fingerprint <> OLD.fingerprint
BEGIN
    DELETE FROM fingerprint_bands
     WHERE job_id = OLD.job_id AND stage = OLD.stage
       AND (band, bits, fingerprint) IN (SELECT value, (OLD.fingerprint >> (16 * value)) & 65535, OLD.fingerprint
                                           FROM json_each('[0, 1, 2, 3]'))
       AND NOT EXISTS (SELECT 1 FROM fingerprints f
                        WHERE f.job_id = OLD.job_id AND f.stage = OLD.stage
                          AND f.fingerprint = OLD.fingerprint);
    INSERT INTO fingerprint_bands (job_id, stage, band, bits, fingerprint)
    SELECT NEW.job_id, NEW.stage, value, (NEW.fingerprint >> (16 * value)) & 65535, NEW.fingerprint
      FROM json_each('[0, 1, 2, 3]')
     WHERE true
        ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER fingerprints_band_on_delete
AFTER DELETE ON fingerprints
BEGIN
    DELETE FROM fingerprint_bands
     WHERE job_id = OLD.job_id AND stage = OLD.stage
       AND (band, bits, fingerprint) IN (SELECT value, (OLD.fingerprint >> (16 * value)) & 65535, OLD.fingerprint
                                           FROM json_each('[0, 1, 2, 3]'))
       AND NOT EXISTS (SELECT 1 FROM fingerprints f
                        WHERE f.job_id = OLD.job_id AND f.stage = OLD.stage
                          AND f.fingerprint = OLD.fingerprint);
END;

CREATE VIEW v_artifacts AS
SELECT a.sha256,
       a.name,
       a.bytes,
       a.content_type,
       a.uses,
       strftime('%F %T', a.first_kept_at / 1000.0, 'unixepoch')      AS kept
  FROM artifacts a;

-- The pointers in what is stored. A text without one costs a look for the substring.

CREATE TRIGGER results_note_artifacts_on_insert
AFTER INSERT ON results
WHEN instr(NEW.result, '"sha256:')
BEGIN
    INSERT INTO artifact_uses (kind, id, stage, sha256)
        SELECT DISTINCT 'result', NEW.item_id, NEW.stage, substr(atom, 8)
          FROM json_tree(NEW.result)
         WHERE key = 'artifact' AND length(atom) = 71 AND atom GLOB 'sha256:*'
           AND substr(atom, 8) NOT GLOB '*[^0-9a-f]*';
END;

CREATE TRIGGER results_note_artifacts_on_update
AFTER UPDATE OF result ON results
WHEN NEW.result IS NOT OLD.result AND (instr(OLD.result, '"sha256:') OR instr(NEW.result, '"sha256:'))
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'result' AND id = OLD.item_id AND stage = OLD.stage;
    INSERT INTO artifact_uses (kind, id, stage, sha256)
        SELECT DISTINCT 'result', NEW.item_id, NEW.stage, substr(atom, 8)
          FROM json_tree(NEW.result)
         WHERE key = 'artifact' AND length(atom) = 71 AND atom GLOB 'sha256:*'
           AND substr(atom, 8) NOT GLOB '*[^0-9a-f]*';
END;

CREATE TRIGGER results_forget_artifacts_on_delete
AFTER DELETE ON results
WHEN instr(OLD.result, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'result' AND id = OLD.item_id AND stage = OLD.stage;
END;

CREATE TRIGGER work_items_note_artifacts_on_insert
AFTER INSERT ON work_items
WHEN instr(NEW.data, '"sha256:')
BEGIN
    INSERT INTO artifact_uses (kind, id, stage, sha256)
        SELECT DISTINCT 'item', NEW.item_id, '', substr(atom, 8)
          FROM json_tree(NEW.data)
         WHERE key = 'artifact' AND length(atom) = 71 AND atom GLOB 'sha256:*'
           AND substr(atom, 8) NOT GLOB '*[^0-9a-f]*';
END;

CREATE TRIGGER work_items_note_artifacts_on_update
AFTER UPDATE OF data ON work_items
WHEN NEW.data IS NOT OLD.data AND (instr(OLD.data, '"sha256:') OR instr(NEW.data, '"sha256:'))
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'item' AND id = OLD.item_id AND stage = '';
    INSERT INTO artifact_uses (kind, id, stage, sha256)
        SELECT DISTINCT 'item', NEW.item_id, '', substr(atom, 8)
          FROM json_tree(NEW.data)
         WHERE key = 'artifact' AND length(atom) = 71 AND atom GLOB 'sha256:*'
           AND substr(atom, 8) NOT GLOB '*[^0-9a-f]*';
END;

CREATE TRIGGER work_items_forget_artifacts_on_delete
AFTER DELETE ON work_items
WHEN instr(OLD.data, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'item' AND id = OLD.item_id AND stage = '';
END;

CREATE TRIGGER held_items_note_artifacts_on_insert
AFTER INSERT ON held_items
WHEN instr(NEW.data, '"sha256:')
BEGIN
    INSERT INTO artifact_uses (kind, id, stage, sha256)
        SELECT DISTINCT 'held', NEW.held_id, '', substr(atom, 8)
          FROM json_tree(NEW.data)
         WHERE key = 'artifact' AND length(atom) = 71 AND atom GLOB 'sha256:*'
           AND substr(atom, 8) NOT GLOB '*[^0-9a-f]*';
END;

CREATE TRIGGER held_items_forget_artifacts_on_delete
AFTER DELETE ON held_items
WHEN instr(OLD.data, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'held' AND id = OLD.held_id AND stage = '';
END;

CREATE TRIGGER answers_note_artifacts_on_insert
AFTER INSERT ON answers
WHEN instr(NEW.value, '"sha256:')
BEGIN
    INSERT INTO artifact_uses (kind, id, stage, sha256)
        SELECT DISTINCT 'answer', NEW.answer_id, '', substr(atom, 8)
          FROM json_tree(NEW.value)
         WHERE key = 'artifact' AND length(atom) = 71 AND atom GLOB 'sha256:*'
           AND substr(atom, 8) NOT GLOB '*[^0-9a-f]*';
END;

CREATE TRIGGER answers_note_artifacts_on_update
AFTER UPDATE OF value ON answers
WHEN NEW.value IS NOT OLD.value AND (instr(OLD.value, '"sha256:') OR instr(NEW.value, '"sha256:'))
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'answer' AND id = OLD.answer_id AND stage = '';
    INSERT INTO artifact_uses (kind, id, stage, sha256)
        SELECT DISTINCT 'answer', NEW.answer_id, '', substr(atom, 8)
          FROM json_tree(NEW.value)
         WHERE key = 'artifact' AND length(atom) = 71 AND atom GLOB 'sha256:*'
           AND substr(atom, 8) NOT GLOB '*[^0-9a-f]*';
END;

CREATE TRIGGER answers_forget_artifacts_on_delete
AFTER DELETE ON answers
WHEN instr(OLD.value, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'answer' AND id = OLD.answer_id AND stage = '';
END;
