"""`celeriac wake`: look for items now, or try now what waits for a later time."""

from __future__ import annotations

import click

from cli.acting import get_acting_runtime, report, who
from cli.bulk import Words, act_on_many, yes_option
from cli.filtering import filter_option
from cli.options import json_option
from cli.repairing import choose


@click.command("wake")
@click.argument("job")
@click.argument("keys", nargs=-1)
@filter_option
@yes_option
@json_option
def wake_command(
    job: str, keys: tuple[str, ...], filter_text: str | None, *, yes: bool, as_json: bool
) -> None:
    r"""
    Ask that JOB look for items now.

    Workers do so at the next sweep, whatever the job's schedule says. With KEYS or a filter, wake these items
    instead: what waits for a later time in them is tried now.

    \b
    Examples:
      celeriac wake hacker-news
      celeriac wake hacker-news 4242
      celeriac wake hacker-news --filter 'host:example.org' --yes
    """
    from runner import operate
    from runner.actions import Order

    runtime = get_acting_runtime()
    how = choose(runtime, job, keys=keys, filter_text=filter_text)
    if how is None:
        acted = operate.wake(runtime, job, who())
        is_on = runtime.jobs.get_job(job).enabled
        when = "at the next sweep" if is_on else "once it is switched on in jobs.yaml"
        report(acted, f"{job} looks for items {when}", as_json=as_json)
        return
    words = Words("wake", "waiting stage", "are tried now")
    act_on_many(runtime, Order("wake", job, who(), how=how), words, yes=yes, as_json=as_json)
