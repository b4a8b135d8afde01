"""Have a sound transcribed: each file once."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from handlers.model_costs import charge
from handlers.model_endpoint import EndpointParams, MalformedAnswerError, name_request, post
from handlers.model_refusals import Refused
from net.multipart import encode_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

TRANSCRIPTIONS_PATH = "audio/transcriptions"


class TranscribingParams(EndpointParams):
    """Which model listens, and what it is told."""

    language: str | None = Field(
        None,
        pattern="^[a-z]{2,3}$",
        description="The language that is spoken, such as en; else it is guessed.",
    )
    prompt: str | None = Field(None, description="Words to expect, such as names, in the language spoken.")
    temperature: float | None = Field(None, ge=0, le=1, description="How freely the model guesses.")
    timestamps: bool = Field(
        False, description="Also say when each segment is spoken, for models that can (verbose_json)."
    )


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file in full."""

    content: bytes
    name: str


async def transcribe(context: HandlerContext, params: TranscribingParams, sound: Sound) -> Outcome:
    """Transcribe a sound, unless that was done before. Raises as `post` does."""
    fields = _write_fields(params)
    digest = hashlib.sha256(sound.content).hexdigest()
    name = name_request(params, TRANSCRIPTIONS_PATH, {**fields, "file": digest})
    if (known := context.recall(name)) is not None:
        return dict(known)
    form = encode_form(fields, "file", sound.name, sound.content)
    reply = await post(context, params, TRANSCRIPTIONS_PATH, form=form)
    if isinstance(reply, Refused):
        return reply.outcome
    try:
        result = _read_transcript(reply, params.model)
    except MalformedAnswerError:
        charge(context, params, reply)
        raise
    context.remember(name, result)
    charge(context, params, _with_seconds(reply))
    return result


def _write_fields(params: TranscribingParams) -> dict[str, str]:
    chosen = {
        "model": params.model,
        "response_format": "verbose_json" if params.timestamps else "json",
        "language": params.language,
        "prompt": params.prompt,
        "temperature": params.temperature,
    }
    given = {**params.extra, **{name: value for name, value in chosen.items() if value is not None}}
    return {name: str(value) for name, value in given.items()}


def _read_transcript(reply: Mapping[str, Any], model: str) -> dict[str, object]:
    if not isinstance(reply.get("text"), str):
        raise MalformedAnswerError(f"the transcript has no text: {str(dict(reply))[:200]}")
    language, segments = reply.get("language"), reply.get("segments")
    return {
        "text": reply["text"].strip(),
        "language": language if isinstance(language, str) else None,
        "duration_seconds": _read_seconds(reply.get("duration")),
        "segments": [
            _read_segment(each)
            for each in (segments if isinstance(segments, list) else [])
            if isinstance(each, dict)
        ],
        "model": str(reply.get("model") or model),
    }


def _read_segment(segment: Mapping[str, Any]) -> dict[str, object]:
    return {
        "start_seconds": _read_seconds(segment.get("start")),
        "end_seconds": _read_seconds(segment.get("end")),
        "text": str(segment.get("text") or "").strip(),
    }


def _read_seconds(value: Any) -> float | None:
    try:
        seconds = float(value)  # some endpoints give it as a text
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


def _with_seconds(reply: dict[str, Any]) -> dict[str, Any]:
    """Give an answer that only tells how long the sound is a usage that says so: it is what counts."""
    seconds = _read_seconds(reply.get("duration"))
    return reply if reply.get("usage") or seconds is None else {**reply, "usage": {"seconds": seconds}}
