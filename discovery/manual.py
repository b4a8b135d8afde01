"""Items written out in jobs.yaml."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from discovery.base import BaseDiscovery, FoundItem, StrategyParams


class ListedItem(StrategyParams):
    """An item with more than a key."""

    key: str = Field(description="The text by which the job knows the item again.")
    data: dict[str, Any] = Field({}, description="What is known about it: a JSON object.")
    priority: int | None = Field(None, description="Higher is sooner; left out, the job's own.")


class Manual(BaseDiscovery):
    """
    Find the items that jobs.yaml lists.

    Key: as written. Order: as written.
    Data: as written, else empty.
    Example: {strategy: manual, items: [first, {key: second, data: {pages: 12}, priority: 5}]}

    Source: jobs.yaml itself.
    """

    class Params(StrategyParams):
        """The items, in either form; both may stand in one list."""

        items: list[str | ListedItem] = Field(
            description="Keys, or objects with `key`, `data` and `priority`."
        )

    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """List the items."""
        return [
            FoundItem(item) if isinstance(item, str) else FoundItem(item.key, item.data, item.priority)
            for item in self.params.items
        ]
