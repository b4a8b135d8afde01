"""What a strategy may read of the databases of this machine; whoever runs it hands the readers in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class ItemPage:
    """
    Some items of a job: `{"key", "data", "status", "results": {stage: dict}, "version"}`.

    `position` (any JSON value) is where the next page begins, today or another day; `is_last` says that there is
    nothing after it now.
    """

    items: Sequence[Mapping[str, Any]]
    position: Any
    is_last: bool


class ReadItems(Protocol):
    """Reads the items of any job, without a way to change them."""

    def __call__(
        self, job_id: str, *, stage: str | None, status: str | None, after: Any, limit: int
    ) -> ItemPage:
        """
        Give a page of at most `limit` items that are new or have changed since the position `after`.

        From None on all are given, oldest first. `status` is the item's, or that of its `stage` when one is
        named, whose result is then the only one given; None means any. A version is another when a stage was
        done again.
        """
        ...


Table = tuple["Sequence[str]", "Iterator[Sequence[Any]]"]
"""The names of the columns, and the rows, which are read as they are asked for."""


class ReadRows(Protocol):
    """Reads the rows of any SQLite file, without a way to change it."""

    def __call__(
        self, path: str, query: str, bindings: Mapping[str, Any], *, patience_seconds: float
    ) -> AbstractContextManager[Table]:
        """
        Run one query that only reads, with its named parameters.

        `patience_seconds` bounds the time to the next thousand rows. Raises `SourceRejectedError` or
        `SourceUnavailableError`, also while the rows are read.
        """
        ...


def refuse_rows(
    path: str, query: str, bindings: Mapping[str, Any], *, patience_seconds: float
) -> AbstractContextManager[Table]:
    """Read nothing: nobody handed a reader in. Raises `PluginError`."""
    del query, bindings, patience_seconds
    raise PluginError(f"cannot read {path}: make the strategy with access=Access(…, read_rows=…)")
