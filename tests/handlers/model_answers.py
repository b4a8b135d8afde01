"""What a model endpoint answers, in OpenAI's wire format: completions, errors, and what is neither."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DIMENSIONS = 8


@dataclass
class Canned:
    """An answer prepared for the next request; `usage` in its body is charged. `reset` breaks the connection."""

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    reset: bool = False

    def encode(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


def refuse(status: int, message: str, code: str | None = None, **headers: str) -> Canned:
    """Refuse in OpenAI's words."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return Canned(
        status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()}
    )


def throttle(seconds: int = 1) -> Canned:
    """Say that there were too many requests."""
    limits = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": f"{seconds}s"}
    return refuse(429, "Rate limit reached", "rate_limit_exceeded", retry_after=str(seconds), **limits)


def make_usage(input_tokens: int, output_tokens: int, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    }


def make_chat(
    text: str | None, usage: dict[str, Any] | None, finish: str = "stop", **message: Any
) -> dict[str, Any]:
    """Write a chat completion."""
    said = {"role": "assistant", "content": text, "refusal": None, **message}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish}],
        **({} if usage is None else {"usage": usage}),
    }


FAILURES = (
    refuse(500, "The server had an error while processing your request."),
    Canned(reset=True),
    Canned(200, '{"id": "chatcmpl-2", "choices": [{"index": 0, "mess'),
    Canned(502, "<html><body><h1>Bad Gateway</h1></body></html>", content_type="text/html"),
    Canned(200, {"model": "gpt-4o-mini", "choices": [], "usage": make_usage(11, 0)}),
)
"""What goes wrong in turn; the last is charged for all the same."""


def count_tokens(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


def make_vector(text: str, dimensions: int | None = None) -> list[float]:
    digest = hashlib.sha256(text.encode()).digest()
    return [(byte - 128) / 128 for byte in digest[: dimensions or DIMENSIONS]]


def fill_schema(body: dict[str, Any]) -> str:
    """Answer with what fits the schema that is asked for, or else with the length of what was said."""
    wanted = (body.get("response_format") or {}).get("json_schema")
    if wanted is None:
        return f"That were {len(body['messages'][-1]['content'])} characters."
    return json.dumps(_fill(wanted["schema"]))


def _fill(schema: Mapping[str, Any]) -> Any:
    if "anyOf" in schema:
        return _fill(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: _fill(inner) for name, inner in schema["properties"].items()}
    if schema["type"] == "array":
        return [_fill(schema["items"])]
    samples = {"string": "root", "number": 1.5, "integer": 7, "boolean": True}
    return "2026-11-25" if "pattern" in schema else samples[schema["type"]]
