"""`celeriac check`: is everything in order to start?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import PathName, json_option

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.jobs_file import JobsFile


@click.command("check")
@click.argument("path", required=False, type=PathName())
@json_option
def check_command(path: Path | None, *, as_json: bool) -> None:
    r"""
    Check jobs.yaml, every line of it.

    Names every mistake at once, each with its line, the value and what is allowed. PATH is the file to check
    instead of CELERIAC_JOBS. Exit code 0: in order. 2: something is wrong. A job that only lacks something on
    this machine (an extra, a variable, a handler that can be made) is named, and leaves the others alone: exit
    code 1.

    \b
    Examples:
      celeriac check
      celeriac check new-jobs.yaml --json
    """
    from cli.render import write_json
    from pipeline.jobs_file import JobsFileInvalidError, load_jobs_file
    from pipeline.settings import load_settings

    try:
        jobs = load_jobs_file(path or load_settings().jobs, make=True)
    except JobsFileInvalidError as error:
        if not as_json:
            raise
        write_json({"ok": False, "jobs": [], "problems": error.problems})
        raise click.exceptions.Exit(exit_codes.INVALID) from None
    lacks = [*jobs.lacks, *(problem for problems in jobs.unavailable.values() for problem in problems)]
    if as_json:
        write_json({"ok": not lacks, "jobs": sorted(jobs.jobs), "problems": lacks})
    else:
        _show(jobs)
        for problem in lacks:
            write_line(f"{jobs.path}:{problem.line}: {problem}", err=True)
    raise click.exceptions.Exit(exit_codes.FAILED if lacks else exit_codes.OK)


def _show(jobs: JobsFile) -> None:
    from cli.render import write_table

    rows = [
        (
            job.name,
            job.title,
            "off" if not job.enabled else "cannot run here" if job.name in jobs.unavailable else "on",
            job.schedule.describe() if job.schedule else "when asked",
            " → ".join(job.stage_names),
        )
        for job in jobs.jobs.values()
    ]
    write_table(["job", "title", "state", "looks for items", "stages"], rows)
