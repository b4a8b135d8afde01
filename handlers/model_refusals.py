"""What it means when a model endpoint refuses: come later, or never again, and why in its own words."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from handlers.source_waits import LONGEST_RETRY_AFTER_SECONDS
from net.refusals import explain_refusal, read_throttle
from net.shown import show_url
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater

if TYPE_CHECKING:
    from collections.abc import Mapping

    from net.fetched import Fetched

THROTTLED_SECONDS = 60.0
"""The wait after a 429 that names none."""

QUOTA_SECONDS = 3600.0
"""The wait when the account has run out of money: until somebody has paid, or the month is over."""

SHOWN_CHARS = 500
"""So much of what the endpoint says stands in a reason."""

_QUOTA_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
}
_ACCESS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_OF_INPUT = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
_STARRED = re.compile(r"\S*\*{3,}\S*")
"""A key as the endpoint shows it: `sk-ab***yz`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is none, as the ending it leads to. `blames_input`: another input might have been taken."""

    outcome: GiveUp | RetryLater
    blames_input: bool = False


def judge_refusal(fetched: Fetched, secret: str = "") -> Refused:
    """
    Judge an answer of 400 to 599. No message of it tells the secret.

    Raises `SourceUnavailableError` for what the stage's policy retries: 5xx, 408, 409, 425.

    Source: platform.openai.com/docs/guides/error-codes; RFC 9110.
    """
    error = _read_error(fetched)
    told = _describe(fetched, error, secret)
    if _is_out_of_money(fetched.status, error):
        return Refused(RetryLater(QUOTA_SECONDS, told))
    throttle = read_throttle(fetched.status, fetched.headers)
    if throttle is not None and throttle.wait_seconds is not None:
        return Refused(RetryLater(min(throttle.wait_seconds, LONGEST_RETRY_AFTER_SECONDS), told))
    if fetched.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Refused(RetryLater(THROTTLED_SECONDS, told))
    if fetched.status == HTTPStatus.CONFLICT or isinstance(
        explain_refusal("", fetched.status, fetched.headers), SourceUnavailableError
    ):
        raise SourceUnavailableError(told)
    if fetched.status in _ACCESS:
        return Refused(GiveUp(f"{told}: check the api_key, or OPENAI_API_KEY"))
    return Refused(GiveUp(told), fetched.status in _OF_INPUT and _may_be_input(error))


def _read_error(fetched: Fetched) -> dict[str, Any]:
    """Read the error as `{"message", "code", "type", "param"}`, of which any may be missing."""
    try:
        said = json.loads(fetched.body)
    except (ValueError, RecursionError):
        return {"message": fetched.text}
    if not isinstance(said, dict):
        return {"message": fetched.text}
    inner = said.get("error")
    if isinstance(inner, dict):
        return inner
    return {**said, "message": inner or said.get("message") or said.get("detail") or fetched.text}


def _describe(fetched: Fetched, error: Mapping[str, Any], secret: str) -> str:
    answered = str(explain_refusal(show_url(fetched.url), fetched.status, {}))
    code = error.get("code") or error.get("type")
    said = " ".join(str(error.get("message") or "").split())
    if isinstance(code, str) and code not in said:
        said = f"{code}: {said}"
    hidden = said.replace(secret, "…") if secret else said
    return f"{answered}: {_STARRED.sub('…', hidden[:SHOWN_CHARS])}"


def _is_out_of_money(status: int, error: Mapping[str, Any]) -> bool:
    return status == HTTPStatus.PAYMENT_REQUIRED or bool(
        _QUOTA_CODES & {str(error.get("code")), str(error.get("type"))}
    )


def _may_be_input(error: Mapping[str, Any]) -> bool:
    return not error.get("param") or str(error["param"]).startswith("input")
