"""What people read of a notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.durations import format_duration
from tracker.clock import format_ms

if TYPE_CHECKING:
    from tracker.notice_messages import Message


def say(message: Message) -> tuple[str, str]:
    """
    Write a message's title, of one line, and its text.

    >>> from tracker.notice_messages import Message
    >>> say(Message(1, "c", "closed", 1, "breaker", "hn", "", "paused: 10 failures in a row", 0, 90_000))[0]
    'celeriac: over after 1 m 30 s: hn: breaker'
    """
    about = ": ".join(part for part in (message.job, message.trouble, message.subject) if part)
    since = f"since {format_ms(message.opened_at)} UTC"
    lasted = format_duration((message.written_at - message.opened_at) / 1000)
    if message.kind == "closed":
        return f"celeriac: over after {lasted}: {about}", f"It is over. It was: {message.words} ({since})"
    if message.kind == "reminder":
        return f"celeriac: still, for {lasted}: {about}", f"{message.words} ({since})"
    return f"celeriac: {about}", f"{message.words} ({since})"
