"""`celeriac results`: what the stages made, for people, for programs, for a spreadsheet."""

from __future__ import annotations

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
    from cli.render import write_json, write_json_lines
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
        _write_csv(stream())
    else:
        _show_results(stream())


def _show_results(reports: Iterable[ResultReport | PastResult]) -> None:
    from cli.render import shorten, write_table

    write_table(
        ["key", "stage", "#attempt", "version", "result"],
        [(one.key, one.stage, one.attempt, one.handler_version, shorten(one.result, 120)) for one in reports],
        "no such result",
    )


def _write_csv(reports: Iterable[ResultReport | PastResult]) -> None:
    from cli.render import write_csv
    from runner.spool import Spool

    # read once, so that the header has every field of what is read, and held in little memory
    with Spool() as spool:
        for one in reports:
            spool.add({"key": one.key} | {_name_column(name): value for name, value in one.result.items()})
        columns = list(spool.kinds) or ["key"]
        write_csv(_guard(columns), (_guard(map(row.get, columns)) for row in spool))


def _guard(cells: Iterable[Any]) -> list[Any]:
    from runner.export_rows import as_cell

    return [as_cell(cell, guarded=True) for cell in cells]


def _name_column(field: str) -> str:
    """Name the column of a result's field: as it is called, but where that would be another column's name."""
    return f"result.{field}" if field == "key" or field.startswith("result.") else field
