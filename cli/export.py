"""`celeriac export`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.filtering import Asked, filter_option, read_filter
from cli.lines import write_line
from cli.options import PathName, WholeNumber, json_option

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.filters import Filter
    from runner.export import Done, Order
    from tracker.connection import Connection

FORMATS = ["jsonl", "csv", "parquet", "sqlite", "rss"]


@click.command("export")
@click.argument("job")
@click.argument("stage", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="jsonl",
    show_default=True,
    help="parquet needs the extra of that name; rss needs a STAGE.",
)
@filter_option
@click.option(
    "--flatten", is_flag=True, help="A column for each field of objects inside, too: result.author.name."
)
@click.option(
    "--since", metavar="WHEN", help="Only what was stored since then: a span such as 7d, or a date in UTC."
)
@click.option(
    "--limit",
    type=WholeNumber(1),
    metavar="N",
    help="At most so many; rss has the newest 100 unless told.",
)
@click.option("--follow", is_flag=True, help="Go on as results arrive, until Ctrl-C; for jsonl and csv.")
@click.option(
    "--raw", is_flag=True, help="csv: leave texts that a spreadsheet takes for formulas as they are."
)
@click.option(
    "-o",
    "--output",
    type=PathName(dir_okay=False),
    metavar="FILE",
    help="Write to FILE; without it, to standard output.",
)
@json_option
def export_command(
    job: str,
    stage: str | None,
    form: str,
    filter_text: str | None,
    since: str | None,
    limit: int | None,
    output: Path | None,
    *,
    flatten: bool,
    follow: bool,
    raw: bool,
    as_json: bool,
) -> None:
    r"""
    Export the results of JOB, of one STAGE or of all.

    Each with its item's key and data, as many as there are, in little memory. A FILE gets its name when it is whole;
    with --follow it is written where it is. csv, parquet and sqlite have a column for each field: data.NAME of the
    item, result.NAME of the result. In csv a text that begins with = + - or @ gets an apostrophe before it, so that no
    spreadsheet runs it.

    \b
    Examples:
      celeriac export demo summarise --format csv -o summaries.csv
      celeriac export hacker-news article --format rss --limit 50 -o articles.xml
      celeriac export papers --filter 'age:<7d' --since 1d | jq -r '.result.title'
      celeriac export papers --follow >> papers.jsonl
    """
    from cli.reading import reading, require_job, require_stage
    from pipeline.settings import load_settings
    from runner.own_files import refuse_own

    _require_what_belongs(form, stage, output, follow=follow, as_json=as_json)
    if output is not None:
        refuse_own(load_settings(), output)
    with reading() as conn:
        require_job(conn, job)
        if stage is not None:
            require_stage(conn, job, stage)
        wanted = None if filter_text is None else read_filter(conn, Asked(job, filter_text))
        order = _make_order(job, stage, form, since, limit, output, wanted=wanted, flatten=flatten, raw=raw)
        if follow:
            _follow(conn, order, as_json=as_json)
        else:
            _export(conn, order, as_json=as_json)


def _require_what_belongs(
    form: str, stage: str | None, output: Path | None, *, follow: bool, as_json: bool
) -> None:
    """Raise UsageError for a format or --json without what belongs to it."""
    from pipeline.errors import ExportError
    from runner.export import Form, require_file, require_followed

    if as_json and output is None:
        raise click.UsageError("--json tells of a file that was written: name one with -o FILE")
    if form == "rss" and stage is None:
        raise click.UsageError("rss needs a STAGE: each item is one entry")
    try:
        require_file(Form(form), output)
        if follow:
            require_followed(Form(form))
    except ExportError as error:
        raise click.UsageError(str(error)) from None


def _make_order(
    job: str,
    stage: str | None,
    form: str,
    since: str | None,
    limit: int | None,
    output: Path | None,
    *,
    wanted: Filter | None,
    flatten: bool,
    raw: bool,
) -> Order:
    from cli.costs import read_since
    from runner.export import Form, Order
    from tracker.exporting import Wish

    return Order(
        Wish(job, stage, read_since(since), wanted),
        Form(form),
        output,
        flatten=flatten,
        guarded=not raw,
        limit=limit,
        title=f"{job} {stage}" if stage else job,
    )


def _export(conn: Connection, order: Order, *, as_json: bool) -> None:
    from cli.long_work import telling_how_far
    from runner.export import export

    with telling_how_far() as tell:
        done = export(conn, order, tell)
    _tell(done, as_json=as_json)


def _tell(done: Done, *, as_json: bool) -> None:
    from cli.render import write_json

    if as_json:
        write_json(done)
    elif done.output:
        write_line(f"{done.output}: {_say_records(done)}", err=True)


def _follow(conn: Connection, order: Order, *, as_json: bool) -> None:
    from cli.render import write_json
    from runner.export import Done, follow

    told, written = set[str](), Done(0, str(order.output) if order.output else None)
    try:
        for written in follow(conn, order, lambda *_: None):
            for name in written.left_out:
                if name not in told:
                    write_line(f"left out, because the header was written before: {name}", err=True)
                    told.add(name)
    except KeyboardInterrupt:
        number = _say_records(written) if written.records else "nothing"
        write_line(
            f"stopped after {number}; whoever follows again has all there are from the first", err=True
        )
        if as_json:
            write_json(written)
        raise click.exceptions.Exit(exit_codes.INTERRUPTED) from None
    _tell(written, as_json=as_json)


def _say_records(done: Done) -> str:
    from runner.saying import say_count

    return say_count(done.records, "result")
