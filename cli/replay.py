"""`celeriac replay`: run a stage of an item again on what is stored, and show what changes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.replay import StoredResult
    from tracker.item_reports import StageOfItem


@click.command("replay")
@click.argument("job")
@click.argument("key")
@click.argument("stage")
@click.option("--sandbox", is_flag=True, help="Record nothing: run it here, and show what would change.")
@click.option("--pdb", "debug", is_flag=True, help="Stop in the debugger where it raises. Implies --sandbox.")
@json_option
def replay_command(job: str, key: str, stage: str, *, sandbox: bool, debug: bool, as_json: bool) -> None:
    r"""
    Run STAGE of the item KEY of JOB again.

    It runs on the item's data and the stored results, and the new result is shown as a diff to the old one. It
    replaces that one, and the stages that need it are done again, unless it is run with --sandbox: then nothing
    is recorded. What the handler does elsewhere, such as sending a mail, it does either way. Exit code 1: it
    failed or gave up. 3: no such item, or a result that it needs is missing. 5: the source is away. 6: it is to
    be tried later.

    \b
    Examples:
      celeriac replay hacker-news 4242 summarise --sandbox
      celeriac replay hacker-news 4242 article --pdb
      celeriac replay hacker-news 4242 summarise
    """
    if sandbox or debug:
        code = _replay_aside(job, key, stage, debug=debug, as_json=as_json)
    else:
        code = _replay(job, key, stage, as_json=as_json)
    raise click.exceptions.Exit(code)


def _replay_aside(job: str, key: str, stage: str, *, debug: bool, as_json: bool) -> int:
    from cli.differences import show_differences
    from cli.ran import code_of, show_ran
    from cli.render import write_json
    from cli.trying import trying
    from runner.replay import replay_aside

    with trying() as runtime:
        replayed = replay_aside(runtime, job, key, stage, _stop_there if debug else None)
    if as_json:
        write_json(replayed)
    else:
        if replayed.diff and replayed.ran.result is not None:
            show_differences(replayed.diff)
        show_ran(f"{job} {key} {stage}", replayed.ran)
        if replayed.ran.result is not None:
            _say_versions(replayed.before, replayed.version, changed=bool(replayed.diff))
        write_line("nothing was recorded", err=True)
    return code_of(replayed.ran)


def _stop_there(error: BaseException) -> None:
    import pdb  # noqa: T100 - it is what was asked for
    import traceback

    traceback.print_exception(error)
    pdb.post_mortem(error.__traceback__)


def _say_versions(before: StoredResult, version: str | None, *, changed: bool) -> None:
    if before.result is None:
        said = f"there was no result before; this one is of version {version}"
    elif before.version == version:
        said = f"the {'result changes' if changed else 'same result'}, of the same version ({version})"
    else:
        said = f"the {'result changes' if changed else 'same result'}, from version {before.version} to {version}"
    write_line(said, err=True)


# -- for good ---------------------------------------------------------------------------------------------


def _replay(job: str, key: str, stage: str, *, as_json: bool) -> int:
    from cli.differences import show_differences
    from cli.render import write_json
    from cli.run import passing_over
    from pipeline.differences import compare_results
    from runner.context import RunContext
    from runner.replay import read_stored
    from tracker.item_reports import get_whole_item_report

    before = _reset(job, key, stage)
    with passing_over(job, RunContext(test_item=key), 1, "error") as (runtime, _):
        after = read_stored(runtime, runtime.tracker, job, key, stage)
        stages = get_whole_item_report(runtime.tracker, job, key).stages
    diff = compare_results(before.result, after.result)
    (ended,) = (one for one in stages if one.stage == stage)
    if as_json:
        found = {"before": before, "after": after, "diff": diff, "stages": stages}
        write_json({"job": job, "key": key, "stage": stage, **found})
    else:
        if diff:
            show_differences(diff)
        _say_end(ended, stages)
        if ended.status == "done":
            _say_versions(before, after.version, changed=bool(diff))
    return _code_of(ended)


def _reset(job: str, key: str, stage: str) -> StoredResult:
    """Reset the stage and what needs it, sending nothing, since the pass that follows does; its result before."""
    from cli.acting import who
    from pipeline.settings import load_settings
    from runner.actions import Order, carry_out
    from runner.choices import choose_keys
    from runner.logs import configure_logs
    from runner.replay import read_stored, require_ready
    from runner.runtime import Runtime
    from tracker.connection import open_readonly

    configure_logs(logging.ERROR)
    settings = load_settings()
    runtime = Runtime(settings, publisher=None)
    try:
        with open_readonly(settings.db_path) as conn:
            require_ready(conn, runtime.jobs.get_job(job), key, stage)
            before = read_stored(runtime, conn, job, key, stage)
        how = choose_keys(runtime, job, [key])
        carry_out(runtime, Order("reset", job, who(), stage, how, detail={"stage": stage}))
    finally:
        runtime.close()
    return before


def _say_end(ended: StageOfItem, stages: Sequence[StageOfItem]) -> None:
    others = ", ".join(f"{one.stage} {one.status}" for one in stages if one is not ended)
    reason = f": {ended.reason}" if ended.reason else ""
    write_line(f"{ended.stage} is {ended.status}{reason}; beside it: {others or 'no other stage'}", err=True)


def _code_of(ended: StageOfItem) -> int:
    if ended.status == "failed":
        return exit_codes.FAILED
    return exit_codes.OK if ended.status in {"done", "skipped"} else exit_codes.WAITING
