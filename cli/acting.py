"""What the commands that act have in common: a runtime that publishes, who acts, and what was done."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from cli.lines import write_line

if TYPE_CHECKING:
    from runner.operate import Acted
    from runner.runtime import Runtime


WORKERS_TAKE_IT_UP = "Workers take it up when they run: celeriac up, or celeriac run."


def get_acting_runtime() -> Runtime:
    """
    Get a runtime that publishes to the broker in use, if one answers; it logs nothing below errors.

    Without a broker what an act made ready waits in the tracker, and nobody waits at the prompt.
    """
    import logging

    from pipeline.settings import load_settings
    from runner.broker import find_embedded, is_reachable
    from runner.logs import configure_logs
    from runner.runtime import Runtime

    configure_logs(logging.ERROR)
    settings = load_settings()
    configured = settings.broker_url.get_secret_value() if settings.broker_url else None
    if is_reachable(configured) if configured else find_embedded(settings):
        from tasks.app import get_runtime

        return get_runtime()
    return Runtime(settings, publisher=None)


def who() -> str:
    """Tell who acts, for the event that records it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"


def report(acted: Acted, words: str, *, as_json: bool) -> None:
    """Tell what an act did: as JSON on standard output, or in words on standard error."""
    from cli.render import write_json

    if as_json:
        write_json(acted)
        return
    write_line(words, err=True)
    if acted.items and acted.act not in {"priority", "dismiss", "mute", "unmute"}:
        say_what_workers_need()


def say_what_workers_need() -> None:
    """Say how what is ready now is taken up, unless a worker is seen: it takes up also what was not sent yet."""
    from cli.reading import reading
    from tracker.workers import count_serving

    with reading() as conn:
        if not count_serving(conn):
            write_line(WORKERS_TAKE_IT_UP, err=True)
