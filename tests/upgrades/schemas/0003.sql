
PRAGMA page_size=2048;

BEGIN TRANSACTION;

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
) STRICT;
INSERT INTO costs VALUES(1,1769904000000,'papers',1,'fetch',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(2,1769904000000,'papers',2,'fetch',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(3,1769904000000,'papers',3,'fetch',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(4,1769904000000,'papers',4,'fetch',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(5,1769904000000,'papers',5,'fetch',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(6,1769904000000,'papers',6,'fetch',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(7,1769904000000,'papers',7,'fetch',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(8,1769904000000,'papers',8,'fetch',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(9,1769904000000,'papers',1,'extract',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(10,1769904000000,'papers',2,'extract',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(11,1769904000000,'papers',3,'extract',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(12,1769904000000,'papers',4,'extract',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(13,1769904000000,'papers',5,'extract',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(14,1769904000000,'papers',6,'extract',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(15,1769904000000,'papers',1,'store',1,0.25,'somebody','{"tokens": 10}');
INSERT INTO costs VALUES(16,1769904000000,'papers',2,'store',1,0.25,'somebody','{"tokens": 10}');
CREATE INDEX idx_costs_job_day ON costs (job_id, spent_at, usd);

DROP TABLE IF EXISTS discovery_runs;
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
INSERT INTO discovery_runs VALUES(1,'papers',NULL,1,1769904000000,NULL,NULL,1769904000000,'found',8,8,0,NULL);
INSERT INTO discovery_runs VALUES(2,'paused',NULL,1,1769904000000,NULL,NULL,1769904000000,'found',8,8,0,NULL);
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
INSERT INTO events VALUES(1,1769904000000,'papers',NULL,NULL,NULL,'discover',NULL,'{"found": 8, "new": 8, "refused": {}}');
INSERT INTO events VALUES(2,1769904000000,'paused',NULL,NULL,NULL,'discover',NULL,'{"found": 8, "new": 8, "refused": {}}');
INSERT INTO events VALUES(3,1769904000000,'paused',NULL,NULL,NULL,'pause','somebody','{"reason": "over the weekend", "until_at": null}');
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
CREATE INDEX idx_events_item ON events (item_id, event_id) WHERE item_id IS NOT NULL;
CREATE INDEX idx_events_job ON events (job_id, event_id);

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
    traceback  TEXT,
    PRIMARY KEY (item_id, stage, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO failures VALUES(3,'extract',1,'papers',1769904000000,'ValueError','no such page as 17','ValueError: no such page as <n>','Traceback (most recent call last):
  File "/srv/celeriac/runner/advance.py", line 76, in _work
    return judge_outcome(run_handler(prepared.handler, context), prepared.version)
                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/celeriac/handlers/running.py", line 32, in run_handler
    outcome = _run_to_the_end(handler, context)
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/celeriac/handlers/running.py", line 50, in _run_to_the_end
    ended = handler.run(context)
            ^^^^^^^^^^^^^^^^^^^^
  File "/srv/plugins/house_plugins.py", line 40, in run
    raise ValueError("no such page as 17")
ValueError: no such page as 17
');
INSERT INTO failures VALUES(4,'extract',1,'papers',1769904000000,'GiveUp','gone for good','GiveUp: gone for good',NULL);
CREATE INDEX idx_failures_job_signature ON failures (job_id, signature);

DROP TABLE IF EXISTS item_counts;
CREATE TABLE item_counts (
    job_id      TEXT    PRIMARY KEY NOT NULL,
    pending     INTEGER NOT NULL DEFAULT 0,
    in_progress INTEGER NOT NULL DEFAULT 0,
    done        INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    unopened    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO item_counts VALUES('papers',4,1,2,2,0,1);
INSERT INTO item_counts VALUES('paused',8,0,0,0,0,0);

DROP TABLE IF EXISTS item_stages;
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
INSERT INTO item_stages VALUES(1,'extract','papers',1,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(1,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(1,'store','papers',2,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(2,'extract','papers',1,'skipped',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,'nothing in it');
INSERT INTO item_stages VALUES(2,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(2,'store','papers',2,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(3,'extract','papers',1,'failed',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,'ValueError: no such page as 17');
INSERT INTO item_stages VALUES(3,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(3,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(4,'extract','papers',1,'failed',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,'gone for good');
INSERT INTO item_stages VALUES(4,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(4,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(5,'extract','papers',1,'pending',0,0,1,0,0,1769904000000,1,1769904120000,1769904060000,NULL,'worker:1',1769904000000,NULL,'busy');
INSERT INTO item_stages VALUES(5,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(5,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(6,'extract','papers',1,'pending',0,0,1,0,0,NULL,0,NULL,1770508800000,NULL,'worker:1',1769904000000,NULL,'over its quota');
INSERT INTO item_stages VALUES(6,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(6,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(7,'extract','papers',1,'in_progress',0,0,1,0,0,NULL,0,NULL,NULL,1769904030000,'worker:2',1769904000000,NULL,NULL);
INSERT INTO item_stages VALUES(7,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(7,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(8,'extract','papers',1,'pending',0,0,0,0,0,1769904000000,1,1769904060000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(8,'fetch','papers',0,'done',0,0,1,0,0,NULL,0,NULL,NULL,NULL,'worker:1',1769904000000,1769904000000,NULL);
INSERT INTO item_stages VALUES(8,'store','papers',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(9,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(9,'fetch','paused',0,'pending',0,0,0,0,0,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(9,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(10,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(10,'fetch','paused',0,'pending',0,0,0,0,0,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(10,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(11,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(11,'fetch','paused',0,'pending',0,0,0,0,0,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(11,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(12,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(12,'fetch','paused',0,'pending',0,0,0,0,0,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(12,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(13,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(13,'fetch','paused',0,'pending',0,0,0,0,0,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(13,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(14,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(14,'fetch','paused',0,'pending',0,0,0,0,0,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(14,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(15,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(15,'fetch','paused',0,'pending',0,0,0,0,0,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(15,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(16,'extract','paused',1,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(16,'fetch','paused',0,'pending',0,0,0,0,0,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO item_stages VALUES(16,'store','paused',2,'pending',0,1,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX idx_item_stages_ended ON item_stages (job_id, stage, status, item_id)
    WHERE status IN ('failed', 'skipped');
CREATE INDEX idx_item_stages_item_status ON item_stages (item_id, status);
CREATE INDEX idx_item_stages_leased ON item_stages (leased_until) WHERE status = 'in_progress';
CREATE INDEX idx_item_stages_parked ON item_stages (job_id, retry_at)
    WHERE status = 'pending' AND retry_at IS NOT NULL;
CREATE INDEX idx_item_stages_ready ON item_stages (job_id, stage, priority DESC, item_id)
    WHERE status = 'pending' AND needs_left = 0 AND queued_at IS NULL AND retry_at IS NULL;
CREATE INDEX idx_item_stages_sent ON item_stages (resend_at)
    WHERE status = 'pending' AND queued_at IS NOT NULL;
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
       SET status = d.derived_status
      FROM item_derived_status d
     WHERE d.item_id = NEW.item_id
       AND work_items.item_id = NEW.item_id
       AND work_items.status <> d.derived_status;
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
CREATE TRIGGER item_stages_refuse_illegal_moves
BEFORE UPDATE OF status ON item_stages
WHEN OLD.status IN ('done', 'failed', 'skipped') AND NEW.status NOT IN ('pending', OLD.status)
BEGIN
    SELECT RAISE(ABORT, 'illegal move: an ended stage can only begin afresh');
END;

DROP TABLE IF EXISTS job_stages;
CREATE TABLE job_stages (
    job_id      TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    position    INTEGER NOT NULL,               -- its place in the job's list
    switched_on INTEGER NOT NULL DEFAULT 1 CHECK (switched_on IN (0, 1)),
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;
INSERT INTO job_stages VALUES('papers','extract',1,1);
INSERT INTO job_stages VALUES('papers','fetch',0,1);
INSERT INTO job_stages VALUES('papers','store',2,1);
INSERT INTO job_stages VALUES('paused','extract',1,1);
INSERT INTO job_stages VALUES('paused','fetch',0,1);
INSERT INTO job_stages VALUES('paused','store',2,1);

DROP TABLE IF EXISTS jobs;
CREATE TABLE jobs (
    job_id        TEXT    PRIMARY KEY NOT NULL,
    first_seen_at INTEGER NOT NULL,
    woken_at      INTEGER,                      -- somebody asked to look for work; the sweep clears it
    error         TEXT,                         -- why its last discovery failed
    error_at      INTEGER,
    auto_unpauses INTEGER NOT NULL DEFAULT 0 CHECK (auto_unpauses >= 0),
    CHECK ((error IS NULL) = (error_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO jobs VALUES('papers',1769904000000,NULL,NULL,NULL,0);
INSERT INTO jobs VALUES('paused',1769904000000,NULL,NULL,NULL,0);

DROP TABLE IF EXISTS meta;
CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS pauses;
CREATE TABLE pauses (
    job_id   TEXT    PRIMARY KEY NOT NULL,
    reason   TEXT    NOT NULL,
    by       TEXT    NOT NULL,
    since_at INTEGER NOT NULL,
    until_at INTEGER                            -- NULL: until somebody lifts it
) STRICT, WITHOUT ROWID;
INSERT INTO pauses VALUES('paused','over the weekend','somebody',1769904000000,NULL);

DROP TABLE IF EXISTS rates;
CREATE TABLE rates (
    job_id  TEXT    NOT NULL,
    stage   TEXT    NOT NULL,
    free_us INTEGER NOT NULL,
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS results;
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
INSERT INTO results VALUES(1,1,'fetch','papers',1,'{"key": "done", "saw": []}','1',1769904000000);
INSERT INTO results VALUES(2,2,'fetch','papers',1,'{"key": "empty", "saw": []}','1',1769904000000);
INSERT INTO results VALUES(3,3,'fetch','papers',1,'{"key": "broken", "saw": []}','1',1769904000000);
INSERT INTO results VALUES(4,4,'fetch','papers',1,'{"key": "hopeless", "saw": []}','1',1769904000000);
INSERT INTO results VALUES(5,5,'fetch','papers',1,'{"key": "soon", "saw": []}','1',1769904000000);
INSERT INTO results VALUES(6,6,'fetch','papers',1,'{"key": "next week", "saw": []}','1',1769904000000);
INSERT INTO results VALUES(7,7,'fetch','papers',1,'{"key": "claimed", "saw": []}','1',1769904000000);
INSERT INTO results VALUES(8,8,'fetch','papers',1,'{"key": "sent", "saw": []}','1',1769904000000);
INSERT INTO results VALUES(9,1,'extract','papers',1,'{"key": "done", "saw": ["fetch"]}','1',1769904000000);
INSERT INTO results VALUES(10,1,'store','papers',1,'{"key": "done", "saw": ["extract"]}','1',1769904000000);
INSERT INTO results VALUES(11,2,'store','papers',1,'{"key": "empty", "saw": []}','1',1769904000000);
CREATE INDEX idx_results_job_stage_version ON results (job_id, stage, handler_version, item_id);

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
    countdown   INTEGER NOT NULL DEFAULT 0,     -- stamped with a countdown: the broker holds it until retry_at
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;
INSERT INTO stage_counts VALUES('papers','extract',3,1,1,2,1,1,1);
INSERT INTO stage_counts VALUES('papers','fetch',0,0,8,0,0,0,0);
INSERT INTO stage_counts VALUES('papers','store',6,0,2,0,0,0,0);
INSERT INTO stage_counts VALUES('paused','extract',8,0,0,0,0,0,0);
INSERT INTO stage_counts VALUES('paused','fetch',8,0,0,0,0,0,0);
INSERT INTO stage_counts VALUES('paused','store',8,0,0,0,0,0,0);

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
INSERT INTO work_items VALUES(1,'papers','done','{"title": "The done one, “naïve”"}','done',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(2,'papers','empty','{"title": "The empty one, “naïve”"}','done',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(3,'papers','broken','{"title": "The broken one, “naïve”"}','failed',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(4,'papers','hopeless','{"title": "The hopeless one, “naïve”"}','failed',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(5,'papers','soon','{"title": "The soon one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(6,'papers','next week','{"title": "The next week one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(7,'papers','claimed','{"title": "The claimed one, “naïve”"}','in_progress',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(8,'papers','sent','{"title": "The sent one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(9,'paused','done','{"title": "The done one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(10,'paused','empty','{"title": "The empty one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(11,'paused','broken','{"title": "The broken one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(12,'paused','hopeless','{"title": "The hopeless one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(13,'paused','soon','{"title": "The soon one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(14,'paused','next week','{"title": "The next week one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(15,'paused','claimed','{"title": "The claimed one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(16,'paused','sent','{"title": "The sent one, “naïve”"}','pending',0,1769904000000,1769904000000);
INSERT INTO work_items VALUES(17,'papers','unopened','{"title": "found last"}','pending',0,1769904000000,NULL);
CREATE INDEX idx_work_items_job ON work_items (job_id, item_id);
CREATE INDEX idx_work_items_job_status ON work_items (job_id, status, priority DESC, item_id);
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
DROP VIEW IF EXISTS v_results;
CREATE VIEW v_results AS
SELECT r.job_id                                                      AS job,
       i.key,
       r.stage,
       r.result,
       r.handler_version,
       r.attempt,
       strftime('%F %T', r.stored_at / 1000.0, 'unixepoch')          AS stored,
       r.item_id
  FROM results r
  JOIN work_items i ON i.item_id = r.item_id;
DROP VIEW IF EXISTS v_costs;
CREATE VIEW v_costs AS
SELECT c.job_id                                                      AS job,
       i.key,
       c.stage,
       c.attempt,
       c.usd,
       c.provider,
       c.units,
       strftime('%F %T', c.spent_at / 1000.0, 'unixepoch')           AS spent,
       c.item_id
  FROM costs c
  LEFT JOIN work_items i ON i.item_id = c.item_id;

pragma user_version=3;

COMMIT TRANSACTION;
PRAGMA user_version = 3;
