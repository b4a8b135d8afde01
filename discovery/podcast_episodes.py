"""What podcasts say of their episodes in the elements of Apple and of Podcasting 2.0."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lxml import etree

from discovery.ampersands import escape_ampersands
from discovery.feed_entries import MAX_PARTS, count_of, cut_entries, join_address, text_of
from net.charset import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

_VOCABULARIES = {
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "https://podcastindex.org/namespace/1.0": "podcast",
    "https://github.com/podcastindex-org/podcast-namespace/blob/main/docs/1.0.md": "podcast",
}
_EXPLICIT = {"yes": True, "true": True, "explicit": True, "no": False, "false": False, "clean": False}
_TYPES = {name: name for name in ("full", "trailer", "bonus")}
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2})(?:\.\d+)?", re.ASCII)


def read_episodes(body: bytes, content_type: str, url: str, limit: int) -> dict[str, dict[str, Any]]:
    """
    Read what a feed in XML from `url` says of its first `limit` episodes, by guid and by the enclosure's address.

    Each is `{"duration_seconds", "season", "episode", "episode_type", "explicit", "image_url", "transcripts"}`;
    what is not said is None, or an empty list. What is not well-formed is read as far as it can be.

    Source: Apple's podcast RSS, podcasters.apple.com/support/823; podcastindex.org/namespace/1.0.
    """
    part, _ = cut_entries(body, limit)
    parser = etree.XMLPullParser(
        events=("end",),
        encoding="utf-8",
        recover=True,
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
    )
    # lxml does not tell a text of UTF-8 from one that declares another; the parser's own encoding wins.
    text = decode(part, content_type).encode("utf-8", "replace")
    parser.feed(b"".join(escape_ampersands([text])))
    episodes: dict[str, dict[str, Any]] = {}
    events: Iterator[tuple[str, Any]] = parser.read_events()
    for _, element in events:
        if _name(element)[1] in {"item", "entry"}:
            episode = _read_episode(element)
            for identity in _identities(element, url):
                episodes.setdefault(identity, episode)
            element.clear()
    return episodes


def read_duration(text: str) -> int | None:
    """
    Read a duration in seconds: seconds, or a clock of hours, minutes and seconds.

    >>> read_duration("1:02:03"), read_duration("62:03"), read_duration("3723"), read_duration("soon")
    (3723, 3723, 3723, None)
    """
    if found := _CLOCK.fullmatch(text.strip()):
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + seconds
    return count_of(text)


def _read_episode(item: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"transcripts": []}
    for place, name, child in _children(item):
        if place == "podcast" and name == "transcript":
            said["transcripts"] += _read_transcript(child)
        elif place == "itunes" and name == "image":
            said.setdefault("image", text_of(child.get("href")))
        elif place in {"itunes", "podcast"}:
            said.setdefault(name, text_of(child.text))
    return {
        "duration_seconds": read_duration(said.get("duration", "")),
        "season": count_of(said.get("season")),
        "episode": count_of(said.get("episode")),
        "episode_type": _TYPES.get(said.get("episodetype", "").lower()),
        "explicit": _EXPLICIT.get(said.get("explicit", "").lower()),
        "image_url": said.get("image") or None,
        "transcripts": said["transcripts"][:MAX_PARTS],
    }


def _read_transcript(child: Any) -> list[dict[str, str]]:
    url = text_of(child.get("url"))
    return (
        [
            {
                "url": url,
                "type": text_of(child.get("type"), 200),
                "language": text_of(child.get("language"), 50),
            }
        ]
        if url
        else []
    )


def _identities(item: Any, base: str) -> Iterator[str]:
    for place, name, child in _children(item):
        if place:
            continue
        if name in {"guid", "id"}:
            yield from filter(None, [text_of(child.text)])
        elif name == "enclosure" or (name == "link" and child.get("rel") == "enclosure"):
            yield from filter(None, [join_address(base, text_of(child.get("url") or child.get("href")))])


def _children(item: Any) -> Iterator[tuple[str, str, Any]]:
    for child in item:
        place, name = _name(child)
        yield place, name, child


def _name(element: Any) -> tuple[str, str]:
    """Give which of the two vocabularies an element is of, else nothing, and its name in lower case."""
    if not isinstance(element.tag, str):  # a comment
        return "", ""
    namespace, _, name = element.tag.lower().removeprefix("{").rpartition("}")
    if not namespace and ":" in name:  # a prefix that the feed did not declare
        prefix, _, name = name.partition(":")
        return prefix, name
    return _VOCABULARIES.get(namespace, ""), name
