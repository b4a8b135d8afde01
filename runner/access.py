"""Let people and programs into the dashboard: make and check passwords and tokens, of which only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from pipeline.errors import OperatorError
from tracker import access

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracker.connection import Connection

COST, BLOCK, LANES = 2**15, 8, 1
"""What scrypt is asked for: 32 MiB and about 0.1 s for each password tried."""

SHORTEST_PASSWORD, LONGEST_NAME = 10, 80
TOKEN_PREFIX = "celeriac_"  # noqa: S105 - by which people and scanners know one
NOBODY = "scrypt$32768$8$1$AAAAAAAAAAAAAAAAAAAAAA$" + "0" * 64
"""A password's hash that nothing has, so that an unknown name takes as long as a wrong password."""


def add_account(conn: Connection, name: str, role: str, password: str | None, by: str) -> int:
    """
    Add or change an account; its `changed_at`. Commits.

    Raises `OperatorError` for a name that is empty or too long, and for a password that is too short.
    """
    _require_name(name)
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise OperatorError(f"a password has at least {SHORTEST_PASSWORD} characters")
    return access.put_account(conn, name, role, None if password is None else hash_password(password), by)


def make_token(
    conn: Connection,
    name: str,
    role: str,
    by: str,
    scopes: Collection[str] | None = None,
    expires_at: int | None = None,
) -> tuple[int, str]:
    """
    Make a token; its id, and the token itself, which nobody can be shown again. Commits.

    Raises `OperatorError` for a name that is empty or too long.
    """
    _require_name(name)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return access.put_token(conn, name, role, scopes, hash_token(token), by, expires_at), token


def _require_name(name: str) -> None:
    if not 0 < len(name) <= LONGEST_NAME:
        raise OperatorError(f"a name has 1 to {LONGEST_NAME} characters")


def hash_token(token: str) -> str:
    """Hash a token: it is long and random, so that a fast hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def hash_password(password: str) -> str:
    """Hash a password by scrypt with a salt of its own."""
    salt = secrets.token_urlsafe(16)
    return f"scrypt${COST}${BLOCK}${LANES}${salt}${_scrypt(password, salt, COST, BLOCK, LANES)}"


def is_password(password: str, hashed: str | None) -> bool:
    """Tell whether a password is the one of a hash; as slow for no hash as for any other."""
    _, cost, block, lanes, salt, wanted = (hashed or NOBODY).split("$")
    found = _scrypt(password, salt, int(cost), int(block), int(lanes))
    return hmac.compare_digest(found, wanted) and hashed is not None


def _scrypt(password: str, salt: str, cost: int, block: int, lanes: int) -> str:
    digest = hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt.encode(),
        n=cost,
        r=block,
        p=lanes,
        maxmem=256 * cost * block,
        dklen=32,
    )
    return digest.hex()
