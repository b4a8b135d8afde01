"""`celeriac test`: the author's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import WholeNumber, json_option
from cli.piped import find_piped_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.author import ItemTrial, StageTrial


@click.command("test")
@click.argument("job")
@click.option(
    "--limit",
    type=WholeNumber(1),
    metavar="N",
    default=3,
    show_default=True,
    help="Stop looking when so many items are found.",
)
@click.option("--stage", metavar="STAGE", help="Only this stage, and what leads to it.")
@click.option("--key", metavar="KEY", help="Only the item with this key, found or on record.")
@json_option
def test_command(job: str, limit: int, stage: str | None, key: str | None, *, as_json: bool) -> None:
    r"""
    Try JOB out on a few items.

    Finds them, and puts them through their stages in this process, each stage once, on a tracker of their own that is
    thrown away. Nothing of the real one is touched. Shows what each stage gave, what it cost and how long it took. What
    a handler does elsewhere, such as sending a mail, it does. Exit code 1 if a stage failed, 5 if the source is away, 6
    if one is to be tried later.

    \b
    Examples:
      celeriac test demo
      celeriac test demo --key argparse.py --stage outline
    """
    import logging
    import time

    from pipeline.settings import load_settings
    from runner.author import find_to_try, try_items
    from runner.context import RunContext
    from runner.logs import configure_logs

    configure_logs(logging.ERROR)
    began, settings = time.monotonic(), load_settings()
    run = RunContext(mode="test", limit=limit, test_stage=stage, test_item=key)
    found = find_to_try(settings, job, run, find_piped_input())
    looked_seconds = time.monotonic() - began
    items = try_items(settings, job, found, stage)
    tried = list(items) if as_json else list(_show_each(items))
    stages = [one for item in tried for one in item.stages]
    if as_json:
        from cli.render import write_json

        write_json({"job": job, "items": tried, "usd": sum(one.usd for one in stages)})
    else:
        _conclude(job, len(found), stages, looked_seconds, time.monotonic() - began)
    raise click.exceptions.Exit(code_of(stages))


def code_of(stages: Sequence[StageTrial]) -> int:
    """Give the exit code for how stages ended."""
    endings = {one.ending for one in stages}
    if "failed" in endings:
        return exit_codes.FAILED
    return exit_codes.WAITING if "retry_later" in endings else exit_codes.OK


def _show_each(items: Iterable[ItemTrial]) -> Iterator[ItemTrial]:
    from cli.tree import draw

    for number, item in enumerate(items):
        if number:
            write_line()
        for line in draw(item.key, [_branch(one) for one in item.stages]):
            write_line(line)
        yield item


def _branch(one: StageTrial) -> tuple[str, list[str]]:
    from cli.tree import list_lines, shorten_trace
    from pipeline.durations import format_duration

    parts = [one.ending.replace("_", " ")]
    if one.delay_seconds is not None:
        again = "would be tried again " if one.ending == "failed" else ""
        parts.append(f"{again}in {format_duration(one.delay_seconds)}")
    if one.seconds:
        parts.append(f"{one.seconds:.2f} s")
    if one.costs:
        parts.append(_say_spent([one]))
    lines = [f"{one.reason}"] if one.reason else []
    lines += shorten_trace(one.trace) if one.trace else []
    lines += list_lines(one.result) if one.result is not None else []
    return f"{one.stage}: {', '.join(parts)}", lines


def _say_spent(stages: Sequence[StageTrial]) -> str:
    from cli.costs import say_spent

    unknown = sum(cost.usd is None for one in stages for cost in one.costs)
    return say_spent(sum(one.usd for one in stages), unknown)


def _conclude(
    job: str, found: int, stages: Sequence[StageTrial], looked_seconds: float, seconds: float
) -> None:
    from collections import Counter

    counted = Counter(one.ending.replace("_", " ") for one in stages)
    worked = sum(one.seconds for one in stages)
    write_line(
        f"{job}: {found} found in {looked_seconds:.1f} s; stages: "
        f"{', '.join(f'{count} {ending}' for ending, count in counted.items()) or 'none'}, {worked:.1f} s; "
        f"{seconds:.1f} s in all, {_say_spent(stages)}; nothing was kept",
        err=True,
    )
