"""`celeriac new handler` and `celeriac new strategy`: files that work as they are, to be made one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from cli.lines import write_line
from cli.options import json_option

if TYPE_CHECKING:
    from cli.new_files import NewFiles


@click.command("new handler")
@click.argument("name")
@json_option
def new_handler_command(name: str, *, as_json: bool) -> None:
    r"""
    Write a handler NAME, and its test, here.

    They go into `my_handlers/`, and work as they are: change them. Nothing is written over. Inside Celeriac's own
    checkout they go where its own are, with the line in the catalogue.

    \b
    Example:
      celeriac new handler word_count
    """
    _write("handler", name, as_json=as_json)


@click.command("new strategy")
@click.argument("name")
@json_option
def new_strategy_command(name: str, *, as_json: bool) -> None:
    r"""
    Write a strategy NAME, and its test, here.

    They go into `my_strategies/`, and work as they are: change them. Nothing is written over. Inside Celeriac's
    own checkout they go where its own are, with the line in the catalogue.

    \b
    Example:
      celeriac new strategy bulletin
    """
    _write("strategy", name, as_json=as_json)


def _write(word: Literal["handler", "strategy"], name: str, *, as_json: bool) -> None:
    from cli.new_files import plan

    planned = plan(word, name)
    planned.write()
    _tell(planned, as_json=as_json)


def _tell(planned: NewFiles, *, as_json: bool) -> None:
    from cli.render import write_json

    if as_json:
        files = [str(path) for path in planned.files]
        write_json({"name": planned.path, "files": files, "edited": [str(path) for path in planned.edits]})
        return
    for path in planned.files:
        write_line(f"wrote {path}")
    for path in planned.edits:
        write_line(f"edited {path}")
    for hint in planned.hints:
        write_line(hint, err=True)
