"""A handler that does nothing, for measuring what everything around it costs."""

from __future__ import annotations

from handlers.base import Handler, HandlerContext


class Noop(Handler):
    """Return the same small result for every item."""

    VERSION = "1"

    def run(self, _: HandlerContext) -> dict[str, object]:
        """Do nothing."""
        return {"ok": True}
