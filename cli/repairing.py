"""`celeriac retry`, `skip`, `reset`, `reopen` and `cancel`: for named items, by a filter, or for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.acting import get_acting_runtime, who
from cli.bulk import (
    Words,
    act_on_many,
    all_option,
    group_option,
    key_option,
    require_one_choice,
    yes_option,
)
from cli.filtering import filter_option
from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.runtime import Runtime


def choose(
    runtime: Runtime,
    job: str | None,
    *,
    keys: Sequence[str] = (),
    filter_text: str | None = None,
    group: str | None = None,
    stage: str | None = None,
    only_failed: bool = False,
) -> dict[str, Any] | None:
    """Choose by what was given on the command line: keys, a filter, a group of failures; None for none of them."""
    from runner import choices

    require_one_choice(KEYS=keys, **{"--filter": filter_text, "--group": group})
    if keys:
        if job is None:
            raise click.UsageError("a key belongs to a job: name the JOB")
        return choices.choose_keys(runtime, job, keys)
    if filter_text is None and group is None:
        return None
    return choices.choose_filter(
        runtime, filter_text, job_id=job, stage=stage, group=group, only_failed=only_failed
    )


def _require_which(job: str | None, filter_text: str | None, group: str | None, *, everything: bool) -> None:
    if job is None and filter_text is None and group is None and not everything:
        raise click.UsageError("name a JOB, or say which with --filter or --group; --all is every job")


@click.command("retry")
@click.argument("job", required=False)
@click.option("--stage", metavar="STAGE", help="Only failures of this stage.")
@key_option
@filter_option
@group_option
@all_option
@yes_option
@json_option
def retry_command(
    job: str | None,
    stage: str | None,
    keys: tuple[str, ...],
    filter_text: str | None,
    group: str | None,
    *,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    r"""
    Try failed stages again.

    Those of JOB, of some items, of a filter, or of one group of failures; with --all, of every job.

    \b
    Examples:
      celeriac retry hacker-news --yes
      celeriac retry hacker-news --stage fetch --key 4242
      celeriac retry --filter 'error:Timeout age:<2d' --yes
      celeriac retry --all --yes
    """
    from runner.actions import Order
    from runner.choices import EVERY_FAILURE

    _require_which(job, filter_text, group, everything=everything)
    runtime = get_acting_runtime()
    how = choose(runtime, job, keys=keys, filter_text=filter_text, group=group, stage=stage, only_failed=True)
    order = Order("retry", job, who(), stage, how or EVERY_FAILURE)
    words = Words("retry", "failed stage", "are tried again")
    act_on_many(runtime, order, words, yes=yes, everything=everything, as_json=as_json)


@click.command("skip")
@click.argument("job", required=False)
@click.option(
    "--stage", metavar="STAGE", help="Only this stage; of items that are named, also where it waits."
)
@key_option
@filter_option
@group_option
@click.option("--reason", metavar="WHY", help="Why; without it, by whom.")
@all_option
@yes_option
@json_option
def skip_command(
    job: str | None,
    stage: str | None,
    keys: tuple[str, ...],
    filter_text: str | None,
    group: str | None,
    reason: str | None,
    *,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    r"""
    Leave out failed stages, so that items go on.

    What needs a skipped stage goes on without its result. With --stage and named items or a filter, a stage
    that waits is left out too.

    \b
    Examples:
      celeriac skip demo --stage summarise --reason "not worth it" --yes
      celeriac skip demo --stage summarise --key argparse.py
      celeriac skip --group 3f2a9c01 --yes
    """
    from runner.actions import Order
    from runner.choices import EVERY_FAILURE

    _require_which(job, filter_text, group, everything=everything)
    runtime = get_acting_runtime()
    how = choose(
        runtime,
        job,
        keys=keys,
        filter_text=filter_text,
        group=group,
        stage=stage,
        only_failed=stage is None or group is not None,
    )
    if how is None or stage is None:
        how = {**(how or EVERY_FAILURE), "statuses": ["failed"]}
    why = f"{reason} (skipped by {who()})" if reason else f"skipped by {who()}"
    order = Order("skip", job, who(), stage, how, reason=why)
    words = Words("skip", "stage", "are skipped")
    act_on_many(runtime, order, words, yes=yes, everything=everything, as_json=as_json)


@click.command("reset")
@click.argument("job")
@click.argument("stage")
@click.argument("keys", nargs=-1)
@filter_option
@all_option
@yes_option
@json_option
def reset_command(
    job: str,
    stage: str,
    keys: tuple[str, ...],
    filter_text: str | None,
    *,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    r"""
    Do STAGE of JOB again.

    And every stage that needs it: for the items named by their KEYS, for those of a filter, or for all.

    \b
    Examples:
      celeriac reset demo summarise argparse.py ast.py --yes
      celeriac reset demo summarise --filter 'stage:summarise version:<3' --yes
      celeriac reset demo outline --all --yes
    """
    from runner.actions import Order
    from runner.choices import EVERY_ITEM

    runtime = get_acting_runtime()
    how = choose(runtime, job, keys=keys, filter_text=filter_text) or EVERY_ITEM
    words = Words(f"do {stage} and what needs it again for", "item", f"are done again from {stage} on")
    order = Order("reset", job, who(), stage, how, detail={"stage": stage})
    act_on_many(runtime, order, words, yes=yes, everything=everything, as_json=as_json)


@click.command("reopen")
@click.argument("job")
@click.argument("keys", nargs=-1)
@filter_option
@all_option
@yes_option
@json_option
def reopen_command(
    job: str, keys: tuple[str, ...], filter_text: str | None, *, everything: bool, yes: bool, as_json: bool
) -> None:
    r"""
    Take ended items of JOB through all their stages again.

    Those named by their KEYS, those of a filter, or all. An item that is under way is left alone.

    \b
    Examples:
      celeriac reopen demo argparse.py
      celeriac reopen demo --filter 'age:>30d' --yes
    """
    from runner.actions import Order
    from runner.choices import EVERY_ITEM

    runtime = get_acting_runtime()
    how = choose(runtime, job, keys=keys, filter_text=filter_text) or EVERY_ITEM
    words = Words("reopen", "item", "are reopened")
    act_on_many(
        runtime, Order("reopen", job, who(), how=how), words, yes=yes, everything=everything, as_json=as_json
    )


@click.command("cancel")
@click.argument("job")
@click.argument("keys", nargs=-1)
@click.option("--stage", metavar="STAGE", help="Only this stage, and every stage that needs it.")
@filter_option
@yes_option
@json_option
def cancel_command(
    job: str, keys: tuple[str, ...], stage: str | None, filter_text: str | None, *, yes: bool, as_json: bool
) -> None:
    r"""
    Do no more for items of JOB.

    What waits is skipped at once. What runs is told to stop when its worker next renews its lease, within ten
    seconds; if its handler does not listen, its timeout ends it. Either way it is skipped. What waits to be done again
    stays as it ended.

    \b
    Examples:
      celeriac cancel demo argparse.py
      celeriac cancel demo --stage summarise --filter 'host:example.org' --yes
    """
    from runner.actions import Order

    runtime = get_acting_runtime()
    how = choose(runtime, job, keys=keys, filter_text=filter_text)
    if how is None:
        raise click.UsageError("say which items: KEYS, or --filter")
    words = Words("cancel", "stage", "are cancelled")
    order = Order("cancel", job, who(), stage, how, reason=f"cancelled by {who()}")
    act_on_many(runtime, order, words, yes=yes, as_json=as_json)
