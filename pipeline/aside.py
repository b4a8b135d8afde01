"""What the code of plugins prints, kept apart from what a command answers."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def printing_aside(*, children: bool = True) -> Iterator[None]:
    """
    Let what is printed in the block go to standard error: on standard output is the answer, which may be JSON.

    With `children`, what processes that the block starts print goes there as well.
    """
    with redirect_stdout(sys.stderr):
        if not children:
            yield
            return
        kept = os.dup(1)
        try:
            os.dup2(2, 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
