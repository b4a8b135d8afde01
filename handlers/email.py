"""The handler `email`: a message to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from handlers.base import Handler, HandlerParams
from handlers.delivery import deliver_to_each
from handlers.mail import (
    MailAddress,
    MailServer,
    RefusedError,
    bare_address,
    fill,
    fill_address,
    fill_line,
    write_message,
)
from handlers.templates import Template  # noqa: TC001 - pydantic reads the annotations of Params

if TYPE_CHECKING:
    from email.message import EmailMessage
    from typing import Self

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome


class Email(Handler):
    """
    Send a mail, over SMTP.

    Input: the item and the results, as far as the templates name them. In `html`, what they bring in is escaped.
    Result: `{"message_id", "sent_to", "refused"}`; `refused` holds, by address, what the server said to those
    that it refused for good while it took others. Endings: GiveUp for an address or a subject that is none (a
    line break would begin a new header), and when the server refuses for good (5xx, a wrong password, no
    encryption); RetryLater in 5 minutes when it says that it may work later (4xx), then for those alone that have
    not got it. No connection and a time-out raise SourceUnavailableError, for the stage's retries.
    Idempotent: no; a mail that was sent and not recorded is sent again. Its Message-ID is then the same, since it
    depends on the job, the item, the stage and the content alone, and most mail programs show it once.
    Example: {handler: email, params: {host: mail.example.org, sender: "Celeriac <celeriac@example.org>", to:
    [me@example.org], subject: "{{ item.title }}", text: "{{ results.summarise_text.summary }}"}, rate: 30/m}

    Source: RFC 5321 4.2.1, for what the codes mean.
    """

    TIMEOUT = "5m"

    class Params(HandlerParams, MailServer):
        """The parameters of `email`."""

        cc: list[MailAddress] = Field([], description="Who gets a copy.")
        bcc: list[MailAddress] = Field([], description="Who gets a copy that the others do not see.")
        reply_to: Template | None = Field(None, description="Where answers go, if not to the sender.")
        subject: Template = Field(description="The subject.")
        text: Template | None = Field(None, description="The message, as text.")
        html: Template | None = Field(None, description="The message, as HTML.")

        @model_validator(mode="after")
        def _must_say_something(self) -> Self:
            if self.text is None and self.html is None:
                raise ValueError("a mail has a text, or html, or both")
            return self

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Write, and send to those who have not got it."""
        try:
            message, receivers = self._write(context)
            refused = deliver_to_each(context, self.params, message, receivers)
        except RefusedError as refusal:
            return refusal.outcome
        return {
            "message_id": str(message["Message-ID"]),
            "sent_to": [each for each in receivers if each not in refused],
            "refused": {each: f"{code} {said}" for each, (code, said) in refused.items()},
        }

    def _write(self, context: HandlerContext) -> tuple[EmailMessage, list[str]]:
        params = self.params

        def address(name: str, templates: list[str]) -> list[str]:
            return [fill_address(name, template, context, params) for template in templates]

        to, cc, bcc = address("to", params.to), address("cc", params.cc), address("bcc", params.bcc)
        headers = {
            "From": fill_address("sender", params.sender, context, params),
            "To": ", ".join(to),
            "Cc": ", ".join(cc),
            "Reply-To": ", ".join(address("reply_to", [params.reply_to] if params.reply_to else [])),
            "Subject": fill_line("subject", params.subject, context, params),
        }
        text = fill(params.text or _SEE_HTML, context, params)
        html = params.html and fill(
            f"{{% autoescape true %}}{params.html}{{% endautoescape %}}", context, params
        )
        receivers = dict.fromkeys(map(bare_address, [*to, *cc, *bcc]))
        return write_message(context, headers, text, html), list(receivers)


_SEE_HTML = "This message is in HTML; your program does not show it.\n"
