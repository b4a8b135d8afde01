"""`celeriac pause` and `celeriac unpause`: hold a job back, and let it go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from cli.acting import get_acting_runtime, report, who
from cli.options import json_option


@click.command("pause")
@click.argument("job")
@click.option("--reason", metavar="WHY", required=True, help="Why; people will read it in `status`.")
@click.option(
    "--until",
    metavar="TIME",
    help="A time (18:00, 2026-12-01T08:00) in this machine's zone, or a duration (2h).",
)
@json_option
def pause_command(job: str, reason: str, until: str | None, *, as_json: bool) -> None:
    r"""
    Hold JOB back.

    Obeyed at once: what runs ends as it would, nothing more is claimed.

    \b
    Examples:
      celeriac pause hacker-news --reason "site is down" --until 2h
      celeriac pause demo --reason "disk nearly full"
    """
    from runner import operate

    lifted_at = parse_until(until) if until else None
    acted = operate.pause(get_acting_runtime(), job, reason, lifted_at, who())
    words = f"{job} is paused: {reason}" + (f", until {lifted_at:%Y-%m-%d %H:%M %Z}" if lifted_at else "")
    report(acted, words, as_json=as_json)


def parse_until(text: str, now: datetime | None = None) -> datetime:
    """
    Read a time to come: `18:00` (today, or tomorrow if it has passed), an ISO date and time, or a duration.

    A time without a zone is in this machine's. Raises `click.UsageError` for anything else, or the past.
    """
    from pipeline.durations import parse_duration

    present = (now or datetime.now(UTC)).astimezone()
    try:
        return _in_future(text, present + timedelta(seconds=parse_duration(text)), present)
    except (ValueError, OverflowError):
        pass  # not a duration: a time, then
    try:
        clock = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - only its hour and minute are used
        found = present.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        return found if found > present else found + timedelta(days=1)
    except ValueError:
        pass  # not a time of day: a date and time, then
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--until {text!r}: write 18:00, 2026-12-01T08:00 or 2h") from None
    return _in_future(text, found if found.tzinfo else found.replace(tzinfo=present.tzinfo), present)


def _in_future(text: str, found: datetime, present: datetime) -> datetime:
    if found <= present:
        raise click.UsageError(f"--until {text!r} is not in the future")
    return found


@click.command("unpause")
@click.argument("job")
@json_option
def unpause_command(job: str, *, as_json: bool) -> None:
    r"""
    Let JOB go on.

    \b
    Example:
      celeriac unpause hacker-news
    """
    from runner import operate

    report(operate.unpause(get_acting_runtime(), job, who()), f"{job} goes on", as_json=as_json)
