"""The handler `fetch`: one page or document over HTTP."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from pydantic import Field

from handlers.base import Handler, HandlerParams
from pipeline.errors import SourceRejectedError, SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from net.client import Fetched
    from pipeline.outcomes import Outcome

MAX_BINARY_BYTES = 2**20
"""Above this a body that is no text would make the tracker's file too large to carry about."""

_TEXT_TYPES = frozenset(
    {"application/json", "application/xml", "application/javascript", "application/ecmascript"}
)
MAX_RETRY_AFTER_SECONDS = 86_400.0
"""A server may ask for any wait; nobody is served by one of a year."""


class Fetch(Handler):
    """
    Fetch a URL, politely: identified, guarded against private addresses, within caps.

    Input: the parameter `url`, else the item's `data["url"]`; without either, the item's own `data["text"]`
    is passed through. Result: `{"url" (after redirects), "status", "content_type", "text" or "body_base64",
    "bytes", "sha256", "fetched_at"}`; `text` for what is text, decoded, else the body in Base64 if it is at
    most 1 MiB. Endings: Skip without URL and text; GiveUp when the server refuses (404, 410 and the like)
    or the body is too large; RetryLater when the server names a time to come back, which 429 and 503 do. No
    connection, a time-out or another 5xx raise SourceUnavailableError, for the stage's retries. Idempotent:
    one GET; the same page gives the same result but for `fetched_at`.
    """

    class Params(HandlerParams):
        """The parameters of `fetch`."""

        url: str | None = Field(None, description="What to fetch; by default the item's data['url'].")
        accept: str | None = Field(None, description="The Accept header, such as application/json.")
        max_bytes: int = Field(
            20 * 2**20, ge=1, le=20 * 2**20, description="A body larger than this many bytes is given up."
        )

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Fetch, and turn the answer into a result."""
        url = self.params.url or context.data.get("url")
        if not isinstance(url, str) or not url:
            return _pass_through(context.data.get("text"))
        headers = {"accept": self.params.accept} if self.params.accept else None
        try:
            fetched = await context.http.fetch(url, headers=headers)
        except SourceRejectedError as error:
            return GiveUp(str(error))
        except SourceUnavailableError as error:
            if error.retry_after_seconds is None:
                raise
            delay_seconds = min(error.retry_after_seconds, MAX_RETRY_AFTER_SECONDS)
            return RetryLater(delay=delay_seconds, reason=str(error))
        return self._describe(fetched)

    def _describe(self, fetched: Fetched) -> Outcome:
        size = len(fetched.body)
        if size > self.params.max_bytes:
            return GiveUp(
                f"{fetched.url} has {size:,} bytes, more than max_bytes ({self.params.max_bytes:,})"
            )
        if is_text(fetched):
            content = {"text": fetched.text}
        elif size <= MAX_BINARY_BYTES:
            content = {"body_base64": base64.b64encode(fetched.body).decode()}
        else:
            return GiveUp(
                f"{fetched.url} is {fetched.content_type or 'binary'} of {size:,} bytes; "
                f"a result holds at most {MAX_BINARY_BYTES:,} that are not text"
            )
        return {
            "url": fetched.url,
            "status": fetched.status,
            "content_type": fetched.content_type,
            **content,
            "bytes": size,
            "sha256": hashlib.sha256(fetched.body).hexdigest(),
            "fetched_at": fetched.fetched_at.isoformat(timespec="milliseconds"),
        }


def is_text(fetched: Fetched) -> bool:
    """Tell whether a body is text by its declared type, or, if it has none, by its first bytes."""
    kind = (fetched.content_type or "").partition(";")[0].strip().lower()
    if not kind or kind == "application/octet-stream":
        return b"\0" not in fetched.body[:4096]
    return kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))


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
        "fetched_at": None,
    }
