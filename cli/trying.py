"""`celeriac sources test`, and what `celeriac discover --dry-run` shows: what a strategy finds, nothing stored."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import json_option, trial_limit_option
from cli.piped import find_piped_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.fields_seen import FieldSeen
    from runner.runtime import Runtime
    from runner.trial import Trial, TriedItem

DATA_WIDTH, EXAMPLE_WIDTH = 80, 60


@click.command("sources test")
@click.argument("strategy")
@click.argument("params", nargs=-1, metavar="[KEY=VALUE]...")
@trial_limit_option
@json_option
def sources_test_command(strategy: str, params: tuple[str, ...], limit: int, *, as_json: bool) -> None:
    r"""
    Try STRATEGY out without a job.

    Prints what it finds and stores nothing. A VALUE is YAML, and a KEY with dots leads into a mapping. Exit
    code 2: the parameters are wrong. 5: the source is away. 1: it answered otherwise than it should, or this
    machine lacks something.

    \b
    Examples:
      celeriac sources test hacker_news list=best limit=5
      celeriac sources test rss_feeds feeds='[https://blog.python.org/feeds/posts/default]' --json
    """
    from runner.trial import try_strategy

    given = read_params(params)
    with trying() as runtime:
        runtime.stdin = find_piped_input()
        trial = try_strategy(runtime, strategy, given, limit)
    show_trial(trial, as_json=as_json)


@contextmanager
def trying() -> Iterator[Runtime]:
    """Give a runtime that writes nothing, has no broker, and logs nothing below errors."""
    from pipeline.settings import load_settings
    from runner.context import RunContext
    from runner.logs import configure_logs
    from runner.runtime import Runtime

    configure_logs(logging.ERROR)
    runtime = Runtime(load_settings(), publisher=None, run=RunContext(mode="dry_run"))
    try:
        yield runtime
    finally:
        runtime.close()


# -- parameters -------------------------------------------------------------------------------------------


def read_params(pairs: Sequence[str]) -> dict[str, Any]:
    """Read parameters written as `key=value`; raises a usage error for one that cannot be read."""
    params: dict[str, Any] = {}
    for pair in pairs:
        key, has_value, text = pair.partition("=")
        if not (key and has_value):
            raise click.UsageError(f"{pair!r} is no parameter; write KEY=VALUE")
        _put(params, key.split("."), _read_value(key, text), pair)
    return params


def _read_value(key: str, text: str) -> Any:
    from pipeline.yaml_document import parse_yaml

    document = parse_yaml(text.encode("utf-8", "replace"))
    if document.problems:
        hint = f"quote a text that looks like something else: {key}='\"…\"'"
        raise click.UsageError(f"the value of {key} is not YAML: {document.problems[0]}; {hint}")
    return document.data


def _put(params: dict[str, Any], path: Sequence[str], value: Any, pair: str) -> None:
    *above, last = path
    for step in above:
        inner = params.setdefault(step, {})
        if not isinstance(inner, dict):
            raise click.UsageError(f"{pair!r}: {step} has a value already, and is no mapping")
        params = inner
    if last in params:
        raise click.UsageError(f"{pair!r}: {'.'.join(path)} is given twice")
    params[last] = value


# -- what came of it --------------------------------------------------------------------------------------


def show_trial(trial: Trial, *, as_json: bool) -> None:
    """Show what a trial came to, and exit with its code."""
    from cli.render import write_json

    if as_json:
        write_json(trial)
    else:
        _show_items(trial.items)
        _show_fields(trial.fields, len(trial.items))
        for line in _conclude(trial):
            write_line(line, err=True)
    raise click.exceptions.Exit(code_of(trial))


def code_of(trial: Trial) -> int:
    """Give the exit code for what a trial came to."""
    if trial.error is None:
        return exit_codes.OK
    return exit_codes.SOURCE if trial.unavailable else exit_codes.FAILED


def _show_items(items: Sequence[TriedItem]) -> None:
    from cli.render import shorten, write_table

    if not items:
        return
    columns: dict[str, list[str | None]] = {
        "key": [item.key for item in items],
        "state": [item.state for item in items],
        "version": [item.version and shorten(item.version, 30) for item in items],
        "source": [item.source for item in items],
        "data": [shorten(item.data, DATA_WIDTH) for item in items],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    write_table(list(shown), list(zip(*shown.values(), strict=True)))


def _show_fields(fields: Sequence[FieldSeen], count: int) -> None:
    from cli.render import out, shorten, write_table

    if not fields:
        return
    out.print()
    rows = [
        (one.name, " or ".join(one.types), f"{one.filled} of {count}", shorten(one.example, EXAMPLE_WIDTH))
        for one in fields
    ]
    write_table(["field of data", "type", "#filled", "example"], rows)


def _conclude(trial: Trial) -> Iterator[str]:
    more = ", and looked no further" if trial.stopped else ""
    states = count_states(trial.items)
    yield (
        f"{trial.strategy}: {trial.found} found{more}, {len(trial.items)} shown{states}; "
        f"{trial.requests} request{'' if trial.requests == 1 else 's'}, {trial.seconds:.1f} s; nothing was stored"
    )
    yield from (f"refused: {reason}: {count}" for reason, count in trial.refused.items())
    yield from (f"problem: {problem}" for problem in trial.problems)
    if trial.trace:
        yield trial.trace.rstrip()
    elif trial.error:
        wait = f"; it asks to wait {trial.retry_after_seconds:g} s" if trial.retry_after_seconds else ""
        yield f"{'the source is away: ' if trial.unavailable else ''}{trial.error}{wait}"


def count_states(items: Sequence[TriedItem]) -> str:
    """Say how many of the items are new, known and so on; nothing for a trial without a job."""
    states = Counter(item.state for item in items if item.state)
    return f" ({', '.join(f'{count} {state}' for state, count in states.items())})" if states else ""
