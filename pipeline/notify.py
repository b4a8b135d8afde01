"""Whom to tell when something is wrong with a job, and of what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from pipeline.catalog import find_nearest
from pipeline.fields import Age
from pipeline.problems import InvalidValueError, KeyPath
from pipeline.spec import Spec


class TroubleKind(StrEnum):
    """What people can be told of."""

    BREAKER = "breaker"
    BUDGET = "budget"
    SILENT = "silent"
    SOURCE = "source"
    FAILURES = "failures"
    DISCOVERY = "discovery"
    HELD = "held"
    MAINTENANCE = "maintenance"
    JOBS_FILE = "jobs_file"


KINDS = ("url", "webhook", "mail", "apprise")
"""The keys of which each channel has one."""

PLACEHOLDER = {"message": "{{ item.message }}", "title": "{{ item.title }}"}


class ChannelSpec(Spec):
    """
    Where people are told: one of the channels of the handler `notify`.

    In the file a bare text is an address: one that begins with http is a webhook, any other an apprise URL.
    """

    url: str | None = Field(
        None, min_length=1, description="A webhook if it begins with http, else an apprise URL."
    )
    webhook: str | None = Field(None, min_length=1, description='Where `{"text"}` is posted.')
    secret: str | None = Field(None, min_length=1, description="Signs what is posted to `webhook`.")
    mail: Mapping[str, Any] | None = Field(
        None, description="A mail server and who gets it, as the handler `email` has them."
    )
    apprise: str | None = Field(
        None, min_length=1, description="An apprise URL; it needs the extra `notify`."
    )

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise InvalidValueError("a channel has one address", f"one of {', '.join(KINDS)}")
        if self.secret and self.webhook is None:
            raise InvalidValueError(
                "a secret signs what is posted to a webhook", "`webhook` beside it", ("secret",)
            )
        return self

    @property
    def kind(self) -> str:
        """What people call it: webhook, mail, apprise, or url while that is not known."""
        if self.url is None:
            return next(kind for kind in KINDS if getattr(self, kind) is not None)
        return "webhook" if self.url.lower().startswith("http") else "url" if "${" in self.url else "apprise"


def as_handler_params(channel: ChannelSpec, url: str | None) -> dict[str, Any]:
    """Give the parameters of the handler `notify` for a channel; `url` is its address, variables resolved."""
    given = channel.model_dump(exclude_none=True, exclude={"url", "apprise"})
    if channel.apprise is not None:
        given["apprise"] = [channel.apprise]
    if url is not None and url.lower().startswith("http"):
        given["webhook"] = channel.url
    elif channel.url is not None:
        given["apprise"] = [channel.url]
    return {**PLACEHOLDER, **given}


def name_channel(channel: ChannelSpec) -> str:
    """
    Name a channel as the tracker knows it: its kind, and a hash by which it is known again wherever it stands.

    Of what jobs.yaml says, variables unresolved.
    """
    said = json.dumps(channel.model_dump(exclude_none=True), sort_keys=True, default=str)
    return f"{channel.kind} {hashlib.sha256(said.encode()).hexdigest()[:8]}"


def _read_channel(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


def _read_list(value: Any) -> Any:
    return [value] if isinstance(value, str | Mapping) else value


def _read_kinds(value: Any) -> Any:
    kinds, known = _read_list(value), [kind.value for kind in TroubleKind]
    for index, kind in enumerate(kinds if isinstance(kinds, list) else ()):
        if kind not in known:
            nearest = find_nearest(str(kind), known)
            hint = f"; did you mean {nearest!r}?" if nearest else ""
            within = (index,) if isinstance(value, list) else ()
            raise InvalidValueError(f"nothing named {kind!r} is told of{hint}", ", ".join(known), within)
    return kinds


Channel = Annotated[ChannelSpec, BeforeValidator(_read_channel, json_schema_input_type=str | ChannelSpec)]

Channels = Annotated[
    tuple[Channel, ...],
    BeforeValidator(_read_list, json_schema_input_type=str | ChannelSpec | list[str | ChannelSpec]),
]
TroubleKinds = Annotated[
    tuple[TroubleKind, ...],
    BeforeValidator(_read_kinds, json_schema_input_type=TroubleKind | list[TroubleKind]),
]
ShareAbove = Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)]


class NotifySpec(Spec):
    """Of what people are told, once for each trouble, and where."""

    on: TroubleKinds = Field(tuple(TroubleKind), min_length=1, description="Of what; all of it unless told.")
    failed_share: ShareAbove = Field(
        0.2, description="`failures`: which part of what ended in the last hour must have failed."
    )
    remind: Age | None = Field(None, description="Tell again after so long, as long as it lasts.")
    to: Channels = Field(min_length=1, description="The channels: addresses, or mappings; see below.")


def find_channel_path(base: KeyPath, index: int, written: Any) -> KeyPath:
    """Find where the channel with this index stands below `base`: the one of `to:`, or an entry of its list."""
    return (*base, "to", index) if isinstance(written, list) else (*base, "to")
