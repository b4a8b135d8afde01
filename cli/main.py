"""`celeriac`: the table of commands, each imported when it is used, and what every error turns into."""

from __future__ import annotations

import errno
import gc
import os
import re
import sys
from contextlib import contextmanager
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from cli import exit_codes
from cli.closed import open_what_was_closed
from cli.collecting import collect_seldom
from cli.lines import write_line
from pipeline.errors import (
    CeleriacError,
    InvalidFilterError,
    JobsFileError,
    NotFoundError,
    NotUndoableError,
    OperatorError,
    SourceUnavailableError,
    UnclearRequestError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = {
    "check": "cli.checking",
    "strategies": "cli.strategies",
    "handlers": "cli.strategies",
    "up": "cli.up",
    "run": "cli.run",
    "test": "cli.test",
    "plan": "cli.plan",
    "apply": "cli.apply",
    "rename-stage": "cli.apply",
    "discover": "cli.discover",
    "sources test": "cli.trying",
    "try": "cli.try_handler",
    "new handler": "cli.new",
    "new strategy": "cli.new",
    "enqueue": "cli.enqueue",
    "wake": "cli.waking",
    "pause": "cli.pausing",
    "unpause": "cli.pausing",
    "pauses": "cli.pausing",
    "approve": "cli.approve",
    "retry": "cli.repairing",
    "skip": "cli.repairing",
    "reset": "cli.repairing",
    "reopen": "cli.repairing",
    "cancel": "cli.repairing",
    "undo": "cli.undo",
    "replay": "cli.replay",
    "reprocess": "cli.reprocess",
    "priority": "cli.priority",
    "mute": "cli.muting",
    "unmute": "cli.muting",
    "status": "cli.status",
    "explain": "cli.explain",
    "workers": "cli.workers",
    "doctor": "cli.doctor",
    "sources": "cli.sources",
    "hosts": "cli.hosts",
    "items": "cli.items",
    "show": "cli.items",
    "failures": "cli.failures",
    "failures show": "cli.failures",
    "results": "cli.results",
    "diff": "cli.diff",
    "artifacts": "cli.artifacts",
    "artifacts list": "cli.artifacts",
    "artifacts show": "cli.artifacts",
    "artifacts gc": "cli.artifacts",
    "artifacts verify": "cli.artifacts",
    "costs": "cli.costs",
    "stale": "cli.stale",
    "events": "cli.events",
    "notices": "cli.notices",
    "export": "cli.export",
    "backup": "cli.backup",
    "restore": "cli.backup",
    "compact": "cli.compact",
    "worker": "cli.services",
    "beat": "cli.services",
    "flower": "cli.services",
    "dashboard": "cli.dashboard",
    "access": "cli.access",
    "access add": "cli.access",
    "access remove": "cli.access",
    "access token": "cli.access",
    "access revoke": "cli.access",
    "health": "cli.health",
    "completion": "cli.services",
}
"""Each command, of one word or two, and the module that has it, in the order in which people meet them."""


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How writing to standard output fails when it is a file on a full disk. Such an error names no file."""

C = TypeVar("C", bound=click.Command)


def keep_lines(command: C) -> C:
    r"""Let the lines after a `\b` of a command's help stand as they are: click wants the character itself."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    return command


class LazyCommands(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, _: click.Context) -> list[str]:
        """List the commands in the table's order."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import a command by its name; None for an unknown one."""
        if name not in COMMANDS:
            return None
        spelled = name.replace(" ", "_").replace("-", "_")
        command: click.Command = getattr(import_module(COMMANDS[name]), f"{spelled}_command")
        return keep_lines(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take two words for one command where there is such; say what was likely meant where there is none."""
        if " ".join(args[:2]) in COMMANDS:
            args = [" ".join(args[:2]), *args[2:]]
        elif args and not ctx.resilient_parsing:  # what is completed may become right yet
            self._refuse_unknown(ctx, *args[:2])
        return super().resolve_command(ctx, args)

    def _refuse_unknown(self, ctx: click.Context, first: str, second: str = "") -> None:
        """Fail for words that are no command where it can be said what was meant, or what there is."""
        from pipeline.catalog import find_nearest

        if first not in COMMANDS and (nearest := find_nearest(first, list(COMMANDS))):
            ctx.fail(f"No such command {first!r}; did you mean {nearest!r}?")
        second = "" if second.startswith("-") else second
        below = self._list_below(ctx, first)
        if not below or (first in COMMANDS and not second):
            return
        said = f"{first} {second}".rstrip()
        if nearest := find_nearest(second, below):
            ctx.fail(f"No such command {said!r}; did you mean '{first} {nearest}'?")
        ctx.fail(f"No such command {said!r}; there are: {', '.join(f'{first} {word}' for word in below)}")

    def _list_below(self, ctx: click.Context, first: str) -> list[str]:
        """List the second words that a first one may have; none where it may be an argument of the first."""
        command = self.get_command(ctx, first)
        if command and any(isinstance(each, click.Argument) for each in command.params):
            return []
        return [name.removeprefix(f"{first} ") for name in COMMANDS if name.startswith(f"{first} ")]

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, whose reader may leave."""
        with reader_may_leave():
            return super().invoke(ctx)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """
    End quietly when whoever reads our output goes away, as `head` does: it has what it wants.

    Raises `OperatorError` when there is no room for it.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
        raise click.exceptions.Exit(exit_codes.OK) from None
    except OSError as error:
        if error.errno not in NO_ROOM or error.filename is not None:
            raise
        _write_no_more()
        raise OperatorError(f"cannot write what was asked for: {error.strerror}") from error


def _write_no_more() -> None:
    """Let what Python flushes at its exit go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@keep_lines
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
    if os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds texts
        sys.path.append(os.getcwd())  # noqa: PTH109 - a user's own handlers, as Celery's workers find them
    try:
        # without click's standalone mode, an Exit comes back as its code
        code = cli.main(arguments, prog_name="celeriac", standalone_mode=False)
    except click.ClickException as error:
        error.show(said := StringIO())
        write_line(said.getvalue().rstrip("\n"), err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        write_line("interrupted; nothing is lost, the next run goes on from here", err=True)
        code = exit_codes.INTERRUPTED
    except CeleriacError as error:
        write_line(_say(error), err=True)
        code = _code_of(error)
    except ValueError as error:
        write_line(f"celeriac: {_say_refused(error, arguments or sys.argv[1:])}", err=True)
        code = exit_codes.INVALID
    sys.exit(code or exit_codes.OK)


def _say_refused(error: ValueError, arguments: list[str]) -> str:
    """Say which value of the command line cannot be; an error of another kind is raised again."""
    from pipeline.filter_values import ValueRefusedError

    if isinstance(error, ValueRefusedError):
        return str(error)
    if isinstance(error, UnicodeEncodeError) and any(map(_is_no_text, arguments)):
        return f"{next(filter(_is_no_text, arguments))!r} is no text: it holds bytes that are no UTF-8"
    raise error


def _is_no_text(argument: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in argument)


LISTED_BY = (
    (re.compile(r"stage of job '([^']+)' .*"), r"celeriac status \1"),
    (re.compile(r"item in job '([^']+)' .*"), r"celeriac items \1"),
    (re.compile(r"job"), "celeriac status"),
)
"""By what was named that is not there, as the message has it, the command that lists what is."""


def _say(error: CeleriacError) -> str:
    from pipeline.problems import JobsFileInvalidError

    if isinstance(error, JobsFileInvalidError):
        return str(error)  # `file:line: …` from the first column on, as editors read it
    return f"celeriac: {error}{_say_list(error)}"


def _say_list(error: CeleriacError) -> str:
    """Name the command that lists what there is, where none is like what was asked for."""
    if not isinstance(error, NotFoundError) or error.nearest is not None:
        return ""
    found = ((what.fullmatch(error.what), command) for what, command in LISTED_BY)
    return next((f"; `{match.expand(command)}` lists them" for match, command in found if match), "")


def _code_of(error: CeleriacError) -> int:
    if isinstance(error, NotFoundError):
        return exit_codes.NOT_FOUND
    if isinstance(error, JobsFileError | InvalidFilterError | UnclearRequestError):
        return exit_codes.INVALID
    if isinstance(error, SourceUnavailableError):
        return exit_codes.SOURCE
    if isinstance(error, NotUndoableError):
        return exit_codes.FAILED
    return exit_codes.UNUSABLE if isinstance(error, OperatorError) else exit_codes.FAILED


def run() -> NoReturn:
    """Be the program `celeriac`."""
    open_what_was_closed()
    collect_seldom()
    try:
        main()
    finally:
        gc.freeze()  # the process ends: to look through all that it holds once more takes a tenth of its time


if __name__ == "__main__":
    run()
