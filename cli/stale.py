"""`celeriac stale`: which results the present handlers made, and which an older version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import json_option

if TYPE_CHECKING:
    from runner.staleness import VersionReport


@click.command("stale")
@click.argument("job", required=False)
@json_option
def stale_command(job: str | None, *, as_json: bool) -> None:
    r"""
    Count results by stage and version.

    Of all jobs, or of one JOB. A result is stale when another version of its handler made it: a changed prompt,
    model, selector or line of code.

    \b
    Examples:
      celeriac stale
      celeriac stale papers --json | jq '.[] | select(.state == "stale")'
    """
    from cli.edited import tell_edited
    from cli.reading import reading, require_job
    from cli.render import write_json
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings
    from runner.staleness import list_versions

    jobs = load_jobs_file(load_settings().jobs, plugins=False).jobs
    with reading() as conn:
        if job is not None:
            require_job(conn, job)
        reports = list_versions(conn, jobs, job)
        tell_edited(conn, [spec for name, spec in jobs.items() if job in (None, name)])
    if as_json:
        write_json(reports)
    else:
        _show(reports)


def _show(reports: list[VersionReport]) -> None:
    from cli.render import out, write_table

    write_table(
        ["job", "stage", "version", "#results", "state", "why"],
        [(one.job, one.stage, one.version or "-", one.results, one.state, one.reason) for one in reports],
    )
    stale = sum(one.results for one in reports if one.state == "stale")
    out.print(f"\nstale: {stale:,} of {sum(one.results for one in reports):,} results", markup=False)
