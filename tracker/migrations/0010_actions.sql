-- What people ask for of many stages at once: on record, done in batches, and remembered so that it can be put back.

CREATE TABLE actions (
    action_id   INTEGER PRIMARY KEY,
    act         TEXT    NOT NULL,               -- retry, skip, reset, reopen, cancel, wake, priority, undo
    job_id      TEXT,                           -- NULL: of any job
    stage       TEXT,                           -- NULL: of any stage
    choice      TEXT    NOT NULL,               -- JSON: which items
    by          TEXT    NOT NULL,
    reason      TEXT,
    asked_at    INTEGER NOT NULL,
    total       INTEGER NOT NULL,               -- how many there were when it was asked for
    done        INTEGER NOT NULL DEFAULT 0,     -- how many it has changed so far
    passed      INTEGER NOT NULL DEFAULT 0,     -- items that an undo left alone, because something ran since
    cursor      TEXT,                           -- JSON: where the next batch begins; moved with what it changes
    worked_at   INTEGER NOT NULL,               -- its last batch
    finished_at INTEGER,
    undone_by   INTEGER REFERENCES actions (action_id),
    detail      TEXT    NOT NULL DEFAULT '{}'   -- JSON
) STRICT;

CREATE INDEX idx_actions_unfinished ON actions (action_id) WHERE finished_at IS NULL;
CREATE INDEX idx_actions_job ON actions (job_id, act, action_id);

-- What each stage was before an action changed it. Forgotten after some days; the action's own row stays.
CREATE TABLE action_stages (
    action_id    INTEGER NOT NULL,
    item_id      INTEGER NOT NULL,
    stage        TEXT    NOT NULL,              -- '' for what belongs to the item, its priority
    made         TEXT    NOT NULL,              -- the status that the action gave it
    attempts     INTEGER NOT NULL,              -- of all the item's stages together: more, and something ran since
    status       TEXT    NOT NULL,              -- before, like all below
    ended_at     INTEGER,
    reason       TEXT,
    retries      INTEGER NOT NULL DEFAULT 0,
    crashes      INTEGER NOT NULL DEFAULT 0,
    retry_at     INTEGER,
    backfill     INTEGER NOT NULL DEFAULT 0,
    fresh        INTEGER NOT NULL DEFAULT 0,    -- of its item
    priority     INTEGER,
    PRIMARY KEY (action_id, item_id, stage)
) STRICT, WITHOUT ROWID;

-- Somebody asked a running attempt to stop: its worker is told when it renews its lease, and however it ends, its
-- stage is skipped. Cleared by the next claim.
ALTER TABLE item_stages ADD COLUMN cancelled_by TEXT;

-- A failed stage may also be left out; see pipeline/lifecycle.py, from which a test derives this.
DROP TRIGGER item_stages_refuse_illegal_moves;
CREATE TRIGGER item_stages_refuse_illegal_moves
BEFORE UPDATE OF status ON item_stages
WHEN OLD.status IN ('done', 'failed', 'skipped') AND NEW.status NOT IN ('pending', OLD.status)
 AND NOT (OLD.status = 'failed' AND NEW.status = 'skipped')
BEGIN
    SELECT RAISE(ABORT, 'illegal move: an ended stage can only begin afresh, or be left out when it failed');
END;
