"""A model endpoint: any that speaks OpenAI's wire format, near or far, and what a request to it brings."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr, field_validator

from handlers.base import HandlerParams
from handlers.model_costs import charge, read_usage
from handlers.model_refusals import Refused, judge_refusal
from handlers.prices import Price  # noqa: TC001 - the model below is made with it
from handlers.source_waits import wait_as_asked
from net.request import is_web_address
from net.shown import show_url
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handlers.base import HandlerContext
    from net.fetched import Fetched

OPENAI_URL = "https://api.openai.com/v1"
FROM_ENVIRONMENT = {"base_url": f"OPENAI_BASE_URL:-{OPENAI_URL}", "api_key": "OPENAI_API_KEY:-"}
BELONGS_TO = {"api_key": "base_url"}

LEAST_SECONDS = 1.0
"""So long a request may take however near the deadline is; the deadline itself stays."""


_MAY_BE_HALF = (b"\\u", b"\xed")
"""What half a surrogate pair begins with in JSON, as of an emoji that was cut; no result can hold one."""


class MalformedAnswerError(SourceError):
    """An endpoint that said it succeeded gave what is no answer; asked again, it may do better."""


def _check_address(url: str) -> str:
    if not is_web_address(url):
        raise ValueError("not the address of an API; write https://api.example.org/v1")
    return url


def _check_key(key: SecretStr) -> SecretStr:
    stripped = key.get_secret_value().strip()
    if not (stripped.isascii() and stripped.isprintable()):
        raise ValueError("no API key: it holds what no header can")
    return SecretStr(stripped)


class EndpointParams(HandlerParams):
    """Which endpoint and model to ask, and what that costs. `extra` cannot set the fields of a request in `OURS`."""

    OURS: ClassVar[frozenset[str]] = frozenset()

    model: str = Field(min_length=1, description="The model, by the endpoint's own name for it.")
    base_url: Annotated[str, AfterValidator(_check_address)] = Field(
        OPENAI_URL,
        description="Where the API is, up to its version: http://localhost:11434/v1. One that is not on the "
        "public internet must be in CELERIAC_ALLOW_HOSTS.",
    )
    api_key: Annotated[SecretStr, AfterValidator(_check_key)] = Field(
        SecretStr(""),
        description="The key, if the endpoint wants one; OPENAI_API_KEY is sent only where `base_url` is left out.",
    )
    price: Price | None = Field(
        None,
        description="What the model costs, where the endpoint does not say it and genai-prices is not right.",
    )
    provider: str | None = Field(
        None, description="Whose prices these are (openai, mistral, …), if the address does not tell."
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of the request, such as {seed: 7, top_p: 0.9}."
    )

    @field_validator("extra")
    @classmethod
    def _leave_ours_alone(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(extra.keys() & cls.OURS):
            raise ValueError(f"cannot set {', '.join(taken)}: that is decided by the handler or a parameter")
        return extra


def name_request(params: EndpointParams, path: str, request: Mapping[str, Any]) -> str:
    """Name a request by all that its answer depends on, for `HandlerContext.recall`; the key is no part of that."""
    spelled = json.dumps([show_url(params.base_url), path, request], sort_keys=True)
    return f"{path}:{hashlib.sha256(spelled.encode(errors='surrogatepass')).hexdigest()}"


def count_seconds_left(context: HandlerContext) -> float:
    """Tell how long a request may take until the attempt's deadline."""
    return max(LEAST_SECONDS, (context.deadline - datetime.now(UTC)).total_seconds())


async def post(
    context: HandlerContext,
    params: EndpointParams,
    path: str,
    request: Mapping[str, Any] | None = None,
    *,
    form: tuple[bytes, str] | None = None,
) -> dict[str, Any] | Refused:
    """
    Send JSON, or a form with its content type, to `path` below `base_url`: the answer, a JSON object.

    No host is asked more slowly than it wants: the stage's own `rate` and `concurrency` hold. The caller charges
    for the answer, once it has remembered it; what else costs something is charged here.
    Raises `SourceUnavailableError` (no connection, too slow, 5xx) or `MalformedAnswerError`.
    """
    secret = params.api_key.get_secret_value()
    content, content_type = form or (None, "application/json")
    headers = {"Content-Type": content_type} | ({"Authorization": f"Bearer {secret}"} if secret else {})
    try:
        fetched = await context.http.fetch(
            _join(params.base_url, path),
            method="POST",
            headers=headers,
            json=request,
            content=content,
            statuses_ok=range(400, 600),
            total_seconds=count_seconds_left(context),
            paced=False,
        )
    except SourceUnavailableError as error:
        if (waits := wait_as_asked(error)) is None:
            raise
        return Refused(waits)
    except SourceRejectedError as error:
        return Refused(GiveUp(str(error)))
    return _judge(context, params, fetched, secret)


def _judge(
    context: HandlerContext, params: EndpointParams, fetched: Fetched, secret: str
) -> dict[str, Any] | Refused:
    answer = _read_object(fetched)
    if fetched.status >= HTTPStatus.BAD_REQUEST:
        if answer is not None and read_usage(answer) is not None:
            charge(context, params, answer)
        return judge_refusal(fetched, secret)
    if answer is None:
        start = " ".join(fetched.text[:200].split())
        raise MalformedAnswerError(f"{show_url(fetched.url)} answered with no JSON object: {start[:80]!r}")
    return answer


def _join(base_url: str, path: str) -> str:
    address, mark, query = base_url.partition("?")
    return f"{address.rstrip('/')}/{path}{mark}{query}"


def _read_object(fetched: Fetched) -> dict[str, Any] | None:
    try:
        found = json.loads(fetched.body)
        if any(mark in fetched.body for mark in _MAY_BE_HALF):
            found = json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
