"""Who has a message already, while others still have not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.mail import RefusedError, deliver, is_passing, judge_refusals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import EmailMessage

    from handlers.base import HandlerContext
    from handlers.mail import MailServer


class Delivery:
    """
    Remember to whom a message has gone, from one attempt to the next, until all have it.

    Far from the tracker nothing is remembered, and `is_remembered` is False: then a repeat goes to all.
    """

    def __init__(self, context: HandlerContext, message: str) -> None:
        self._context, self._key = context, f"delivery:{message}"
        self.done: list[str] = list(context.recall(self._key) or [])

    def note(self, *receivers: str) -> None:
        """Remember these too, at once."""
        self.done += receivers
        self._context.remember(self._key, self.done)

    def finish(self) -> None:
        """Forget: all have it, and whoever resets the stage wants it sent to all again."""
        if self._context.recall(self._key):
            self._context.remember(self._key, [])

    @property
    def is_remembered(self) -> bool:
        """Tell whether the next attempt will know."""
        return bool(self._context.recall(self._key))


def deliver_to_each(
    context: HandlerContext, server: MailServer, message: EmailMessage, receivers: Sequence[str]
) -> dict[str, tuple[int, str]]:
    """
    Hand a message over for those who have not got it yet; those that the server refused, while it took others.

    Raises as `deliver` does, and `RefusedError` when nobody gets it, or when some may get it later: the next
    attempt then asks for those alone.
    """
    delivery = Delivery(context, str(message["Message-ID"]))
    waiting = [each for each in receivers if each not in delivery.done]
    refused = deliver(server, message, waiting) if waiting else {}
    if refused and len(refused) == len(receivers):
        raise RefusedError(judge_refusals(refused))
    later = {each: said for each, said in refused.items() if is_passing(said[0])}
    if later:
        delivery.note(*(each for each in waiting if each not in later))
        if delivery.is_remembered:
            raise RefusedError(judge_refusals(later))
    delivery.finish()
    return refused
