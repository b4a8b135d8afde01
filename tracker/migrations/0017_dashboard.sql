-- What is shown without summing: costs by day, failures by hour, and the events that belong to no item.

-- Kept when the costs themselves are forgotten. `day` counts days since 1970 in UTC; '' stands where there is none.
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

INSERT INTO spent_days (day, job_id, stage, provider, model, usd, costs, unknown)
SELECT spent_at / 86400000, job_id, coalesce(stage, ''), provider, coalesce(model, ''),
       total(usd), count(*), count(*) - count(usd)
  FROM costs
 GROUP BY 1, 2, 3, 4, 5;

INSERT INTO spent_units (day, job_id, stage, provider, model, unit, count)
SELECT c.spent_at / 86400000, c.job_id, coalesce(c.stage, ''), c.provider, coalesce(c.model, ''), u.key, sum(u.value)
  FROM costs c
  JOIN json_each(c.units) u
 WHERE u.type IN ('integer', 'real')
 GROUP BY 1, 2, 3, 4, 5, 6;

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

-- How many attempts failed in each hour, by group; old hours are pruned by the sweep.
CREATE TABLE failure_group_hours (
    group_id INTEGER NOT NULL REFERENCES failure_groups (group_id) ON DELETE CASCADE,
    hour     INTEGER NOT NULL,                  -- Unix hours
    attempts INTEGER NOT NULL,
    PRIMARY KEY (group_id, hour)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_failure_group_hours_hour ON failure_group_hours (hour);

INSERT INTO failure_group_hours (group_id, hour, attempts)
SELECT g.group_id, f.failed_at / 3600000, count(*)
  FROM failures f
  JOIN work_items i ON i.item_id = f.item_id
  JOIN failure_groups g ON g.job_id = f.job_id AND g.stage = f.stage
                       AND g.host = coalesce(f.host, i.host, '') AND g.signature = f.signature
 WHERE f.failed_at >= (unixepoch() - 86400) * 1000
 GROUP BY g.group_id, f.failed_at / 3600000;

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

-- What people and the house did, which is little beside the moves of the items.
CREATE INDEX idx_events_acts ON events (event_id) WHERE item_id IS NULL;
