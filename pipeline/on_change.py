"""What it means when a source shows a known key with new data."""

from __future__ import annotations

from enum import StrEnum


class OnChange(StrEnum):
    """What is done with a known item that has changed at its source."""

    IGNORE = "ignore"
    """Nothing; that it changed is counted."""

    MERGE = "merge"
    """Its data is completed with what is new; what is there stays."""

    REPROCESS = "reprocess"
    """It takes on the new data, and goes through its stages again from the first."""
