"""JSON Feeds."""

from __future__ import annotations

import html
from typing import Any

from feedparser.sanitizer import _sanitize_html  # the same that makes other feeds' summaries safe

from discovery.feed_entries import (
    MAX_FEED_BYTES,
    MAX_PARTS,
    MAX_SUMMARY_CHARACTERS,
    Entry,
    Feed,
    NoFeedError,
    digest_of,
    make_enclosure,
    text_of,
)
from discovery.instants import tell_iso
from discovery.shapes import read_list, read_object, read_objects
from net.bounded_json import load_json
from net.charset import decode


def looks_like_json(body: bytes) -> bool:
    """Tell whether a body begins as a JSON object does, in any of the encodings of Unicode."""
    return body[:64].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"{")


def read_json_feed(body: bytes, content_type: str, limit: int) -> Feed:
    """
    Read at most `limit` entries of a JSON Feed. Raises `NoFeedError`.

    An item that is no object is an entry without identity. A number will do for an id, as version 1 says.

    Source: JSON Feed 1.0 and 1.1, jsonfeed.org.
    """
    if len(body) > MAX_FEED_BYTES:
        raise NoFeedError(f"its JSON is over {MAX_FEED_BYTES:,} bytes")
    try:
        given = load_json(decode(body, content_type).removeprefix("\ufeff").encode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise NoFeedError(f"its JSON cannot be read: {error}") from error
    items = given.get("items") if isinstance(given, dict) else None
    if not isinstance(items, list):
        raise NoFeedError("it is JSON without a list of items")
    if "jsonfeed.org" not in text_of(given.get("version")) and "title" not in given:
        raise NoFeedError("it is JSON, but not a JSON Feed")
    feed_author = _author_of(given)
    return Feed(text_of(given.get("title")), [_make_entry(item, feed_author) for item in items[:limit]])


def _make_entry(item: Any, feed_author: str) -> Entry:
    if not isinstance(item, dict):
        return Entry(digest=digest_of(item))
    updated_at = tell_iso(item.get("date_modified"))
    return Entry(
        id=_id_of(item.get("id")),
        link=text_of(item.get("url")) or text_of(item.get("external_url")),
        title=text_of(item.get("title")),
        summary=_summary_of(item),
        author=_author_of(item) or feed_author,
        published_at=tell_iso(item.get("date_published")) or updated_at,
        updated_at=updated_at,
        tags=[text for tag in read_list(item.get("tags"))[:MAX_PARTS] if (text := text_of(tag, 200))],
        enclosures=[
            make_enclosure(
                url, each.get("mime_type"), each.get("size_in_bytes"), each.get("duration_in_seconds")
            )
            for each in read_objects(item.get("attachments"))[:MAX_PARTS]
            if (url := text_of(each.get("url")))
        ],
        digest=digest_of(item),
    )


def _id_of(given: object) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return ""
    return text_of(str(given))


def _summary_of(item: dict[str, Any]) -> str:
    for name in ("summary", "content_text"):
        if text := text_of(item.get(name), MAX_SUMMARY_CHARACTERS):
            return html.escape(text, quote=False)[:MAX_SUMMARY_CHARACTERS]
    markup = text_of(item.get("content_html"), MAX_SUMMARY_CHARACTERS)
    return text_of(_sanitize_html(markup, "utf-8", "text/html"), MAX_SUMMARY_CHARACTERS) if markup else ""


def _author_of(given: dict[str, Any]) -> str:
    named = [
        *read_objects(given.get("authors"))[:MAX_PARTS],
        read_object(given.get("author")),
    ]
    return ", ".join(dict.fromkeys(name for each in named if (name := text_of(each.get("name"), 200))))
