
PRAGMA page_size=2048;

PRAGMA writable_schema=ON;

BEGIN TRANSACTION;

DROP TABLE IF EXISTS access_tokens;
CREATE TABLE access_tokens (
    token_id     INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL,              -- for people: what it is for
    role         TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    scopes       TEXT,                          -- JSON, the actions that it may; NULL: all of its role's
    hash         TEXT    NOT NULL UNIQUE,       -- SHA-256 of the token, in hexadecimal digits
    created_at   INTEGER NOT NULL,
    created_by   TEXT    NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

DROP TABLE IF EXISTS accounts;
CREATE TABLE accounts (
    name       TEXT    PRIMARY KEY NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    role       TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    password   TEXT,                            -- scrypt, with its parameters; NULL: comes in by a proxy alone
    changed_at INTEGER NOT NULL                 -- sessions from before are over
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS action_stages;
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
    priority     INTEGER, again TEXT,
    PRIMARY KEY (action_id, item_id, stage)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS actions;
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
CREATE INDEX idx_actions_job ON actions (job_id, act, action_id);
CREATE INDEX idx_actions_unfinished ON actions (action_id) WHERE finished_at IS NULL;

DROP TABLE IF EXISTS answers;
CREATE TABLE answers (
    answer_id     INTEGER PRIMARY KEY,
    key_hash      TEXT    NOT NULL UNIQUE,      -- SHA-256 of the key, in hexadecimal digits
    value         TEXT    NOT NULL,             -- JSON
    remembered_at INTEGER NOT NULL
) STRICT;
CREATE TRIGGER answers_forget_artifacts_on_delete
AFTER DELETE ON answers
WHEN instr(OLD.value, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'answer' AND id = OLD.answer_id AND stage = '';
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

DROP TABLE IF EXISTS artifact_uses;
CREATE TABLE artifact_uses (
    kind   TEXT    NOT NULL CHECK (kind IN ('result', 'history', 'item', 'held', 'answer', 'attempt')),
    id     INTEGER NOT NULL,                    -- of the item, the row of history, the held item or the answer
    stage  TEXT    NOT NULL,                    -- of a result or an attempt; else ''
    sha256 TEXT    NOT NULL,
    PRIMARY KEY (kind, id, stage, sha256)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER artifact_uses_count_deletes
AFTER DELETE ON artifact_uses
BEGIN
    UPDATE artifacts SET uses = uses - 1 WHERE sha256 = OLD.sha256;
END;
CREATE TRIGGER artifact_uses_count_inserts
AFTER INSERT ON artifact_uses
BEGIN
    UPDATE artifacts SET uses = uses + 1 WHERE sha256 = NEW.sha256;
END;
CREATE INDEX idx_artifact_uses_sha256 ON artifact_uses (sha256);

DROP TABLE IF EXISTS artifacts;
CREATE TABLE artifacts (
    sha256        TEXT    PRIMARY KEY NOT NULL CHECK (length(sha256) = 64),
    bytes         INTEGER NOT NULL CHECK (bytes >= 0),
    name          TEXT    NOT NULL,             -- for people: what it was called when it was first kept
    content_type  TEXT,
    first_kept_at INTEGER NOT NULL,
    last_kept_at  INTEGER NOT NULL,             -- the same bytes may be kept again and again
    uses          INTEGER NOT NULL CHECK (uses >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_artifacts_first_kept ON artifacts (first_kept_at);
CREATE INDEX idx_artifacts_unused ON artifacts (sha256, bytes) WHERE uses = 0;

DROP TABLE IF EXISTS attempt_logs;
CREATE TABLE attempt_logs (
    log_id   INTEGER PRIMARY KEY,
    item_id  INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage    TEXT    NOT NULL,
    attempt  INTEGER NOT NULL,
    job_id   TEXT    NOT NULL,
    ended_at INTEGER NOT NULL,
    lines    INTEGER NOT NULL CHECK (lines > 0),          -- that were logged
    left_out INTEGER NOT NULL CHECK (left_out >= 0),      -- of these, that the text does not have
    text     TEXT    NOT NULL,
    UNIQUE (item_id, stage, attempt)
) STRICT;

DROP TABLE IF EXISTS budget_holds;
CREATE TABLE budget_holds (
    job_id       TEXT    NOT NULL,              -- '*': everything
    cap          TEXT    NOT NULL CHECK (cap IN ('usd_per_day', 'usd_per_item', 'usd_total')),
    stage        TEXT    NOT NULL DEFAULT '',   -- of which items are over budget; '' unless it is usd_per_item
    usd          REAL    NOT NULL,              -- what the cap was
    expected_usd REAL    NOT NULL,              -- what one attempt was expected to cost
    since_at     INTEGER NOT NULL,
    until_at     INTEGER,                       -- the day's end; NULL: until jobs.yaml allows more
    PRIMARY KEY (job_id, cap, stage)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS budgets;
CREATE TABLE budgets (
    job_id       TEXT PRIMARY KEY NOT NULL,
    usd_per_day  REAL CHECK (usd_per_day > 0),
    usd_per_item REAL CHECK (usd_per_item > 0),
    usd_total    REAL CHECK (usd_total > 0),
    timezone     TEXT NOT NULL,
    CHECK (coalesce(usd_per_day, usd_per_item, usd_total) IS NOT NULL)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS chores;
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

DROP TABLE IF EXISTS costs;
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
, model TEXT, price TEXT, receipt TEXT) STRICT;
INSERT INTO costs VALUES(1,1769904000000,'papers',1,'fetch',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'292e9aeeac6fd7f6');
INSERT INTO costs VALUES(2,1769904000000,'papers',2,'fetch',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'dacf430d4e5a2d8b');
INSERT INTO costs VALUES(3,1769904000000,'papers',3,'fetch',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'5569781394643ee7');
INSERT INTO costs VALUES(4,1769904000000,'papers',4,'fetch',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'982352e23229d823');
INSERT INTO costs VALUES(5,1769904000000,'papers',5,'fetch',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'934192aad0e62f82');
INSERT INTO costs VALUES(6,1769904000000,'papers',6,'fetch',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'fd2f4ae82a83ee9e');
INSERT INTO costs VALUES(7,1769904000000,'papers',7,'fetch',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'a5cdd5b506347aed');
INSERT INTO costs VALUES(8,1769904000000,'papers',8,'fetch',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'7b5eba6b5af052d5');
INSERT INTO costs VALUES(9,1769904000000,'papers',1,'extract',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'5f9e27519637b355');
INSERT INTO costs VALUES(10,1769904000000,'papers',2,'extract',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'99981eaf9a3cf4a5');
INSERT INTO costs VALUES(11,1769904000000,'papers',3,'extract',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'35fd0607cdd124c8');
INSERT INTO costs VALUES(12,1769904000000,'papers',4,'extract',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'75edacfd166208a0');
INSERT INTO costs VALUES(13,1769904000000,'papers',5,'extract',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'54c5917fa8acf294');
INSERT INTO costs VALUES(14,1769904000000,'papers',6,'extract',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'9e1d4708b90c3a60');
INSERT INTO costs VALUES(15,1769904000000,'papers',1,'store',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'05df585714cbde09');
INSERT INTO costs VALUES(16,1769904000000,'papers',2,'store',1,0.25,'somebody','{"tokens": 10}',NULL,NULL,'cb0e935d8759ee7f');
CREATE TRIGGER costs_count_attempts
AFTER INSERT ON costs
WHEN NEW.item_id IS NOT NULL AND NEW.stage IS NOT NULL AND NEW.attempt IS NOT NULL
BEGIN
    INSERT INTO stage_costs (job_id, stage, attempts, usd, unknown)
    SELECT NEW.job_id, NEW.stage,
           iif(NEW.usd IS NULL, -(earlier.known > 0), earlier.known = 0),
           iif(NEW.usd IS NULL, -earlier.usd, NEW.usd),
           NEW.usd IS NULL
      FROM (SELECT count(usd) AS known, count(*) - count(usd) AS unknown, total(usd) AS usd
              FROM costs INDEXED BY idx_costs_attempt
             WHERE item_id = NEW.item_id AND stage = NEW.stage AND attempt = NEW.attempt
               AND cost_id <> NEW.cost_id) earlier
     WHERE earlier.unknown = 0
        ON CONFLICT DO UPDATE
       SET attempts = attempts + excluded.attempts, usd = max(0.0, usd + excluded.usd),
           unknown = unknown + excluded.unknown;

    UPDATE reservations
       SET usd = max(0.0, usd - coalesce(NEW.usd, 0.0))
     WHERE item_id = NEW.item_id AND stage = NEW.stage AND attempt = NEW.attempt;
END;
CREATE TRIGGER costs_count_days
AFTER INSERT ON costs
BEGIN
    INSERT INTO spent_days (day, job_id, stage, provider, model, usd, costs, unknown)
    VALUES (NEW.spent_at / 86400000, NEW.job_id, coalesce(NEW.stage, ''), NEW.provider, coalesce(NEW.model, ''),
            coalesce(NEW.usd, 0.0), 1, NEW.usd IS NULL)
        ON CONFLICT DO UPDATE
       SET usd = usd + excluded.usd, costs = costs + 1, unknown = unknown + excluded.unknown;

    INSERT INTO spent_units (day, job_id, stage, provider, model, unit, count)
    SELECT NEW.spent_at / 86400000, NEW.job_id, coalesce(NEW.stage, ''), NEW.provider, coalesce(NEW.model, ''),
           u.key, u.value
      FROM json_each(NEW.units) u
     WHERE u.type IN ('integer', 'real')
        ON CONFLICT DO UPDATE
       SET count = count + excluded.count;
END;
CREATE TRIGGER costs_count_items
AFTER INSERT ON costs
WHEN NEW.item_id IS NOT NULL AND NEW.usd > 0.0
BEGIN
    INSERT INTO spent_items (item_id, usd)
    SELECT item_id, NEW.usd FROM work_items WHERE item_id = NEW.item_id
        ON CONFLICT DO UPDATE SET usd = usd + excluded.usd;
END;
CREATE TRIGGER costs_count_spent
AFTER INSERT ON costs
BEGIN
    INSERT INTO spent_quarters (job_id, quarter, usd, unknown)
    VALUES (NEW.job_id, NEW.spent_at / 900000, coalesce(NEW.usd, 0.0), NEW.usd IS NULL),
           ('*', NEW.spent_at / 900000, coalesce(NEW.usd, 0.0), NEW.usd IS NULL)
        ON CONFLICT DO UPDATE
       SET usd = usd + excluded.usd, unknown = unknown + excluded.unknown;

    INSERT INTO spent_totals (job_id, usd, unknown)
    VALUES (NEW.job_id, coalesce(NEW.usd, 0.0), NEW.usd IS NULL), ('*', coalesce(NEW.usd, 0.0), NEW.usd IS NULL)
        ON CONFLICT DO UPDATE
       SET usd = usd + excluded.usd, unknown = unknown + excluded.unknown;
END;
CREATE INDEX idx_costs_attempt ON costs (item_id, stage, attempt, usd) WHERE item_id IS NOT NULL;
CREATE INDEX idx_costs_job_day ON costs (job_id, spent_at, usd);
CREATE UNIQUE INDEX idx_costs_receipt ON costs (receipt) WHERE receipt IS NOT NULL;
CREATE INDEX idx_costs_spent ON costs (spent_at);

DROP TABLE IF EXISTS discovery_runs;
CREATE TABLE "discovery_runs" (
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
    error        TEXT, waits_for TEXT, waits INTEGER NOT NULL DEFAULT 0, refused_for TEXT,                          -- why it failed, or was skipped
    UNIQUE (job_id, slot_at),                   -- a slot is discovered once, however many beats tick
    CHECK ((leased_until IS NULL) = (ended_at IS NOT NULL)),
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK (retry_at IS NULL OR outcome = 'unavailable')
) STRICT;
INSERT INTO discovery_runs VALUES(1,'papers',NULL,1,1769904000000,NULL,NULL,1769904000000,'found',0,8,8,0,0,0,NULL,NULL,0,NULL);
INSERT INTO discovery_runs VALUES(2,'paused',NULL,1,1769904000000,NULL,NULL,1769904000000,'found',0,8,8,0,0,0,NULL,NULL,0,NULL);
CREATE INDEX idx_discovery_runs_job ON discovery_runs (job_id, run_id);
CREATE INDEX idx_discovery_runs_leased ON discovery_runs (leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX idx_discovery_runs_retry ON discovery_runs (retry_at) WHERE retry_at IS NOT NULL;

DROP TABLE IF EXISTS events;
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
INSERT INTO events VALUES(1,1769904000000,'papers',NULL,NULL,NULL,'discover',NULL,'{"run_id": 1, "found": 8, "new": 8, "refused": {}}');
INSERT INTO events VALUES(2,1769904000000,'paused',NULL,NULL,NULL,'discover',NULL,'{"run_id": 2, "found": 8, "new": 8, "refused": {}}');
INSERT INTO events VALUES(3,1769904000000,'paused',NULL,NULL,NULL,'pause','somebody','{"scope": "job", "reason": "over the weekend", "until_at": null}');
INSERT INTO events VALUES(4,1769904000000,'papers',1,'fetch',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(5,1769904000000,'papers',1,'fetch',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(6,1769904000000,'papers',2,'fetch',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(7,1769904000000,'papers',2,'fetch',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(8,1769904000000,'papers',3,'fetch',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(9,1769904000000,'papers',3,'fetch',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(10,1769904000000,'papers',4,'fetch',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(11,1769904000000,'papers',4,'fetch',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(12,1769904000000,'papers',5,'fetch',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(13,1769904000000,'papers',5,'fetch',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(14,1769904000000,'papers',6,'fetch',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(15,1769904000000,'papers',6,'fetch',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(16,1769904000000,'papers',7,'fetch',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(17,1769904000000,'papers',7,'fetch',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(18,1769904000000,'papers',8,'fetch',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(19,1769904000000,'papers',8,'fetch',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(20,1769904000000,'papers',1,'extract',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(21,1769904000000,'papers',1,'extract',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(22,1769904000000,'papers',2,'extract',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(23,1769904000000,'papers',2,'extract',1,'skip','worker:1','{"reason": "nothing in it"}');
INSERT INTO events VALUES(24,1769904000000,'papers',3,'extract',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(25,1769904000000,'papers',3,'extract',1,'fail','worker:1','{"reason": "ValueError: no such page as 17"}');
INSERT INTO events VALUES(26,1769904000000,'papers',4,'extract',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(27,1769904000000,'papers',4,'extract',1,'fail','worker:1','{"reason": "gone for good"}');
INSERT INTO events VALUES(28,1769904000000,'papers',5,'extract',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(29,1769904000000,'papers',5,'extract',1,'retry_later','worker:1','{"reason": "busy", "retry_at": 1769904060000}');
INSERT INTO events VALUES(30,1769904000000,'papers',6,'extract',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(31,1769904000000,'papers',6,'extract',1,'retry_later','worker:1','{"reason": "over its quota", "retry_at": 1770508800000}');
INSERT INTO events VALUES(32,1769904000000,'papers',7,'extract',1,'claim','worker:2',NULL);
INSERT INTO events VALUES(33,1769904000000,'papers',1,'store',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(34,1769904000000,'papers',1,'store',1,'finish','worker:1',NULL);
INSERT INTO events VALUES(35,1769904000000,'papers',2,'store',1,'claim','worker:1',NULL);
INSERT INTO events VALUES(36,1769904000000,'papers',2,'store',1,'finish','worker:1',NULL);
CREATE INDEX idx_events_acts ON events (event_id) WHERE item_id IS NULL;
CREATE INDEX idx_events_item ON events (item_id, event_id) WHERE item_id IS NOT NULL;
CREATE INDEX idx_events_job ON events (job_id, event_id);

DROP TABLE IF EXISTS failure_group_hours;
CREATE TABLE failure_group_hours (
    group_id INTEGER NOT NULL REFERENCES failure_groups (group_id) ON DELETE CASCADE,
    hour     INTEGER NOT NULL,                  -- Unix hours
    attempts INTEGER NOT NULL,
    PRIMARY KEY (group_id, hour)
) STRICT, WITHOUT ROWID;
INSERT INTO failure_group_hours VALUES(1,491640,1);
INSERT INTO failure_group_hours VALUES(2,491640,1);
CREATE INDEX idx_failure_group_hours_hour ON failure_group_hours (hour);

DROP TABLE IF EXISTS failure_group_versions;
CREATE TABLE failure_group_versions (
    group_id        INTEGER NOT NULL REFERENCES failure_groups (group_id) ON DELETE CASCADE,
    handler_version TEXT    NOT NULL,
    attempts        INTEGER NOT NULL,
    last_seen_at    INTEGER NOT NULL,
    PRIMARY KEY (group_id, handler_version)
) STRICT, WITHOUT ROWID;
INSERT INTO failure_group_versions VALUES(1,'1',1,1769904000000);
INSERT INTO failure_group_versions VALUES(2,'1',1,1769904000000);

DROP TABLE IF EXISTS failure_groups;
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
INSERT INTO failure_groups VALUES(1,'e12fd789','papers','extract','','ValueError: no such page as <n>','ValueError',1,1,1769904000000,1769904000000,3,1,NULL,NULL);
INSERT INTO failure_groups VALUES(2,'7731bb94','papers','extract','','GiveUp: gone for good','GiveUp',1,1,1769904000000,1769904000000,4,1,NULL,NULL);
CREATE TRIGGER failure_groups_count_first_hour
AFTER INSERT ON failure_groups
WHEN NEW.attempts > 0
BEGIN
    INSERT INTO failure_group_hours (group_id, hour, attempts)
    VALUES (NEW.group_id, NEW.last_seen_at / 3600000, NEW.attempts)
        ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts;
END;
CREATE TRIGGER failure_groups_count_hours
AFTER UPDATE OF attempts ON failure_groups
WHEN NEW.attempts > OLD.attempts
BEGIN
    INSERT INTO failure_group_hours (group_id, hour, attempts)
    VALUES (NEW.group_id, NEW.last_seen_at / 3600000, NEW.attempts - OLD.attempts)
        ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts;
END;
CREATE INDEX idx_failure_groups_failed ON failure_groups (job_id, failed DESC, group_id) WHERE failed > 0;
CREATE INDEX idx_failure_groups_name ON failure_groups (name);

DROP TABLE IF EXISTS failure_rows;
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

DROP TABLE IF EXISTS failures;
CREATE TABLE failures (
    item_id    INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage      TEXT    NOT NULL,
    attempt    INTEGER NOT NULL,
    job_id     TEXT    NOT NULL,
    failed_at  INTEGER NOT NULL,
    error_type TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    signature  TEXT    NOT NULL,                -- the error with its ids and numbers struck out
    traceback  TEXT, host TEXT, handler_version TEXT,
    PRIMARY KEY (item_id, stage, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO failures VALUES(3,'extract',1,'papers',1769904000000,'ValueError','no such page as 17','ValueError: no such page as <n>','Traceback (most recent call last):
  File "/srv/celeriac/tests/upgrades/house_plugins.py", line 40, in run
    raise ValueError("no such page as 17")
ValueError: no such page as 17
',NULL,'1');
INSERT INTO failures VALUES(4,'extract',1,'papers',1769904000000,'GiveUp','gone for good','GiveUp: gone for good',NULL,NULL,'1');
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
CREATE INDEX idx_failures_failed ON failures (failed_at, item_id, stage, attempt);
CREATE INDEX idx_failures_job_signature ON failures (job_id, signature);

DROP TABLE IF EXISTS fingerprint_bands;
CREATE TABLE fingerprint_bands (
    job_id      TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    band        INTEGER NOT NULL,
    bits        INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage, band, bits, fingerprint)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS fingerprints;
CREATE TABLE fingerprints (
    place       INTEGER PRIMARY KEY,
    job_id      TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    item_id     INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    fingerprint INTEGER NOT NULL,
    UNIQUE (item_id, stage)
) STRICT;
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
CREATE INDEX idx_fingerprints_value ON fingerprints (job_id, stage, fingerprint, place);

DROP TABLE IF EXISTS held_items;
CREATE TABLE held_items (
    held_id   INTEGER PRIMARY KEY,
    job_id    TEXT    NOT NULL,
    key       TEXT    NOT NULL CHECK (length(key) > 0),
    data      TEXT    NOT NULL,
    priority  INTEGER NOT NULL,
    version   TEXT,
    source    TEXT    NOT NULL,
    held_at   INTEGER NOT NULL, host TEXT,
    UNIQUE (job_id, key)
) STRICT;
CREATE TRIGGER held_items_count_deletes
AFTER DELETE ON held_items
BEGIN
    UPDATE item_counts SET held = held - 1 WHERE job_id = OLD.job_id;
END;
CREATE TRIGGER held_items_count_inserts
AFTER INSERT ON held_items
BEGIN
    INSERT INTO item_counts (job_id, held) VALUES (NEW.job_id, 1)
        ON CONFLICT DO UPDATE SET held = held + 1;
END;
CREATE TRIGGER held_items_forget_artifacts_on_delete
AFTER DELETE ON held_items
WHEN instr(OLD.data, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'held' AND id = OLD.held_id AND stage = '';
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
CREATE INDEX idx_held_items_job ON held_items (job_id, held_id);

DROP TABLE IF EXISTS host_probes;
CREATE TABLE host_probes (
    probe_id INTEGER PRIMARY KEY,
    host     TEXT    NOT NULL,
    until_at INTEGER NOT NULL
) STRICT;

DROP TABLE IF EXISTS host_waits;
CREATE TABLE host_waits (
    host     TEXT    NOT NULL,
    item_id  INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage    TEXT    NOT NULL,
    retry_at INTEGER NOT NULL,                  -- as its stage has it: with another it waits for something else
    PRIMARY KEY (host, item_id, stage)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_host_waits_item ON host_waits (item_id);

DROP TABLE IF EXISTS hosts;
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

DROP TABLE IF EXISTS item_counts;
CREATE TABLE item_counts (
    job_id      TEXT    PRIMARY KEY NOT NULL,
    pending     INTEGER NOT NULL DEFAULT 0,
    in_progress INTEGER NOT NULL DEFAULT 0,
    done        INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    unopened    INTEGER NOT NULL DEFAULT 0
, held INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
INSERT INTO item_counts VALUES('papers',4,1,2,2,0,1,0);
INSERT INTO item_counts VALUES('paused',8,0,0,0,0,0,0);

DROP TABLE IF EXISTS item_minutes;
CREATE TABLE item_minutes (
    job_id TEXT    NOT NULL,
    minute INTEGER NOT NULL,                    -- Unix minutes
    done   INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    PRIMARY KEY (job_id, minute)
) STRICT, WITHOUT ROWID;
INSERT INTO item_minutes VALUES('papers',29498400,2,2);

DROP TABLE IF EXISTS item_stages;
CREATE TABLE item_stages (
    item_id      INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage        TEXT    NOT NULL,
    job_id       TEXT    NOT NULL,
    position     INTEGER NOT NULL,              -- its place in the job's list of stages
    status       TEXT    NOT NULL DEFAULT 'pending'
                 CHECK (status = 'pending' OR status = 'in_progress' OR status = 'done' OR status = 'failed' OR status = 'skipped'),
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
    reason       TEXT, backfill INTEGER NOT NULL DEFAULT 0     -- asked for again; see the trigger
                        CHECK (backfill IN (0, 1)), over_budget INTEGER NOT NULL DEFAULT 0  -- its item would spend too much: passed over
                        CHECK (over_budget IN (0, 1)), failure_group INTEGER, cancelled_by TEXT, again TEXT CHECK (again IN ('runs', 'waits')),                          -- why it failed, was skipped, or waits
    PRIMARY KEY (item_id, stage),
    CHECK ((status = 'in_progress') = (leased_until IS NOT NULL)),
    CHECK ((status NOT IN ('pending', 'in_progress')) = (ended_at IS NOT NULL)),
    CHECK (status = 'pending' OR (queued_at IS NULL AND retry_at IS NULL)),
    CHECK ((queued_at IS NULL) = (resend_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO item_stages VALUES(1,'extract','papers',1,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(1,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(1,'store','papers',2,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(2,'extract','papers',1,'skipped',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,'nothing in it',0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(2,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(2,'store','papers',2,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(3,'extract','papers',1,'failed',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,'ValueError: no such page as 17',0,0,1,NULL,NULL);
INSERT INTO item_stages VALUES(3,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(3,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(4,'extract','papers',1,'failed',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,'gone for good',0,0,2,NULL,NULL);
INSERT INTO item_stages VALUES(4,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(4,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(5,'extract','papers',1,'pending',0,0,1,0,0,1769904000000,1,1769904120000,1769904060000,NULL,'worker:1',1769904000000,NULL,'busy',0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(5,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(5,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(6,'extract','papers',1,'pending',0,0,1,0,0,NULL,0,NULL,1770508800000,NULL,'worker:1',1769904000000,NULL,'over its quota',0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(6,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(6,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(7,'extract','papers',1,'in_progress',0,0,1,0,0,NULL,0,NULL,NULL,1769904030000,'worker:2',1769904000000,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(7,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(7,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(8,'extract','papers',1,'pending',0,0,0,0,0,1769904000000,1,1769904060000,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(8,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(8,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(9,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(9,'fetch','paused',0,'pending',0,0,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(9,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(10,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(10,'fetch','paused',0,'pending',0,0,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(10,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(11,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(11,'fetch','paused',0,'pending',0,0,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(11,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(12,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(12,'fetch','paused',0,'pending',0,0,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(12,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(13,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(13,'fetch','paused',0,'pending',0,0,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(13,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(14,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(14,'fetch','paused',0,'pending',0,0,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(14,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(15,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(15,'fetch','paused',0,'pending',0,0,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(15,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(16,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(16,'fetch','paused',0,'pending',0,0,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(16,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL);
CREATE INDEX idx_item_stages_again ON item_stages (item_id, stage) WHERE again = 'waits';
CREATE INDEX idx_item_stages_failure_group ON item_stages (failure_group, item_id, stage) WHERE status = 'failed';
CREATE INDEX idx_item_stages_item_status ON item_stages (item_id, status);
CREATE INDEX idx_item_stages_leased ON item_stages (leased_until) WHERE status = 'in_progress';
CREATE INDEX idx_item_stages_over_budget ON item_stages (job_id, stage, item_id)
    WHERE status = 'pending' AND over_budget = 1;
CREATE INDEX idx_item_stages_parked ON item_stages (job_id, retry_at)
    WHERE status = 'pending' AND retry_at IS NOT NULL;
CREATE INDEX idx_item_stages_ready ON item_stages (job_id, stage, over_budget, backfill, priority DESC, item_id)
    WHERE status = 'pending' AND needs_left = 0 AND queued_at IS NULL AND retry_at IS NULL;
CREATE INDEX idx_item_stages_sent ON item_stages (resend_at)
    WHERE status = 'pending' AND queued_at IS NOT NULL;
CREATE INDEX idx_item_stages_status ON item_stages (job_id, stage, status, item_id) WHERE status <> 'in_progress';
CREATE INDEX idx_item_stages_switched_off ON item_stages (job_id, stage, item_id)
    WHERE status = 'skipped' AND reason = 'switched off in jobs.yaml';
CREATE TRIGGER item_stages_cache_status_on_delete
AFTER DELETE ON item_stages
BEGIN
    UPDATE work_items
       SET status = (SELECT derived_status FROM item_derived_status WHERE item_id = OLD.item_id)
     WHERE item_id = OLD.item_id;
END;
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
       SET status = iif(NEW.status = 'in_progress',
                        'in_progress',
                        coalesce((SELECT min(s.status)
                                    FROM item_stages s
                                   WHERE s.item_id = NEW.item_id AND s.status BETWEEN 'failed' AND 'pending'), 'done'))
     WHERE item_id = NEW.item_id AND (NEW.status <> 'in_progress' OR status = 'pending');
END;
CREATE TRIGGER item_stages_count_deletes
AFTER DELETE ON item_stages
BEGIN
    UPDATE stage_counts
       SET pending     = pending - (OLD.status = 'pending'),
           in_progress = in_progress - (OLD.status = 'in_progress'),
           done        = done - (OLD.status = 'done'),
           failed      = failed - (OLD.status = 'failed'),
           skipped     = skipped - (OLD.status = 'skipped'),
           queued      = queued - (OLD.queued_at IS NOT NULL AND OLD.retry_at IS NULL),
           countdown   = countdown - (OLD.queued_at IS NOT NULL AND OLD.retry_at IS NOT NULL)
     WHERE job_id = OLD.job_id AND stage = OLD.stage;
END;
CREATE TRIGGER item_stages_count_group_on_delete
AFTER DELETE ON item_stages
WHEN OLD.status = 'failed' AND OLD.failure_group IS NOT NULL
BEGIN
    UPDATE failure_groups SET failed = failed - 1 WHERE group_id = OLD.failure_group;
END;
CREATE TRIGGER item_stages_count_group_on_insert
AFTER INSERT ON item_stages
WHEN NEW.status = 'failed' AND NEW.failure_group IS NOT NULL
BEGIN
    UPDATE failure_groups SET failed = failed + 1 WHERE group_id = NEW.failure_group;
END;
CREATE TRIGGER item_stages_count_inserts
AFTER INSERT ON item_stages
BEGIN
    INSERT INTO stage_counts (job_id, stage, pending, in_progress, done, failed, skipped, queued, countdown)
    VALUES (NEW.job_id, NEW.stage,
            NEW.status = 'pending', NEW.status = 'in_progress', NEW.status = 'done', NEW.status = 'failed',
            NEW.status = 'skipped',
            NEW.queued_at IS NOT NULL AND NEW.retry_at IS NULL,
            NEW.queued_at IS NOT NULL AND NEW.retry_at IS NOT NULL)
        ON CONFLICT DO UPDATE
       SET pending     = pending + excluded.pending,
           in_progress = in_progress + excluded.in_progress,
           done        = done + excluded.done,
           failed      = failed + excluded.failed,
           skipped     = skipped + excluded.skipped,
           queued      = queued + excluded.queued,
           countdown   = countdown + excluded.countdown;
END;
CREATE TRIGGER item_stages_count_updates
AFTER UPDATE OF status, queued_at, retry_at ON item_stages
BEGIN
    UPDATE stage_counts
       SET pending     = pending + (NEW.status = 'pending') - (OLD.status = 'pending'),
           in_progress = in_progress + (NEW.status = 'in_progress') - (OLD.status = 'in_progress'),
           done        = done + (NEW.status = 'done') - (OLD.status = 'done'),
           failed      = failed + (NEW.status = 'failed') - (OLD.status = 'failed'),
           skipped     = skipped + (NEW.status = 'skipped') - (OLD.status = 'skipped'),
           queued      = queued + (NEW.queued_at IS NOT NULL AND NEW.retry_at IS NULL)
                                - (OLD.queued_at IS NOT NULL AND OLD.retry_at IS NULL),
           countdown   = countdown + (NEW.queued_at IS NOT NULL AND NEW.retry_at IS NOT NULL)
                                   - (OLD.queued_at IS NOT NULL AND OLD.retry_at IS NOT NULL)
     WHERE job_id = NEW.job_id AND stage = NEW.stage;
END;
CREATE TRIGGER item_stages_count_waits_on_delete
AFTER DELETE ON item_stages
WHEN OLD.status = 'pending' AND OLD.queued_at IS NULL AND (OLD.needs_left > 0 OR OLD.retry_at IS NOT NULL)
BEGIN
    UPDATE stage_counts
       SET blocked = blocked - (OLD.needs_left > 0),
           parked  = parked - (OLD.needs_left = 0)
     WHERE job_id = OLD.job_id AND stage = OLD.stage;
END;
CREATE TRIGGER item_stages_count_waits_on_insert
AFTER INSERT ON item_stages
WHEN NEW.status = 'pending' AND NEW.queued_at IS NULL AND (NEW.needs_left > 0 OR NEW.retry_at IS NOT NULL)
BEGIN
    INSERT INTO stage_counts (job_id, stage, blocked, parked)
    VALUES (NEW.job_id, NEW.stage, NEW.needs_left > 0, NEW.needs_left = 0)
        ON CONFLICT DO UPDATE
       SET blocked = blocked + excluded.blocked, parked = parked + excluded.parked;
END;
CREATE TRIGGER item_stages_count_waits_on_update
AFTER UPDATE OF status, needs_left, retry_at, queued_at ON item_stages
WHEN (NEW.status = 'pending' AND NEW.queued_at IS NULL AND (NEW.needs_left > 0 OR NEW.retry_at IS NOT NULL))
  OR (OLD.status = 'pending' AND OLD.queued_at IS NULL AND (OLD.needs_left > 0 OR OLD.retry_at IS NOT NULL))
BEGIN
    UPDATE stage_counts
       SET blocked = blocked
                   + (NEW.status = 'pending' AND NEW.queued_at IS NULL AND NEW.needs_left > 0)
                   - (OLD.status = 'pending' AND OLD.queued_at IS NULL AND OLD.needs_left > 0),
           parked  = parked
                   + (NEW.status = 'pending' AND NEW.queued_at IS NULL AND NEW.needs_left = 0
                                             AND NEW.retry_at IS NOT NULL)
                   - (OLD.status = 'pending' AND OLD.queued_at IS NULL AND OLD.needs_left = 0
                                             AND OLD.retry_at IS NOT NULL)
     WHERE job_id = NEW.job_id AND stage = NEW.stage;
END;
CREATE TRIGGER item_stages_delete_reservation
AFTER DELETE ON item_stages
BEGIN
    DELETE FROM reservations WHERE item_id = OLD.item_id AND stage = OLD.stage;
END;
CREATE TRIGGER item_stages_end_reservation
AFTER UPDATE OF status, queued_at ON item_stages
WHEN NEW.queued_at IS NULL AND NEW.status <> 'in_progress'
 AND (OLD.queued_at IS NOT NULL OR OLD.status = 'in_progress')
BEGIN
    DELETE FROM reservations WHERE item_id = NEW.item_id AND stage = NEW.stage;
END;
CREATE TRIGGER item_stages_keep_again
AFTER UPDATE OF status ON item_stages
WHEN NEW.again IS NOT NULL AND NEW.status <> OLD.status
BEGIN
    UPDATE item_stages
       SET again = iif(NEW.status IN ('done', 'skipped'), NULL, 'runs')
     WHERE item_id = NEW.item_id AND stage = NEW.stage;
END;
CREATE TRIGGER item_stages_let_go_on_delete
AFTER DELETE ON item_stages
WHEN OLD.status = 'in_progress'
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'attempt' AND id = OLD.item_id AND stage = OLD.stage;
    DELETE FROM progress WHERE item_id = OLD.item_id AND stage = OLD.stage;
END;
CREATE TRIGGER item_stages_let_go_on_update
AFTER UPDATE OF status ON item_stages
WHEN OLD.status = 'in_progress' AND NEW.status <> 'in_progress'
 AND (EXISTS (SELECT 1 FROM artifact_uses WHERE kind = 'attempt' AND id = OLD.item_id AND stage = OLD.stage)
      OR EXISTS (SELECT 1 FROM progress WHERE item_id = OLD.item_id AND stage = OLD.stage))
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'attempt' AND id = OLD.item_id AND stage = OLD.stage;
    DELETE FROM progress WHERE item_id = OLD.item_id AND stage = OLD.stage;
END;
CREATE TRIGGER item_stages_move_at_the_end
AFTER UPDATE OF status, failure_group ON item_stages
WHEN OLD.status NOT IN ('pending', 'in_progress') OR NEW.status = 'failed'
BEGIN
    SELECT RAISE(ABORT, 'illegal move: an ended stage can only begin afresh, or be left out when it failed')
     WHERE OLD.status NOT IN ('pending', 'in_progress') AND NEW.status NOT IN ('pending', OLD.status)
       AND NOT (OLD.status = 'failed' AND NEW.status = 'skipped');
    UPDATE item_stages
       SET backfill = 1
     WHERE NEW.status = 'pending' AND item_id = NEW.item_id AND status = 'pending' AND backfill = 0;
    UPDATE work_items
       SET fresh = 0
     WHERE NEW.status = 'pending' AND item_id = NEW.item_id AND fresh = 1;
    UPDATE failure_groups
       SET failed = failed - 1
     WHERE OLD.status = 'failed' AND group_id = OLD.failure_group
       AND (NEW.status <> 'failed' OR NEW.failure_group IS NOT OLD.failure_group);
    UPDATE failure_groups
       SET failed = failed + 1
     WHERE NEW.status = 'failed' AND group_id = NEW.failure_group
       AND (OLD.status <> 'failed' OR NEW.failure_group IS NOT OLD.failure_group);
END;
CREATE TRIGGER item_stages_reserve_late_claim
AFTER UPDATE OF status ON item_stages
WHEN NEW.status = 'in_progress' AND OLD.queued_at IS NULL
 AND (EXISTS (SELECT 1 FROM budgets WHERE job_id = NEW.job_id) OR EXISTS (SELECT 1 FROM budgets WHERE job_id = '*'))
BEGIN
    INSERT INTO reservations (item_id, stage, attempt, job_id, usd)
    SELECT NEW.item_id, NEW.stage, NEW.attempt, NEW.job_id, usd / attempts
      FROM stage_costs
     WHERE job_id = NEW.job_id AND stage = NEW.stage AND attempts > 0 AND usd > 0.0
        ON CONFLICT DO UPDATE
       SET attempt = excluded.attempt, usd = excluded.usd;
END;

DROP TABLE IF EXISTS job_stages;
CREATE TABLE job_stages (
    job_id      TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    position    INTEGER NOT NULL,               -- its place in the job's list
    switched_on INTEGER NOT NULL DEFAULT 1 CHECK (switched_on IN (0, 1)), keep INTEGER NOT NULL DEFAULT 3 CHECK (keep >= 0), made_of TEXT,
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;
INSERT INTO job_stages VALUES('papers','extract',1,1,3,'d7207daa6d3552d882a4feb3b01a326a');
INSERT INTO job_stages VALUES('papers','fetch',0,1,3,'5efb0c862abfe0c1c931d679f2d1ab21');
INSERT INTO job_stages VALUES('papers','store',2,1,3,'5efb0c862abfe0c1c931d679f2d1ab21');
INSERT INTO job_stages VALUES('paused','extract',1,1,3,'d7207daa6d3552d882a4feb3b01a326a');
INSERT INTO job_stages VALUES('paused','fetch',0,1,3,'5efb0c862abfe0c1c931d679f2d1ab21');
INSERT INTO job_stages VALUES('paused','store',2,1,3,'5efb0c862abfe0c1c931d679f2d1ab21');

DROP TABLE IF EXISTS job_states;
CREATE TABLE job_states (
    job_id     TEXT    PRIMARY KEY NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('on', 'off', 'gone')),
    applied_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS jobs;
CREATE TABLE jobs (
    job_id        TEXT    PRIMARY KEY NOT NULL,
    first_seen_at INTEGER NOT NULL,
    woken_at      INTEGER,                      -- somebody asked to look for work; the sweep clears it
    error         TEXT,                         -- why its last discovery failed
    error_at      INTEGER,
    auto_unpauses INTEGER NOT NULL DEFAULT 0 CHECK (auto_unpauses >= 0), missed_slots INTEGER NOT NULL DEFAULT 0,
    CHECK ((error IS NULL) = (error_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO jobs VALUES('papers',1769904000000,NULL,NULL,NULL,0,0);
INSERT INTO jobs VALUES('paused',1769904000000,NULL,NULL,NULL,0,0);

DROP TABLE IF EXISTS lanes;
CREATE TABLE lanes (
    job_id TEXT NOT NULL,
    queue  TEXT NOT NULL,
    owed   REAL NOT NULL,
    PRIMARY KEY (job_id, queue)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS meta;
CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS notice_messages;
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

DROP TABLE IF EXISTS notices;
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

DROP TABLE IF EXISTS pauses;
CREATE TABLE "pauses" (
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
INSERT INTO pauses VALUES('job','paused','','','person','over the weekend','somebody',1769904000000,NULL,0,0);
CREATE INDEX idx_pauses_until ON pauses (until_at) WHERE until_at IS NOT NULL;

DROP TABLE IF EXISTS plan_changes;
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

DROP TABLE IF EXISTS probes;
CREATE TABLE probes (
    item_id INTEGER NOT NULL,
    stage   TEXT    NOT NULL,
    attempt INTEGER NOT NULL,
    job_id  TEXT    NOT NULL,
    PRIMARY KEY (item_id, stage, attempt)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS progress;
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

DROP TABLE IF EXISTS rates;
CREATE TABLE rates (
    job_id  TEXT    NOT NULL,
    stage   TEXT    NOT NULL,
    free_us INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS reservations;
CREATE TABLE reservations (
    item_id INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage   TEXT    NOT NULL,
    attempt INTEGER NOT NULL,
    job_id  TEXT    NOT NULL,
    usd     REAL    NOT NULL CHECK (usd >= 0),  -- what its attempt has spent is taken off at once
    PRIMARY KEY (item_id, stage)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_reservations_job ON reservations (job_id, usd);

DROP TABLE IF EXISTS result_versions;
CREATE TABLE result_versions (
    job_id          TEXT    NOT NULL,
    stage           TEXT    NOT NULL,
    handler_version TEXT    NOT NULL,
    results         INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage, handler_version)
) STRICT, WITHOUT ROWID;
INSERT INTO result_versions VALUES('papers','extract','1',1);
INSERT INTO result_versions VALUES('papers','fetch','1',8);
INSERT INTO result_versions VALUES('papers','store','1',2);

DROP TABLE IF EXISTS results;
CREATE TABLE results (
    result_id       INTEGER PRIMARY KEY,
    item_id         INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage           TEXT    NOT NULL,
    job_id          TEXT    NOT NULL,
    attempt         INTEGER NOT NULL,
    result          TEXT    NOT NULL,
    handler_version TEXT,
    stored_at       INTEGER NOT NULL, input_hash TEXT, output_hash TEXT,
    UNIQUE (item_id, stage)                     -- one result that counts; a later attempt replaces it
) STRICT;
INSERT INTO results VALUES(1,1,'fetch','papers',1,'{"key": "done", "saw": []}','1',1769904000000,'e6287fcab92ce58d87c8c4f010f77022','999c40e8c33775303130e5abda3d684b');
INSERT INTO results VALUES(2,2,'fetch','papers',1,'{"key": "empty", "saw": []}','1',1769904000000,'c1d00bd29db2ea9d6a88df83ecc5251e','71d550ee41741c5a959576a5cd992a7c');
INSERT INTO results VALUES(3,3,'fetch','papers',1,'{"key": "broken", "saw": []}','1',1769904000000,'5a38874847cec7f4e3124cdb4eec4b5e','db626e28015a97bb83dd1f6131151003');
INSERT INTO results VALUES(4,4,'fetch','papers',1,'{"key": "hopeless", "saw": []}','1',1769904000000,'5bb6e3b8dc39f5b853dacd2fb2ca8e74','c82227c8bca5da04ee72f6472937c75b');
INSERT INTO results VALUES(5,5,'fetch','papers',1,'{"key": "soon", "saw": []}','1',1769904000000,'9bd5343014935d6d5f06759fed981228','9ed490dc7a82362792e1cdf42ba44a37');
INSERT INTO results VALUES(6,6,'fetch','papers',1,'{"key": "next week", "saw": []}','1',1769904000000,'93a6efc3494a8c216e36e1284861ed72','6552c26922e567adada30e9df838881d');
INSERT INTO results VALUES(7,7,'fetch','papers',1,'{"key": "claimed", "saw": []}','1',1769904000000,'52c10a36009a7fd72850ecf88b6bdb83','24b8a6436b9befdf24a68a33daff3952');
INSERT INTO results VALUES(8,8,'fetch','papers',1,'{"key": "sent", "saw": []}','1',1769904000000,'77e4391ddaf7670d43496bdd0e8166d9','7e62f505b34d3fdf84274c3509a50482');
INSERT INTO results VALUES(9,1,'extract','papers',1,'{"key": "done", "saw": ["fetch"]}','1',1769904000000,'780c53dc51a5c245f12262943a8b51d2','870f387d4a95af4ada6f3e78d302c785');
INSERT INTO results VALUES(10,1,'store','papers',1,'{"key": "done", "saw": ["extract"]}','1',1769904000000,'42a897230ed14b9605ea2c8e816035fd','1787ad8913d6f3c4bcb4627161be690e');
INSERT INTO results VALUES(11,2,'store','papers',1,'{"key": "empty", "saw": []}','1',1769904000000,'c1d00bd29db2ea9d6a88df83ecc5251e','71d550ee41741c5a959576a5cd992a7c');
CREATE INDEX idx_results_job_stage_version ON results (job_id, stage, handler_version, item_id);
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
CREATE TRIGGER results_forget_artifacts_on_delete
AFTER DELETE ON results
WHEN instr(OLD.result, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'result' AND id = OLD.item_id AND stage = OLD.stage;
END;
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

DROP TABLE IF EXISTS results_history;
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
CREATE INDEX idx_results_history_replaced ON results_history (replaced_at);
CREATE INDEX idx_results_history_stage ON results_history (item_id, stage, history_id);
CREATE TRIGGER results_history_forget_artifacts_on_delete
AFTER DELETE ON results_history
WHEN instr(OLD.result, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'history' AND id = OLD.history_id AND stage = '';
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

DROP TABLE IF EXISTS robots;
CREATE TABLE robots (
    origin     TEXT    PRIMARY KEY NOT NULL,    -- scheme://host:port
    status     INTEGER NOT NULL,                -- of the answer; 0 when there was none
    good_until INTEGER NOT NULL,
    body       TEXT    NOT NULL                 -- the part of it that is for us
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_robots_good_until ON robots (good_until);

DROP TABLE IF EXISTS saved_views;
CREATE TABLE saved_views (
    job_id   TEXT    NOT NULL,
    name     TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    filter   TEXT    NOT NULL,                  -- as it was typed; '' for all items
    sort     TEXT    NOT NULL,
    by       TEXT    NOT NULL,
    saved_at INTEGER NOT NULL,
    PRIMARY KEY (job_id, name)
) STRICT, WITHOUT ROWID;

DELETE FROM sqlite_schema WHERE name='search_documents' AND type='table';
INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) VALUES('table','search_documents','search_documents',0,'CREATE VIRTUAL TABLE search_documents USING fts5 (
    words, content = '''', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
)');

DROP TABLE IF EXISTS search_documents_config;
CREATE TABLE 'search_documents_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO search_documents_config VALUES('version',4);

DROP TABLE IF EXISTS search_documents_data;
CREATE TABLE 'search_documents_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO search_documents_data VALUES(1,X'');
INSERT INTO search_documents_data VALUES(10,X'00000000FF000001000000');

DROP TABLE IF EXISTS search_documents_docsize;
CREATE TABLE 'search_documents_docsize'(id INTEGER PRIMARY KEY, sz BLOB, origin INTEGER);

DROP TABLE IF EXISTS search_documents_idx;
CREATE TABLE 'search_documents_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;

DROP TABLE IF EXISTS search_progress;
CREATE TABLE search_progress (
    job_id   TEXT    PRIMARY KEY NOT NULL,
    item_id  INTEGER NOT NULL,
    event_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS source_state;
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
INSERT INTO source_state VALUES('papers','',NULL,NULL,NULL,1769904000000,1769904000000,1769904000000,NULL,0,0,'[[8, 8]]');
INSERT INTO source_state VALUES('paused','',NULL,NULL,NULL,1769904000000,1769904000000,1769904000000,NULL,0,0,'[[8, 8]]');

DROP TABLE IF EXISTS spent_days;
CREATE TABLE spent_days (
    day      INTEGER NOT NULL,
    job_id   TEXT    NOT NULL,
    stage    TEXT    NOT NULL,
    provider TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    usd      REAL    NOT NULL,
    costs    INTEGER NOT NULL,
    unknown  INTEGER NOT NULL,                  -- costs of unknown price
    PRIMARY KEY (day, job_id, stage, provider, model)
) STRICT, WITHOUT ROWID;
INSERT INTO spent_days VALUES(20485,'papers','extract','somebody','',1.5,6,0);
INSERT INTO spent_days VALUES(20485,'papers','fetch','somebody','',2.0,8,0);
INSERT INTO spent_days VALUES(20485,'papers','store','somebody','',0.5,2,0);

DROP TABLE IF EXISTS spent_items;
CREATE TABLE spent_items (
    item_id INTEGER PRIMARY KEY REFERENCES work_items (item_id) ON DELETE CASCADE,
    usd     REAL NOT NULL CHECK (usd > 0)
) STRICT;
INSERT INTO spent_items VALUES(1,0.75);
INSERT INTO spent_items VALUES(2,0.75);
INSERT INTO spent_items VALUES(3,0.5);
INSERT INTO spent_items VALUES(4,0.5);
INSERT INTO spent_items VALUES(5,0.5);
INSERT INTO spent_items VALUES(6,0.5);
INSERT INTO spent_items VALUES(7,0.25);
INSERT INTO spent_items VALUES(8,0.25);

DROP TABLE IF EXISTS spent_quarters;
CREATE TABLE spent_quarters (
    job_id  TEXT    NOT NULL,
    quarter INTEGER NOT NULL,                   -- Unix milliseconds / 900,000
    usd     REAL    NOT NULL,
    unknown INTEGER NOT NULL,                   -- costs of unknown price
    PRIMARY KEY (job_id, quarter)
) STRICT, WITHOUT ROWID;
INSERT INTO spent_quarters VALUES('*',1966560,4.0,0);
INSERT INTO spent_quarters VALUES('papers',1966560,4.0,0);

DROP TABLE IF EXISTS spent_totals;
CREATE TABLE spent_totals (
    job_id  TEXT    PRIMARY KEY NOT NULL,
    usd     REAL    NOT NULL,
    unknown INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO spent_totals VALUES('*',4.0,0);
INSERT INTO spent_totals VALUES('papers',4.0,0);

DROP TABLE IF EXISTS spent_units;
CREATE TABLE spent_units (
    day      INTEGER NOT NULL,
    job_id   TEXT    NOT NULL,
    stage    TEXT    NOT NULL,
    provider TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    unit     TEXT    NOT NULL,                  -- such as input_tokens
    count    ANY     NOT NULL,                  -- a whole number, as long as all of them are
    PRIMARY KEY (day, job_id, stage, provider, model, unit)
) STRICT, WITHOUT ROWID;
INSERT INTO spent_units VALUES(20485,'papers','extract','somebody','','tokens',60);
INSERT INTO spent_units VALUES(20485,'papers','fetch','somebody','','tokens',80);
INSERT INTO spent_units VALUES(20485,'papers','store','somebody','','tokens',20);

DROP TABLE IF EXISTS stage_costs;
CREATE TABLE stage_costs (
    job_id   TEXT    NOT NULL,
    stage    TEXT    NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,        -- that reported a cost, all of it known
    usd      REAL    NOT NULL DEFAULT 0.0,      -- what these cost together
    unknown  INTEGER NOT NULL DEFAULT 0,        -- that reported a cost nobody knows
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;
INSERT INTO stage_costs VALUES('papers','extract',6,1.5,0);
INSERT INTO stage_costs VALUES('papers','fetch',8,2.0,0);
INSERT INTO stage_costs VALUES('papers','store',2,0.5,0);

DROP TABLE IF EXISTS stage_counts;
CREATE TABLE stage_counts (
    job_id      TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    pending     INTEGER NOT NULL DEFAULT 0,
    in_progress INTEGER NOT NULL DEFAULT 0,
    done        INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    queued      INTEGER NOT NULL DEFAULT 0,     -- the runway: stamped, not yet claimed
    countdown   INTEGER NOT NULL DEFAULT 0, blocked INTEGER NOT NULL DEFAULT 0, parked INTEGER NOT NULL DEFAULT 0,     -- stamped with a countdown: the broker holds it until retry_at
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;
INSERT INTO stage_counts VALUES('papers','extract',3,1,1,2,1,1,1,0,1);
INSERT INTO stage_counts VALUES('papers','fetch',0,0,8,0,0,0,0,0,0);
INSERT INTO stage_counts VALUES('papers','store',6,0,2,0,0,0,0,6,0);
INSERT INTO stage_counts VALUES('paused','extract',8,0,0,0,0,0,0,8,0);
INSERT INTO stage_counts VALUES('paused','fetch',8,0,0,0,0,0,0,0,0);
INSERT INTO stage_counts VALUES('paused','store',8,0,0,0,0,0,0,8,0);

DROP TABLE IF EXISTS stage_minutes;
CREATE TABLE stage_minutes (
    job_id  TEXT    NOT NULL,
    stage   TEXT    NOT NULL,
    minute  INTEGER NOT NULL,                   -- Unix minutes
    settled INTEGER NOT NULL,
    failed  INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage, minute)
) STRICT, WITHOUT ROWID;
INSERT INTO stage_minutes VALUES('papers','extract',29498400,6,2);
INSERT INTO stage_minutes VALUES('papers','fetch',29498400,8,0);
INSERT INTO stage_minutes VALUES('papers','store',29498400,2,0);

DROP TABLE IF EXISTS stage_needs;
CREATE TABLE stage_needs (
    job_id TEXT NOT NULL,
    need   TEXT NOT NULL,                       -- must be done or skipped before `stage` is ready
    stage  TEXT NOT NULL,
    PRIMARY KEY (job_id, need, stage)
) STRICT, WITHOUT ROWID;
INSERT INTO stage_needs VALUES('papers','fetch','extract');
INSERT INTO stage_needs VALUES('papers','extract','store');
INSERT INTO stage_needs VALUES('paused','fetch','extract');
INSERT INTO stage_needs VALUES('paused','extract','store');
CREATE INDEX idx_stage_needs_stage ON stage_needs (job_id, stage, need);

DROP TABLE IF EXISTS stage_renames;
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

DROP TABLE IF EXISTS stage_timings;
CREATE TABLE stage_timings (
    job_id   TEXT    NOT NULL,
    stage    TEXT    NOT NULL,
    bucket   INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    total_ms INTEGER NOT NULL,
    max_ms   INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage, bucket)
) STRICT, WITHOUT ROWID;
INSERT INTO stage_timings VALUES('papers','extract',0,1,0,0);
INSERT INTO stage_timings VALUES('papers','fetch',0,8,0,0);
INSERT INTO stage_timings VALUES('papers','store',0,2,0,0);

DROP TABLE IF EXISTS work_items;
CREATE TABLE work_items (
    item_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id        TEXT    NOT NULL,
    key           TEXT    NOT NULL CHECK (length(key) > 0),
    data          TEXT    NOT NULL DEFAULT '{}',
    status        TEXT    NOT NULL DEFAULT 'pending'
                  CHECK (status = 'pending' OR status = 'in_progress' OR status = 'done' OR status = 'failed' OR status = 'skipped'),
    priority      INTEGER NOT NULL DEFAULT 0,   -- higher goes first
    discovered_at INTEGER NOT NULL,
    opened_at     INTEGER, version TEXT, fresh INTEGER NOT NULL DEFAULT 1         -- neither through nor asked for again
                       CHECK (fresh IN (0, 1)), source TEXT, host TEXT,                      -- when it got its stage rows; NULL until then
    UNIQUE (job_id, key)
) STRICT;
INSERT INTO work_items VALUES(1,'papers','done','{"title": "The done one, “naïve”"}','done',0,1769904000000,1769904000000,NULL,0,NULL,NULL);
INSERT INTO work_items VALUES(2,'papers','empty','{"title": "The empty one, “naïve”"}','done',0,1769904000000,1769904000000,NULL,0,NULL,NULL);
INSERT INTO work_items VALUES(3,'papers','broken','{"title": "The broken one, “naïve”"}','failed',0,1769904000000,1769904000000,NULL,0,NULL,NULL);
INSERT INTO work_items VALUES(4,'papers','hopeless','{"title": "The hopeless one, “naïve”"}','failed',0,1769904000000,1769904000000,NULL,0,NULL,NULL);
INSERT INTO work_items VALUES(5,'papers','soon','{"title": "The soon one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(6,'papers','next week','{"title": "The next week one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(7,'papers','claimed','{"title": "The claimed one, “naïve”"}','in_progress',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(8,'papers','sent','{"title": "The sent one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(9,'paused','done','{"title": "The done one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(10,'paused','empty','{"title": "The empty one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(11,'paused','broken','{"title": "The broken one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(12,'paused','hopeless','{"title": "The hopeless one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(13,'paused','soon','{"title": "The soon one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(14,'paused','next week','{"title": "The next week one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(15,'paused','claimed','{"title": "The claimed one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(16,'paused','sent','{"title": "The sent one, “naïve”"}','pending',0,1769904000000,1769904000000,NULL,1,NULL,NULL);
INSERT INTO work_items VALUES(17,'papers','unopened','{"title": "found last"}','pending',0,1769904000000,NULL,NULL,1,NULL,NULL);
CREATE INDEX idx_work_items_discovered ON work_items (job_id, discovered_at, item_id);
CREATE INDEX idx_work_items_fresh ON work_items (job_id, discovered_at) WHERE fresh = 1;
CREATE INDEX idx_work_items_host ON work_items (job_id, host, item_id) WHERE host IS NOT NULL;
CREATE INDEX idx_work_items_job ON work_items (job_id, item_id);
CREATE INDEX idx_work_items_job_status ON work_items (job_id, status, priority DESC, item_id)
    WHERE status <> 'in_progress';
CREATE INDEX idx_work_items_source ON work_items (job_id, source, item_id) WHERE source IS NOT NULL;
CREATE INDEX idx_work_items_unopened ON work_items (job_id, priority DESC, item_id) WHERE opened_at IS NULL;
CREATE TRIGGER work_items_count_deletes
AFTER DELETE ON work_items
BEGIN
    UPDATE item_counts
       SET pending     = pending - (OLD.status = 'pending'),
           in_progress = in_progress - (OLD.status = 'in_progress'),
           done        = done - (OLD.status = 'done'),
           failed      = failed - (OLD.status = 'failed'),
           skipped     = skipped - (OLD.status = 'skipped'),
           unopened    = unopened - (OLD.opened_at IS NULL)
     WHERE job_id = OLD.job_id;
END;
CREATE TRIGGER work_items_count_inserts
AFTER INSERT ON work_items
BEGIN
    INSERT INTO item_counts (job_id, pending, in_progress, done, failed, skipped, unopened)
    VALUES (NEW.job_id,
            NEW.status = 'pending', NEW.status = 'in_progress', NEW.status = 'done', NEW.status = 'failed',
            NEW.status = 'skipped', NEW.opened_at IS NULL)
        ON CONFLICT DO UPDATE
       SET pending     = pending + excluded.pending,
           in_progress = in_progress + excluded.in_progress,
           done        = done + excluded.done,
           failed      = failed + excluded.failed,
           skipped     = skipped + excluded.skipped,
           unopened    = unopened + excluded.unopened;
END;
CREATE TRIGGER work_items_count_updates
AFTER UPDATE OF status, opened_at ON work_items
BEGIN
    UPDATE item_counts
       SET pending     = pending + (NEW.status = 'pending') - (OLD.status = 'pending'),
           in_progress = in_progress + (NEW.status = 'in_progress') - (OLD.status = 'in_progress'),
           done        = done + (NEW.status = 'done') - (OLD.status = 'done'),
           failed      = failed + (NEW.status = 'failed') - (OLD.status = 'failed'),
           skipped     = skipped + (NEW.status = 'skipped') - (OLD.status = 'skipped'),
           unopened    = unopened + (NEW.opened_at IS NULL) - (OLD.opened_at IS NULL)
     WHERE job_id = NEW.job_id;
END;
CREATE TRIGGER work_items_end
AFTER UPDATE OF status ON work_items
WHEN NEW.status <> OLD.status AND NEW.status NOT IN ('pending', 'in_progress')
BEGIN
    UPDATE work_items SET fresh = 0 WHERE item_id = NEW.item_id AND fresh = 1;
    INSERT INTO item_minutes (job_id, minute, done, failed)
    VALUES (NEW.job_id,
            (SELECT coalesce(max(ended_at) / 60000, unixepoch() / 60) FROM item_stages WHERE item_id = NEW.item_id),
            NEW.status = 'done', NEW.status = 'failed')
        ON CONFLICT DO UPDATE SET done = done + excluded.done, failed = failed + excluded.failed;
END;
CREATE TRIGGER work_items_forget_artifacts_on_delete
AFTER DELETE ON work_items
WHEN instr(OLD.data, '"sha256:')
BEGIN
    DELETE FROM artifact_uses WHERE kind = 'item' AND id = OLD.item_id AND stage = '';
END;
CREATE TRIGGER work_items_forget_document
AFTER DELETE ON work_items
BEGIN
    DELETE FROM search_documents WHERE rowid = OLD.item_id;
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

DROP TABLE IF EXISTS workers;
CREATE TABLE workers (
    host       TEXT    NOT NULL,
    pid        INTEGER NOT NULL,                -- of the parent
    name       TEXT    NOT NULL,                -- as Celery calls it
    processes  TEXT    NOT NULL,                -- JSON: the pids of those that run stages
    queues     TEXT    NOT NULL,                -- JSON: those that it serves
    version    TEXT    NOT NULL,                -- of the code that it runs
    remote     INTEGER NOT NULL CHECK (remote IN (0, 1)),       -- it cannot open this file: another wrote the row
    scoped     INTEGER NOT NULL CHECK (scoped IN (0, 1)),       -- it works for one run only
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    skew_ms    INTEGER NOT NULL,                -- how far its clock is ahead of the clock that wrote seen_at
    PRIMARY KEY (host, pid)
) STRICT, WITHOUT ROWID;

DROP VIEW IF EXISTS item_derived_status;
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
DROP VIEW IF EXISTS v_items;
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
DROP VIEW IF EXISTS v_stages;
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
DROP VIEW IF EXISTS v_failures;
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
DROP VIEW IF EXISTS v_artifacts;
CREATE VIEW v_artifacts AS
SELECT a.sha256,
       a.name,
       a.bytes,
       a.content_type,
       a.uses,
       strftime('%F %T', a.first_kept_at / 1000.0, 'unixepoch')      AS kept
  FROM artifacts a;
DROP VIEW IF EXISTS v_costs;
CREATE VIEW v_costs AS
SELECT c.job_id                                                      AS job,
       i.key,
       c.stage,
       c.attempt,
       c.usd,
       c.provider,
       c.model,
       c.units,
       c.price,
       strftime('%F %T', c.spent_at / 1000.0, 'unixepoch')           AS spent,
       c.item_id
  FROM costs c
  LEFT JOIN work_items i ON i.item_id = c.item_id;
DROP VIEW IF EXISTS v_results;
CREATE VIEW v_results AS
SELECT r.job_id                                                      AS job,
       i.key,
       r.stage,
       r.result,
       r.handler_version,
       r.input_hash,
       r.output_hash,
       r.attempt,
       strftime('%F %T', r.stored_at / 1000.0, 'unixepoch')          AS stored,
       r.item_id
  FROM results r
  JOIN work_items i ON i.item_id = r.item_id;
DROP VIEW IF EXISTS v_failure_groups;
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
DROP VIEW IF EXISTS v_history;
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

DELETE FROM main.sqlite_sequence WHERE name='work_items';
INSERT INTO main.sqlite_sequence VALUES ('work_items', 17);

pragma user_version=23;

COMMIT TRANSACTION;

PRAGMA writable_schema=OFF;

BEGIN;
CREATE TABLE no_such_table(x,y,z);
ROLLBACK;
PRAGMA user_version = 23;
