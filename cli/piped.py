"""What is piped into a command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO


def find_piped_input() -> BinaryIO | None:
    """Give standard input, for a strategy that reads it; None when it is a terminal, or closed."""
    return None if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer
