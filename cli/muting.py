"""`celeriac mute` and `celeriac unmute`: what is known, and not worth looking at again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.acting import get_acting_runtime, report, who
from cli.filtering import Asked, filter_option, read_filter
from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.runtime import Runtime
    from tracker.failures import FailureGroup


@click.command("mute")
@click.argument("groups", metavar="[ID]...", nargs=-1)
@filter_option
@json_option
def mute_command(groups: tuple[str, ...], filter_text: str | None, *, as_json: bool) -> None:
    r"""
    Mute groups of failures.

    Those with these IDs, or all that a filter selects: `celeriac failures` shows them no more, and nobody is told
    of them. What is failed stays failed, and what fails so in future joins them.

    \b
    Examples:
      celeriac mute 3f2a9c01
      celeriac mute --filter 'job:hacker-news error:NotFound'
    """
    from runner import muting

    runtime, found = _find_groups(groups, filter_text)
    acted = muting.mute(runtime, found, who())
    report(
        acted, f"groups of failures that are muted now: {acted.items:,} of {len(found):,}", as_json=as_json
    )


@click.command("unmute")
@click.argument("groups", metavar="[ID]...", nargs=-1)
@filter_option
@json_option
def unmute_command(groups: tuple[str, ...], filter_text: str | None, *, as_json: bool) -> None:
    r"""
    Show muted groups of failures again.

    \b
    Examples:
      celeriac unmute 3f2a9c01
      celeriac unmute --filter job:hacker-news
    """
    from runner import muting

    runtime, found = _find_groups(groups, filter_text)
    acted = muting.unmute(runtime, found, who())
    report(
        acted, f"groups of failures that are shown again: {acted.items:,} of {len(found):,}", as_json=as_json
    )


def _find_groups(ids: Sequence[str], filter_text: str | None) -> tuple[Runtime, list[FailureGroup]]:
    from runner import muting

    if not ids and filter_text is None:
        raise click.UsageError("say which: IDs as `celeriac failures` shows them, or --filter")
    runtime = get_acting_runtime()
    wanted = None if filter_text is None else read_filter(runtime.tracker, Asked(filter_text=filter_text))
    return runtime, muting.find_groups(runtime, ids, wanted)
