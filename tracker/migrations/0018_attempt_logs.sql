-- What handlers logged, by attempt; none for an attempt that logged nothing, or whose process was killed.

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
