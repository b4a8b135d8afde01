-- What an attempt spent, said once and for all; and of each result, from what it was made.

ALTER TABLE costs ADD COLUMN model TEXT;        -- NULL when the provider has but one, or none
ALTER TABLE costs ADD COLUMN price TEXT;        -- JSON: what `usd` was reckoned with; NULL when the provider named it
ALTER TABLE costs ADD COLUMN receipt TEXT;      -- made when the handler said it: however often reported, recorded once

CREATE UNIQUE INDEX idx_costs_receipt ON costs (receipt) WHERE receipt IS NOT NULL;
CREATE INDEX idx_costs_spent ON costs (spent_at);

-- Hashes, 32 hexadecimal digits; NULL in results from before, or stored by hand without an attempt.
ALTER TABLE results ADD COLUMN input_hash TEXT;   -- of the item's data and the needed results that the handler read
ALTER TABLE results ADD COLUMN output_hash TEXT;  -- of the result, whatever the order of its keys

DROP VIEW v_costs;
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

DROP VIEW v_results;
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
