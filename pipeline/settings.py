"""The settings of a process: environment variables, or lines of a file `.env` in the working directory."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from pipeline.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "CELERIAC_"
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)
_CONTACT = re.compile(r"[^\s@<>()]+@[^\s@<>()]+|https?://[^\s<>()]+")


class Settings(BaseModel):
    """What the operator may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    db: Path | None = Field(
        None, description="The tracker's SQLite file; without it, `tracker.db` in the data folder."
    )
    jobs: Path = Field(Path("jobs.yaml"), description="The jobs file.")
    data: Path = Field(
        Path("data"), description="The folder for the tracker, its artifacts and the embedded broker."
    )
    broker_url: SecretStr | None = Field(
        None,
        description="The Celery broker, such as `redis://:secret@redis:6379/0`; without it, one is started.",
    )
    contact: str | None = Field(
        None,
        description="A mail address or web page of yours, which every site that is asked can read; without it, only "
        "`CELERIAC_ALLOW_HOSTS` are asked.",
    )
    allow_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts and networks (`wiki.corp,10.0.0.0/8`) to fetch from although they are not public.",
    )

    @property
    def db_path(self) -> Path:
        """Where the tracker's file is."""
        return self.db or self.data / "tracker.db"

    @property
    def artifacts_path(self) -> Path:
        """The folder where handlers' files are kept."""
        return self.data / "artifacts"

    @field_validator("broker_url")
    @classmethod
    def _need_a_scheme(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and "://" not in url.get_secret_value():
            raise ValueError("not a URL; write redis://host:6379/0 or redis+socket:///path/to/socket")
        return url

    @field_validator("contact")
    @classmethod
    def _need_a_contact(cls, text: str | None) -> str | None:
        if text is not None and not _CONTACT.fullmatch(text):
            raise ValueError(f"{text!r} is neither a mail address nor a http(s) URL")
        return text

    @field_validator("allow_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, hosts: object) -> object:
        parts = hosts.split(",") if isinstance(hosts, str) else hosts
        return (
            tuple(part.strip().lower() for part in parts if part.strip())
            if isinstance(parts, list)
            else parts
        )

    @field_validator("allow_hosts")
    @classmethod
    def _need_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host) and not _is_network(host):
                raise ValueError(
                    f"{host!r} is neither a host name nor an address nor a network such as 10.0.0.0/8"
                )
        return hosts


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def load_settings() -> Settings:
    """
    Read the settings afresh: the environment goes before `.env`, and an empty value means unset.

    Raises `OperatorError` naming each variable whose value is not allowed.
    """
    try:
        said = {**dotenv_values(".env"), **os.environ}
        return Settings.model_validate(
            {
                name: said[variable]
                for name in Settings.model_fields
                if said.get(variable := variable_name(name))
            }
        )
    except ValidationError as error:
        # the message only, never the input: it may be a password
        details = error.errors(include_url=False)
        lines = [f"{variable_name(str(detail['loc'][0]))}: {_reason(detail['msg'])}" for detail in details]
        raise OperatorError("\n".join(lines)) from None
    except UnicodeDecodeError as error:
        raise OperatorError(f".env is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")


def variable_name(field: str) -> str:
    """
    Name the environment variable behind a setting.

    >>> variable_name("broker_url")
    'CELERIAC_BROKER_URL'
    """
    return PREFIX + field.upper()


@dataclass(frozen=True, slots=True)
class SettingDescription:
    """One setting, for people: its variable, its default as text (empty for none), what it is for."""

    variable: str
    default: str
    description: str


def describe_settings() -> Iterator[SettingDescription]:
    """Describe every setting in the order in which it is declared."""
    for name, field in Settings.model_fields.items():
        default = str(field.default) if field.default not in (None, ()) else ""
        yield SettingDescription(variable_name(name), default, field.description or "")
