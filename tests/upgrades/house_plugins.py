"""The strategy and the handler of the old houses, written so that every release can load them."""

from __future__ import annotations

from discovery.base import BaseDiscovery, FoundItem
from handlers.base import Handler, HandlerParams
from pipeline.outcomes import GiveUp, RetryLater, Skip

KEYS = ("done", "empty", "broken", "hopeless", "soon", "next week", "claimed", "sent")
"""What becomes of each in its second stage, in an old house."""

ENDINGS = {
    "empty": Skip("nothing in it"),
    "hopeless": GiveUp("gone for good"),
    "soon": RetryLater(60, "busy"),
    "next week": RetryLater(7 * 86_400, "over its quota"),
}


class Source(BaseDiscovery):
    """Finds what there is."""

    async def fetch_items(self) -> list[FoundItem]:
        return [FoundItem(key, {"title": f"The {key} one, “naïve”"}) for key in KEYS]


class Step(Handler):
    """Says what it saw; told to stumble, does what the item's key says."""

    VERSION = "1"

    class Params(HandlerParams):
        stumbles: bool = False

    params: Params

    def run(self, context):
        context.cost(0.25, "somebody", tokens=10)
        if self.params.stumbles and context.key == "broken":
            raise ValueError("no such page as 17")
        if self.params.stumbles and context.key in ENDINGS:
            return ENDINGS[context.key]
        return {"key": context.key, "saw": sorted(context.results)}
