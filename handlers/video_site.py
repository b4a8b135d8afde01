"""Requests to a site of videos on behalf of a library: through our own client, to that site alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from net.request import is_web_address
from net.shown import show_url
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from net.client import Fetched, PoliteClient

YOUTUBE = "https://www.youtube.com"
BASE_URL = "Where YouTube is."


def _check_address(url: str) -> str:
    if not is_web_address(url):
        raise ValueError(f"not an http or https address, such as {YOUTUBE}")
    return url


BaseUrl = Annotated[str, AfterValidator(_check_address)]


@dataclass(frozen=True, slots=True)
class VideoSite:
    """
    A site, as a library may ask it: guarded, in turn and within caps as all our requests are, with no proxy.

    `hosts` may be asked, and those below them; any, if there are none. What the library asks of `YOUTUBE` is asked
    of `base_url`.
    """

    client: PoliteClient
    hosts: Collection[str]
    base_url: str = YOUTUBE

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        statuses_ok: Collection[int] = (),
    ) -> Fetched:
        """
        Ask, outside of any event loop; raises as `PoliteClient.fetch` does.

        Raises `SourceRejectedError` for a host that is none of this site's.
        """
        if self.hosts and not self.holds(url):
            raise SourceRejectedError(f"{show_url(url)} is none of: {', '.join(sorted(self.hosts))}")
        if url.startswith(YOUTUBE + "/"):
            url = self.base_url.rstrip("/") + url.removeprefix(YOUTUBE)
        return asyncio.run(
            self.client.fetch(url, headers=headers, method=method, content=body, statuses_ok=statuses_ok)
        )

    def holds(self, url: str) -> bool:
        """Tell whether an address is of this site."""
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return False
        return any(host == own or host.endswith(f".{own}") for own in self.hosts)
