-- The tables. Instants are UTC Unix milliseconds in columns that end in _at (and leased_until);
-- durations are milliseconds in _ms; money is US dollars in usd; JSON is text.

CREATE TABLE jobs (
    job_id        TEXT    PRIMARY KEY NOT NULL,
    first_seen_at INTEGER NOT NULL,
    woken_at      INTEGER,                      -- somebody asked to look for work; the sweep clears it
    error         TEXT,                         -- why its last discovery failed
    error_at      INTEGER,
    auto_unpauses INTEGER NOT NULL DEFAULT 0 CHECK (auto_unpauses >= 0),
    CHECK ((error IS NULL) = (error_at IS NULL))
) STRICT, WITHOUT ROWID;

-- The stages of each job as jobs.yaml last had them: which there are, and what each needs.
CREATE TABLE job_stages (
    job_id      TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    position    INTEGER NOT NULL,               -- its place in the job's list
    switched_on INTEGER NOT NULL DEFAULT 1 CHECK (switched_on IN (0, 1)),
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;

CREATE TABLE stage_needs (
    job_id TEXT NOT NULL,
    need   TEXT NOT NULL,                       -- must be done or skipped before `stage` is ready
    stage  TEXT NOT NULL,
    PRIMARY KEY (job_id, need, stage)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_stage_needs_stage ON stage_needs (job_id, stage, need);

CREATE TABLE pauses (
    job_id   TEXT    PRIMARY KEY NOT NULL,
    reason   TEXT    NOT NULL,
    by       TEXT    NOT NULL,
    since_at INTEGER NOT NULL,
    until_at INTEGER                            -- NULL: until somebody lifts it
) STRICT, WITHOUT ROWID;

CREATE TABLE discovery_runs (
    run_id       INTEGER PRIMARY KEY,
    job_id       TEXT    NOT NULL,
    slot_at      INTEGER,                       -- the scheduled time; NULL when asked for by hand
    attempt      INTEGER NOT NULL DEFAULT 1,
    started_at   INTEGER NOT NULL,
    leased_until INTEGER,                       -- set exactly while it runs
    retry_at     INTEGER,                       -- set exactly while it waits to be tried again
    ended_at     INTEGER,
    outcome      TEXT CHECK (outcome IN ('found', 'unavailable', 'failed')),
    found        INTEGER NOT NULL DEFAULT 0,
    new          INTEGER NOT NULL DEFAULT 0,
    refused      INTEGER NOT NULL DEFAULT 0,
    error        TEXT,
    UNIQUE (job_id, slot_at),                   -- a slot is discovered once, however many beats tick
    CHECK ((leased_until IS NULL) = (ended_at IS NOT NULL)),
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK (retry_at IS NULL OR outcome = 'unavailable')
) STRICT;

CREATE INDEX idx_discovery_runs_job ON discovery_runs (job_id, run_id);
CREATE INDEX idx_discovery_runs_leased ON discovery_runs (leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX idx_discovery_runs_retry ON discovery_runs (retry_at) WHERE retry_at IS NOT NULL;

CREATE TABLE work_items (
    item_id       INTEGER PRIMARY KEY,
    job_id        TEXT    NOT NULL,
    key           TEXT    NOT NULL CHECK (length(key) > 0),
    data          TEXT    NOT NULL DEFAULT '{}',
    status        TEXT    NOT NULL DEFAULT 'pending'
                  CHECK (status IN ('pending', 'in_progress', 'done', 'failed', 'skipped')),
    priority      INTEGER NOT NULL DEFAULT 0,   -- higher goes first
    discovered_at INTEGER NOT NULL,
    opened_at     INTEGER,                      -- when it got its stage rows; NULL until then
    UNIQUE (job_id, key)
) STRICT;

CREATE INDEX idx_work_items_unopened ON work_items (job_id, priority DESC, item_id) WHERE opened_at IS NULL;
CREATE INDEX idx_work_items_job ON work_items (job_id, item_id);
CREATE INDEX idx_work_items_job_status ON work_items (job_id, status, priority DESC, item_id);

CREATE TABLE item_stages (
    item_id      INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage        TEXT    NOT NULL,
    job_id       TEXT    NOT NULL,
    position     INTEGER NOT NULL,              -- its place in the job's list of stages
    status       TEXT    NOT NULL DEFAULT 'pending'
                 CHECK (status IN ('pending', 'in_progress', 'done', 'failed', 'skipped')),
    priority     INTEGER NOT NULL DEFAULT 0,    -- its item's, so that dispatch reads one index
    needs_left   INTEGER NOT NULL DEFAULT 0 CHECK (needs_left >= 0),
    attempt      INTEGER NOT NULL DEFAULT 0,    -- the number of the last claim, never reused
    retries      INTEGER NOT NULL DEFAULT 0,    -- unexpected failures since it last began afresh
    crashes      INTEGER NOT NULL DEFAULT 0,    -- workers that died under it since it last began afresh
    queued_at    INTEGER,                       -- stamped: its message is on its way
    sends        INTEGER NOT NULL DEFAULT 0,    -- how often that message was sent
    resend_at    INTEGER,                       -- when to take it for lost and send it again
    retry_at     INTEGER,                       -- waits for this time
    leased_until INTEGER,                       -- claimed until then
    worker       TEXT,                          -- who claimed it last
    started_at   INTEGER,                       -- the last claim
    ended_at     INTEGER,
    reason       TEXT,                          -- why it failed, was skipped, or waits
    PRIMARY KEY (item_id, stage),
    CHECK ((status = 'in_progress') = (leased_until IS NOT NULL)),
    CHECK ((status IN ('done', 'failed', 'skipped')) = (ended_at IS NOT NULL)),
    CHECK (status = 'pending' OR (queued_at IS NULL AND retry_at IS NULL)),
    CHECK ((queued_at IS NULL) = (resend_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_item_stages_item_status ON item_stages (item_id, status);
CREATE INDEX idx_item_stages_ready ON item_stages (job_id, stage, priority DESC, item_id)
    WHERE status = 'pending' AND needs_left = 0 AND queued_at IS NULL AND retry_at IS NULL;
CREATE INDEX idx_item_stages_sent ON item_stages (resend_at)
    WHERE status = 'pending' AND queued_at IS NOT NULL;
CREATE INDEX idx_item_stages_parked ON item_stages (job_id, retry_at)
    WHERE status = 'pending' AND retry_at IS NOT NULL;
CREATE INDEX idx_item_stages_leased ON item_stages (leased_until) WHERE status = 'in_progress';
CREATE INDEX idx_item_stages_ended ON item_stages (job_id, stage, status, item_id)
    WHERE status IN ('failed', 'skipped');

-- The rate of a stage: from when on it is free to send again, in Unix microseconds.
CREATE TABLE rates (
    job_id  TEXT    NOT NULL,
    stage   TEXT    NOT NULL,
    free_us INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;

CREATE TABLE results (
    result_id       INTEGER PRIMARY KEY,
    item_id         INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage           TEXT    NOT NULL,
    job_id          TEXT    NOT NULL,
    attempt         INTEGER NOT NULL,
    result          TEXT    NOT NULL,
    handler_version TEXT,
    stored_at       INTEGER NOT NULL,
    UNIQUE (item_id, stage)                     -- one result that counts; a later attempt replaces it
) STRICT;

CREATE INDEX idx_results_job_stage_version ON results (job_id, stage, handler_version, item_id);

CREATE TABLE failures (
    item_id    INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage      TEXT    NOT NULL,
    attempt    INTEGER NOT NULL,
    job_id     TEXT    NOT NULL,
    failed_at  INTEGER NOT NULL,
    error_type TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    signature  TEXT    NOT NULL,                -- the error with its ids and numbers struck out
    traceback  TEXT,
    PRIMARY KEY (item_id, stage, attempt)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_failures_job_signature ON failures (job_id, signature);

CREATE TABLE events (
    event_id INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    job_id   TEXT,
    item_id  INTEGER,
    stage    TEXT,
    attempt  INTEGER,
    kind     TEXT    NOT NULL,                  -- a move's name, or an action's
    by       TEXT,                              -- the worker or person, where it matters
    detail   TEXT                               -- JSON
) STRICT;

CREATE INDEX idx_events_job ON events (job_id, event_id);
CREATE INDEX idx_events_item ON events (item_id, event_id) WHERE item_id IS NOT NULL;

CREATE TABLE costs (
    cost_id  INTEGER PRIMARY KEY,
    spent_at INTEGER NOT NULL,
    job_id   TEXT    NOT NULL,
    item_id  INTEGER,
    stage    TEXT,
    attempt  INTEGER,
    usd      REAL,                              -- NULL: spent, but nobody knows how much
    provider TEXT    NOT NULL,
    units    TEXT    NOT NULL DEFAULT '{}'      -- JSON, such as {"input_tokens": 1200}
) STRICT;

CREATE INDEX idx_costs_job_day ON costs (job_id, spent_at, usd);

CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
