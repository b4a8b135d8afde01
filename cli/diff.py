"""`celeriac diff`: compare two results of a stage of an item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.lines import write_line
from cli.options import WholeNumber, json_option

if TYPE_CHECKING:
    from runner.comparing import Compared


@click.command("diff")
@click.argument("job")
@click.argument("key")
@click.argument("stage")
@click.argument("first", metavar="[A]", type=WholeNumber(0), required=False)
@click.argument("second", metavar="[B]", type=WholeNumber(0), required=False)
@json_option
def diff_command(
    job: str, key: str, stage: str, first: int | None, second: int | None, *, as_json: bool
) -> None:
    r"""
    Compare two results of STAGE of the item KEY of JOB.

    A and B are the attempts that made them, as `celeriac results JOB STAGE --history` shows: without them the last
    two are compared, with A alone that one and the last. A stage keeps as many older results of an item as its `keep`
    says. Exit code 3: there is no such result.

    \b
    Examples:
      celeriac diff papers 2401.00001 summary
      celeriac diff papers 2401.00001 summary 1 3 --json
    """
    from cli.reading import reading, require_job, require_key, require_stage
    from cli.render import write_json
    from pipeline.settings import load_settings
    from runner.comparing import compare_stored
    from runner.runtime import Runtime

    attempts = [attempt for attempt in (first, second) if attempt is not None]
    with reading() as conn:
        require_job(conn, job)
        require_stage(conn, job, stage)
        require_key(conn, job, key)
        found = compare_stored(Runtime(load_settings(), publisher=None), conn, job, key, stage, attempts)
    if as_json:
        write_json(found)
    else:
        _show(found)


def _show(found: Compared) -> None:
    from cli.differences import show_differences
    from cli.render import say_when

    if found.diff:
        show_differences(found.diff)
    for name, one in (("old", found.before), ("new", found.after)):
        made = f"attempt {one.attempt}, version {one.handler_version or '-'}, {say_when(one.stored_at)}"
        write_line(f"{name}: {made}", err=True)
    if not found.diff:
        write_line("no difference", err=True)
