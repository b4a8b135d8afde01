"""The files that the house lives by: nothing that somebody has written out takes their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import OperatorError
from tracker.doctor import name_companions

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.settings import Settings


def refuse_own(settings: Settings, target: Path) -> None:
    """
    Raise `OperatorError` if `target` is the tracker, one of its files, or jobs.yaml, by whatever name.

    Also for whatever is among the artifacts: that folder is filled and cleared by the house alone.
    """
    if target.resolve().is_relative_to(settings.artifacts_path.resolve()):
        raise OperatorError(
            f"{target} is in the folder of the artifacts, which Celeriac keeps by itself: write elsewhere"
        )
    for own in (*name_companions(settings.db_path), settings.jobs):
        if target.resolve() == own.resolve() or (target.exists() and own.exists() and target.samefile(own)):
            raise OperatorError(f"{target} is what Celeriac itself works with: write to another file")
