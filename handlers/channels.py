"""The channels of `notify`: each sends one note, or raises what keeps it from that."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers.delivery import deliver_to_each
from handlers.mail import RefusedError, bare_address, fill_address, write_message
from handlers.sending import Request, send, write_json
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from pydantic import SecretStr

    from handlers.base import HandlerContext
    from handlers.mail import MailServer

SUBJECT_CHARS = 120
TELLTALES = ("apprise", "urllib3")
"""Loggers that write whole addresses when they log all, and the secrets in them."""


@dataclass(frozen=True, slots=True)
class Note:
    """What to tell: a title of one line, which may be empty, and a message; and on whose behalf."""

    context: HandlerContext
    title: str
    message: str


async def post(note: Note, url: SecretStr, secret: SecretStr | None) -> None:
    """Post `{"text"}`. Raises `RefusedError`, or `SourceUnavailableError`."""
    text = "\n".join(part for part in (note.title, note.message) if part)
    body, headers = write_json({"text": text}), {"Content-Type": "application/json"}
    request = Request("POST", url.get_secret_value(), body, headers)
    if isinstance(answer := await send(note.context, request, secret=secret), GiveUp):
        raise RefusedError(answer)


async def send_mail(note: Note, server: MailServer) -> None:
    """Send a mail; without a title, the message's beginning is the subject. Raises as `post` does."""
    to = [fill_address("mail.to", each, note.context, server) for each in server.to]
    headers = {
        "From": fill_address("mail.sender", server.sender, note.context, server),
        "To": ", ".join(to),
        "Subject": " ".join((note.title or note.message).split())[:SUBJECT_CHARS],
    }
    message = write_message(note.context, headers, note.message)
    receivers = list(dict.fromkeys(map(bare_address, to)))
    refused = deliver_to_each(note.context, server, message, receivers)
    if refused:
        note.context.log.warning("some get no mail", refused=refused)


async def send_with_apprise(note: Note, url: SecretStr) -> None:
    """Send over what an apprise URL names. Raises as `post` does."""
    from apprise import Apprise  # noqa: PLC0415 - an extra, slow to import, and not needed by the others

    for name in TELLTALES:
        logging.getLogger(name).setLevel(logging.INFO)
    services = Apprise()
    if not services.add(url.get_secret_value()):
        raise RefusedError(GiveUp("this is no apprise URL; see github.com/caronc/apprise/wiki"))
    taken = await asyncio.to_thread(services.notify, body=note.message, title=note.title)
    if not taken:
        kind = next(iter(services)).service_name
        raise SourceUnavailableError(f"{kind} did not take it; the log says why, as far as it told")
