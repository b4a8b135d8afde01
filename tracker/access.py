"""Accounts and tokens of the dashboard. Only hashes come here; whoever makes and checks them is above."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import NotFoundError
from tracker.clock import now_ms
from tracker.connection import write
from tracker.events import append_event

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracker.connection import Connection
    from tracker.rows import Row

USED_EVERY_MS = 60_000
"""How exactly a token's last use is known: noting each one would be a write for each request."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody with a name; the hash of the password is None for one who comes in by a proxy alone."""

    name: str
    role: str
    password: str | None
    changed_at: int


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the API, without what would let anybody use it."""

    token_id: int
    name: str
    role: str
    scopes: tuple[str, ...] | None
    created_at: int
    created_by: str
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


PUT_ACCOUNT = """
INSERT INTO accounts (name, role, password, changed_at)
VALUES (:name, :role, :password, :now)
    ON CONFLICT DO UPDATE
   SET role = excluded.role, password = excluded.password, changed_at = excluded.changed_at
"""


def put_account(conn: Connection, name: str, role: str, password: str | None, by: str) -> int:
    """Add an account, or give it another role and password; its sessions are over. Gives its `changed_at`. Commits."""
    changed_at = now_ms()
    asked = {"name": name, "role": role, "password": password, "now": changed_at}
    with write(conn):
        conn.execute(PUT_ACCOUNT, asked)
        append_event(conn, None, "put_account", None, None, None, by, {"name": name, "role": role})
    return changed_at


REMOVE_ACCOUNT = "DELETE FROM accounts WHERE name = :name"


def remove_account(conn: Connection, name: str, by: str) -> None:
    """Remove an account. Raises `NotFoundError`. Commits."""
    with write(conn):
        conn.execute(REMOVE_ACCOUNT, {"name": name})
        if not conn.changes():
            raise NotFoundError("account", name)
        append_event(conn, None, "remove_account", None, None, None, by, {"name": name})


FIND_ACCOUNT = "SELECT name, role, password, changed_at FROM accounts WHERE name = :name"


def find_account(conn: Connection, name: str) -> Account | None:
    """Find an account by its name."""
    row = conn.execute(FIND_ACCOUNT, {"name": name}).fetchone()
    return Account(*row) if row else None


HAS_ACCOUNTS = "SELECT EXISTS (SELECT 1 FROM accounts)"


def has_accounts(conn: Connection) -> bool:
    """Tell whether anybody has an account."""
    return bool(conn.execute(HAS_ACCOUNTS).fetchone()[0])


LIST_ACCOUNTS = "SELECT name, role, password, changed_at FROM accounts ORDER BY name LIMIT 1000"


def list_accounts(conn: Connection) -> list[Account]:
    """List the accounts by name."""
    return [Account(*row) for row in conn.execute(LIST_ACCOUNTS)]


PUT_ACCESS = """
INSERT INTO access_tokens (name, role, scopes, hash, created_at, created_by, expires_at)
VALUES (:name, :role, :scopes, :hash, :now, :by, :expires_at)
RETURNING token_id
"""


def put_token(
    conn: Connection,
    name: str,
    role: str,
    scopes: Collection[str] | None,
    token_hash: str,
    by: str,
    expires_at: int | None = None,
) -> int:
    """Keep the hash of a new token; its id. Commits."""
    asked = {
        "name": name,
        "role": role,
        "scopes": None if scopes is None else json.dumps(sorted(scopes)),
        "hash": token_hash,
        "now": now_ms(),
        "by": by,
        "expires_at": expires_at,
    }
    with write(conn):
        token_id = int(conn.execute(PUT_ACCESS, asked).fetchone()[0])
        append_event(
            conn, None, "put_token", None, None, None, by, {"token": token_id, "name": name, "role": role}
        )
    return token_id


REVOKE_ACCESS = "UPDATE access_tokens SET revoked_at = :now WHERE token_id = :token_id AND revoked_at IS NULL"


def revoke_token(conn: Connection, token_id: int, by: str) -> None:
    """Let a token be of no more use. Raises `NotFoundError` for one that is not there or was revoked. Commits."""
    with write(conn):
        conn.execute(REVOKE_ACCESS, {"token_id": token_id, "now": now_ms()})
        if not conn.changes():
            raise NotFoundError("token in use with id", str(token_id))
        append_event(conn, None, "revoke_token", None, None, None, by, {"token": token_id})


FIND_ACCESS = """
SELECT token_id, name, role, scopes, created_at, created_by, expires_at, last_used_at, revoked_at
  FROM access_tokens
 WHERE hash = :hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
"""


def find_token(conn: Connection, token_hash: str) -> Token | None:
    """Find the token in force that has this hash."""
    row = conn.execute(FIND_ACCESS, {"hash": token_hash, "now": now_ms()}).fetchone()
    return _as_token(row) if row else None


LIST_ACCESS = """
SELECT token_id, name, role, scopes, created_at, created_by, expires_at, last_used_at, revoked_at
  FROM access_tokens
 ORDER BY token_id DESC
 LIMIT 1000
"""


def list_tokens(conn: Connection) -> list[Token]:
    """List the tokens, the newest first, those that were revoked too."""
    return [_as_token(row) for row in conn.execute(LIST_ACCESS)]


NOTE_USE = """
UPDATE access_tokens SET last_used_at = :now
 WHERE token_id = :token_id AND (last_used_at IS NULL OR last_used_at <= :now - :every)
"""


def note_use(conn: Connection, token: Token) -> None:
    """Note that a token was used, at most once a minute. Commits."""
    now = now_ms()
    if token.last_used_at is not None and token.last_used_at > now - USED_EVERY_MS:
        return
    with write(conn):
        conn.execute(NOTE_USE, {"token_id": token.token_id, "now": now, "every": USED_EVERY_MS})


IS_OPEN = """
SELECT NOT EXISTS (SELECT 1 FROM accounts)
   AND NOT EXISTS (SELECT 1 FROM access_tokens
                    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now))
"""


def is_open(conn: Connection) -> bool:
    """Tell whether nobody needs to say who they are: there is no account, and no token in force."""
    return bool(conn.execute(IS_OPEN, {"now": now_ms()}).fetchone()[0])


def _as_token(row: Row) -> Token:
    token_id, name, role, scopes, *times = row
    return Token(token_id, name, role, None if scopes is None else tuple(json.loads(scopes)), *times)
