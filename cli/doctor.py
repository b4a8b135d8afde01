"""`celeriac doctor`: is the whole house sound? And what of it can be mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.doctor import CheckUp

STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


@click.command("doctor")
@click.option("--repair", is_flag=True, help="Mend what is safe to mend, while all runs; then look again.")
@click.option("--full", is_flag=True, help="Read every row, index and file, however long that takes.")
@click.option("--strict", is_flag=True, help="Exit code 8 for warnings too.")
@json_option
def doctor_command(*, repair: bool, full: bool, strict: bool, as_json: bool) -> None:
    r"""
    Look whether the whole house is sound.

    SQLite, the tracker's file and its counters, jobs.yaml, the broker, clocks, beat and workers; what is due and not
    sent, sent and not claimed, claimed without a heartbeat; the files that handlers keep, and the disk. Exit code 0
    when all is well or there are only warnings, 8 when there is an error.

    \b
    Examples:
      celeriac doctor
      celeriac doctor --repair
      celeriac doctor --strict --json | jq '.findings[] | select(.health != "ok")'
    """
    from cli.render import write_json

    found = _repair(full=full) if repair else _look(full=full)
    if as_json:
        write_json({"health": found.health, "findings": found.findings, "mended": found.mended})
    else:
        _show(found)
    bad = {"error", "warning"} if strict else {"error"}
    raise click.exceptions.Exit(exit_codes.UNSOUND if found.health in bad else exit_codes.OK)


def _look(*, full: bool) -> CheckUp:
    from pipeline.settings import load_settings
    from runner.doctor import check_up

    return check_up(load_settings(), full=full)


def _repair(*, full: bool) -> CheckUp:
    from cli.acting import get_acting_runtime, who
    from runner.doctor import repair

    return repair(get_acting_runtime(), who(), full=full)


def _show(found: CheckUp) -> None:
    from cli.render import out

    width = max(len(finding.check) for finding in found.findings)
    for finding in found.findings:
        style = STYLES[finding.health]
        out.print(f"[{style}]{finding.health:<7}[/{style}]  {finding.check:<{width}}  ", end="")
        out.print(finding.words, markup=False)
        if finding.health != "ok" and finding.do:
            out.print(f"{'':<7}  {'':<{width}}    to do: {finding.do}", markup=False)
    for words in _list_mended(found):
        write_line(words, err=True)


def _list_mended(found: CheckUp) -> Iterator[str]:
    words = {
        "claims": "claims taken back",
        "due": "stages that were due made ready",
        "lost": "lost messages taken back",
        "items": "items put right",
        "counters": "counters put right",
        "artifacts": "unused files removed",
        "log": "write-ahead log folded",
        "sent": "messages sent",
    }
    for name, count in found.mended.items():
        yield f"mended: {words[name]}: {count:,}"
