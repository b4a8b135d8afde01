from __future__ import annotations

from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from pipeline.field_types import list_models, say_type
from pipeline.fields import ScheduleField, Seconds


class Feed(BaseModel):
    url: str
    name: str | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    kind: str


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Sample(BaseModel):
    text: str
    short: str = Field(min_length=1, max_length=80)
    words: str = Field(min_length=2, max_length=500)
    number: float = Field(1, gt=0)
    count: int = Field(1, ge=1, le=10_000)
    least: int = Field(1, ge=1)
    most: int = Field(1, le=5)
    maybe: Annotated[int, Field(ge=1)] | None = None
    any_status: Colour | None = Colour.RED
    flag: bool = True
    one_of: Literal["top", "new"] | None = "top"
    path: Path = Path()
    secret: SecretStr | None = None
    since: datetime | None = None
    wait: Seconds = 30
    maybe_wait: Seconds | None = None
    schedule: ScheduleField | None = None
    feeds: list[str | Feed] = Field(min_length=1)
    pair: tuple[str, ...] = Field((), max_length=2)
    headers: dict[str, str | list[str]] = {}
    free: dict[str, Any] = {}
    anything: Any = None
    open: Open | None = None


SAID = {
    "text": "text",
    "short": "text, at most 80 characters",
    "words": "text, 2 to 500 characters",
    "number": "number, more than 0",
    "count": "whole number, 1 to 10,000",
    "least": "whole number, 1 or more",
    "most": "whole number, at most 5",
    "maybe": "whole number, 1 or more",
    "any_status": "red or blue or null",
    "flag": "true or false",
    "one_of": "top or new or null",
    "path": "path",
    "secret": "secret text",
    "since": "instant",
    "wait": "duration, more than 0 ms, at most 30 d",
    "maybe_wait": "duration",
    "schedule": "schedule",
    "feeds": "list of text or {url, name}, at least 1",
    "pair": "list of text, at most 2",
    "headers": "mapping of text to text or list of text",
    "free": "mapping",
    "anything": "anything",
    "open": "{kind, …}",
}


@pytest.mark.parametrize("name", Sample.model_fields)
def test_a_type_is_said_in_words_with_its_bounds(name):
    assert say_type(Sample.model_fields[name]) == SAID[name]


def test_models_are_found_wherever_they_stand_in_a_type():
    assert list(list_models(dict[str, list[str | Feed] | None])) == [Feed]
    assert list(list_models(list[str])) == []
