-- Who may use the dashboard, and the tokens of its API. No secret is here: of each there is a hash.

CREATE TABLE accounts (
    name       TEXT    PRIMARY KEY NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    role       TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    password   TEXT,                            -- scrypt, with its parameters; NULL: comes in by a proxy alone
    changed_at INTEGER NOT NULL                 -- sessions from before are over
) STRICT, WITHOUT ROWID;

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
