"""Kept files, and HTML, as they are sent to a browser: it may show them, and they may do nothing in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import nh3
from fastapi import APIRouter, Depends, Request
from starlette.responses import FileResponse, HTMLResponse

from dashboard.house import house_of
from dashboard.kinds import name_kind
from dashboard.visitors import Needs
from pipeline.errors import NotFoundError, UnclearRequestError
from tracker.artifacts import get_artifact
from tracker.blobs import BlobStore

if TYPE_CHECKING:
    from starlette.responses import Response

router = APIRouter(include_in_schema=False)

HARMLESS = "default-src 'none'; sandbox; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
"""Nothing is loaded, nothing runs, nothing is sent, whatever the file says."""

HARMLESS_PDF = (
    "default-src 'none'; object-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""A browser's own viewer of PDF does not start in a sandbox; what it shows is apart from our pages anyway."""

SHOWN = frozenset({"image", "audio", "video", "pdf"})
"""The kinds that a browser shows as they are; all others are saved."""

MOST_HTML = 5_000_000

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,99}/[a-z0-9][a-z0-9.+-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@router.get("/artifacts/{sha256}", dependencies=[Depends(Needs("view"))], response_model=None)
def send_artifact(request: Request, sha256: str) -> Response:
    """Send a kept file; with `?as=page` one that is HTML as a page, made harmless."""
    house = house_of(request)
    if not _SHA256.fullmatch(sha256):
        raise NotFoundError("artifact with the SHA-256", sha256)
    artifact = get_artifact(house.reader, sha256)
    path = BlobStore(house.settings.artifacts_path).path(sha256)
    if not path.is_file():
        raise NotFoundError("file any more of the artifact", sha256)
    kind = name_kind(artifact.content_type)
    if request.query_params.get("as") == "page" and kind == "html":
        if artifact.bytes > MOST_HTML:
            raise UnclearRequestError("this page is too large to be shown: save the file")
        return show_page(path.read_text(errors="replace"))
    return FileResponse(
        path,
        media_type=clean_type(artifact.content_type),
        headers={
            "Content-Security-Policy": HARMLESS_PDF if kind == "pdf" else HARMLESS,
            "Content-Disposition": name_file("inline" if kind in SHOWN else "attachment", artifact.name),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, max-age=3600",  # its name is its content
        },
    )


def clean_type(content_type: str | None) -> str:
    r"""
    Keep a media type that is one; what a stranger's server said may be anything.

    >>> clean_type("image/png"), clean_type("text/html; charset=utf-8"), clean_type("a/b\r\nX: y"), clean_type(None)
    ('image/png', 'text/html', 'application/octet-stream', 'application/octet-stream')
    """
    bare = (content_type or "").partition(";")[0].strip().lower()
    return bare if _MEDIA_TYPE.fullmatch(bare) else "application/octet-stream"


def name_file(disposition: str, name: str) -> str:
    r"""
    Write a Content-Disposition, the name in it free of what a file's name must not hold.

    Source: RFC 6266.

    >>> name_file("inline", "../etc/a b\r\n.png")
    "inline; filename*=UTF-8''a%20b.png"
    """
    last = re.split(r"[/\\]", name)[-1]
    clean = "".join(letter for letter in last if letter.isprintable())[:200] or "file"
    return f"{disposition}; filename*=UTF-8''{quote(clean, safe='', errors='replace')}"


def show_page(text: str) -> Response:
    """Show HTML on its own: without scripts, styles, forms and pictures, and unable to load anything."""
    body = nh3.clean(
        text[:MOST_HTML],
        tags=nh3.ALLOWED_TAGS - {"img", "map", "area"},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>As a page</title><body>{body}</body></html>'
    return HTMLResponse(page.encode("utf-8", "replace"), headers={"Content-Security-Policy": HARMLESS})
