"""What a feed says, read from its bytes: RSS 0.9x, 1.0 and 2.0, Atom 0.3 and 1.0, CDF, JSON Feed."""

from __future__ import annotations

import hashlib
import io
import json
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import feedparser
from feedparser.mixin import _FeedParserMixin

from discovery.ampersands import join_halves
from discovery.instants import tell_iso, tell_struct_time

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FEED_BYTES = 8 * 1024 * 1024
"""How much of one feed is read; what comes after is left unread, and that is said."""

MAX_SUMMARY_CHARACTERS = 20_000
MAX_TEXT_CHARACTERS = 5_000
MAX_PARTS = 100

_LARGE_BYTES = 512 * 1024
_END_OF_ENTRY = re.compile(rb"<!\[CDATA\[.*?\]\]>|</(?:\w+:)?(?:item|entry)\s*>", re.DOTALL | re.IGNORECASE)
_SURROGATES = re.compile("[\ud800-\udfff\0]")
_NO_YEAR = re.compile(r"[+-]\d|\d{5,}", re.ASCII)
_RUNS_A_SCRIPT = re.compile(r"\s*(javascript|vbscript|data)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """
    An entry of a feed. What it does not say is empty, or None for an instant, ISO in UTC.

    `id` is as the feed gives it. `link` is absolute, and for keys; `url` is it too, unless it would run a
    script. `summary` is safe HTML. `enclosures` are as `make_enclosure` makes them.
    `digest` is of all that the entry says, wherever its feed lies.
    """

    id: str = ""
    link: str = ""
    title: str = ""
    summary: str = ""
    author: str = ""
    published_at: str | None = None
    updated_at: str | None = None
    tags: list[str] = field(default_factory=list)
    enclosures: list[dict[str, Any]] = field(default_factory=list)
    digest: str = ""

    @property
    def url(self) -> str | None:
        """The address that a person may open."""
        return None if not self.link or _RUNS_A_SCRIPT.match(self.link) else self.link


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed's title and its entries in its own order. `cut_at_bytes` is where its reading ended early."""

    title: str
    entries: list[Entry]
    cut_at_bytes: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Feed:
        """Make it again from `as_dict`."""
        return cls(given["title"], [Entry(**each) for each in given["entries"]], given["cut_at_bytes"])


class NoFeedError(Exception):
    """The bytes are no feed; says why."""


def read_xml_feed(body: bytes, content_type: str, url: str, limit: int) -> Feed:
    """
    Read at most `limit` entries of an XML feed, well-formed or not, that came from `url`.

    Raises `NoFeedError`, and whatever feedparser stumbles over; may take long over bytes made for that.

    Source: RSS, rssboard.org; Atom, RFC 4287; CDF, w3.org/TR/NOTE-CDFsubmit.
    """
    part, cut_at = cut_entries(body, limit)
    # As a stream: given bytes, feedparser would first try to open a file of that name.
    headers = {"content-type": content_type, "content-location": url}
    with _ids_as_given():
        parsed = feedparser.parse(io.BytesIO(join_halves(part)), response_headers=headers)
    if not parsed.get("version") and not parsed.entries:
        raise NoFeedError(str(parsed.get("bozo_exception", "it is empty")))
    entries = [_make_entry(entry, url) for entry in parsed.entries[:limit]]
    return Feed(text_of(parsed.feed.get("title")), entries, cut_at)


def cut_entries(body: bytes, limit: int) -> tuple[bytes, int | None]:
    """
    Leave out of a large body what comes after its first `limit` entries, or after `MAX_FEED_BYTES`.

    Gives the rest, and where it was cut if entries may be missing. A feed that breaks off is read all the same.
    """
    if len(body) <= _LARGE_BYTES:
        return body, None
    last, count = 0, 0
    for found in _END_OF_ENTRY.finditer(body, 0, MAX_FEED_BYTES):
        if found[0].startswith(b"</"):
            last, count = found.end(), count + 1
        if count == limit:
            return body[:last], None
    if len(body) <= MAX_FEED_BYTES:
        return body, None
    return body[: last or MAX_FEED_BYTES], last or MAX_FEED_BYTES


def text_of(value: object, most: int = MAX_TEXT_CHARACTERS) -> str:
    """Give a text that a database takes, cut and stripped; empty for whatever is no text."""
    return _SURROGATES.sub("\ufffd", value[:most]).strip() if isinstance(value, str) else ""


def digest_of(said: object) -> str:
    """Give a short text that is another when something else was said."""
    text = json.dumps(said, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def count_of(value: object) -> int | None:
    """Read a whole number of at least 0, fractions cut off, or None."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    text = text.partition(".")[0]
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None


def join_address(base: str, reference: str) -> str:
    """Give the address that a feed at `base` means by a reference, or the reference itself when it is none."""
    try:
        return urljoin(base, reference) if reference else ""
    except ValueError:  # but still what the entry is known by
        return reference


@contextmanager
def _ids_as_given() -> Iterator[None]:
    # feedparser would take a guid like `42` for a relative address, and all keys would change with the feed's.
    relative = _FeedParserMixin.can_be_relative_uri
    _FeedParserMixin.can_be_relative_uri = relative - {"id"}
    try:
        yield
    finally:
        _FeedParserMixin.can_be_relative_uri = relative


def make_enclosure(url: str, kind: object, length: object, duration: object) -> dict[str, Any]:
    """Make one of an entry's enclosures; its length is in bytes, its duration in seconds."""
    return {
        "url": url,
        "type": text_of(kind, 200),
        "length": count_of(length),
        "duration_seconds": count_of(duration),
    }


def _make_entry(entry: Any, base: str) -> Entry:
    updated_at = _instant_of(entry, "updated")
    return Entry(
        id=text_of(entry.get("id")),
        link=join_address(base, text_of(entry.get("link"))),
        title=text_of(entry.get("title")),
        summary=text_of(entry.get("summary"), MAX_SUMMARY_CHARACTERS),
        author=text_of(entry.get("author")),
        published_at=_instant_of(entry, "published") or updated_at,
        updated_at=updated_at,
        tags=_tags_of(entry),
        enclosures=_enclosures_of(entry, base),
        digest=digest_of(_said_by(entry)),
    )


def _said_by(entry: Any) -> dict[str, Any]:
    plain = {name: value for name, value in dict.items(entry) if not name.endswith("_parsed")}
    return {name: _without_base(value) for name, value in plain.items()}


def _without_base(value: Any) -> Any:
    # feedparser notes with each text where its feed lies; a feed that has moved says what it said.
    if isinstance(value, list):
        return [_without_base(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: each for name, each in dict.items(value) if name != "base"}


def _instant_of(entry: Any, name: str) -> str | None:
    # Looked up with `in`: asking feedparser for a missing `updated` warns and gives the other.
    if f"{name}_parsed" not in entry:
        return None
    text = text_of(entry[name]) if name in entry else ""
    if _NO_YEAR.match(text):  # feedparser would find a date in any run of digits, the year 70000 in 2070
        return tell_iso(text)
    return tell_struct_time(entry[f"{name}_parsed"])


def _tags_of(entry: Any) -> list[str]:
    terms = [text_of(tag.get("term"), 200) for tag in entry.get("tags", ())]
    return list(dict.fromkeys(term for term in terms if term))[:MAX_PARTS]


def _enclosures_of(entry: Any, base: str) -> list[dict[str, Any]]:
    links = [link for link in entry.get("links", ()) if link.get("rel") == "enclosure"]
    found = [(link.get("href"), link.get("type"), link.get("length"), None) for link in links]
    if not found:
        media = filter(_plays, entry.get("media_content", ()))
        found = [(m.get("url"), m.get("type"), m.get("filesize"), m.get("duration")) for m in media]
    return [
        make_enclosure(join_address(base, text_of(url)), *about)
        for url, *about in found[:MAX_PARTS]
        if text_of(url)
    ]


def _plays(media: Any) -> bool:
    kind = f"{media.get('medium', '')} {media.get('type', '')}"
    return "audio" in kind or "video" in kind
