"""The handler `webhook`: tell another system of the item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.sending import (
    Headers,
    Request,
    SecretAddress,
    SigningSecret,
    name_message,
    render_headers,
    render_url,
    send,
    write_json,
)
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome


class Webhook(Handler):
    """
    Post the item and its results to an address, signed.

    What is posted is `{"type", "data": {"job", "key", "data", "results"}}`, in JSON.

    Input: the item, and the results of the stages that this one needs, or of those that `results` names; a
    skipped one is absent. Result: `{"status", "message_id"}`; `message_id` is the `webhook-id` that the receiver
    saw. Endings: GiveUp when the receiver refuses (410, 404 and the like, and any redirect: give its new
    address); RetryLater when it is busy or asks to slow down (429, 503). No connection, a time-out or another 5xx
    raise SourceUnavailableError, for the stage's retries.
    Idempotent: for a receiver that knows `webhook-id` again: what is posted again for the same item and stage,
    unchanged, has the same one, also as `Idempotency-Key`.
    Example: {handler: webhook, params: {url: "https://example.org/hooks/items", results: [article]}, retries: 8}

    Source: the Standard Webhooks specification, standardwebhooks.com.
    """

    TIMEOUT = "5m"

    class Params(HandlerParams):
        """The parameters of `webhook`."""

        url: SecretAddress = Field(description="Where to post, a template.")
        secret: SigningSecret | None = Field(
            None, description="Signs with HMAC-SHA256: `whsec_` and 24 to 64 random bytes in Base64."
        )
        type: str = Field(
            "item.done",
            pattern=r"^\w+(\.\w+)*$",
            description="What happened, as the receiver tells kinds of messages apart.",
        )
        results: list[str] | None = Field(
            None, description="The needed stages whose results are posted; all of them unless told."
        )
        headers: Headers = Field(default_factory=dict, description="More headers, each a template.")

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Post."""
        request = self._make_request(context)
        if isinstance(request, GiveUp):
            return request
        answer = await send(context, request, secret=self.params.secret)
        if isinstance(answer, GiveUp):
            return answer
        return {"status": answer.status, "message_id": name_message(context, request)}

    def _make_request(self, context: HandlerContext) -> Request | GiveUp:
        if isinstance(url := render_url(self.params.url, context, self.params), GiveUp):
            return url
        headers = render_headers(self.params.headers, context, self.params)
        if isinstance(headers, GiveUp):
            return headers
        wanted = context.results if self.params.results is None else self.params.results
        about = {
            "job": context.job,
            "key": context.key,
            "data": dict(context.data),
            "results": {stage: context.results[stage] for stage in wanted if stage in context.results},
        }
        body = write_json({"type": self.params.type, "data": about})
        return Request("POST", url, body, {"Content-Type": "application/json", **headers})
