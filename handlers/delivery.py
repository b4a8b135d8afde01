"""Who has a message already, while others still have not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.mail import RefusedError, deliver, is_passing, judge_refusals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from email.message import EmailMessage

    from handlers.base import HandlerContext
    from handlers.mail import MailServer


class Delivery:
    """
    Remember to whom a message has gone, and who was refused it for good, from one attempt to the next, until all know.

    Far from the tracker nothing is remembered, and `is_remembered` is False: then a repeat goes to all.
    """

    def __init__(self, context: HandlerContext, message: str) -> None:
        self._context, self._key, self._refused_key = context, f"delivery:{message}", f"refused:{message}"
        self.done: list[str] = list(context.recall(self._key) or [])
        known: Mapping[str, tuple[int, str]] = context.recall(self._refused_key) or {}
        self.refused = {each: (code, said) for each, (code, said) in known.items()}

    def note(self, *receivers: str) -> None:
        """Remember these too, at once."""
        self.done += receivers
        self._context.remember(self._key, self.done)

    def note_refused(self, refused: Mapping[str, tuple[int, str]]) -> None:
        """Remember at once who is not to be asked again, with the server's code and words."""
        if refused:
            self.refused |= refused
            self._context.remember(
                self._refused_key, {each: list(said) for each, said in self.refused.items()}
            )

    def finish(self) -> None:
        """Forget: nobody is left, and whoever resets the stage wants it sent to all again."""
        for key in (self._key, self._refused_key):
            if self._context.recall(key):
                self._context.remember(key, [])

    @property
    def is_remembered(self) -> bool:
        """Tell whether the next attempt will know."""
        return bool(self._context.recall(self._key))


def deliver_to_each(
    context: HandlerContext, server: MailServer, message: EmailMessage, receivers: Sequence[str]
) -> dict[str, tuple[int, str]]:
    """
    Hand a message over for those who have not got it yet; those that the server refused, now or at an earlier attempt.

    Raises as `deliver` does, and `RefusedError` when nobody gets it, or when some may get it later: the next
    attempt then asks for those alone.
    """
    delivery = Delivery(context, str(message["Message-ID"]))
    waiting = [each for each in receivers if each not in delivery.done and each not in delivery.refused]
    refused = deliver(server, message, waiting) if waiting else {}
    if refused and len(refused) == len(receivers):
        raise RefusedError(judge_refusals(refused))
    later = {each: said for each, said in refused.items() if is_passing(said[0])}
    if later:
        delivery.note(*(each for each in waiting if each not in refused))
        delivery.note_refused({each: said for each, said in refused.items() if each not in later})
        if delivery.is_remembered:
            raise RefusedError(judge_refusals(later))
    delivery.finish()
    return delivery.refused | refused
