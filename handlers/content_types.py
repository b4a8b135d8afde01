"""What a body is: by its first bytes where these are certain, else by what the server says of it."""

from __future__ import annotations

import json
import mimetypes
import re

SNIFFED_BYTES = 65_536
"""So many of the first bytes are looked at, at most."""

BINARY = "application/octet-stream"

_SIGNATURES = (
    (re.compile(rb"%PDF-"), "application/pdf"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"....ftyp(?:avif|avis)", re.DOTALL), "image/avif"),
    (re.compile(rb"....ftypM4[AB]", re.DOTALL), "audio/mp4"),
    (re.compile(rb"....ftyp", re.DOTALL), "video/mp4"),
    (re.compile(rb"ID3|\xff[\xfb\xf3\xf2]"), "audio/mpeg"),
    (re.compile(rb"\xff[\xf1\xf9]"), "audio/aac"),
    (re.compile(rb"fLaC"), "audio/flac"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"\x1aE\xdf\xa3"), "video/webm"),
    (re.compile(rb"PK(?:\x03\x04|\x05\x06)"), "application/zip"),
    (re.compile(rb"\x1f\x8b\x08"), "application/gzip"),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "application/x-ole-storage"),
)
"""The beginnings of files that a pipeline meets. Source: mimesniff.spec.whatwg.org, and each format's own."""

_CERTAIN = {kind for _, kind in _SIGNATURES}
_WRAPPINGS = {"application/zip", "application/gzip", "application/x-ole-storage"}
"""Formats that others are made of: what a server calls by a name of its own may well be one."""

_SAYS_NOTHING = {
    "",
    "*/*",
    BINARY,
    "binary/octet-stream",
    "application/binary",
    "application/download",
    "application/force-download",
    "application/unknown",
    "application/x-download",
    "unknown/unknown",
}
_TEXT = {
    "application/javascript",
    "application/ecmascript",
    "application/json",
    "application/sql",
    "application/toml",
    "application/x-ndjson",
    "application/x-subrip",
    "application/x-yaml",
    "application/xml",
    "application/yaml",
}
_HTML = re.compile(
    rb"\s*(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_XML = re.compile(rb"\s*<\?xml\b")
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_SUFFIXES = {"application/gzip": ".gz", "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "image/jpeg": ".jpg"}


def find_content_type(declared: str, start: bytes) -> str:
    """
    Tell the media type of a body, in lower case without parameters; `start` are its first bytes.

    Bytes that can be but one thing win over what is declared; so does a page of HTML in the place of a file. A type
    that says nothing is made up for from the bytes; what is no text then is `application/octet-stream`.

    >>> find_content_type("text/html; charset=utf-8", b"%PDF-1.7"), find_content_type("", b"<html>")
    ('application/pdf', 'text/html')
    """
    kind = declared.partition(";")[0].strip().lower()
    if "/" not in kind or kind in _SAYS_NOTHING:
        kind = ""
    if found := _find_signature(start):
        return kind if _may_be(kind, found) else found
    bare = _drop_mark(start)
    if (
        _HTML.match(bare)
        and not kind.endswith(("html", "xml"))
        and (not is_text(kind) or kind == "text/plain")
    ):
        return "text/html"
    if kind and (kind != "text/plain" or looks_like_text(start)):
        return kind
    return _guess(bare) if looks_like_text(start) else BINARY


def is_text(kind: str) -> bool:
    """Tell whether a media type is one of text."""
    return kind.startswith("text/") or kind in _TEXT or kind.endswith(("+json", "+xml"))


def looks_like_text(start: bytes) -> bool:
    """Tell text from other bytes by control characters that no text has; a byte order mark makes it text."""
    return start.startswith(_MARKS) or not _NO_TEXT.search(start)


def add_suffix(name: str, kind: str) -> str:
    """
    Give a file's name a suffix of its media type, if it has none.

    >>> add_suffix("download", "application/pdf"), add_suffix("a.pdf", "text/html")
    ('download.pdf', 'a.pdf')
    """
    has_suffix = re.search(r"\.\w{1,8}$", name)
    return name if has_suffix else name + (_SUFFIXES.get(kind) or mimetypes.guess_extension(kind) or "")


def _find_signature(start: bytes) -> str | None:
    return next((kind for pattern, kind in _SIGNATURES if pattern.match(start)), None)


def _may_be(kind: str, found: str) -> bool:
    if kind in {"", found} or kind in _CERTAIN - {"audio/ogg", "audio/mp4", "video/mp4", "video/webm"}:
        return kind == found
    family, found_family = kind.partition("/")[0], found.partition("/")[0]
    if found in _WRAPPINGS:
        return family != "text" and not is_text(kind)
    return family == found_family or {family, found_family} == {"audio", "video"}


def _drop_mark(start: bytes) -> bytes:
    return start.removeprefix(_MARKS[0])


def _guess(start: bytes) -> str:
    if _XML.match(start):
        return "application/xml"
    if start.lstrip()[:1] in {b"{", b"["} and len(start) < SNIFFED_BYTES:
        try:
            json.loads(start)
        except (ValueError, RecursionError):
            return "text/plain"
        return "application/json"
    return "text/plain"
