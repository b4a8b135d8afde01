-- Pauses of every scope as one record, the breakers that write some of them, and what waits for them to end.

-- Rebuilt, because its key changes. What does not apply to a scope is the empty text, so that the key is whole.
CREATE TABLE pauses_new (
    scope       TEXT    NOT NULL CHECK (scope IN ('all', 'job', 'stage', 'host')),
    job_id      TEXT    NOT NULL DEFAULT '',
    stage       TEXT    NOT NULL DEFAULT '',
    host        TEXT    NOT NULL DEFAULT '',    -- covers its subdomains
    cause       TEXT    NOT NULL CHECK (cause IN ('person', 'budget', 'breaker')),
    reason      TEXT    NOT NULL,
    by          TEXT    NOT NULL,
    since_at    INTEGER NOT NULL,
    until_at    INTEGER,                        -- NULL: until somebody lifts it, or a probe does
    lifts       INTEGER NOT NULL DEFAULT 0 CHECK (lifts >= 0),            -- lifted by itself so often before
    probes_left INTEGER NOT NULL DEFAULT 0 CHECK (probes_left >= 0),      -- attempts that it still lets out
    PRIMARY KEY (scope, job_id, stage, host),
    CHECK ((job_id <> '') = (scope IN ('job', 'stage'))),
    CHECK ((stage <> '') = (scope = 'stage')),
    CHECK ((host <> '') = (scope = 'host')),
    CHECK (probes_left = 0 OR (cause = 'breaker' AND until_at IS NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO pauses_new (scope, job_id, cause, reason, by, since_at, until_at, lifts)
SELECT 'job', p.job_id, 'person', p.reason, p.by, p.since_at, p.until_at, coalesce(j.auto_unpauses, 0)
  FROM pauses p
  LEFT JOIN jobs j ON j.job_id = p.job_id;

DROP TABLE pauses;
ALTER TABLE pauses_new RENAME TO pauses;

CREATE INDEX idx_pauses_until ON pauses (until_at) WHERE until_at IS NOT NULL;

-- How often in a row a stage or a host has failed. The first success takes the row away.
CREATE TABLE failure_rows (
    job_id    TEXT    NOT NULL DEFAULT '',      -- with a stage, or empty with a host
    stage     TEXT    NOT NULL DEFAULT '',
    host      TEXT    NOT NULL DEFAULT '',
    count     INTEGER NOT NULL CHECK (count > 0),
    signature TEXT    NOT NULL,                 -- the last failure's
    openings  INTEGER NOT NULL DEFAULT 0,       -- how often it opened the breaker since the last success
    PRIMARY KEY (job_id, stage, host),
    CHECK ((host = '') = (job_id <> '' AND stage <> ''))
) STRICT, WITHOUT ROWID;

-- The attempts that a breaker let out to see whether all is well again.
CREATE TABLE probes (
    item_id INTEGER NOT NULL,
    stage   TEXT    NOT NULL,
    attempt INTEGER NOT NULL,
    job_id  TEXT    NOT NULL,
    PRIMARY KEY (item_id, stage, attempt)
) STRICT, WITHOUT ROWID;

-- The requests that a breaker let out to a host; one whose process died is given back when its time is up.
CREATE TABLE host_probes (
    probe_id INTEGER PRIMARY KEY,
    host     TEXT    NOT NULL,
    until_at INTEGER NOT NULL
) STRICT;

-- The stages that are parked because a host is paused: woken when it no longer is.
CREATE TABLE host_waits (
    host     TEXT    NOT NULL,
    item_id  INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage    TEXT    NOT NULL,
    retry_at INTEGER NOT NULL,                  -- as its stage has it: with another it waits for something else
    PRIMARY KEY (host, item_id, stage)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_host_waits_item ON host_waits (item_id);

-- Scheduled times that passed while the job was paused with `on_schedule: hold`: made up once, all together.
ALTER TABLE jobs ADD COLUMN missed_slots INTEGER NOT NULL DEFAULT 0;

-- A look that waits for a paused host: it is no failure, and not counted as a try.
ALTER TABLE discovery_runs ADD COLUMN waits_for TEXT;
ALTER TABLE discovery_runs ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;
