"""`celeriac undo`: put back the last thing that somebody did to many stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.acting import get_acting_runtime, who
from cli.bulk import is_wanted, show_acting, yes_option
from cli.lines import write_line
from cli.options import WholeNumber, json_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.actions import ActedOnMany
    from tracker.actions import Action

SHOWN = 20


@click.command("undo")
@click.argument("action_id", metavar="[ACTION]", type=WholeNumber(1), required=False)
@click.option("--list", "as_list", is_flag=True, help=f"List the last {SHOWN} actions instead.")
@yes_option
@json_option
def undo_command(action_id: int | None, *, as_list: bool, yes: bool, as_json: bool) -> None:
    r"""
    Put back the last action, where nothing has run since.

    That is the last retry, skip, reset, reprocess, reopen, cancel, wake, change of priorities or item that was added at
    a stage; or the one whose number is given. An item in which something was begun since stays as it is. An undo is
    not undone itself.

    \b
    Examples:
      celeriac undo
      celeriac undo --list
      celeriac undo 12 --yes
    """
    from runner import actions

    if as_list:
        _list(as_json=as_json)
        return
    runtime = get_acting_runtime()
    action = actions.find_undoable(runtime, action_id)
    what = f"undo {_describe(action)}"
    if not is_wanted(what, action.done, yes=yes):
        raise click.exceptions.Exit(exit_codes.FAILED)
    with show_acting("undo", action.done) as watch:
        undone = actions.undo(runtime, action, who(), watch=watch)
    if as_json:
        from cli.render import write_json

        write_json(undone)
    else:
        write_line(_say(undone), err=True)


def _describe(action: Action) -> str:
    from cli.render import say_ago

    of = f" of {action.job_id}" if action.job_id else ""
    return f"the {action.act}{of} by {action.by}, {say_ago(action.asked_at)}, which changed {action.done:,}"


def _say(undone: ActedOnMany) -> str:
    from runner.saying import say_count, say_moved_on

    put_back = say_count(undone.items, undone.counts.removesuffix("s"))
    return f"{put_back} put back{say_moved_on(undone.passed)}"


def _list(*, as_json: bool) -> None:
    from cli.reading import reading
    from cli.render import say_ago, write_json, write_table
    from tracker.actions import list_actions

    with reading() as conn:
        found = list_actions(conn, SHOWN)
    if as_json:
        write_json(found)
        return
    known = {one.action_id: one for one in found}  # an undo is newer than what it undoes, and so among them
    rows = [
        (
            one.action_id,
            one.act,
            one.job_id or "every job",
            one.stage,
            one.by,
            say_ago(one.asked_at),
            f"{one.done:,} of {one.total:,}",
            _state(one, known),
        )
        for one in found
    ]
    columns = ["#action", "act", "job", "stage", "by", "when", "#changed", "state"]
    write_table(columns, rows, "nothing was done yet that could be undone")


def _state(action: Action, known: Mapping[int, Action]) -> str:
    from runner.actions import say_put_back

    if action.undone_by is not None:
        return f"undone by {action.undone_by}{say_put_back(known.get(action.undone_by))}"
    return "done" if action.finished_at is not None else "under way"
