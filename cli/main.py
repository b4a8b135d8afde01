"""`celeriac`: the table of commands, each imported when it is used, and what every error turns into."""

from __future__ import annotations

import getpass
import sys
from importlib import import_module
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

from cli import exit_codes
from pipeline.errors import (
    BrokerUnavailableError,
    CeleriacError,
    JobsFileError,
    NotFoundError,
    OperatorError,
    SourceError,
)

COMMANDS = {
    "check": "cli.checking",
    "up": "cli.running",
    "run": "cli.running",
    "discover": "cli.running",
    "enqueue": "cli.acting",
    "wake": "cli.acting",
    "pause": "cli.acting",
    "unpause": "cli.acting",
    "retry": "cli.acting",
    "reset": "cli.acting",
    "priority": "cli.acting",
    "status": "cli.reading",
    "items": "cli.reading",
    "show": "cli.reading",
    "results": "cli.reading",
    "events": "cli.reading",
    "worker": "cli.services",
    "beat": "cli.services",
    "flower": "cli.services",
    "health": "cli.services",
    "completion": "cli.services",
}
"""Each command and the module that has it, in the order in which people meet them."""


class LazyCommands(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, _: click.Context) -> list[str]:
        """List the commands in the table's order."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import a command by its name; None for an unknown one."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name]), f"{name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say what was likely meant when there is no such command."""
        from pipeline.catalog import find_nearest

        if args and args[0] not in COMMANDS and (nearest := find_nearest(args[0], list(COMMANDS))):
            ctx.fail(f"No such command {args[0]!r}; did you mean {nearest!r}?")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="celeriac", prog_name="celeriac")
def cli() -> None:
    r"""
    Every item from every source through every stage, tracked.

    \b
    Begin with:
      celeriac check          is jobs.yaml in order?
      celeriac run demo       one pass over a job, then stop
      celeriac up             everything on this machine, until Ctrl-C
      celeriac status         what is moving, and what is not
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; each kind of error has its exit code."""
    try:
        cli.main(arguments, prog_name="celeriac", standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; nothing is lost, the next run goes on from here", err=True)
        sys.exit(exit_codes.INTERRUPTED)
    except BrokenPipeError:
        sys.stdout = None  # type: ignore[assignment]  # the reader of our pipe has gone, which is its right
        sys.exit(exit_codes.OK)
    except CeleriacError as error:
        click.echo(f"celeriac: {error}", err=True)
        sys.exit(_code_of(error))
    sys.exit(exit_codes.OK)


def _code_of(error: CeleriacError) -> int:
    if isinstance(error, NotFoundError):
        return exit_codes.NOT_FOUND
    if isinstance(error, JobsFileError):
        return exit_codes.INVALID
    if isinstance(error, SourceError):
        return exit_codes.SOURCE
    if isinstance(error, OperatorError | BrokerUnavailableError):
        return exit_codes.UNUSABLE
    return exit_codes.FAILED


def who() -> str:
    """Tell who acts, for the event that records it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"


F = TypeVar("F", bound="Callable[..., Any]")


def json_option(command: F) -> F:
    """Give a command the option `--json`."""
    help_text = "Print JSON instead of a table."
    return click.option("--json", "as_json", is_flag=True, help=help_text)(command)


if __name__ == "__main__":
    main()
