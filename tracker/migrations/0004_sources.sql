-- Sources: what is remembered of each, every look on record, manners by host, and what waits for approval.

-- What one source of a job is known by from one discovery to the next.
CREATE TABLE source_state (
    job_id        TEXT    NOT NULL,
    source        TEXT    NOT NULL,             -- its name, without secrets; '' for a strategy that has but one
    cursor        TEXT,                         -- JSON: where its strategy goes on
    etag          TEXT,                         -- the validators of the last answer whose items were stored
    last_modified TEXT,
    looked_at     INTEGER,                      -- the last look, well or not
    success_at    INTEGER,                      -- the last that worked
    changed_at    INTEGER,                      -- the last that brought something new or changed
    error         TEXT,                         -- why the last look failed
    failures      INTEGER NOT NULL DEFAULT 0,   -- failed looks in a row
    empty_looks   INTEGER NOT NULL DEFAULT 0,   -- looks in a row that found nothing at all
    yields        TEXT    NOT NULL DEFAULT '[]',-- JSON: [found, new] of its last looks that read it, newest last
    PRIMARY KEY (job_id, source)
) STRICT, WITHOUT ROWID;

-- The history of discoveries, now with what it cost and what was held back. Rebuilt: a CHECK cannot be altered.
CREATE TABLE discovery_runs_new (
    run_id       INTEGER PRIMARY KEY,
    job_id       TEXT    NOT NULL,
    slot_at      INTEGER,                       -- the scheduled time; NULL when asked for by hand
    attempt      INTEGER NOT NULL DEFAULT 1,
    started_at   INTEGER NOT NULL,
    leased_until INTEGER,                       -- set exactly while it runs
    retry_at     INTEGER,                       -- set exactly while it waits to be tried again
    ended_at     INTEGER,
    outcome      TEXT CHECK (outcome IN ('found', 'unavailable', 'failed', 'skipped')),
    requests     INTEGER NOT NULL DEFAULT 0,
    found        INTEGER NOT NULL DEFAULT 0,
    new          INTEGER NOT NULL DEFAULT 0,
    changed      INTEGER NOT NULL DEFAULT 0,    -- known, but with another version
    refused      INTEGER NOT NULL DEFAULT 0,
    held         INTEGER NOT NULL DEFAULT 0,    -- new, but above the cap: waiting for approval
    error        TEXT,                          -- why it failed, or was skipped
    UNIQUE (job_id, slot_at),                   -- a slot is discovered once, however many beats tick
    CHECK ((leased_until IS NULL) = (ended_at IS NOT NULL)),
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK (retry_at IS NULL OR outcome = 'unavailable')
) STRICT;

INSERT INTO discovery_runs_new (run_id, job_id, slot_at, attempt, started_at, leased_until, retry_at, ended_at,
                                outcome, found, new, refused, error)
SELECT run_id, job_id, slot_at, attempt, started_at, leased_until, retry_at, ended_at,
       outcome, found, new, refused, error
  FROM discovery_runs;

DROP TABLE discovery_runs;
ALTER TABLE discovery_runs_new RENAME TO discovery_runs;

CREATE INDEX idx_discovery_runs_job ON discovery_runs (job_id, run_id);
CREATE INDEX idx_discovery_runs_leased ON discovery_runs (leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX idx_discovery_runs_retry ON discovery_runs (retry_at) WHERE retry_at IS NOT NULL;

-- New items above a cap: known, not lost, and not run until somebody approves them.
CREATE TABLE held_items (
    held_id   INTEGER PRIMARY KEY,
    job_id    TEXT    NOT NULL,
    key       TEXT    NOT NULL CHECK (length(key) > 0),
    data      TEXT    NOT NULL,
    priority  INTEGER NOT NULL,
    version   TEXT,
    source    TEXT    NOT NULL,
    held_at   INTEGER NOT NULL,
    UNIQUE (job_id, key)
) STRICT;

CREATE INDEX idx_held_items_job ON held_items (job_id, held_id);

-- What the source calls the state of the thing: another text when it has changed. NULL when it says nothing.
ALTER TABLE work_items ADD COLUMN version TEXT;

-- One token bucket for each host, shared by all jobs, workers and containers. Times in Unix microseconds are `_us`.
CREATE TABLE hosts (
    host         TEXT    PRIMARY KEY NOT NULL,  -- a name, or a domain whose hosts share one published limit
    free_us      INTEGER NOT NULL DEFAULT 0,    -- from when on it may be asked again
    told_us      INTEGER NOT NULL DEFAULT 0,    -- when whoever came last may ask it, or may come again
    promised_us  INTEGER NOT NULL DEFAULT 0,    -- the last time that somebody turned away was told
    interval_us  INTEGER NOT NULL DEFAULT 0,    -- the time between two requests, as last applied
    requests     INTEGER NOT NULL DEFAULT 0,
    asked_at     INTEGER,                       -- the last turn
    throttled    INTEGER NOT NULL DEFAULT 0,    -- answers that asked us to slow down, ever
    throttles    INTEGER NOT NULL DEFAULT 0,    -- of these, the last in a row
    slowed_until INTEGER,                       -- nobody asks before then
    reason       TEXT                           -- why
) STRICT, WITHOUT ROWID;

-- The robots.txt of each origin, fetched by one and read by all.
CREATE TABLE robots (
    origin     TEXT    PRIMARY KEY NOT NULL,    -- scheme://host:port
    status     INTEGER NOT NULL,                -- of the answer; 0 when there was none
    good_until INTEGER NOT NULL,
    body       TEXT    NOT NULL                 -- the part of it that is for us
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_robots_good_until ON robots (good_until);

ALTER TABLE item_counts ADD COLUMN held INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER held_items_count_inserts
AFTER INSERT ON held_items
BEGIN
    INSERT INTO item_counts (job_id, held) VALUES (NEW.job_id, 1)
        ON CONFLICT DO UPDATE SET held = held + 1;
END;

CREATE TRIGGER held_items_count_deletes
AFTER DELETE ON held_items
BEGIN
    UPDATE item_counts SET held = held - 1 WHERE job_id = OLD.job_id;
END;
