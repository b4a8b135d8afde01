"""`celeriac try`: run one handler on what is given, and show what it gives; nothing is stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cli.lines import write_line
from cli.options import PathName, json_option

if TYPE_CHECKING:
    from pathlib import Path

    from runner.handler_trial import HandlerTrial, TrialInput


@click.command("try")
@click.argument("handler")
@click.argument("params", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--keep",
    type=PathName(file_okay=False),
    metavar="FOLDER",
    help="Copy the files that it keeps here; without it, they go away.",
)
@json_option
def try_command(handler: str, params: tuple[str, ...], keep: Path | None, *, as_json: bool) -> None:
    r"""
    Try HANDLER out on standard input.

    That is a JSON object: an item's data, or `{"key", "data", "results"}`, results by stage. No job and no
    tracker is needed, and nothing is stored; but what a handler does elsewhere, such as sending a mail, it does.
    A VALUE is YAML, and a KEY with dots leads into a mapping. Exit code 1: it failed or gave up. 2: the
    parameters or the input are wrong. 5: the source is away. 6: it wants to be tried later.

    \b
    Examples:
      echo '{"url": "https://blog.python.org/"}' | celeriac try fetch robots=false
      celeriac try summarise_text sentences=2 --json < article.json
      celeriac try my_handlers.shout:Shout marks=3 < item.json
    """
    from cli.ran import code_of
    from cli.trying import read_params, trying
    from runner.handler_trial import try_handler

    given, item = read_params(params), _read_input()
    with trying() as runtime:
        trial = try_handler(runtime, handler, given, item, keep)
    _show(trial, as_json=as_json)
    raise click.exceptions.Exit(code_of(trial.ran))


def _read_input() -> TrialInput:
    from cli.piped import find_piped_input
    from runner.handler_trial import TrialInput

    piped = find_piped_input()
    given: Any = {}
    try:
        if piped is not None and (text := piped.read().strip()):
            given = json.loads(text)
        if not isinstance(given, dict):
            raise click.UsageError(f"the input is no JSON object, but {type(given).__name__}")
        return TrialInput.read(given)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"the input cannot be used: {error}") from None


def _show(trial: HandlerTrial, *, as_json: bool) -> None:
    from cli.ran import show_ran
    from cli.render import write_json

    if as_json:
        write_json(trial)
        return
    if trial.ran.result is not None:
        write_json(trial.ran.result)
    show_ran(f"{trial.handler} (version {trial.version})", trial.ran)
    for path in trial.kept:
        write_line(f"copied to {path}", err=True)
