-- Full text over what items and their results say, and the lists of items that people keep.

-- One document for each item, its rowid the item's id: its key, its data and its results. The words alone are kept,
-- not the text a second time. It is kept up by the sweep, never by whoever stores a result.
CREATE VIRTUAL TABLE search_documents USING fts5 (
    words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
);

-- How far each job is read: the documents of its items up to `item_id` are as after its event `event_id`.
CREATE TABLE search_progress (
    job_id   TEXT    PRIMARY KEY NOT NULL,
    item_id  INTEGER NOT NULL,
    event_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A filter and an order of items, kept under a name for everybody.
CREATE TABLE saved_views (
    job_id   TEXT    NOT NULL,
    name     TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    filter   TEXT    NOT NULL,                  -- as it was typed; '' for all items
    sort     TEXT    NOT NULL,
    by       TEXT    NOT NULL,
    saved_at INTEGER NOT NULL,
    PRIMARY KEY (job_id, name)
) STRICT, WITHOUT ROWID;
