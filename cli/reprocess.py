"""`celeriac reprocess`: make results again, after a quote and a canary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import confirm, write_line
from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.actions import ActedOnMany
    from runner.canary import CanaryItem
    from runner.quoting import Quote
    from runner.reprocess import Wish
    from runner.runtime import Runtime


@click.command("reprocess")
@click.argument("job")
@click.option("--stage", metavar="STAGE", help="Only the results of this stage.")
@click.option("--stale", is_flag=True, help="Only results that another version of their handler made.")
@click.option(
    "--filter", "filter_text", metavar="FILTER", help="Only what this filter selects: 'age:<7d host:x.org'."
)
@click.option(
    "--canary",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="First run the first N items aside, and show old and new results side by side.",
)
@click.option("--yes", is_flag=True, help="Do not ask; after a canary only if none of it failed.")
@json_option
def reprocess_command(
    job: str,
    stage: str | None,
    filter_text: str | None,
    canary: int | None,
    *,
    stale: bool,
    yes: bool,
    as_json: bool,
) -> None:
    r"""
    Make results of JOB again.

    With the handlers as they are now: of one stage, or with --stale of every stage with results of another version;
    without either, of those stages with which an item begins. Stages after them run again only where the result
    before them is another one. First there is a quote: how many, and what that costs and takes, by what it cost and
    took so far. It all goes behind what is fresh. What a canary's handlers cost is recorded, and nothing else, until
    you go on: then its results count. With --json nothing is asked, and without --yes nothing done. Exit code 1: you
    said no, or the canary failed.

    \b
    Examples:
      celeriac reprocess papers --stale
      celeriac reprocess papers --stage summary --canary 20
      celeriac reprocess papers --stage summary --filter 'age:<7d' --yes
    """
    from cli.acting import get_acting_runtime
    from cli.edited import tell_edited
    from cli.render import write_json
    from runner.reprocess import make_wish, quote

    runtime = get_acting_runtime()
    wish = make_wish(runtime, job, stage=stage, stale=stale, filter_text=filter_text)
    quoted = quote(runtime, wish)
    if not as_json:
        show_quote(quoted)
    tell_edited(runtime.tracker, [wish.job])
    tried: Sequence[CanaryItem] = ()
    if canary is not None and not quoted.is_empty:
        tried = _try(runtime, wish, canary, as_json=as_json)
        quoted = _quote_again(runtime, wish, tried, as_json=as_json)
    failed = [one.key for one in tried if any(done.has_failed for done in one.stages)]
    acted = None
    if not quoted.is_empty and _is_wanted(quoted, failed, yes=yes, as_json=as_json):
        acted = _go_on(runtime, wish, tried, as_json=as_json)
    if as_json:
        write_json({"quote": quoted, "canary": list(tried), "acted": acted})
    if acted is None and not quoted.is_empty and (not as_json or failed):
        raise click.exceptions.Exit(exit_codes.FAILED)


def _try(runtime: Runtime, wish: Wish, canary: int, *, as_json: bool) -> list[CanaryItem]:
    from runner.canary import run_canary

    tried = []
    for one in run_canary(runtime, wish.job, wish.how, canary):
        tried.append(one)
        if not as_json:
            show_canary_item(one)
    return tried


def _quote_again(runtime: Runtime, wish: Wish, tried: Sequence[CanaryItem], *, as_json: bool) -> Quote:
    """Quote once more, now that a canary has shown how many results come out as others."""
    from runner.canary import find_changed_shares
    from runner.reprocess import quote

    changed = find_changed_shares(tried)
    quoted = quote(runtime, wish, changed)
    if not as_json:
        said = ", ".join(f"{share:.0%} of {stage}" for stage, share in changed.items())
        write_line(f"canary of {len(tried):,}: other results for {said}", err=True)
        show_quote(quoted)
    return quoted


def _is_wanted(quoted: Quote, failed: Sequence[str], *, yes: bool, as_json: bool) -> bool:
    if failed:
        write_line(f"the canary failed for {', '.join(failed)}", err=True)
    if yes:
        return not failed
    if as_json:
        return False
    try:
        if confirm(f"Make these results of {quoted.job} again?"):
            return True
    except click.Abort:  # Ctrl-C, or nobody there to answer
        write_line(err=True)
    write_line("nothing was done (--yes goes on without asking)", err=True)
    return False


def _go_on(runtime: Runtime, wish: Wish, tried: Sequence[CanaryItem], *, as_json: bool) -> ActedOnMany:
    from cli.acting import say_what_workers_need, who
    from cli.long_work import telling_how_far
    from runner.canary import approve_canary
    from runner.reprocess import reprocess
    from runner.saying import say_counted

    seen_to = approve_canary(runtime, wish.job.name, tried, who())
    with telling_how_far() as tell:
        acted = reprocess(
            runtime, wish, who(), seen_to=seen_to, watch=lambda now: tell("marked", now.done, now.total)
        )
    if not as_json:
        canary = f"; of the canary, {say_counted(len(seen_to), '[item counts|items count]')}"
        counted = canary if seen_to else ""
        write_line(f"results of {acted.job} that are made again: {acted.items:,}{counted}", err=True)
        if acted.items:
            say_what_workers_need()
    return acted


# -- shown ------------------------------------------------------------------------------------------------


def show_quote(quoted: Quote) -> None:
    """Show a quote: each stage with what it takes, then all together."""
    from cli.render import write_table
    from pipeline.durations import format_duration
    from pipeline.money import format_usd

    for stage, reason in quoted.unknown.items():
        write_line(f"{stage}: it cannot be told what is stale: {reason}", err=True)
    if quoted.is_empty:
        write_line(f"nothing of {quoted.job} is to be made again", err=True)
        return
    rows = [
        (
            one.stage,
            f"up to {one.runs:,}" if one.at_most else f"{one.runs:,}",
            f"about {one.expected:,}" if one.at_most and one.expected is not None else "",
            "" if one.usd is None else format_usd(one.usd),
            "" if one.seconds is None else format_duration(one.seconds),
        )
        for one in quoted.stages
    ]
    write_table(["stage", "#runs", "#expected", "#cost", "#work"], rows)
    write_line(quoted.words, err=True)
    if quoted.outdated_workers:
        write_line(
            f"{quoted.outdated_workers} workers run other code than this: restart them before, or what they make may "
            "be of another version",
            err=True,
        )


def show_canary_item(one: CanaryItem) -> None:
    """Show what one item of a canary gave before and gives now."""
    from cli.differences import show_differences
    from cli.render import out
    from runner.saying import say_count

    for done in one.stages:
        versions = f"version {done.before.version or '-'} to {done.version}"
        if done.ran.result is None:
            said = f"{done.ran.ending}: {done.ran.reason}"
        else:
            said = say_count(len(done.diff), "difference") if done.diff else "the same result"
        out.print(f"\n{one.key}  {done.stage}  {versions}: {said}", style="bold", markup=False)
        if done.diff:
            show_differences(done.diff)
    for stage in one.left:
        out.print(
            f"\n{one.key}  {stage}  waits for a stage before it that has to be done first", markup=False
        )
