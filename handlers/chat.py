"""Ask a model by chat completions: each exact request is paid for once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from handlers.model_costs import charge
from handlers.model_endpoint import EndpointParams, MalformedAnswerError, name_request, post
from handlers.model_refusals import Refused
from handlers.templates import Template, render
from pipeline.outcomes import GiveUp, RetryLater

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handlers.base import HandlerContext

Message = dict[str, str]
"""One turn: `{"role": "system" | "user" | "assistant", "content": text}`."""

CHAT_PATH = "chat/completions"

_THINKING = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
"""What models that think aloud put before their answer, where the endpoint does not take it away."""


class ChatParams(EndpointParams):
    """Which model to ask, and how."""

    OURS = frozenset({"model", "messages", "stream", "n", "response_format", "temperature", "max_tokens"})

    system: Template | None = Field(None, description="The system prompt, a template.")
    temperature: float | None = Field(
        None, ge=0, le=2, description="How freely the model chooses; by default as the endpoint does."
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="The answer's tokens at most; one that is cut there is given up.",
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, and the model by the name that it gave itself."""

    text: str
    model: str


def begin(
    context: HandlerContext, params: ChatParams, user: str, usual_system: str = ""
) -> list[Message] | GiveUp:
    """Write the first messages: the system prompt, if there is one, and what the user says."""
    system = usual_system
    if params.system is not None:
        rendered = render(params.system, context, params)
        if isinstance(rendered, GiveUp):
            return rendered
        system = rendered
    told = [{"role": "system", "content": system}] if system else []
    return [*told, {"role": "user", "content": user}]


async def ask(
    context: HandlerContext,
    params: ChatParams,
    messages: Sequence[Message],
    response_format: Mapping[str, Any] | None = None,
) -> Answer | GiveUp | RetryLater:
    """
    Ask, unless the same request was answered before: then that answer counts, and costs nothing.

    GiveUp when the model refuses, a filter stops it, or the answer is cut. Raises as `post` does.
    """
    request = _write_request(params, messages, response_format)
    name = name_request(params, CHAT_PATH, request)
    said = context.recall(name)
    if said is None:
        reply = await post(context, params, CHAT_PATH, request)
        if isinstance(reply, Refused):
            return reply.outcome
        try:
            said = _read_choice(reply, params.model)
        except MalformedAnswerError:
            charge(context, params, reply)
            raise
        context.remember(name, said)
        charge(context, params, reply)
    return _judge(said, params)


def _write_request(
    params: ChatParams, messages: Sequence[Message], response_format: Mapping[str, Any] | None
) -> dict[str, Any]:
    chosen = {
        "temperature": params.temperature,
        "max_tokens": params.max_tokens,
        "response_format": response_format,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return {**params.extra, "model": params.model, "messages": list(messages), **given}


def _read_choice(reply: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Read the first choice as `{"text", "finish_reason", "refusal", "model"}`, which is what is remembered."""
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise MalformedAnswerError(f"the model's answer has no choices: {str(dict(reply))[:200]}")
    said = {
        "text": _THINKING.sub("", _read_content(message.get("content"))),
        "finish_reason": str(choice.get("finish_reason") or ""),
        "refusal": str(message.get("refusal") or ""),
        "model": str(reply.get("model") or model),
    }
    if not said["text"].strip() and not said["refusal"] and said["finish_reason"] in {"", "stop"}:
        raise MalformedAnswerError("the model's answer is empty")
    return said


def _read_content(content: Any) -> str:
    """Read a text, or the texts of a list of parts, as some endpoints give it."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _judge(said: Mapping[str, Any], params: ChatParams) -> Answer | GiveUp:
    if said["refusal"]:
        return GiveUp(f"the model refused: {said['refusal'][:500]}")
    if said["finish_reason"] == "content_filter":
        return GiveUp("the endpoint's content filter stopped the answer (content_filter)")
    if said["finish_reason"] == "length":
        limit = f"max_tokens ({params.max_tokens:,})" if params.max_tokens else "the model's own limit"
        return GiveUp(f"the answer was cut at {limit} (finish_reason length)")
    if not said["text"].strip():
        return GiveUp(f"the model ended without an answer (finish_reason {said['finish_reason']})")
    return Answer(said["text"], said["model"])
