"""The handler `http_call`: a request to an API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from handlers.base import Handler, HandlerParams
from handlers.content_types import SNIFFED_BYTES, find_content_type, is_text
from handlers.contract import find_json_fault
from handlers.sending import (
    Headers,
    Request,
    SecretAddress,
    SigningSecret,
    render_headers,
    render_url,
    send,
    write_json,
)
from handlers.templates import check_template, render
from pipeline.errors import SourceRejectedError
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from handlers.base import HandlerContext
    from net.client import Fetched
    from pipeline.outcomes import Outcome


class HttpCall(Handler):
    """
    Call an HTTP API, and keep its answer.

    The request is guarded against private addresses and waits for its host's turn, as all are. A redirect is
    followed for GET and HEAD alone.

    Input: the item and the results, as far as the templates name them. In `url`, write what strangers wrote as
    `{{ item.id | urlencode }}`. Result: `{"status", "content_type", "json", "text", "bytes"}`; an answer in JSON
    is in `json`, other text in `text`, and for what is neither there is `"file"`, a pointer. Endings: GiveUp when
    the far end refuses (404 and the like), answers with a status that is not expected, or with too much;
    RetryLater when it is busy or asks to slow down (429, 503). No connection, a time-out or another 5xx raise
    SourceUnavailableError, for the stage's retries.
    Idempotent: as far as the far end heeds `Idempotency-Key`: what is sent again for the same item and stage,
    unchanged, has the same one.
    Example: {name: index, handler: http_call, params: {url: "https://search.example.org/docs", method: POST,
    body: {id: "{{ item.key }}", text: "{{ results.article.text }}"}, headers: {Authorization: "Bearer
    ${SEARCH_TOKEN}"}}}

    Source: draft-ietf-httpapi-idempotency-key-header; for signatures, standardwebhooks.com.
    """

    TIMEOUT = "5m"

    class Params(HandlerParams):
        """The parameters of `http_call`."""

        url: SecretAddress = Field(description="The address, a template.")
        method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field(
            "GET", description="The method."
        )
        headers: Headers = Field(default_factory=dict, description="Headers, each a template.")
        body: str | dict[str, Any] | list[Any] | None = Field(
            None,
            description="A template, sent as text; or what is sent as JSON, in which each text is a template.",
        )
        secret: SigningSecret | None = Field(
            None,
            description="Signs the request with HMAC-SHA256, as Standard Webhooks does: `whsec_` and Base64.",
        )
        expect: list[int] = Field(
            [], description="The statuses that are a result, other than 2xx too; by default those of 2xx."
        )
        max_bytes: int = Field(2**20, ge=1, le=20 * 2**20, description="A larger answer is given up.")

        @field_validator("body")
        @classmethod
        def _must_be_templates(cls, body: Any) -> Any:
            return _map_texts(body, check_template)

        @model_validator(mode="after")
        def _must_fit(self) -> Self:
            if self.body is not None and self.method in {"GET", "HEAD"}:
                raise ValueError(f"{self.method} sends no body; set `method`, such as POST")
            return self

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Call, and turn the answer into a result."""
        request = self._make_request(context)
        if isinstance(request, GiveUp):
            return request
        params = self.params
        answer = await send(
            context, request, secret=params.secret, expected=params.expect, max_bytes=params.max_bytes
        )
        return answer if isinstance(answer, GiveUp) else _describe(answer, context)

    def _make_request(self, context: HandlerContext) -> Request | GiveUp:
        if isinstance(url := render_url(self.params.url, context, self.params), GiveUp):
            return url
        headers = render_headers(self.params.headers, context, self.params)
        if isinstance(headers, GiveUp):
            return headers
        try:
            body, content_type = self._write_body(context)
        except _RefusedError as refused:
            return refused.outcome
        if content_type and "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = content_type
        return Request(self.params.method, url, body, headers)

    def _write_body(self, context: HandlerContext) -> tuple[bytes, str | None]:
        def fill(text: str) -> str:
            if isinstance(filled := render(text, context, self.params), GiveUp):
                raise _RefusedError(filled)
            return filled

        if (body := self.params.body) is None:
            return b"", None
        if isinstance(body, str):
            return fill(body).encode("utf-8", "replace"), "text/plain; charset=utf-8"
        return write_json(_map_texts(body, fill)), "application/json"


class _RefusedError(Exception):
    """Carries an ending out of the middle of a body."""

    def __init__(self, outcome: GiveUp) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Change each text in a JSON value, keys left alone."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _map_texts(inner, change) for key, inner in value.items()}
    return [_map_texts(inner, change) for inner in value] if isinstance(value, list) else value


def _describe(answer: Fetched, context: HandlerContext) -> Outcome:
    described: dict[str, object] = {
        "status": answer.status,
        "content_type": answer.content_type,
        "json": None,
        "text": None,
        "bytes": len(answer.body),
    }
    if answer.content_type.endswith(("/json", "+json")) and (parsed := _read_json(answer)) is not None:
        return {**described, "json": parsed}
    if not answer.body or is_text(find_content_type(answer.content_type, answer.body[:SNIFFED_BYTES])):
        return {**described, "text": answer.text}
    return {**described, "file": context.artifact("answer", answer.body, answer.content_type or None)}


def _read_json(answer: Fetched) -> Any:
    """Read JSON that a result can hold; None for anything else, which then stays text."""
    try:
        parsed = answer.json()
    except SourceRejectedError:
        return None
    return parsed if find_json_fault({"json": parsed}) is None else None
