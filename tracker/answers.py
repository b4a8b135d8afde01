"""Answers: what was paid for once, remembered under a key made of all that it depends on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tracker.clock import now_ms
from tracker.connection import write

if TYPE_CHECKING:
    from tracker.connection import Connection

REMEMBER = """
INSERT INTO answers (key_hash, value, remembered_at)
VALUES (:key_hash, :value, :now)
    ON CONFLICT (key_hash) DO UPDATE
   SET value = excluded.value, remembered_at = excluded.remembered_at
"""


def remember(conn: Connection, key: str, value: Any) -> None:
    """
    Remember JSON under a key, in the place of what was there; of the key only its hash is kept. Commits.

    Raises ValueError or TypeError for a value that is not JSON.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    with write(conn):
        conn.execute(REMEMBER, {"key_hash": _hash(key), "value": text, "now": now_ms()})


RECALL = "SELECT value FROM answers WHERE key_hash = :key_hash"


def recall(conn: Connection, key: str) -> Any:
    """Recall what was remembered under a key, or None."""
    row = conn.execute(RECALL, {"key_hash": _hash(key)}).fetchone()
    return json.loads(row[0]) if row else None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
