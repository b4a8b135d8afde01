"""Write-ups of the Value Investors Club that the Wayback Machine has archived."""

from __future__ import annotations

import re

from pydantic import Field

from discovery.base import FoundItem
from discovery.vic_atoz import IDEA, name_company
from discovery.wayback_cdx import Capture, WaybackCdx

_IDEA = re.compile(rf"{IDEA}/?(?:[?#]|$)")


class VicWaybackCdx(WaybackCdx):
    """
    Find the write-ups of the Value Investors Club that the Wayback Machine has archived.

    It is `wayback_cdx` with another default for `url`; what is no write-up is left out.

    Key: the write-up's id, the same as in `vic_atoz`. Order: by address, so by company. Version: the digest of
    what was archived.
    Data: `{"url": str, "company": str, "archive_url": str, "captured_at": str | None, "digest": str,
    "mimetype": str, "status": int | None, "length": int | None}`: the company as the address names it; the rest
    as in `wayback_cdx`. One request per `page_size`.
    Example: {strategy: vic_wayback_cdx, from: "2015"}

    Source: the Wayback CDX Server API, github.com/internetarchive/wayback/tree/master/wayback-cdx-server.
    """

    class Params(WaybackCdx.Params):
        """Which part of the index."""

        url: str = Field(
            "valueinvestorsclub.com/idea/*",
            min_length=1,
            description="The address of the write-ups, with `*`.",
        )

    params: Params

    def make_item(self, capture: Capture) -> FoundItem | None:
        """Make an item of a capture of a write-up; None for one of anything else."""
        found, item = _IDEA.search(capture["original"]), super().make_item(capture)
        if found is None or item is None:
            return None
        key = found[1] if self.params.key == "url" else f"{found[1]}:{capture['timestamp']}"
        return FoundItem(
            key, {**item.data, "company": name_company(capture["original"])}, version=item.version
        )
