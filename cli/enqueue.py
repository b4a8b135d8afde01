"""`celeriac enqueue`: add items by hand, one or a stream of them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from cli import exit_codes
from cli.acting import get_acting_runtime, report, who
from cli.lines import write_line
from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker.items import ItemToStore

BATCH = 1000
"""How many lines of standard input are stored in one transaction."""

BAD_LINES_SHOWN = 20


@click.command("enqueue")
@click.argument("job")
@click.argument("key")
@click.option("--data", metavar="JSON", help="The item's data, a JSON object.")
@click.option("--priority", type=int, metavar="N", help="Higher goes first; without it, the job's.")
@click.option("--at", "stage", metavar="STAGE", help="Start at this stage; the earlier ones count as done.")
@json_option
def enqueue_command(
    job: str, key: str, data: str | None, priority: int | None, stage: str | None, *, as_json: bool
) -> None:
    r"""
    Add an item to JOB by hand.

    With KEY `-`, add those on standard input, one JSON object a line:
    {"key": "…", "data": {…}, "priority": 5}. A bad line is named and left out; the others are added, and the
    exit code is 1. A key that the job knows already is left as it is.

    \b
    Examples:
      celeriac enqueue demo asyncio/events.py --data '{"path": "asyncio/events.py"}' --priority 10
      celeriac enqueue demo x --at summarise --data '{"text": "…"}'
      jq -c '{key: .url, data: .}' urls.jsonl | celeriac enqueue articles -
    """
    if key != "-":
        _enqueue_one(job, key, data, priority, stage, as_json=as_json)
    elif data is not None or stage is not None:
        raise click.UsageError("with - the lines carry the data; --data and --at do not apply")
    else:
        _enqueue_lines(job, priority, as_json=as_json)


def _enqueue_one(
    job: str, key: str, data: str | None, priority: int | None, stage: str | None, *, as_json: bool
) -> None:
    from runner import operate
    from runner.given_items import read_item

    try:
        item = read_item({"key": key, "data": _read_data(data), "priority": priority})
        if stage is not None:
            _enqueue_at(job, item, stage, as_json=as_json)
            return
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    acted = operate.enqueue(get_acting_runtime(), job, [item], who())
    known = f"{key} is known in {job} already; it was left as it is"
    report(acted, f"{key} is new in {job}" if acted.items else known, as_json=as_json)


def _enqueue_at(job: str, item: ItemToStore, stage: str, *, as_json: bool) -> None:
    from runner import operate

    runtime, key = get_acting_runtime(), item["key"]
    acted = operate.enqueue_at(runtime, job, key, stage, who(), data=item["data"])
    if item["priority"] is not None:
        operate.prioritise(runtime, job, key, item["priority"], who())
    report(acted, f"{key} starts in {job} at {stage}", as_json=as_json)


def _enqueue_lines(job: str, priority: int | None, *, as_json: bool) -> None:
    from runner import operate
    from runner.operate import Acted

    runtime, counted = get_acting_runtime(), Counter[str]()
    runtime.jobs.get_job(job)
    for batch in _read_batches(sys.stdin.buffer, priority, counted):
        acted = operate.enqueue(runtime, job, batch, who())
        counted.update(lines=len(batch), new=acted.items, sent=acted.sent)
    words = f"{counted['new']} new in {job}, {counted['lines'] - counted['new']} known already"
    words += f", {counted['bad']} bad lines left out" if counted["bad"] else ""
    report(Acted("enqueue", job, counted["new"], counted["sent"]), words, as_json=as_json)
    if counted["bad"]:
        raise click.exceptions.Exit(exit_codes.FAILED)


def _read_batches(
    lines: Iterable[bytes], priority: int | None, counted: Counter[str]
) -> Iterator[list[ItemToStore]]:
    """Read items in batches; bad lines are named on standard error, and counted as `bad`."""
    from runner.given_items import read_item

    batch: list[ItemToStore] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            batch.append(read_item({"priority": priority} | _read_object(line)))
        except ValueError as error:
            counted["bad"] += 1
            if counted["bad"] <= BAD_LINES_SHOWN:
                write_line(f"line {number}: {error}", err=True)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _read_data(text: str | None) -> dict[str, Any]:
    try:
        return {} if text is None else _read_object(text)
    except ValueError as error:
        raise ValueError(f"--data: {error}") from None


def _read_object(text: str | bytes) -> dict[str, Any]:
    from runner.given_items import parse

    value = parse(text)
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is wanted, not {json.dumps(value)[:40]}")  # noqa: TRY004 - of the input
    return value
