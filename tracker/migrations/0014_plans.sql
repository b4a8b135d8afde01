-- What jobs.yaml last had, in more detail, and the changes of it that items are still being brought to.

-- A hash of a stage's handler and parameters: by it a stage is known again under another name. NULL: not known.
ALTER TABLE job_stages ADD COLUMN made_of TEXT;

-- Each job as it was last applied. What is `gone` from jobs.yaml, or `off` in it, stays on record.
CREATE TABLE job_states (
    job_id     TEXT    PRIMARY KEY NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('on', 'off', 'gone')),
    applied_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO job_states (job_id, state, applied_at) SELECT DISTINCT job_id, 'on', 0 FROM job_stages;

-- A changed list of stages that a job's items are being brought to, batch by batch. Gone when all are there.
CREATE TABLE plan_changes (
    job_id   TEXT    PRIMARY KEY NOT NULL,
    by       TEXT,                              -- who applied it
    began_at INTEGER NOT NULL,
    after_id INTEGER NOT NULL DEFAULT 0,        -- the items up to this id are there
    until_id INTEGER NOT NULL,                  -- those above are opened with the new stages
    items    INTEGER NOT NULL,                  -- how many there were to look at, and how many were
    looked   INTEGER NOT NULL DEFAULT 0,
    reopened INTEGER NOT NULL DEFAULT 0,        -- stages that were added or switched on
    skipped  INTEGER NOT NULL DEFAULT 0         -- stages that waited and were switched off
) STRICT, WITHOUT ROWID;

-- A stage that was renamed, and whose name in the history is still being replaced, batch by batch.
CREATE TABLE stage_renames (
    job_id     TEXT    NOT NULL,
    stage      TEXT    NOT NULL,                -- its name now
    was        TEXT    NOT NULL,
    renamed_at INTEGER NOT NULL,
    after_event_id INTEGER NOT NULL DEFAULT 0,  -- the events up to this id, and the costs, bear the new name
    after_cost_id  INTEGER NOT NULL DEFAULT 0,
    until_event_id INTEGER NOT NULL,
    until_cost_id  INTEGER NOT NULL,
    PRIMARY KEY (job_id, was, stage)
) STRICT, WITHOUT ROWID;

-- What waits for its stage to be switched on again: counted for a plan, found when it is applied.
CREATE INDEX idx_item_stages_switched_off ON item_stages (job_id, stage, item_id)
    WHERE status = 'skipped' AND reason = 'switched off in jobs.yaml';
