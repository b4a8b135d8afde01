"""robots.txt: what the owner of a site asks of programs, fetched once a day by one and heeded by all."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from protego import Protego

from net.manners import KnownRobots
from pipeline.errors import HostBusyError, SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from net.fetched import Fetched
    from net.manners import Manners
    from net.request import Hop

PRODUCT = "Celeriac"
"""The name by which a robots.txt may speak to us."""

MAX_ROBOTS_BYTES = 500 * 1024
"""What is beyond is not read. Source: RFC 9309 2.5."""

ROBOTS_SECONDS = 20.0
"""How long fetching one may take."""

GOOD_SECONDS, UNREACHABLE_SECONDS = 86_400.0, 600.0
"""How long a robots.txt is good; and how long we wait before we ask again for one that could not be had."""

MAX_CRAWL_DELAY_SECONDS = 60.0
"""A site may ask for any delay; one of a year would close it to all who share its turns."""

NO_ANSWER = 0
"""The status of a robots.txt that could not be had."""

FetchRobots = Callable[[str], Awaitable["Fetched"]]

_USER_AGENT = re.compile(r"\s*user[ -]?agent\s*:\s*([^/\s]*)", re.IGNORECASE)
_SITE_WIDE = re.compile(r"\s*(sitemap|host)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Robots:
    """Heeds the robots.txt of every origin, as all who share the manners know it."""

    manners: Manners

    async def check(self, hop: Hop, fetch: FetchRobots, lock: asyncio.Lock) -> float:
        """
        Ask whether we may fetch this; the least interval between two requests that its site wants, in seconds.

        `fetch` gets the file politely, one at a time under the `lock`. Raises `SourceRejectedError` when we may
        not, `SourceUnavailableError` when nobody can tell now.

        Source: RFC 9309; `Crawl-delay` is older and not in it.
        """
        known = self._recall(hop.origin)
        if known is None:
            async with lock:
                known = self._recall(hop.origin) or await self._look(hop.origin, fetch)
        if known.status == NO_ANSWER:
            wait_seconds = max(1.0, known.good_until - time.time())
            raise SourceUnavailableError(
                f"{hop}: {hop.origin}/robots.txt cannot be had, so nothing of it is fetched now", wait_seconds
            )
        rules = read_rules(known.body)
        if not rules.can_fetch(str(hop.url), PRODUCT):
            raise SourceRejectedError(
                f"{hop}: robots.txt of {hop.origin} does not let {PRODUCT} fetch it; "
                "if its owner does, set `robots: false` in the stage's params"
            )
        return min(rules.crawl_delay(PRODUCT) or 0.0, MAX_CRAWL_DELAY_SECONDS)

    def _recall(self, origin: str) -> KnownRobots | None:
        known = self.manners.recall_robots(origin)
        return known if known is not None and known.good_until > time.time() else None

    async def _look(self, origin: str, fetch: FetchRobots) -> KnownRobots:
        found = await _fetch_robots(origin, fetch, self.manners.recall_robots(origin))
        self.manners.keep_robots(origin, found)
        return found


async def _fetch_robots(origin: str, fetch: FetchRobots, before: KnownRobots | None) -> KnownRobots:
    try:
        fetched = await fetch(f"{origin}/robots.txt")
    except HostBusyError:
        raise
    except SourceUnavailableError as error:
        again_at = time.time() + max(UNREACHABLE_SECONDS, min(error.retry_after_seconds or 0.0, GOOD_SECONDS))
        # what was good holds on while its origin does not answer
        return replace(before, good_until=again_at) if before else KnownRobots(NO_ANSWER, "", again_at)
    except SourceError:  # 404 and the like, or nothing that can be read: there are no rules
        return KnownRobots(404, "", time.time() + GOOD_SECONDS)
    return KnownRobots(fetched.status, "\n".join(list_our_lines(fetched.text)), time.time() + GOOD_SECONDS)


def list_our_lines(text: str) -> Iterator[str]:
    r"""
    Keep of a robots.txt the groups that are for us, or for everybody.

    One may name 30,000 robots and as many rules, and its parser weighs each rule for each.

    >>> list(list_our_lines("User-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /a"))
    ['User-agent: *', 'Disallow: /a']
    """
    is_ours = in_names = False
    for line in text.splitlines():
        if named := _USER_AGENT.match(line):
            is_ours = is_ours if in_names else False
            in_names = True
            if named[1].lower() in {"*", PRODUCT.lower()}:
                is_ours = True
                yield f"User-agent: {named[1]}"
        elif line.partition("#")[0].strip() and not _SITE_WIDE.match(line):
            in_names = False
            if is_ours:
                yield line


@lru_cache(maxsize=32)
def read_rules(text: str) -> Protego:
    """Read the rules of a robots.txt."""
    return Protego.parse(text)
