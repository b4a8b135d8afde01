"""The settings of a process: environment variables, or lines of a file `.env` in the working directory."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.catalog import find_nearest
from pipeline.errors import OperatorError
from pipeline.model_errors import explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from pipeline.problems import Finding

PREFIX = "CELERIAC_"
BROKER_SCHEMES = ("redis", "rediss", "redis+socket")
"""How the URL of a broker may begin: those of Redis and Valkey, plain, by TLS, and on a Unix socket."""

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII | re.IGNORECASE)
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
        description="The Celery broker, such as `redis://:secret@redis:6379/0`, of this house alone: two take each "
        "other's messages. Without it, one is started.",
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
    dashboard_url: str | None = Field(
        None,
        description="Where a worker far from the tracker reaches the dashboard, such as `https://celeriac.example.org`.",
    )
    token: SecretStr | None = Field(
        None,
        description="What that worker shows there: a token of `celeriac access token` that may `remote`.",
    )
    cache_mb: int = Field(
        2048,
        ge=1,
        description="How many MiB of artifacts that worker keeps, so that it need not fetch them again.",
    )
    signing_key: Path | None = Field(
        None,
        description="The private key (PEM, RSA) by which this process signs its messages; see scaling.md.",
    )
    signing_certificate: Path | None = Field(None, description="The certificate (PEM) of that key.")
    signing_trusted: str | None = Field(
        None,
        description="The certificates whose messages are accepted: files, as a pattern such as `/certs/*.pem`.",
    )
    attempt_logs: Literal["debug", "info", "warning", "error", "off"] = Field(
        "info",
        description="From which level on what a handler logs is kept with its attempt: `debug`, `info`, `warning`, "
        "`error`, or `off`.",
    )
    together: int = Field(
        8,
        ge=1,
        le=64,
        description="How many stages a process claims and settles in one transaction at most, while they are short. "
        "More is quicker; a process that is killed may have ended so many without a record, and they run again.",
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
    def _need_a_broker_of_ours(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        scheme, separator, _ = url.get_secret_value().partition("://")
        if not separator or not _SCHEME.fullmatch(scheme):  # shown to nobody: there may be a password in it
            raise ValueError("not a URL; write redis://host:6379/0 or redis+socket:///path/to/socket")
        if scheme not in BROKER_SCHEMES:
            nearest = find_nearest(scheme, list(BROKER_SCHEMES))
            hint = f"; did you mean {nearest}://?" if nearest else ""
            allowed = ", ".join(f"{one}://" for one in BROKER_SCHEMES)
            raise ValueError(f"no broker is reached by {scheme}://{hint} (allowed: {allowed})")
        if not _has_a_port_or_none(url.get_secret_value()):
            raise ValueError("its port is no number; in a password, / is written %2F, # %23 and ? %3F")
        return url

    @field_validator("dashboard_url")
    @classmethod
    def _need_a_web_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "http://x")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
            raise ValueError("not the address of a dashboard; write https://celeriac.example.org")
        return url.rstrip("/") if url else None

    @model_validator(mode="after")
    def _need_all_of_signing(self) -> Self:
        given = (self.signing_key, self.signing_certificate, self.signing_trusted)
        if any(given) and not all(given):
            raise ValueError(
                "CELERIAC_SIGNING_KEY, CELERIAC_SIGNING_CERTIFICATE and CELERIAC_SIGNING_TRUSTED belong together"
            )
        return self

    @property
    def is_signed(self) -> bool:
        """Whether messages are signed, and unsigned ones are refused."""
        return self.signing_key is not None

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


def _has_a_port_or_none(url: str) -> bool:
    try:
        _ = urlsplit(url).port
    except ValueError:
        return False
    return True


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def read_environment() -> dict[str, str]:
    """Read the variables afresh: the environment goes before `.env`. Raises `OperatorError` if that is no text."""
    try:
        said = dotenv_values(".env")
    except UnicodeDecodeError as error:
        raise OperatorError(f".env is not UTF-8 text: {error.reason} at byte {error.start}") from error
    return {name: value for name, value in said.items() if value is not None} | os.environ


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """
    Read the settings, afresh or from variables that were just read; an empty value means unset.

    Raises `OperatorError` naming each variable whose value is not allowed.
    """
    said = read_environment() if environment is None else environment
    given = {
        name: said[variable] for name in Settings.model_fields if said.get(variable := variable_name(name))
    }
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        shown = {name: value for name, value in given.items() if name not in _SECRETS}
        raise OperatorError("\n".join(map(_tell, explain(error, Settings, (), shown)))) from None


_SECRETS = {name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)}
"""The settings of which no message quotes what was given."""


def _tell(finding: Finding) -> str:
    allowed = f" (allowed: {finding.allowed})" if finding.allowed else ""
    place = (
        f"{variable_name(str(finding.path[0]))}: " if finding.path else ""
    )  # else it is of several together
    return f"{place}{finding.message}{allowed}"


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
