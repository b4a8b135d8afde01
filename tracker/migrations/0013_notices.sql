-- What the house does for itself on a schedule, and what people are told, once for each trouble.

-- Chores: backup, retention, artifacts, compact. Each slot is done once, however many beats tick.
CREATE TABLE chores (
    run_id     INTEGER PRIMARY KEY,
    chore      TEXT    NOT NULL,
    slot_at    INTEGER NOT NULL,                -- the scheduled time
    attempt    INTEGER NOT NULL DEFAULT 1,
    started_at INTEGER NOT NULL,
    retry_at   INTEGER,                         -- set exactly while it waits to be tried again
    ended_at   INTEGER,
    outcome    TEXT CHECK (outcome IN ('done', 'failed')),
    detail     TEXT,                            -- JSON: what was done
    error      TEXT,
    UNIQUE (chore, slot_at),
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK (retry_at IS NULL OR outcome = 'failed'),
    CHECK ((error IS NOT NULL) = (outcome IS 'failed'))
) STRICT;

-- A notice is open while its trouble lasts. Of each trouble there is one open notice at most.
CREATE TABLE notices (
    notice_id   INTEGER PRIMARY KEY,
    trouble     TEXT    NOT NULL,               -- breaker, budget, silent, failures, discovery, held or maintenance
    job_id      TEXT    NOT NULL,               -- '' for what belongs to no job
    subject     TEXT    NOT NULL,               -- what of the job: a source, a host, a stage; '' for all of it
    words       TEXT    NOT NULL,               -- what people are told
    opened_at   INTEGER NOT NULL,
    reminded_at INTEGER,
    gone_at     INTEGER,                        -- since when the trouble is not seen any more
    closed_at   INTEGER
) STRICT;

CREATE UNIQUE INDEX idx_notices_open ON notices (trouble, job_id, subject) WHERE closed_at IS NULL;

-- One message for each channel that is told. At least once: one that was sent and not recorded is sent again.
CREATE TABLE notice_messages (
    message_id INTEGER PRIMARY KEY,
    notice_id  INTEGER NOT NULL REFERENCES notices (notice_id) ON DELETE CASCADE,
    channel    TEXT    NOT NULL,                -- by what it is known again, without its secrets
    kind       TEXT    NOT NULL CHECK (kind IN ('opened', 'reminder', 'closed')),
    written_at INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at     INTEGER,                         -- when to send it, or try again; NULL when it is sent or given up
    sent_at    INTEGER,
    error      TEXT,                            -- why the last attempt failed
    UNIQUE (notice_id, channel, kind, written_at),
    CHECK (due_at IS NULL OR sent_at IS NULL)
) STRICT;

CREATE INDEX idx_notice_messages_due ON notice_messages (due_at) WHERE due_at IS NOT NULL;

-- What the house forgets by age, where ids do not grow with it.
CREATE INDEX idx_failures_failed ON failures (failed_at, item_id, stage, attempt);

-- How many items ended in each minute, and how; old minutes are pruned by the sweep.
CREATE TABLE item_minutes (
    job_id TEXT    NOT NULL,
    minute INTEGER NOT NULL,                    -- Unix minutes
    done   INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    PRIMARY KEY (job_id, minute)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER work_items_count_minutes
AFTER UPDATE OF status ON work_items
WHEN NEW.status <> OLD.status AND NEW.status IN ('done', 'failed')
BEGIN
    INSERT INTO item_minutes (job_id, minute, done, failed)
    SELECT NEW.job_id, coalesce(max(ended_at) / 60000, unixepoch() / 60), NEW.status = 'done', NEW.status = 'failed'
      FROM item_stages
     WHERE item_id = NEW.item_id
        ON CONFLICT DO UPDATE SET done = done + excluded.done, failed = failed + excluded.failed;
END;
