"""`celeriac notices`: what people are told of, and whether they could be."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.lines import write_line
from cli.options import json_option, limit_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.notice_messages import UnsentReport
    from tracker.notices import Notice


@click.command("notices")
@click.option("--all", "also_closed", is_flag=True, help="Also those that are over, the newest first.")
@click.option("--test", "is_test", is_flag=True, help="Send a message over each channel in jobs.yaml, now.")
@limit_option
@json_option
def notices_command(limit: int, *, also_closed: bool, is_test: bool, as_json: bool) -> None:
    r"""
    Show what people are told of, and what could not be sent.

    Whom and of what, `notify:` in jobs.yaml says. Exit code 1 if something could not be sent so far.

    \b
    Examples:
      celeriac notices
      celeriac notices --test
      celeriac notices --all --json | jq '.notices[] | select(.trouble == "breaker")'
    """
    if is_test:
        _test(as_json=as_json)
        return
    from cli.reading import reading
    from cli.render import write_json
    from tracker.notice_messages import list_unsent
    from tracker.notices import list_notices, list_open_notices

    with reading() as conn:
        listed = list_notices(conn, limit) if also_closed else list_open_notices(conn)[:limit]
        unsent = list_unsent(conn, limit)
    if as_json:
        write_json({"notices": listed, "unsent": unsent})
    else:
        _show(listed)
        show_unsent(unsent)
    if unsent:
        raise click.exceptions.Exit(exit_codes.FAILED)


def _show(listed: Sequence[Notice]) -> None:
    from cli.render import say_ago, write_table

    if not listed:
        write_line("nothing is wrong that people are told of", err=True)
        return
    write_table(
        ["trouble", "job", "of it", "began", "over", "words"],
        [
            (
                one.trouble,
                one.job or "-",
                one.subject,
                say_ago(one.opened_at),
                say_ago(one.closed_at),
                one.words,
            )
            for one in listed
        ],
    )


def show_unsent(unsent: Sequence[UnsentReport]) -> None:
    """Say on standard error what could not be sent, over which channel, and when it is tried again."""
    from cli.render import say_ago

    for one in unsent:
        about = " ".join(part for part in (one.job, one.trouble, one.subject) if part)
        again = f"again {say_ago(one.due_at)}" if one.due_at else "given up"
        write_line(
            f"not told of {about} by {one.channel}: {one.error} (tried {one.attempts}; {again})", err=True
        )


def _test(*, as_json: bool) -> None:
    from cli.acting import get_acting_runtime
    from cli.render import write_json
    from runner.notices import try_channels

    tried = try_channels(get_acting_runtime())
    if as_json:
        write_json([asdict(one) for one in tried])
    else:
        for one in tried:
            write_line(f"{one.channel}: {one.error or 'taken'}", err=True)
        if not tried:
            write_line("there is no channel: jobs.yaml has no `notify:`", err=True)
    if any(one.error for one in tried) or not tried:
        raise click.exceptions.Exit(exit_codes.FAILED)
