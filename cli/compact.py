"""`celeriac compact`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.lines import write_line
from cli.options import json_option
from runner.saying import say_bytes

if TYPE_CHECKING:
    from tracker.compacting import Compacted


@click.command("compact")
@json_option
def compact_command(*, as_json: bool) -> None:
    r"""
    Give back the room of what was forgotten.

    With nobody else at it, the tracker's file is rewritten. While workers run, only a small one is (up to 200 MB,
    if a tenth of it is free), because they wait for it; of a larger one the log is emptied. It says which.

    \b
    Example:
      celeriac compact
    """
    from cli.acting import who
    from cli.reading import reading
    from cli.render import write_json
    from pipeline.settings import load_settings
    from runner.compact import compact_tracker

    with reading():  # where there is no tracker none is made
        pass
    done = compact_tracker(load_settings().db_path, who())
    if as_json:
        write_json(done)
    else:
        _say(done)


def _say(done: Compacted) -> None:
    write_line(f"{say_bytes(done.before)} before, {say_bytes(done.after)} after", err=True)
    if not done.rewritten:
        write_line(f"not rewritten, which would give back {say_bytes(done.free)}: {done.why_not}", err=True)
    if not done.emptied:
        write_line("its log was not emptied: somebody reads what is in it", err=True)
