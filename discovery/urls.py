"""Web addresses: their one form, keys made from them, and what they are made of."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote_plus, urljoin, urlsplit

import httpx2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

TBS_MAP = {"daily": "qdr:d2", "weekly": "qdr:w"}
"""How far back a web search looks, by how often it is made: Google's `tbs`. Daily looks two days back."""

_TRACKING = re.compile(
    r"(utm|mtm|pk|piwik|hsa)_\w+"  # Google Analytics, Matomo, Piwik, HubSpot's ads
    r"|[dgty]clid|gclsrc|[gw]braid|gad_(source|campaignid)|srsltid|_ga|_gl"  # Google, Yandex, TikTok
    r"|fbclid|mibextid|igshid|igsh|twclid|ttclid|ysclid|msclkid|li_fat_id|epik|ref_src|__twitter_impression"
    r"|mc_[ce]id|_hsenc|_hsmi|__hs(tc|sc|fp)|hsctatracking|mkt_tok|vero_(id|conv)|oly_(anon|enc)_id"  # mail
    r"|elqtrack(id)?|dm_i|sc_cid|wt_mc|irclickid|rb_clickid|wickedid|_branch_match_id"
    r"|guccounter|guce_referrer(_sig)?|soc_(src|trk)",
    re.IGNORECASE,
)
"""Parameters that say who came from where, and never which page it is."""

_DEFAULT_PORT = {"http": 80, "https": 443}
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ODD_IN_PATH = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~!$&'()*+,;=:@/]")
_ODD_IN_QUERY = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?]")


def hash_url(url: str, length: int = 10) -> str:
    """
    Make a short key of a URL, as it is written: the first `length` hexadecimal digits of its SHA-256.

    Ten digits are for thousands of items, not for millions: among a million, two are likely to agree.
    """
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def canonical_url(url: str) -> str:
    """
    Write the address of a page in the form that its other spellings share; doing so twice changes nothing more.

    Lower-case scheme and host, the host in ASCII, without a default port or a final dot; percent-encoding only
    where it must be, in upper case; no dot segments; no fragment, but for the `#!` that names a page; no
    parameters that only track who came from where, and the others sorted by name unless one comes twice or
    has no value. The case of the path stays. What is no http or https address comes back stripped.

    Source: RFC 3986 6.2.2 and 6.2.3.

    >>> canonical_url("HTTPS://Example.org:443/a/../%7eb?utm_source=x&id=7&at=2#top")
    'https://example.org/~b?at=2&id=7'
    """
    try:
        parts = urlsplit(url.strip())
        authority = _canonical_authority(parts)
    except ValueError:  # brackets that are no IPv6, a port that is no number
        return url.strip()
    if not authority:
        return url.strip()
    path = _drop_dot_segments(_plain(parts.path, _ODD_IN_PATH)) or "/"
    query = _canonical_query(parts.query)
    fragment = _plain(parts.fragment, _ODD_IN_QUERY) if parts.fragment.startswith("!") else ""
    return (
        f"{parts.scheme}://{authority}{path}"
        + (f"?{query}" if query else "")
        + (f"#{fragment}" if fragment else "")
    )


def join_url(base: str, reference: str) -> str | None:
    """
    Find where a reference on a page leads, without its fragment unless that names a page; None when to no page.

    >>> join_url("https://example.org/a/b", " ../c#top"), join_url("https://example.org/", "mailto:me@example.org")
    ('https://example.org/c', None)
    """
    try:
        joined = urljoin(base, reference.strip())
        parts = urlsplit(joined)
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORT or not parts.netloc:
        return None
    joined = parts.scheme + joined[len(parts.scheme) :]
    return joined if parts.fragment.startswith("!") else joined.partition("#")[0]


def read_origin(url: str) -> tuple[str, str, int | None]:
    """
    Read the scheme, host and port of an address, the port that is meant where none is written. Raises ValueError.

    >>> read_origin("https://Example.org/a") == read_origin("https://example.org:443/b")
    True
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORT.get(parts.scheme)


def name_host(url: str) -> str:
    """
    Name the host of an address in lower case, without `www.`; empty when there is none.

    >>> name_host("https://www.Example.org:8080/a")
    'example.org'
    """
    try:
        return (urlsplit(url).hostname or "").rstrip(".").removeprefix("www.")
    except ValueError:
        return ""


def with_query(url: str, parameters: Mapping[str, object]) -> str:
    """
    Set parameters in the query of an address; those that it had under these names go, and so does its fragment.

    >>> with_query("https://example.org/api?page=1&q=a+b", {"page": 2, "sort": "new"})
    'https://example.org/api?q=a+b&page=2&sort=new'
    """
    bare, _, query = url.partition("#")[0].partition("?")
    kept = [piece for piece in query.split("&") if piece and _name_parameter(piece) not in parameters]
    kept += [f"{_quote(name)}={_quote(value)}" for name, value in parameters.items()]
    return f"{bare}?{'&'.join(kept)}" if kept else bare


def _canonical_authority(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in _DEFAULT_PORT or not host:
        return ""
    if "[" in host or "]" in host:  # those of IPv6 are not in `hostname`
        raise ValueError("brackets around no address of IPv6")
    host = _in_ascii(host) if not host.isascii() else host
    user, at, _ = parts.netloc.rpartition("@")
    port = "" if parts.port in {None, _DEFAULT_PORT[parts.scheme]} else f":{parts.port}"
    return f"{user}{at}{f'[{host}]' if ':' in host else host}{port}"


def _in_ascii(host: str) -> str:
    try:
        return httpx2.URL(f"https://{host}/").raw_host.decode("ascii").rstrip(".")
    except (httpx2.InvalidURL, ValueError):  # no such name can exist
        return host


def _plain(text: str, odd: re.Pattern[str]) -> str:
    return odd.sub(_spell, text)


def _spell(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) == 1:
        # A lone percent sign too: else what it stands before could be read as a new triplet.
        return quote(text, safe="", errors="surrogatepass")
    character = chr(int(text[1:], 16))
    return character if character in _UNRESERVED else text.upper()


def _drop_dot_segments(path: str) -> str:
    if "/." not in path:
        return path
    kept: list[str] = []
    *segments, last = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if last == "..":
        del kept[-1:]
    return "/".join(["", *kept, "" if last in {".", ".."} else last])


def _canonical_query(query: str) -> str:
    pieces = [_plain(piece, _ODD_IN_QUERY) for piece in query.split("&") if piece]
    pieces = [piece for piece in pieces if not _TRACKING.fullmatch(_name_parameter(piece))]
    names = {_name_parameter(piece) for piece in pieces}
    if len(names) == len(pieces) and all("=" in piece for piece in pieces):
        pieces.sort(key=_name_parameter)
    return "&".join(pieces)


def _name_parameter(piece: str) -> str:
    return unquote_plus(piece.partition("=")[0])


def _quote(value: object) -> str:
    return quote_plus(str(value), errors="replace")
