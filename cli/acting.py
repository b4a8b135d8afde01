"""The commands that act: each is one event in the tracker, with who did it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from cli.main import json_option, who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.operate import Acted
    from runner.runtime import Runtime

ENQUEUE_BATCH = 1000


def get_acting_runtime() -> Runtime:
    """Get a runtime that publishes to the broker in use; says nothing of its own but warnings."""
    import logging

    from runner.logs import configure_logs
    from tasks.app import get_runtime

    configure_logs(logging.ERROR)
    return get_runtime()


def report(acted: Acted, words: str, *, as_json: bool) -> None:
    """Tell what an act did; JSON on standard output, words on standard error."""
    from cli.render import write_json

    if as_json:
        write_json(acted)
        return
    click.echo(words, err=True)
    if not acted.sent and acted.items:
        click.echo("Workers take it up when they run: celeriac up, or celeriac run.", err=True)


@click.command("enqueue")
@click.argument("job")
@click.argument("key")
@click.option("--data", help="The item's data, a JSON object.")
@click.option("--priority", type=int, help="Higher goes first; without it, the job's.")
@click.option("--at", "stage", help="Start at this stage; the earlier ones count as done.")
@json_option
def enqueue_command(
    job: str, key: str, data: str | None, priority: int | None, stage: str | None, *, as_json: bool
) -> None:
    r"""
    Add an item to JOB by hand. With KEY `-`, add the items on standard input, one JSON object a line:
    {"key": "…", "data": {…}, "priority": 5}. A key that the job knows already is left as it is.

    \b
    Examples:
      celeriac enqueue demo my.py --data '{"path": "/tmp/my.py"}' --priority 10
      celeriac enqueue demo x --at summarise --data '{"text": "…"}'
      jq -c '{key: .url, data: .}' urls.jsonl | celeriac enqueue articles -
    """
    from runner import operate
    from runner.operate import Acted

    runtime = get_acting_runtime()
    if key == "-":
        if data or stage:
            raise click.UsageError("with - the lines carry the data; --data and --at do not apply")
        lines = sent = new = 0
        for batch in _read_batches(priority):
            acted = operate.enqueue(runtime, job, batch, who())
            lines, new, sent = lines + len(batch), new + acted.items, sent + acted.sent
        report(Acted("enqueue", job, new, sent), f"{new} new of {lines} lines in {job}", as_json=as_json)
        return
    given = _parse_object(data, "--data") if data else {}
    if stage is not None:
        acted = operate.enqueue_at(runtime, job, key, stage, who(), data=given)
        if priority is not None:
            operate.prioritise(runtime, job, key, priority, who())
        report(acted, f"{key} starts in {job} at {stage}", as_json=as_json)
        return
    _check_item({"key": key, "data": given}, "KEY")
    acted = operate.enqueue(runtime, job, [{"key": key, "data": given, "priority": priority}], who())
    words = (
        f"{key} is new in {job}" if acted.items else f"{key} is known in {job} already; it was left as it is"
    )
    report(acted, words, as_json=as_json)


def _read_batches(priority: int | None) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for number, line in enumerate(sys.stdin, start=1):
        if not line.strip():
            continue
        item = _parse_object(line, f"line {number}")
        _check_item(item, f"line {number}")
        batch.append({"priority": priority} | item)
        if len(batch) == ENQUEUE_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _parse_object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"{where}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError(f"{where}: {type(value).__name__} given; a JSON object is wanted")
    return value


def _check_item(item: dict[str, Any], where: str) -> None:
    from collections import Counter

    from discovery.items import admit_items

    if unknown := set(item) - {"key", "data", "priority"}:
        raise click.UsageError(f"{where}: unknown field {min(unknown)!r}; known: key, data, priority")
    refused: Counter[str] = Counter()
    if not list(admit_items([item], refused)):
        raise click.UsageError(f"{where}: {next(iter(refused))}")


@click.command("wake")
@click.argument("job")
@json_option
def wake_command(job: str, *, as_json: bool) -> None:
    """Ask that JOB look for work now, whatever its schedule says."""
    from runner import operate

    acted = operate.wake(get_acting_runtime(), job, who())
    report(acted, f"{job} looks for work at the next sweep", as_json=as_json)


@click.command("pause")
@click.argument("job")
@click.option("--reason", required=True, help="Why; people will read it in `status`.")
@click.option("--until", help="A time (18:00, 2026-12-01T08:00) in this machine's zone, or a duration (2h).")
@json_option
def pause_command(job: str, reason: str, until: str | None, *, as_json: bool) -> None:
    r"""
    Hold JOB back. Obeyed at once: what runs ends as it would, nothing more is claimed.

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
        return present + timedelta(seconds=parse_duration(text))
    except ValueError:
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
    found = found if found.tzinfo else found.replace(tzinfo=present.tzinfo)
    if found <= present:
        raise click.UsageError(f"--until {text!r} is in the past")
    return found


@click.command("unpause")
@click.argument("job")
@json_option
def unpause_command(job: str, *, as_json: bool) -> None:
    """Let JOB go on."""
    from runner import operate

    report(operate.unpause(get_acting_runtime(), job, who()), f"{job} goes on", as_json=as_json)


@click.command("retry")
@click.argument("job")
@click.option("--stage", help="Only failures of this stage.")
@click.option("--key", "keys", multiple=True, help="Only this item; may be given several times.")
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
    report(acted, f"{acted.items} failed stages of {job} are tried again", as_json=as_json)


@click.command("reset")
@click.argument("job")
@click.argument("stage")
@click.argument("keys", nargs=-1)
@click.option("--yes", is_flag=True, help="Do not ask before resetting every item.")
@json_option
def reset_command(job: str, stage: str, keys: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    r"""
    Do STAGE of JOB again, and every stage that needs it: for the items named, or for all.

    \b
    Examples:
      celeriac reset demo summarise argparse.py ast.py
      celeriac reset demo outline --yes
    """
    from runner import operate

    runtime = get_acting_runtime()
    if not keys and not yes:
        from tracker.stats import get_job_stats

        count = get_job_stats(runtime.tracker, job)["total"]
        click.confirm(
            f"Reset {stage} and what needs it for all {count} items of {job}?", abort=True, err=True
        )
    acted = operate.reset(runtime, job, stage, list(keys) or None, who())
    report(acted, f"{stage} is done again for {acted.items} items of {job}", as_json=as_json)


@click.command("priority")
@click.argument("job")
@click.argument("key")
@click.argument("number", type=int, metavar="N")
@json_option
def priority_command(job: str, key: str, number: int, *, as_json: bool) -> None:
    """Set the priority of one item to N; higher goes first."""
    from runner import operate

    acted = operate.prioritise(get_acting_runtime(), job, key, number, who())
    report(acted, f"{key} of {job} has priority {number}", as_json=as_json)
