"""`celeriac explain`: why a job, or an item, does not move; and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.lines import write_line
from cli.options import json_option

if TYPE_CHECKING:
    from runner.causes import Told
    from runner.explain import ItemExplained, JobExplained


@click.command("explain")
@click.argument("job")
@click.argument("key", required=False)
@json_option
def explain_command(job: str, key: str | None, *, as_json: bool) -> None:
    r"""
    Tell why JOB does not move, or one item of it.

    The one cause, and what to do. Of a job also what is left of it, each part with its cause. The causes are in
    docs/explain.md.

    \b
    Examples:
      celeriac explain hacker-news
      celeriac explain hacker-news 4242
      celeriac explain hacker-news --json | jq -r .cause.cause
    """
    from cli.reading import reading, require_job
    from cli.render import write_json
    from pipeline.settings import load_settings
    from runner.explain import JobExplained, explain_item, explain_job, read_job

    file, refusal = read_job(load_settings().jobs, job)
    with reading() as conn:
        if file.spec is None:
            require_job(conn, job)
        explained = explain_job(conn, file, job) if key is None else explain_item(conn, file, job, key)
    if as_json:
        write_json(explained)
    elif isinstance(explained, JobExplained):
        _show_job(explained)
    else:
        _show_item(explained)
    if refusal and not as_json:
        write_line(f"\njobs.yaml is refused; running processes keep the last good one:\n{refusal}", err=True)


def _show_job(explained: JobExplained) -> None:
    from cli.render import write_table

    _show_cause(explained.job, explained.cause)
    if explained.parts:
        write_line()
        write_table(
            ["stage", "#count", "state", "why", "what to do"],
            [
                (part.stage or "", f"{part.count:,}", part.state, part.cause.words, part.cause.do)
                for part in explained.parts
            ],
        )


def _show_item(explained: ItemExplained) -> None:
    from cli.render import write_table

    _show_cause(f"{explained.key} of {explained.job}", explained.cause, explained.stage)
    if len(explained.stages) > 1:
        write_line()
        write_table(
            ["stage", "status", "why"],
            [
                (one.stage, one.status, "" if one.cause.cause in {"done", "not_applied"} else one.cause.words)
                for one in explained.stages
            ],
        )


def _show_cause(what: str, cause: Told, stage: str | None = None) -> None:
    where = f", at {stage}" if stage else ""
    write_line(f"{what}{where}: {cause.words}")
    write_line(f"  to do: {cause.do}")
