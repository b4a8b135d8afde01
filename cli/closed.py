"""Standard input and outputs that the shell closed."""

from __future__ import annotations

import os
import sys


def open_what_was_closed() -> None:
    """Let what goes to an output that the shell closed, as by `2>&-`, go nowhere; no file takes its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # it takes the lowest number that is free; the processes that we start have it too
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
