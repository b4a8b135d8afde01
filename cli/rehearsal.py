"""`celeriac run --dry-run`: what each stage would give."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cli.lines import write_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.context import RunContext
    from runner.dry_run import WouldGive


def show_rehearsal(job: str, run: RunContext, *, as_json: bool) -> None:
    """Show what each stage would give, and write nothing; with `as_json` one JSON object a line."""
    from cli.render import write_json_lines
    from pipeline.settings import load_settings
    from runner.dry_run import rehearse
    from runner.logs import configure_logs
    from runner.runtime import Runtime

    configure_logs(logging.ERROR)
    given = rehearse(Runtime(load_settings(), publisher=None), job, run)
    if as_json:
        write_json_lines(given)
    else:
        _show(given)


def _show(given: Iterable[WouldGive]) -> None:
    from cli.render import out, shorten

    shown = None
    for one in given:
        if one.key != shown:
            out.print("" if shown is None else "\n", one.key, sep="", style="bold", markup=False)
            shown = one.key
        out.print(f"  {one.stage}: {one.ending}" + (f": {one.reason}" if one.reason else ""), markup=False)
        for name, value in (one.result or {}).items():
            out.print(f"    {name}: {shorten(value, 100)}", markup=False)
    if shown is None:
        write_line("nothing found", err=True)
