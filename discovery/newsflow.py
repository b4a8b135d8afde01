"""One flow of news out of what several sources found: each story once, newest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from discovery.base import FoundItem, canonical_url, hash_url
from discovery.instants import tell_iso
from discovery.shapes import read_object, read_objects, read_text, read_web_address
from discovery.titles import Titles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_REMEMBERED = 1000
"""How many of the newest stories are remembered from one discovery to the next."""

TWIN = "twin of a story"
LATE_TWIN = "twin of a story found before"


@dataclass(slots=True)
class Story:
    """A story, known by its key; `item` is None when only an earlier discovery found it."""

    key: str
    title: str
    published_at: str | None
    item: FoundItem | None = None
    also: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def as_remembered(self) -> dict[str, Any]:
        """Give what a later discovery has to know of it, as JSON takes it."""
        return {"key": self.key, "title": self.title[:300], "published_at": self.published_at}

    def as_item(self) -> FoundItem | None:
        """Give the item, with the addresses and sources of its twins."""
        if self.item is None:
            return None
        self.item.data["also"] = self.also
        self.item.data["names"] = list(dict.fromkeys(self.names))
        return self.item


class Flow:
    """
    Folds stories with nearly the same title into the earliest, of those equally early into the first source's.

    `memory` is what `remember` gave at an earlier discovery: a twin of a story from then is left out, so that each
    is found once however late a source brings it. Stories published more than `within` apart are no twins.
    """

    def __init__(self, likeness: float, within: timedelta, memory: object = None) -> None:
        self._within = within
        self._titles: Titles[Story] = Titles(likeness)
        self._stories: dict[str, Story] = {}
        self.folded = {TWIN: 0, LATE_TWIN: 0}
        for each in read_objects(read_object(memory).get("stories")):
            if key := read_text(each.get("key")):
                self._take_in(Story(key, read_text(each.get("title")), tell_iso(each.get("published_at"))))

    def fold(self, items: Iterable[FoundItem]) -> None:
        """Take in the items of all sources; call it once, the sources in their order."""
        for item in sorted(items, key=_when_first):
            story = Story(item.key, item.data["title"], item.data["published_at"], item)
            story.names.append(item.data["name"])
            self._fold_one(story)

    def list_items(self) -> list[FoundItem]:
        """List what this discovery found, newest first; what has no date comes last."""
        items = [item for story in self._stories.values() if (item := story.as_item())]
        return sorted(items, key=lambda item: item.data["published_at"] or "", reverse=True)

    def remember(self) -> dict[str, Any]:
        """Give what a later discovery has to know, as JSON takes it."""
        stories = sorted(self._stories.values(), key=lambda story: story.published_at or "", reverse=True)
        return {"stories": [story.as_remembered() for story in stories[:MAX_REMEMBERED]]}

    def _fold_one(self, story: Story) -> None:
        same = self._stories.get(story.key)
        twin = same or self._find_twin(story)
        if twin is None:
            self._take_in(story)
        elif twin.item is None and same is not None:  # found before, and there it is again
            twin.item, twin.names = story.item, story.names
        elif twin.item is None:
            self.folded[LATE_TWIN] += 1
        else:
            self._add_twin(twin, story)

    def _find_twin(self, story: Story) -> Story | None:
        alike = self._titles.find_alike(story.title)
        return next((other for other in alike if _is_near(story, other, self._within)), None)

    def _add_twin(self, kept: Story, twin: Story) -> None:
        self.folded[TWIN] += 1
        kept.names += twin.names
        url = twin.item.data["url"] if twin.item else None
        if url and twin.key != kept.key and url not in kept.also:
            kept.also.append(url)

    def _take_in(self, story: Story) -> None:
        self._stories[story.key] = story
        self._titles.add(story.title, story)


def make_story(found: FoundItem, kind: str, name: str) -> FoundItem:
    """Make a story of what a source of this kind and name found."""
    said = found.data
    url = read_web_address(said.get("url"))
    data = {
        "url": url,
        "title": read_text(said.get("title")) or read_text(said.get("text")),
        "published_at": tell_iso(said.get("published_at")) or tell_iso(said.get("modified_at")),
        "summary": read_text(said.get("summary")) or read_text(said.get("snippet")),
        "kind": kind,
        "name": name,
    }
    key = hash_url(canonical_url(url), 20) if url else found.key
    return FoundItem(key, data, version=found.version, source=found.source)


def choose_newest(stories: Sequence[FoundItem], most: int) -> list[FoundItem]:
    """Choose the newest of a source's stories, in its order; what has no date comes last."""
    if len(stories) <= most:
        return list(stories)
    dated = sorted(range(len(stories)), key=lambda at: stories[at].data["published_at"] or "", reverse=True)
    return [stories[at] for at in sorted(dated[:most])]


def _when_first(item: FoundItem) -> tuple[bool, str]:
    published_at = item.data["published_at"]
    return published_at is None, published_at or ""


def _is_near(one: Story, other: Story, within: timedelta) -> bool:
    if one.published_at is None or other.published_at is None:
        return True
    return abs(_read(one.published_at) - _read(other.published_at)) <= within


def _read(instant: str) -> datetime:
    return datetime.fromisoformat(instant)
