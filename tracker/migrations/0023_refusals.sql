-- A look at its sources knows itself why it refused what it refused: to list looks, no events are read.

ALTER TABLE discovery_runs ADD COLUMN refused_for TEXT;    -- a JSON object, how many by reason; NULL when not known, or nothing

-- Of the last looks, as their events tell it.
UPDATE discovery_runs
   SET refused_for = told.reasons
  FROM (SELECT run_id, json_group_object(reason, number) AS reasons
          FROM (SELECT acts.detail ->> 'run_id' AS run_id, refused.key AS reason, sum(refused.value) AS number
                  FROM (SELECT kind, detail
                          FROM events INDEXED BY idx_events_acts
                         WHERE item_id IS NULL
                         ORDER BY event_id DESC
                         LIMIT 20000) acts
                 CROSS JOIN json_each(acts.detail, '$.refused') refused
                 WHERE acts.kind = 'discover' OR acts.kind = 'discover_failed'
                 GROUP BY 1, 2)
         GROUP BY run_id) told
 WHERE discovery_runs.run_id = told.run_id AND discovery_runs.refused > 0;
