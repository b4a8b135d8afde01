"""The types of the fields of jobs.yaml: what may stand there, and what an editor should know of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from pipeline.durations import parse_duration
from pipeline.forms import HOST_PATTERN, NAME_PATTERN, QUEUE_PATTERN
from pipeline.key_template import KeyTemplate
from pipeline.problems import InvalidValueError, show_value
from pipeline.rate import Rate
from pipeline.schedule import Schedule, check_timezone
from pipeline.since import Since

MAX_SECONDS = 30 * 86_400

AnyPath = TypeVar("AnyPath", str, Path)


def _read_seconds(value: Any) -> float:
    try:
        return parse_duration(value)
    except (ValueError, OverflowError):
        raise InvalidValueError(
            f"{show_value(value)} is no duration", "seconds, or 30s, 15m, 2h, 1d, 1h30m"
        ) from None


def check_path(path: AnyPath) -> AnyPath:
    """Give a path back, or raise ValueError for one that no file can have."""
    if "\0" in str(path):
        raise ValueError("a path cannot hold the character NUL")
    return path


def _read_needs(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _read_schedule(value: Any, info: ValidationInfo) -> Schedule:
    return Schedule.parse(value, (info.context or {}).get("timezone", "UTC"))


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Queue = Annotated[str, StringConstraints(pattern=QUEUE_PATTERN)]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Retries = Annotated[Whole, Field(ge=0, le=1000)]
Concurrency = Annotated[Whole, Field(ge=1, le=100_000)]
OlderResults = Annotated[Whole, Field(ge=0, le=1000)]
Priority = Annotated[Whole, Field(ge=-1_000_000, le=1_000_000)]
Seconds = Annotated[
    float,
    BeforeValidator(_read_seconds, json_schema_input_type=float | str),
    Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False),
]
Age = Annotated[
    float,
    BeforeValidator(_read_seconds, json_schema_input_type=float | str),
    Field(ge=60, le=36_500 * 86_400, allow_inf_nan=False),
]
RateField = Annotated[
    Rate,
    PlainValidator(Rate.parse),
    PlainSerializer(str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\s*\d+\s*/\s*\d*\s*[A-Za-z]+\s*$", "examples": ["10/s", "30/m"]}
    ),
]
ScheduleField = Annotated[
    Schedule,
    PlainValidator(_read_schedule),
    PlainSerializer(str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["@daily", "*/15 * * * *", "every 15m"]},
                {
                    "type": "object",
                    "properties": {"cron": {"type": "string"}, "timezone": {"type": "string"}},
                    "required": ["cron"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {"every": {"type": ["string", "number"]}},
                    "required": ["every"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
KeyField = Annotated[
    KeyTemplate,
    PlainValidator(KeyTemplate.parse),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": r"\{\{", "examples": ["{{ data.url | lower }}"]}),
]
SinceField = Annotated[
    Since,
    PlainValidator(Since.parse),
    PlainSerializer(str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["30d", "2026-01-31"]}),
]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[Whole, Field(ge=1, le=1_000_000_000)]
ApplyAbove = Annotated[Whole, Field(ge=0, le=1_000_000_000)]
Batch = Annotated[Whole, Field(ge=1, le=1000)]
Keep = Annotated[Whole, Field(ge=1, le=10_000)]
HostName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, pattern=HOST_PATTERN, max_length=253),
]
Needs = Annotated[tuple[str, ...], BeforeValidator(_read_needs, json_schema_input_type=str | list[str])]
FilePath = Annotated[Path, AfterValidator(check_path)]
Timezone = Annotated[str, BeforeValidator(check_timezone, json_schema_input_type=str)]
