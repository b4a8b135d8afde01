"""How a run behaves: one value, passed whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class RunContext:
    """
    How a run behaves.

    `limit` bounds how many items it takes up; `test_stage` and `test_item` keep it to one stage name or one
    key; `no_reset` leaves claims of dead workers to their leases; `discover_only` stops after discovery;
    `single_pass` waits for no retry; `active_items` are the ids that it keeps to, or None for all.
    """

    mode: Literal["production", "test", "dry_run"] = "production"
    limit: int | None = None
    test_stage: str | None = None
    test_item: str | None = None
    no_reset: bool = False
    discover_only: bool = False
    single_pass: bool = False
    active_items: frozenset[int] | None = None

    @property
    def is_test(self) -> bool:
        """Tell whether this run works on a copy that is thrown away."""
        return self.mode == "test"

    @property
    def is_dry_run(self) -> bool:
        """Tell whether this run writes nothing."""
        return self.mode == "dry_run"

    @property
    def is_scoped(self) -> bool:
        """Tell whether this run keeps to a part of its job, so that workers of others cannot do it."""
        return (self.limit, self.test_stage, self.test_item) != (None, None, None)

    def to_json(self) -> str:
        """Write the context for another process."""
        fields = asdict(self)
        fields["active_items"] = None if self.active_items is None else sorted(self.active_items)
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        active = fields.pop("active_items")
        return cls(**fields, active_items=None if active is None else frozenset(active))
