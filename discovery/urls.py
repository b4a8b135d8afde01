"""Keys made from web addresses."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

TBS_MAP = {"daily": "qdr:d2", "weekly": "qdr:w"}
"""How far back a web search looks, by how often it is made: Google's `tbs`. Daily looks two days back."""

_TRACKING = re.compile(r"utm_\w+|fbclid|gclid|dclid|msclkid|mc_[ce]id|igshid", re.IGNORECASE)
_DEFAULT_PORT = {"http": ":80", "https": ":443"}
_VIDEO_ID = re.compile(r"[\w-]{11}", re.ASCII)
_VIDEO_PATHS = {"shorts", "embed", "live", "v"}
_VIDEO_HOSTS = {"youtube.com", "youtube-nocookie.com"}


def hash_url(url: str, length: int = 10) -> str:
    """
    Make a short key of a URL, as it is written: the first `length` hexadecimal digits of its SHA-256.

    Ten digits are for thousands of items, not for millions: among a million, two are likely to agree.
    """
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def canonical_url(url: str) -> str:
    """
    Write a URL in the form that its other spellings share.

    Lower-case scheme and host, no default port, no fragment, no parameters that only track who came from
    where. A text that is no URL comes back stripped.

    >>> canonical_url("HTTPS://Example.org:443/a?utm_source=x&id=7#top")
    'https://example.org/a?id=7'
    """
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url.strip()
    scheme, host = parts.scheme.lower(), parts.netloc.lower()
    host = host.removesuffix(_DEFAULT_PORT.get(scheme, "\n"))
    kept = [(name, value) for name, value in parse_qsl(parts.query, True) if not _TRACKING.fullmatch(name)]
    return urlunsplit((scheme, host, parts.path or ("/" if host else ""), urlencode(kept), ""))


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
