"""The results of the stages that a stage needs, read only if its handler looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracker.results import NeededResult


@dataclass(slots=True)
class NeededResults(Mapping[str, dict[str, Any]]):
    """The results of the stages that a stage needs, by stage, read when first looked at."""

    read: Callable[[], dict[str, NeededResult]]
    _known: dict[str, NeededResult] | None = field(default=None, init=False)

    @property
    def read_hashes(self) -> dict[str, str]:
        """The hashes of those results, by stage, if they were looked at; else none."""
        return {stage: known.output_hash for stage, known in (self._known or {}).items()}

    def _all(self) -> dict[str, NeededResult]:
        if self._known is None:
            self._known = self.read()
        return self._known

    def __getitem__(self, stage: str) -> dict[str, Any]:
        return self._all()[stage].result

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
