"""A strategy and a handler of a user's own, named in the tests' jobs files by their dotted paths."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source:
    class Params(Strict):
        limit: int = Field(30, ge=1, le=500)
        order: Literal["new", "best"] = "new"
        token: str = ""

        @field_validator("token")
        @classmethod
        def _refuse_blanks(cls, token):
            if " " in token:
                raise ValueError(f"{token!r} has a blank")
            return token

    async def discover(self):
        return []


class Step:
    class Params(Strict):
        characters: int = Field(600, ge=1)

    def run(self, context):
        return {"key": context.key}


class SlowStep(Step):
    TIMEOUT = "45m"


class EndlessStep(Step):
    TIMEOUT = "for ever"


class RaisingStep:
    class Params(Strict):
        key: str

        @field_validator("key")
        @classmethod
        def _look_up(cls, key):
            return {}[key]

    run = Step.run


an_instance = Step()


class NeitherOfThem:
    pass
