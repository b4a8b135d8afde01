-- An undo also cancels again what was cancelled before.

ALTER TABLE action_stages ADD COLUMN cancelled_by TEXT;    -- before; NULL in what was remembered by older releases too
