"""Mail: a message from templates, and its way to a server."""

from __future__ import annotations

import re
import smtplib
import ssl
from contextlib import contextmanager, suppress
from email import policy
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from handlers.sending import identify
from handlers.templates import Template, is_constant, render
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import DEFAULT_RETRY_DELAY_SECONDS, GiveUp, RetryLater

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from handlers.base import HandlerContext

SERVER_SECONDS = 30.0
"""How long the mail server may take for each step."""

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_REGISTRY = HeaderRegistry()


def _check_one(template: str) -> str:
    if is_constant(template) and _read_address(template.strip()) is None:
        raise ValueError("not one mail address, such as Celeriac <me@example.org>")
    return template


MailAddress = Annotated[Template, AfterValidator(_check_one)]
"""The type of a parameter that is a template for one mail address, with or without a name."""


class MailServer(BaseModel):
    """A mail server that takes messages over SMTP, and who they are from and for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, description="The mail server. No template: items do not choose it.")
    port: int | None = Field(
        None, ge=1, le=65_535, description="Its port; 587, or 465 for `tls` and 25 for `none`."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is encrypted; `none` only on a network of your own."
    )
    user: str | None = Field(None, description="The user, if the server wants one.")
    password: SecretStr | None = Field(
        None, description="Its password; sent over an encrypted connection only."
    )
    sender: MailAddress = Field(
        description="The address that it is from, such as `Celeriac <me@example.org>`."
    )
    to: list[MailAddress] = Field(min_length=1, description="Who gets it; each becomes one address.")

    @field_validator("host")
    @classmethod
    def _must_be_a_name(cls, host: str) -> str:
        try:
            host.encode("idna")
        except UnicodeError:
            raise ValueError("no name of a mail server: a part of it is empty, or too long") from None
        if any(mark in host for mark in " /@{") or host.count(":") == 1:
            raise ValueError("no name of a mail server, such as mail.example.org; its port is `port`")
        return host

    @model_validator(mode="after")
    def _must_keep_its_password(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        secret = self.password.get_secret_value() if self.password is not None else ""
        if not f"{self.user}{secret}".isascii():
            raise ValueError("user and password are sent as ASCII, which not all of their letters are")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is sent over an encrypted connection only; set security")
        return self


class RefusedError(Exception):
    """Carries an ending out of the making or sending of a message."""

    def __init__(self, outcome: GiveUp | RetryLater) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


# -- the message ------------------------------------------------------------------------------------------


def fill(template: str, context: HandlerContext, params: BaseModel) -> str:
    """Render a template. Raises `RefusedError` with the GiveUp that says why it cannot be."""
    if isinstance(text := render(template, context, params), GiveUp):
        raise RefusedError(text)
    return text.encode("utf-8", "replace").decode()


def fill_line(name: str, template: str, context: HandlerContext, params: BaseModel) -> str:
    """Render what stands in a header. Raises `RefusedError` for what would not stay in its line."""
    text = fill(template, context, params).strip()
    if _CONTROL.search(text):
        raise RefusedError(GiveUp(f"{name} holds a line break or another control character: {text!r:.200}"))
    return text


def fill_address(name: str, template: str, context: HandlerContext, params: BaseModel) -> str:
    """Render one address, with or without a name. Raises `RefusedError` for anything else."""
    text = fill_line(name, template, context, params)
    if (address := _read_address(text)) is None:
        raise RefusedError(GiveUp(f"{name} is not one mail address: {text!r:.200}"))
    return address


def _read_address(text: str) -> str | None:
    try:
        header: Any = _REGISTRY("To", text)
    except (
        LookupError,
        ValueError,
        AttributeError,
        RecursionError,
    ):  # the parser stumbles over what strangers write
        return None
    found = header.addresses
    is_one = len(found) == 1 and not header.defects and found[0].username and found[0].domain
    return str(found[0]) if is_one else None


def bare_address(address: str) -> str:
    """
    Take the address alone.

    >>> bare_address("Me <me@example.org>")
    'me@example.org'
    """
    header: Any = _REGISTRY("To", address)
    return str(header.addresses[0].addr_spec)


def write_message(
    context: HandlerContext, headers: Mapping[str, str], text: str, html: str | None = None
) -> EmailMessage:
    """
    Write a message; its Message-ID is the same for the same headers and texts at this item and stage.

    `headers` are at least From and To, in their order; an empty one is left out.
    """
    message = EmailMessage(policy=policy.SMTP)
    for name, value in headers.items():
        if value:
            message[name] = value
    identity = identify(context, *(part for pair in headers.items() for part in pair), text, html or "")
    message["Message-ID"] = f"<{identity}@{bare_address(headers['From']).rpartition('@')[2]}>"
    message["Date"] = formatdate(usegmt=True)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: so that nobody's absence is told to us
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


# -- the server -------------------------------------------------------------------------------------------


def deliver(
    server: MailServer, message: EmailMessage, receivers: Sequence[str]
) -> dict[str, tuple[int, str]]:
    """
    Hand a message to the server for these addresses; those that it refused, with its code and words.

    Raises `RefusedError` when the server refuses the message itself, with RetryLater where it says that it may work
    later (4xx), else GiveUp; `SourceUnavailableError` when the server cannot be talked to.
    """
    try:
        with _connected(server) as smtp:
            return _read_refusals(smtp.send_message(message, bare_address(message["From"]), receivers))
    except smtplib.SMTPRecipientsRefused as error:
        # all of them: a server that hangs up in the middle has not been told of the rest
        known = _read_refusals(error.recipients)
        return {each: known.get(each, (421, "the server hung up")) for each in receivers}
    except smtplib.SMTPNotSupportedError as error:
        raise RefusedError(GiveUp(f"{server.host} cannot do what is needed: {error}")) from error
    except smtplib.SMTPResponseException as error:
        said = f"{server.host} answered {error.smtp_code} {_read(error.smtp_error)}"
        raise RefusedError(_judge(error.smtp_code, said)) from error
    except (OSError, smtplib.SMTPException) as error:
        raise SourceUnavailableError(f"{server.host} cannot be talked to: {error}") from error


@contextmanager
def _connected(server: MailServer) -> Iterator[smtplib.SMTP]:
    port, trust = server.port or _PORTS[server.security], ssl.create_default_context()
    if server.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, port, timeout=SERVER_SECONDS, context=trust)
    else:
        smtp = smtplib.SMTP(server.host, port, timeout=SERVER_SECONDS)
    try:
        if server.security == "starttls":
            smtp.starttls(context=trust)
        if server.user is not None and server.password is not None:
            smtp.login(server.user, server.password.get_secret_value())
        yield smtp
        with suppress(OSError, smtplib.SMTPException):  # it has the message, whatever it says to this
            smtp.quit()
    finally:
        smtp.close()


def _read_refusals(refusals: Mapping[str, tuple[int, Any]]) -> dict[str, tuple[int, str]]:
    return {address: (code, _read(said)) for address, (code, said) in refusals.items()}


def judge_refusals(refusals: Mapping[str, tuple[int, str]]) -> GiveUp | RetryLater:
    """Give the ending for addresses that were refused: later, if any of them may be taken then."""
    told = "; ".join(f"{address}: {code} {said}" for address, (code, said) in refusals.items())
    return _judge(min(code for code, _ in refusals.values()), f"not taken for {told}")


def is_passing(code: int) -> bool:
    """Tell whether a code says that it may work later."""
    return 400 <= code < 500


def _judge(code: int, said: str) -> GiveUp | RetryLater:
    return RetryLater(DEFAULT_RETRY_DELAY_SECONDS, said) if is_passing(code) else GiveUp(said)


def _read(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
