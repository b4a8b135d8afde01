"""The first account: made of a file when the dashboard starts, until people see to who may log in by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import OperatorError
from runner.access import add_account, is_password
from tracker.access import Account, find_account, list_accounts, remove_account
from tracker.connection import write
from tracker.notes import find_note, set_note

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.connection import Connection

FIRST_ACCOUNT = "first_account"
"""The note that holds when the first account was made, and its name."""


def read_login(path: Path) -> tuple[str, str]:
    """Read name and password, which are one line `NAME:PASSWORD`. Raises `OperatorError`, which shows neither."""
    try:
        name, _, password = path.read_text().removesuffix("\n").partition(":")
    except OSError as error:
        raise OperatorError(f"the first account cannot be read from {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise OperatorError(f"the first account cannot be read from {path}: it is no text") from error
    if not name or not password or "\n" in password:
        raise OperatorError(f"{path} does not hold the first account: one line NAME:PASSWORD")
    return name, password


def keep_first_account(conn: Connection, name: str, password: str, by: str) -> bool:
    """
    Let an admin log in by a name and a password while there is no account but the one that was made so before.

    That one gets the name and the password if it has others, and is left alone if it has not. Once somebody changed it,
    or removed it and there are others, nothing is done. Gives whether the account is in use. Commits. Raises
    `OperatorError` for a name that is too long, and for a password that is too short.
    """
    ours = _find_ours(conn)
    if ours is not None and ours.name == name:
        if is_password(password, ours.password):
            return True
    elif find_account(conn, name) is not None or (ours is None and list_accounts(conn)):
        return False
    with write(conn):
        if ours is not None and ours.name != name:
            remove_account(conn, ours.name, by)
        changed_at = add_account(conn, name, "admin", password, by)
        set_note(conn, FIRST_ACCOUNT, f"{changed_at} {name}")
    return True


def _find_ours(conn: Connection) -> Account | None:
    """Find the account that was made so, if nobody has changed it since."""
    changed_at, _, name = (find_note(conn, FIRST_ACCOUNT) or "").partition(" ")
    account = find_account(conn, name)
    return account if account is not None and str(account.changed_at) == changed_at else None
