"""`celeriac results`: what the stages made, for people, for programs, for a spreadsheet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker.connection import Connection
    from tracker.reports import ResultReport

TABLE_ROWS = 50
EVERYTHING = -1


@click.command("results")
@click.argument("job")
@click.argument("stage", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl", "csv"]),
    default="table",
    show_default=True,
    help="csv has a column for each field of the results of one STAGE.",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="At most so many; a table shows 50 unless told."
)
@json_option
def results_command(job: str, stage: str | None, form: str, limit: int | None, *, as_json: bool) -> None:
    r"""
    Print the results of JOB.

    Of one STAGE, or of all.

    \b
    Examples:
      celeriac results demo summarise
      celeriac results demo summarise --format jsonl | jq -r '.result.summary'
      celeriac results demo outline --format csv > outlines.csv
    """
    from cli.reading import reading, require_job, require_stage

    if as_json and form != "table":
        raise click.UsageError("--json prints one JSON array; choose it or --format, not both")
    if form == "csv" and stage is None:
        raise click.UsageError("csv needs a STAGE: each stage has fields of its own")
    with reading() as conn:
        require_job(conn, job)
        if stage is not None:
            require_stage(conn, job, stage)
        _write_results(conn, job, stage, "json" if as_json else form, limit)


def _write_results(conn: Connection, job: str, stage: str | None, form: str, limit: int | None) -> None:
    from cli.render import write_csv, write_json, write_json_lines
    from tracker.reports import stream_result_reports

    def stream() -> Iterator[ResultReport]:
        unless_told = TABLE_ROWS if form == "table" else EVERYTHING
        return stream_result_reports(conn, job, stage, limit or unless_told)

    if form == "json":
        write_json(list(stream()))
    elif form == "jsonl":
        write_json_lines(stream())
    elif form == "csv":
        # twice, so that the header has every field and no result is held in memory
        write_csv(_list_rows(stream()), _list_columns(stream()))
    else:
        _show_results(stream())


def _show_results(reports: Iterable[ResultReport]) -> None:
    from cli.render import shorten, write_table

    write_table(
        ["key", "stage", "version", "result"],
        [(one.key, one.stage, one.handler_version, shorten(one.result, 120)) for one in reports],
    )


def _list_columns(reports: Iterable[ResultReport]) -> list[str]:
    fields = dict.fromkeys(name for one in reports for name in one.result)
    return ["key", *(name for name in fields if name != "key")]


def _list_rows(reports: Iterable[ResultReport]) -> Iterator[dict[str, Any]]:
    for one in reports:
        yield {name: _cell(value) for name, value in one.result.items()} | {"key": one.key}


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
