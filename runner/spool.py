"""Rows put aside on the disk until all their columns are known: as many as there are, in little memory."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

KINDS = {bool: "truth", int: "whole", float: "number", str: "text"}


class Spool:
    """Takes rows, then gives them back as often as asked; `kinds` holds what was met in each column."""

    def __init__(self, folder: Path | None = None) -> None:
        self.kinds: dict[str, set[str]] = {}
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, row: Mapping[str, Any]) -> None:
        """Put a row aside."""
        for name, value in row.items():
            known = self.kinds.setdefault(name, set())
            if value is not None:
                known.add(KINDS.get(type(value), "nested"))
                if isinstance(value, int) and not -(2**63) <= value < 2**63:
                    known.add("huge")
                elif isinstance(value, int) and abs(value) > 2**53:
                    known.add("long")  # more than a floating-point number holds
        self._file.write(json.dumps(row) + "\n")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)
