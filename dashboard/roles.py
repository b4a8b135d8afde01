"""Who may do what: three roles, each with all that the one before may, and a name for each action."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """What somebody is allowed, the least first."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: str) -> Role:
        """Get a role by the name that the tracker has for it."""
        return cls[name.upper()]


ACTIONS = {
    "view": Role.VIEWER,
    "enqueue": Role.OPERATOR,
    "wake": Role.OPERATOR,
    "approve": Role.OPERATOR,
    "pause": Role.OPERATOR,
    "unpause": Role.OPERATOR,
    "retry": Role.OPERATOR,
    "reset": Role.OPERATOR,
    "reopen": Role.OPERATOR,
    "skip": Role.OPERATOR,
    "cancel": Role.OPERATOR,
    "priority": Role.OPERATOR,
    "mute": Role.OPERATOR,
    "unmute": Role.OPERATOR,
    "reprocess": Role.OPERATOR,
    "undo": Role.OPERATOR,
    "export": Role.VIEWER,
    "replay": Role.OPERATOR,
    "save_view": Role.OPERATOR,
    "remote": Role.OPERATOR,
    "apply": Role.ADMIN,
}
"""Each action, and the least role that may do it."""
