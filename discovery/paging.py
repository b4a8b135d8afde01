"""Going through a source page by page, within bounds, and on from where an earlier discovery stopped."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.errors import HostBusyError, SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from discovery.base import BaseDiscovery, FoundItem

MAX_FAILURES = 3
"""After so many discoveries in a row that failed at one page it is left out, or else all is begun at the start."""


@dataclass(frozen=True, slots=True)
class Page:
    """
    What one page gave, and where the next one is: any JSON value, None when this was the last.

    `ends` says that there is no more now although `after` says where there will be.
    """

    items: Sequence[FoundItem]
    after: Any = None
    ends: bool = False

    @property
    def has_more(self) -> bool:
        """Whether the next page can be asked for now."""
        return self.after is not None and not self.ends


ReadPage = Callable[[Any], Awaitable[Page]]
"""Reads the page at a position, None for the first. Raises `SourceError`."""

FindAfter = Callable[[Any], Any]
"""Finds the position after another without having read the page there; None when that was the last."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Where to go on, and how often in a row that has failed. Its JSON is the cursor of a paged source."""

    at: Any = None
    failures: int = 0

    @classmethod
    def read(cls, cursor: Any) -> Bookmark:
        """Read a cursor; what is none of ours means the start."""
        if not isinstance(cursor, dict) or not isinstance(cursor.get("failures"), int):
            return cls()
        return cls(cursor.get("at"), cursor["failures"])

    def as_cursor(self) -> dict[str, Any] | None:
        """Write it down; None for the start, and for a page that has failed too often."""
        if self == Bookmark() or self.failures >= MAX_FAILURES:
            return None
        return {"at": self.at, "failures": self.failures}


async def hand_over_pages(
    strategy: BaseDiscovery,
    source: str,
    read_page: ReadPage,
    *,
    max_pages: int,
    goes_on: bool = False,
    keeps_place: bool = False,
    find_after: FindAfter | None = None,
) -> None:
    """
    Read a source page by page, and hand over each with the position of the next; call it inside `looking`.

    A discovery that broke off is gone on with at the page that it had come to. Once through, the next begins at
    the start; with `keeps_place`, at the last position that was given. One that `max_pages` ends begins at the
    start too, or with `goes_on` where it stopped. A page that fails again and again is told as a problem and left out,
    if `find_after` says what comes after it; else it is tried anew from the start.

    Raises `SourceUnavailableError`, and `SourceRejectedError` when the first page could not be had.
    """
    reading = _Reading(strategy, source, read_page, goes_on, keeps_place, find_after)
    place = Bookmark.read(strategy.recall(source).cursor)
    try:
        await reading.hand_over_from(place, max_pages)
        if keeps_place and place.at is not None:
            strategy.note_if_nothing_came(source)
    except SourceRejectedError as error:
        if place.at is None:
            raise
        strategy.problems.append(f"{error}; begun again at the start")
        await reading.hand_over_from(Bookmark(), max_pages)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How one source is read page by page; as `hand_over_pages` is told."""

    strategy: BaseDiscovery
    source: str
    read_page: ReadPage
    goes_on: bool
    keeps_place: bool
    find_after: FindAfter | None

    async def hand_over_from(self, place: Bookmark, max_pages: int) -> None:
        count, more = 0, False
        problems = self.strategy.problems
        try:
            pages = follow_pages(self.read_page, place.at, max_pages, problems, self.source, self.find_after)
            async for at, page in pages:
                count, more = count + 1, page.has_more
                if self.keeps_place:
                    place = Bookmark(at if page.after is None else page.after)
                else:
                    place = Bookmark(page.after if more and (count < max_pages or self.goes_on) else None)
                await self._hand_over(page.items, place)
        except SourceUnavailableError as error:
            following = await self._leave_out(place, error)
            if following.at is not None:
                await self.hand_over_from(following, max_pages - count)
            return
        except SourceRejectedError as error:
            if not count:
                raise
            problems.append(f"{error}; what comes after it is missing")
            await self._hand_over((), Bookmark())
            return
        if more and not self.goes_on and not self.keeps_place:
            _tell_bound(self.strategy, self.source, max_pages)

    async def _leave_out(self, place: Bookmark, error: SourceUnavailableError) -> Bookmark:
        """Give what comes after a page that has failed too often; before that, note the failure and raise it."""
        was_asked = not isinstance(error, HostBusyError)
        place = replace(place, failures=place.failures + was_asked)
        if self.find_after is None or place.failures < MAX_FAILURES:
            await self._hand_over((), place)
            raise error
        self.strategy.problems.append(f"{error}, {MAX_FAILURES} times in a row; left out")
        following = Bookmark(self.find_after(place.at))
        await self._hand_over((), following)
        return following

    async def _hand_over(self, items: Sequence[FoundItem], place: Bookmark) -> None:
        await self.strategy.hand_over(items, source=self.source, cursor=place.as_cursor())


async def collect_pages(
    strategy: BaseDiscovery, source: str, read_page: ReadPage, *, max_pages: int
) -> list[FoundItem]:
    """
    Read a source of a few pages whole. A later page that fails ends it, and is told as a problem.

    Raises `SourceError` when the first page could not be had.
    """
    items: list[FoundItem] = []
    count, more = 0, False
    try:
        async for _, page in follow_pages(read_page, None, max_pages, strategy.problems, source):
            items += page.items
            count, more = count + 1, page.has_more
    except SourceError as error:
        if not count:
            raise
        strategy.problems.append(f"{error}; what comes after it is missing")
        return items
    if more:
        _tell_bound(strategy, source, max_pages)
    return items


async def follow_pages(
    read_page: ReadPage,
    start: Any,
    max_pages: int,
    problems: list[str],
    source: str,
    find_after: FindAfter | None = None,
) -> AsyncIterator[tuple[Any, Page]]:
    """
    Give each page with its position, until the last or `max_pages`.

    A page that comes again, or a position that was there before, ends it too, and is told as a problem; a page that
    comes again is only left out, if `find_after` says what comes after it. No more is kept of a page than a number.
    """
    positions, contents = {_mark(start)}, set[int]()
    at = start
    for _ in range(max_pages):
        page = await read_page(at)
        content = _mark([item.key or item.data for item in page.items])
        if page.items and content in contents:
            end = "stopped there" if find_after is None else "left out from the second time on"
            if (told := f"{source} gives the same page again and again; {end}") not in problems:
                problems.append(told)
            page = Page((), None if find_after is None else find_after(at))
        contents.add(content)
        if page.after is not None and _mark(page.after) in positions:
            if page.items:
                problems.append(f"{source} leads back to a page that was there before; stopped there")
            page = replace(page, after=None)
        yield at, page
        if not page.has_more:
            return
        at = page.after
        positions.add(_mark(at))


def _mark(value: Any) -> int:
    return hash(json.dumps(value, sort_keys=True, default=str))


def _tell_bound(strategy: BaseDiscovery, source: str, max_pages: int) -> None:
    if "max_pages" not in strategy.params.model_fields_set:  # a bound that the author chose is no problem
        strategy.problems.append(f"{source} has more than {max_pages} pages; raise max_pages to see the rest")
