"""`celeriac results`: what the stages made, for people, for programs, for a spreadsheet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cli.options import WholeNumber, json_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker.connection import Connection
    from tracker.history import PastResult
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
    "--limit", type=WholeNumber(1), metavar="N", help="At most so many; a table shows 50 unless told."
)
@click.option("--history", is_flag=True, help="Those that a later result has replaced, as many as were kept.")
@json_option
def results_command(
    job: str, stage: str | None, form: str, limit: int | None, *, history: bool, as_json: bool
) -> None:
    r"""
    Print the results of JOB.

    Of one STAGE, or of all. `celeriac diff` compares two of a stage of an item.

    \b
    Examples:
      celeriac results papers summary --history
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
        _write_results(conn, job, stage, "json" if as_json else form, limit, history=history)


def _write_results(
    conn: Connection, job: str, stage: str | None, form: str, limit: int | None, *, history: bool
) -> None:
    from cli.render import write_csv, write_json, write_json_lines
    from tracker.history import stream_history
    from tracker.reports import stream_result_reports

    def stream() -> Iterator[ResultReport] | Iterator[PastResult]:
        at_most = limit or (TABLE_ROWS if form == "table" else EVERYTHING)
        read = stream_history if history else stream_result_reports
        return read(conn, job, stage, at_most)

    if form == "json":
        write_json(list(stream()))
    elif form == "jsonl":
        write_json_lines(stream())
    elif form == "csv":
        # twice, so that the header has every field and no result is held in memory
        write_csv(_list_rows(stream()), _list_columns(stream()))
    else:
        _show_results(stream())


def _show_results(reports: Iterable[ResultReport | PastResult]) -> None:
    from cli.render import shorten, write_table

    write_table(
        ["key", "stage", "#attempt", "version", "result"],
        [(one.key, one.stage, one.attempt, one.handler_version, shorten(one.result, 120)) for one in reports],
    )


def _list_columns(reports: Iterable[ResultReport | PastResult]) -> list[str]:
    fields = dict.fromkeys(name for one in reports for name in one.result)
    return ["key", *(name for name in fields if name != "key")]


def _list_rows(reports: Iterable[ResultReport | PastResult]) -> Iterator[dict[str, Any]]:
    for one in reports:
        yield {name: _cell(value) for name, value in one.result.items()} | {"key": one.key}


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
