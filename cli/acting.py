"""The commands that act on what is there: each is one event in the tracker, with who did it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.options import json_option

if TYPE_CHECKING:
    from runner.operate import Acted
    from runner.runtime import Runtime


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
    click.echo(words, err=True)
    if acted.items and not acted.sent and acted.act not in {"priority", "dismiss"}:
        click.echo("Workers take it up when they run: celeriac up, or celeriac run.", err=True)


@click.command("wake")
@click.argument("job")
@json_option
def wake_command(job: str, *, as_json: bool) -> None:
    r"""
    Ask that JOB look for items now.

    Workers do so at the next sweep, whatever the job's schedule says.

    \b
    Example:
      celeriac wake hacker-news
    """
    from runner import operate

    acted = operate.wake(get_acting_runtime(), job, who())
    report(acted, f"{job} looks for items at the next sweep", as_json=as_json)


@click.command("retry")
@click.argument("job")
@click.option("--stage", metavar="STAGE", help="Only failures of this stage.")
@click.option(
    "--key", "keys", metavar="KEY", multiple=True, help="Only this item; may be given several times."
)
@json_option
def retry_command(job: str, stage: str | None, keys: tuple[str, ...], *, as_json: bool) -> None:
    r"""
    Try the failed stages of JOB again.

    \b
    Examples:
      celeriac retry hacker-news
      celeriac retry hacker-news --stage fetch --key 4242
    """
    from runner import operate

    acted = operate.retry(get_acting_runtime(), job, who(), stage, list(keys) or None)
    report(acted, f"failed stages of {job} that are tried again: {acted.items}", as_json=as_json)


@click.command("reset")
@click.argument("job")
@click.argument("stage")
@click.argument("keys", nargs=-1)
@click.option("--yes", is_flag=True, help="Do not ask before resetting every item.")
@json_option
def reset_command(job: str, stage: str, keys: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    r"""
    Do STAGE of JOB again.

    And every stage that needs it: for the items named by their KEYS, or for all.

    \b
    Examples:
      celeriac reset demo summarise argparse.py ast.py
      celeriac reset demo outline --yes
    """
    from runner import operate

    runtime = get_acting_runtime()
    if not keys and not yes and not _is_wanted(runtime, job, stage):
        click.echo("nothing was reset (--yes resets without asking)", err=True)
        raise click.exceptions.Exit(exit_codes.FAILED)
    acted = operate.reset(runtime, job, stage, list(keys) or None, who())
    report(acted, f"items of {job} for which {stage} is done again: {acted.items}", as_json=as_json)


def _is_wanted(runtime: Runtime, job: str, stage: str) -> bool:
    from tracker.stats import get_job_stats

    runtime.jobs.get_job(job).stage(stage)
    count = get_job_stats(runtime.tracker, job)["total"]
    try:
        return click.confirm(f"Reset {stage} and what needs it for all {count} items of {job}?", err=True)
    except click.Abort:  # Ctrl-C, or nobody there to answer
        click.echo(err=True)
        return False


# a negative number is no option
@click.command("priority", context_settings={"ignore_unknown_options": True})
@click.argument("job")
@click.argument("key")
@click.argument("number", type=click.IntRange(-(2**31), 2**31 - 1), metavar="N")
@json_option
def priority_command(job: str, key: str, number: int, *, as_json: bool) -> None:
    r"""
    Set the priority of one item to N.

    Higher goes first.

    \b
    Examples:
      celeriac priority demo argparse.py 10
      celeriac priority demo argparse.py -10
    """
    from runner import operate

    acted = operate.prioritise(get_acting_runtime(), job, key, number, who())
    report(acted, f"{key} of {job} has priority {number}", as_json=as_json)
