"""The handler `fetch`: one page or document over HTTP."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.body_names import name_body
from handlers.content_types import SNIFFED_BYTES, find_content_type, is_text
from handlers.spool import open_spool
from handlers.versions import handler_version
from net.charset import decode, find_charset
from pipeline.errors import ArtifactError, SourceRejectedError
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from handlers.spool import Spool
    from net.client import Fetched
    from pipeline.outcomes import Outcome

MIB = 1024 * 1024


class Fetch(Handler):
    """
    Fetch a URL, politely: identified, guarded against private addresses, within caps.

    What has not changed since it was last fetched, by this item or any other, is not sent again: the server is
    asked by the ETag or the date that it gave, and an answer of 304 gives the earlier result.

    Input: the parameter `url`, else the item's `data["url"]`; without either, the item's own `data["text"]`
    is passed through. Result: `{"url" (after redirects), "status", "content_type", "text" or "body", "bytes",
    "sha256"}`: `text` for what is text, decoded, up to `max_text_bytes`, else the pointer to an artifact with the
    body; the type is that of the bytes where they show another one than declared. Endings: Skip without URL and
    text; GiveUp when the server refuses (404, 410 and the like), its robots.txt does, or the body is too large;
    RetryLater when the host is busy or asks to slow down (429, 503). No connection, a time-out or another 5xx raise
    SourceUnavailableError, for the stage's retries.
    Idempotent: one GET; the same page gives the same result.
    Example: {handler: fetch, params: {accept: text/html}, retries: 5, rate: 30/m}

    Source: RFC 9110 13, for conditional requests.
    """

    class Params(HandlerParams):
        """The parameters of `fetch`."""

        url: str | None = Field(None, description="What to fetch; by default the item's data['url'].")
        accept: str | None = Field(None, description="The Accept header, such as application/json.")
        max_bytes: int = Field(
            50 * MIB, ge=1, le=20 * 1024 * MIB, description="A body larger than this many bytes is given up."
        )
        max_text_bytes: int = Field(
            2 * MIB, ge=0, le=20 * MIB, description="A text larger than this goes to an artifact."
        )
        conditional: bool = Field(True, description="Ask only for what changed since an earlier fetch.")
        robots: bool = Field(True, description="Heed the site's robots.txt; off for whose owner lets you.")

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Fetch, and turn the answer into a result."""
        url = self.params.url or context.data.get("url")
        if not isinstance(url, str) or not url:
            return _pass_through(context.data.get("text"))
        known = self._recall(context, url) if self.params.conditional else None
        try:
            return await self._fetch(context, url, known)
        except SourceRejectedError as error:
            return GiveUp(str(error))

    async def _fetch(self, context: HandlerContext, url: str, known: dict[str, Any] | None) -> Outcome:
        headers = {"Accept": self.params.accept} if self.params.accept else {}
        with open_spool(context, self.params.max_text_bytes) as body:
            fetched = await context.http.download(
                url,
                body,
                headers=headers | (known["asked_by"] if known else {}),
                not_modified_ok=known is not None,
                begin=body.begin,
                robots=self.params.robots,
                max_bytes=self.params.max_bytes,
                total_seconds=context.seconds_left or None,
            )
            if known is not None and fetched.status == 304:
                result = dict(known["result"])
                # After a redirect to another page, that page has not changed; which is not the one that is known.
                return result if fetched.url == result["url"] else await self._fetch(context, url, None)
            result = self._describe(context, fetched, body)
        asked_by = _find_validators(fetched)
        if self.params.conditional and asked_by:
            context.remember(self._name_memory(url), {"asked_by": asked_by, "result": result})
        return result

    def _describe(self, context: HandlerContext, fetched: Fetched, body: Spool) -> dict[str, Any]:
        declared = fetched.headers.get("content-type", "")
        kind = find_content_type(declared, body.read(SNIFFED_BYTES))
        content: dict[str, Any]
        if is_text(kind) and body.size <= self.params.max_text_bytes:
            content = {"text": decode(body.read(), declared)}
        else:
            name = name_body(fetched.url, fetched.headers, kind)
            pointer = context.artifact(name, body.pieces(), kind)
            if is_text(kind) and (charset := find_charset(declared)):
                pointer = {**pointer, "charset": charset}
            content = {"body": pointer}
        return {
            "url": fetched.url,
            "status": fetched.status,
            "content_type": kind,
            **content,
            "bytes": body.size,
            "sha256": body.sha256,
        }

    # -- what an earlier fetch of the same URL knew -------------------------------------------------------

    def _name_memory(self, url: str) -> str:
        asked = [url, self.params.accept, self.params.max_text_bytes]
        digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        return f"fetch:{handler_version(type(self), {})}:{digest}"

    def _recall(self, context: HandlerContext, url: str) -> dict[str, Any] | None:
        known: dict[str, Any] | None = context.recall(self._name_memory(url))
        if known is not None and "body" in known["result"]:
            try:
                context.open_artifact(known["result"]["body"])
            except ArtifactError:  # removed meanwhile: it is fetched again
                return None
        return known


def _find_validators(fetched: Fetched) -> dict[str, str]:
    named = {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}
    return {asked: fetched.headers[said] for asked, said in named.items() if fetched.headers.get(said)}


def _pass_through(text: object) -> Outcome:
    if not isinstance(text, str) or not text.strip():
        return Skip("the item has no url to fetch and no text")
    body = text.encode(errors="replace")
    return {
        "url": None,
        "status": None,
        "content_type": "text/html",
        "text": text,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
