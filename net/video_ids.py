"""The ids of YouTube's videos, in any of their addresses."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

_VIDEO_ID = re.compile(r"[\w-]{11}", re.ASCII)
_VIDEO_PATHS = {"shorts", "embed", "live", "v"}
_VIDEO_HOSTS = {"youtube.com", "youtube-nocookie.com"}


def extract_video_id(url_or_id: str) -> str | None:
    """
    Find the id of a YouTube video in any of its addresses, or in the bare id; None when there is none.

    >>> extract_video_id("https://youtu.be/dQw4w9WgXcQ?t=1"), extract_video_id("https://example.org/")
    ('dQw4w9WgXcQ', None)
    """
    text = url_or_id.strip()
    if _VIDEO_ID.fullmatch(text):
        return text
    try:
        parts = urlsplit(text if "//" in text else f"https://{text}")
    except ValueError:
        return None
    candidate = _name_video(parts.hostname or "", parts.path.strip("/").split("/"), parts.query)
    return candidate if _VIDEO_ID.fullmatch(candidate) else None


def _name_video(host: str, path: list[str], query: str) -> str:
    if host.removeprefix("www.") == "youtu.be":
        return path[0]
    if ".".join(host.rsplit(".", 2)[-2:]) not in _VIDEO_HOSTS:
        return ""
    if path[0] in _VIDEO_PATHS and len(path) > 1:
        return path[1]
    return dict(parse_qsl(query)).get("v", "")
