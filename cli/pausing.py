"""`celeriac pause`, `unpause` and `pauses`: hold back a job, a stage, a host or everything, and let it go on."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.acting import get_acting_runtime, who
from cli.lines import write_line
from cli.options import json_option

if TYPE_CHECKING:
    from runner.pausing import PauseActed
    from tracker.pauses import Pause, Target

F = TypeVar("F", bound=Callable[..., Any])


def target_options(command: F) -> F:
    """Give a command what says which of a job, a stage, a host or everything is meant."""
    options = (
        click.argument("job", required=False),
        click.option("--stage", metavar="STAGE", help="Only this stage of JOB."),
        click.option("--host", metavar="HOST", help="A host and its subdomains, whichever job asks them."),
        click.option("--all", "everything", is_flag=True, help="Every job."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_target(job: str | None, stage: str | None, host: str | None, *, everything: bool) -> Target:
    """Tell what is meant. Raises `click.UsageError` unless it is exactly one thing."""
    from tracker.pauses import Target

    if sum((job is not None, host is not None, everything)) != 1:
        raise click.UsageError("name a JOB, or --host HOST, or --all: one of them")
    if stage is not None and job is None:
        raise click.UsageError("--stage is one of a JOB: name that too")
    if host is not None:
        if not re.fullmatch(r"[\w-]+(\.[\w-]+)*\.?|\[?[0-9a-fA-F:]+\]?", host):
            raise click.UsageError(f"--host {host!r}: write the host's name only, such as example.org")
        return Target.of_host(host)
    if job is None:
        return Target.everything()
    return Target.of_job(job) if stage is None else Target.of_stage(job, stage)


@click.command("pause")
@target_options
@click.option("--reason", metavar="WHY", required=True, help="Why; people will read it in `status`.")
@click.option(
    "--until",
    metavar="TIME",
    help="A time (18:00, 2026-12-01T08:00) in this machine's zone, or a duration (2h).",
)
@json_option
def pause_command(
    job: str | None,
    stage: str | None,
    host: str | None,
    reason: str,
    until: str | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    r"""
    Hold back JOB, a stage, a host or all.

    Obeyed at once: what runs ends as it would, nothing more is claimed, a paused host is not asked.

    \b
    Examples:
      celeriac pause hacker-news --reason "site is down" --until 2h
      celeriac pause demo --stage summarise --reason "model is wrong"
      celeriac pause --host example.org --reason "they asked us to" --until 18:00
      celeriac pause --all --reason "disk nearly full"
    """
    from runner import pausing

    if not reason.strip():
        raise click.UsageError("--reason is what everybody sees: say why")
    target = read_target(job, stage, host, everything=everything)
    lifted_at = None if until is None else parse_until(until)
    acted = pausing.pause(get_acting_runtime(), target, reason, lifted_at, who())
    _report(acted, _say_paused(target, acted), as_json=as_json)


def _report(acted: PauseActed, words: list[str], *, as_json: bool) -> None:
    from cli.render import write_json

    if as_json:
        write_json(acted)
    for line in [] if as_json else words:
        write_line(line, err=True)


def _say_paused(target: Target, acted: PauseActed) -> list[str]:
    if acted.pause is None:  # lifted by somebody else within the same moment
        return [f"{target} was let go again at once"]
    lines = [f"{target} is paused: {acted.pause.reason}{_say_end(acted.pause)}"]
    if acted.before is not None:
        lines.append(f"it was paused already {_say_pause(acted.before)}; what it says now is yours")
    return lines


def _say_pause(pause: Pause) -> str:
    from cli.render import say_ago

    return f"by {pause.by}, {say_ago(pause.since_at)}: {pause.reason}{_say_end(pause)}"


def _say_end(pause: Pause) -> str:
    if pause.until_at is None:
        return ", until a probe succeeds" if pause.is_probing else ""
    return f", until {datetime.fromtimestamp(pause.until_at / 1000, UTC).astimezone():%Y-%m-%d %H:%M %Z}"


def parse_until(text: str, now: datetime | None = None) -> datetime:
    """Read a time to come, in this machine's zone; see `pipeline.until`. Raises `click.UsageError`."""
    from pipeline.until import parse_until

    try:
        return parse_until(text, (now or datetime.now(UTC)).astimezone())
    except ValueError as error:
        raise click.UsageError(f"--until {error}") from None


@click.command("unpause")
@target_options
@json_option
def unpause_command(
    job: str | None, stage: str | None, host: str | None, *, everything: bool, as_json: bool
) -> None:
    r"""
    Let JOB, a stage, a host or all go on.

    \b
    Examples:
      celeriac unpause hacker-news
      celeriac unpause --host example.org
    """
    from runner import pausing

    target = read_target(job, stage, host, everything=everything)
    acted = pausing.unpause(get_acting_runtime(), target, who())
    _report(acted, _say_lifted(target, acted), as_json=as_json)


def _say_lifted(target: Target, acted: PauseActed) -> list[str]:
    if acted.before is None:
        lines = [f"{target} was not paused"]
    else:
        lines = [f"{target} goes on; it was paused {_say_pause(acted.before)}"]
    return lines + [f"{each.target} is still paused {_say_pause(each)}" for each in acted.also]


@click.command("pauses")
@json_option
def pauses_command(*, as_json: bool) -> None:
    r"""
    List what is paused.

    \b
    Example:
      celeriac pauses --json
    """
    from cli.reading import reading
    from cli.render import write_json
    from tracker.pauses import list_pauses

    with reading() as conn:
        held = list_pauses(conn)
    if as_json:
        write_json(held)
    elif held:
        _show(held)
    else:
        write_line("nothing is paused", err=True)


def _show(held: list[Pause]) -> None:
    from cli.render import say_ago, say_when, write_noted_table

    columns = ["what", "by", "since", "until", "#lifted by itself", "why"]
    write_noted_table(
        columns,
        [
            (
                str(each.target),
                each.by,
                say_ago(each.since_at),
                "a probe succeeds" if each.is_probing else say_when(each.until_at),
                each.lifts or "",
                each.reason,
            )
            for each in held
        ],
    )
