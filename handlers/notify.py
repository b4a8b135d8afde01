"""The handler `notify`: one message to people, over the channels that they read."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr, model_validator

from handlers.base import Handler, HandlerParams
from handlers.channels import Note, post, send_mail, send_with_apprise
from handlers.delivery import Delivery
from handlers.mail import MailServer, RefusedError, fill
from handlers.sending import SigningSecret, identify
from handlers.source_waits import wait_as_asked
from handlers.templates import Template  # noqa: TC001 - pydantic reads the annotations of Params
from net.request import is_web_address
from pipeline.errors import MissingExtraError, SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Self

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome


class Notify(Handler):
    """
    Tell people something, over one channel or several.

    A channel that fails keeps none of the others from its message, and the next attempt tries that channel alone.

    Input: the item and the results, as far as the templates name them. Result: `{"message_id", "channels"}`,
    which have the message: `webhook`, `mail`, `apprise 1` and so on. Endings: GiveUp when a channel refuses for
    good (404, a wrong password, an address that is none); RetryLater when one is busy or asks to slow down (429,
    503, 4xx of a mail server). No connection, a time-out, another 5xx and an apprise service that does not take
    it raise SourceUnavailableError, for the stage's retries.
    Idempotent: no; what was sent and not recorded is sent again. A webhook then has the same `Idempotency-Key`,
    and a mail the same Message-ID.
    Example: {handler: notify, params: {message: "New: {{ item.title }} {{ item.url }}", webhook: "${CHAT_URL}"}}

    Source: github.com/caronc/apprise, for what an apprise URL may be.
    """

    TIMEOUT = "5m"

    class Params(HandlerParams):
        """The parameters of `notify`."""

        message: Template = Field(description="What to say.")
        title: Template | None = Field(None, description="What it is about, in a line.")
        webhook: SecretStr | None = Field(
            None,
            description='Where `{"text"}` is posted, as Slack, Mattermost and Google Chat take it. No template.',
        )
        secret: SigningSecret | None = Field(
            None, description="Signs what is posted, as the handler `webhook` does."
        )
        mail: MailServer | None = Field(None, description="The mail server, and who gets it.")
        apprise: list[SecretStr] = Field(
            [], description="Apprise URLs, for other services; they need the extra `notify`."
        )

        @model_validator(mode="after")
        def _must_have_a_channel(self) -> Self:
            if not (self.webhook or self.mail or self.apprise):
                raise ValueError("there is no channel: set webhook, mail or apprise")
            if self.webhook and not is_web_address(self.webhook.get_secret_value()):
                raise ValueError("webhook is not an http or https address")
            if self.secret and not self.webhook:
                raise ValueError("secret signs what is posted to webhook, which is not set")
            if self.apprise and importlib.util.find_spec("apprise") is None:
                raise MissingExtraError("handler", "notify", "notify", "apprise")
            return self

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Send over each channel that has not got the message; then end as the worst of them did."""
        try:
            message = fill(self.params.message, context, self.params)
            title = fill(self.params.title or "", context, self.params)
        except RefusedError as refused:
            return refused.outcome
        note = Note(context, " ".join(title.split()), message)
        channels = dict(self._list_channels(note))
        name = identify(context, note.title, note.message)
        delivery = Delivery(context, name)
        failures = await _send_each(
            {channel: go for channel, go in channels.items() if channel not in delivery.done},
            delivery.note if len(channels) > 1 else _note_nothing,
        )
        if failures:
            return _end_as_the_worst(failures)
        delivery.finish()
        return {"message_id": name, "channels": list(channels)}

    def _list_channels(self, note: Note) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        if self.params.webhook is not None:
            yield "webhook", partial(post, note, self.params.webhook, self.params.secret)
        if self.params.mail is not None:
            yield "mail", partial(send_mail, note, self.params.mail)
        for number, url in enumerate(self.params.apprise, start=1):
            yield f"apprise {number}", partial(send_with_apprise, note, url)


@dataclass(frozen=True, slots=True)
class _Failure:
    channel: str
    error: RefusedError | SourceUnavailableError


def _note_nothing(_: str) -> None:
    """With one channel there is nothing to remember: it has the message, or the stage has not ended."""


async def _send_each(
    channels: dict[str, Callable[[], Awaitable[None]]], note: Callable[[str], None]
) -> list[_Failure]:
    failures = []
    for channel, send in channels.items():
        try:
            await send()
        except (RefusedError, SourceUnavailableError) as error:
            failures.append(_Failure(channel, error))
        else:
            note(channel)
    return failures


def _end_as_the_worst(failures: list[_Failure]) -> Outcome:
    """End so that what may still work is tried again: a failure that is retried goes before one for good."""
    told = "; ".join(f"{each.channel}: {each.error}" for each in failures)
    for each in failures:
        if isinstance(each.error, SourceUnavailableError):
            if (waits := wait_as_asked(each.error, told)) is not None:
                return waits
            raise SourceUnavailableError(told) from each.error
    outcomes = [each.error.outcome for each in failures if isinstance(each.error, RefusedError)]
    later = next((outcome for outcome in outcomes if isinstance(outcome, RetryLater)), None)
    return GiveUp(told) if later is None else RetryLater(later.delay, told)
