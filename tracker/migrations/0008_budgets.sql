-- Budgets as reservations, and the two lanes: what is fresh, and what is asked for again.

ALTER TABLE item_stages ADD COLUMN backfill INTEGER NOT NULL DEFAULT 0     -- asked for again; see the trigger
                        CHECK (backfill IN (0, 1));
ALTER TABLE item_stages ADD COLUMN over_budget INTEGER NOT NULL DEFAULT 0  -- its item would spend too much: passed over
                        CHECK (over_budget IN (0, 1));
ALTER TABLE work_items ADD COLUMN fresh INTEGER NOT NULL DEFAULT 1         -- neither through nor asked for again
                       CHECK (fresh IN (0, 1));

UPDATE work_items SET fresh = 0 WHERE status IN ('done', 'failed', 'skipped');

DROP INDEX idx_item_stages_ready;
CREATE INDEX idx_item_stages_ready ON item_stages (job_id, stage, over_budget, backfill, priority DESC, item_id)
    WHERE status = 'pending' AND needs_left = 0 AND queued_at IS NULL AND retry_at IS NULL;
CREATE INDEX idx_item_stages_over_budget ON item_stages (job_id, stage, item_id)
    WHERE status = 'pending' AND over_budget = 1;
CREATE INDEX idx_work_items_fresh ON work_items (job_id, discovered_at) WHERE fresh = 1;

-- An ended stage begins afresh only because somebody asks, a version is new or jobs.yaml changed: no statement
-- that does so can forget the lane, and what follows in the item goes the same way.
CREATE TRIGGER item_stages_join_backfill
AFTER UPDATE OF status ON item_stages
WHEN NEW.status = 'pending' AND OLD.status IN ('done', 'failed', 'skipped')
BEGIN
    UPDATE item_stages SET backfill = 1 WHERE item_id = NEW.item_id AND status = 'pending' AND backfill = 0;
    UPDATE work_items SET fresh = 0 WHERE item_id = NEW.item_id AND fresh = 1;
END;

CREATE TRIGGER work_items_end_fresh
AFTER UPDATE OF status ON work_items
WHEN NEW.fresh = 1 AND NEW.status IN ('done', 'failed', 'skipped')
BEGIN
    UPDATE work_items SET fresh = 0 WHERE item_id = NEW.item_id;
END;

-- What backfill is owed of what a runway was sent while both lanes waited, in loads, below 1.
CREATE TABLE lanes (
    job_id TEXT NOT NULL,
    queue  TEXT NOT NULL,
    owed   REAL NOT NULL,
    PRIMARY KEY (job_id, queue)
) STRICT, WITHOUT ROWID;

-- The budgets as jobs.yaml last had them; job_id '*' is the one for everything.
CREATE TABLE budgets (
    job_id       TEXT PRIMARY KEY NOT NULL,
    usd_per_day  REAL CHECK (usd_per_day > 0),
    usd_per_item REAL CHECK (usd_per_item > 0),
    usd_total    REAL CHECK (usd_total > 0),
    timezone     TEXT NOT NULL,
    CHECK (coalesce(usd_per_day, usd_per_item, usd_total) IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- The budgets that are reached: one row, and one event, for each cause.
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

-- What is set aside for what is sent or runs.
CREATE TABLE reservations (
    item_id INTEGER NOT NULL REFERENCES work_items (item_id) ON DELETE CASCADE,
    stage   TEXT    NOT NULL,
    attempt INTEGER NOT NULL,
    job_id  TEXT    NOT NULL,
    usd     REAL    NOT NULL CHECK (usd >= 0),  -- what its attempt has spent is taken off at once
    PRIMARY KEY (item_id, stage)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_reservations_job ON reservations (job_id, usd);

-- What the attempts of a stage cost: only those whose whole cost is known make the average.
CREATE TABLE stage_costs (
    job_id   TEXT    NOT NULL,
    stage    TEXT    NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,        -- that reported a cost, all of it known
    usd      REAL    NOT NULL DEFAULT 0.0,      -- what these cost together
    unknown  INTEGER NOT NULL DEFAULT 0,        -- that reported a cost nobody knows
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;

-- What was spent in each quarter of an hour, at which every time zone's midnight falls; job_id '*' is everything.
CREATE TABLE spent_quarters (
    job_id  TEXT    NOT NULL,
    quarter INTEGER NOT NULL,                   -- Unix milliseconds / 900,000
    usd     REAL    NOT NULL,
    unknown INTEGER NOT NULL,                   -- costs of unknown price
    PRIMARY KEY (job_id, quarter)
) STRICT, WITHOUT ROWID;

CREATE TABLE spent_totals (
    job_id  TEXT    PRIMARY KEY NOT NULL,
    usd     REAL    NOT NULL,
    unknown INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_costs_attempt ON costs (item_id, stage, attempt, usd) WHERE item_id IS NOT NULL;

INSERT INTO stage_costs (job_id, stage, attempts, usd, unknown)
SELECT job_id, stage, sum(is_known), total(usd) FILTER (WHERE is_known), sum(NOT is_known)
  FROM (SELECT job_id, stage, count(usd) = count(*) AS is_known, sum(usd) AS usd
          FROM costs
         WHERE item_id IS NOT NULL AND stage IS NOT NULL AND attempt IS NOT NULL
         GROUP BY job_id, stage, item_id, attempt)
 GROUP BY job_id, stage;

INSERT INTO spent_quarters (job_id, quarter, usd, unknown)
SELECT scope.job_id, c.spent_at / 900000, total(c.usd), count(*) - count(c.usd)
  FROM costs c
  JOIN (SELECT DISTINCT job_id AS spender, job_id FROM costs
         UNION ALL
        SELECT DISTINCT job_id, '*' FROM costs) scope ON scope.spender = c.job_id
 GROUP BY scope.job_id, c.spent_at / 900000;

INSERT INTO spent_totals (job_id, usd, unknown)
SELECT job_id, total(usd), sum(unknown) FROM spent_quarters GROUP BY job_id;

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

-- One price that nobody knows makes the whole attempt's cost unknown, whatever it reported before or after.
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

-- A reservation lives while its stage is sent or runs. Whatever ends that gives it back, and nothing can forget to.
CREATE TRIGGER item_stages_end_reservation
AFTER UPDATE OF status, queued_at ON item_stages
WHEN NEW.queued_at IS NULL AND NEW.status <> 'in_progress'
 AND (OLD.queued_at IS NOT NULL OR OLD.status = 'in_progress')
BEGIN
    DELETE FROM reservations WHERE item_id = NEW.item_id AND stage = NEW.stage;
END;

CREATE TRIGGER item_stages_delete_reservation
AFTER DELETE ON item_stages
BEGIN
    DELETE FROM reservations WHERE item_id = OLD.item_id AND stage = OLD.stage;
END;

-- A message that came so late that its stamp was taken back runs all the same: it counts from its claim.
CREATE TRIGGER item_stages_reserve_late_claim
AFTER UPDATE OF status ON item_stages
WHEN NEW.status = 'in_progress' AND OLD.queued_at IS NULL
 AND EXISTS (SELECT 1 FROM budgets WHERE job_id IN (NEW.job_id, '*'))
BEGIN
    INSERT INTO reservations (item_id, stage, attempt, job_id, usd)
    SELECT NEW.item_id, NEW.stage, NEW.attempt, NEW.job_id, usd / attempts
      FROM stage_costs
     WHERE job_id = NEW.job_id AND stage = NEW.stage AND attempts > 0 AND usd > 0.0
        ON CONFLICT DO UPDATE
       SET attempt = excluded.attempt, usd = excluded.usd;
END;
