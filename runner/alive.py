"""Whether a process of this host lives."""

from __future__ import annotations

import os
from typing import Any


def is_alive(pid: Any) -> bool:
    """Tell whether a process lives, whoever's it is; what is no process id, as from a file cut off, does not."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError, TypeError):
        return False
    return True
