"""The handler `shell`: a command of this machine."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from handlers.base import Handler, HandlerParams
from handlers.commands import Command, TooMuchOutputError, run_command
from handlers.contract import find_json_fault
from handlers.templates import Template, is_constant, render
from pipeline.errors import PluginError
from pipeline.fields import FilePath, Seconds  # noqa: TC001 - pydantic reads the annotations of Params
from pipeline.outcomes import GiveUp, RetryLater, Skip

if TYPE_CHECKING:
    from typing import Self

    from handlers.base import HandlerContext
    from handlers.commands import Printed
    from pipeline.outcomes import Outcome

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""The variables of the worker that a command sees unless told: none that holds a secret."""

SHOWN_CHARS = 2000
"""So much of the end of what a failed command said stands in the error."""

_HOPELESS = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.E2BIG, errno.ELOOP}


class CommandFailedError(PluginError):
    """A command ended with an exit code that its stage gives no meaning to."""


class Shell(Handler):
    """
    Run a command: an argument list, and no shell that would read it anew.

    The command sees `env`, and of the worker's variables those of `inherit`, and no other. When it ends, when its
    time is up and when the stage is taken away, all that it started is ended: SIGTERM, after 3 seconds SIGKILL,
    to its session and, on Linux, to whatever still has its environment, wherever that went. What escapes is a
    process that wiped its environment or runs as another user. A worker that is killed outright leaves the
    command running.

    Input: the item and the results, as far as `command` and `stdin` name them; an argument that begins with `-`
    is an option to most programs, so put `--` before what strangers wrote. Result: `{"exit_code", "stdout" or
    "json", "bytes"}`; `stdout` is cut at `max_stdout_bytes`, and then, and when it is not UTF-8, `"stdout_file"`
    points to all of it. Endings: Skip, RetryLater and GiveUp for the exit codes that the parameters name; any
    other but 0 raises CommandFailedError, for the stage's retries. GiveUp without such a program, for more than
    `max_output_bytes`, and for a `json` that is none.
    Idempotent: only if the command is; it may be run twice for the same item.
    Example: {name: pages, handler: shell, params: {command: [pdfinfo, --, "{{ item.path }}"], give_up_codes:
    [1]}}

    Source: sysexits.h, for 75 (EX_TEMPFAIL).
    """

    class Params(HandlerParams):
        """The parameters of `shell`."""

        command: list[Template] = Field(
            min_length=1, description="The program, and its arguments, each a template."
        )
        stdin: Template | None = Field(
            None, description="A template; or `item`: `{key, data, results}` as JSON. Without it nothing."
        )
        folder: FilePath | None = Field(
            None, description="The working folder; without it, the worker's own, that of jobs.yaml."
        )
        env: dict[str, SecretStr] = Field(default_factory=dict, description="Variables for the command.")
        inherit: list[str] = Field(
            list(INHERITED), description="Variables of the worker that the command sees."
        )
        stdout: Literal["text", "json"] = Field("text", description="What the command prints.")
        max_stdout_bytes: int = Field(
            65_536, ge=0, le=1_048_576, description="So much text stands in the result; all is in a file."
        )
        max_output_bytes: int = Field(
            100 * 2**20,
            ge=1,
            le=10 * 2**30,
            description="A command that prints more is stopped, and given up.",
        )
        skip_codes: list[int] = Field([], description="Exit codes that mean: leave the stage out.")
        later_codes: list[int] = Field([75], description="Exit codes that mean: try again later.")
        give_up_codes: list[int] = Field([], description="Exit codes that mean: never try again.")
        later: Seconds = Field(300.0, description="How much later, for `later_codes`.")

        @field_validator("command")
        @classmethod
        def _must_name_its_program(cls, command: list[str]) -> list[str]:
            if not command[0] or "{{" in command[0] or "{%" in command[0]:
                raise ValueError("the first is the program, and no template: items must not choose it")
            if any("\0" in argument for argument in command if is_constant(argument)):
                raise ValueError("an argument cannot hold the character NUL")
            return command

        @field_validator("env")
        @classmethod
        def _must_be_variables(cls, env: dict[str, SecretStr]) -> dict[str, SecretStr]:
            for name, value in env.items():
                if not name or "=" in name or "\0" in name:
                    raise ValueError(f"{name!r} is no name of a variable")
                if "\0" in value.get_secret_value():
                    raise ValueError(f"the value of {name} cannot hold the character NUL")
            return env

        @model_validator(mode="after")
        def _must_be_clear(self) -> Self:
            codes = [0, *self.skip_codes, *self.later_codes, *self.give_up_codes]
            if twice := sorted({code for code in codes if codes.count(code) > 1}):
                raise ValueError(f"the exit code {twice[0]} cannot mean two things (0 is a result)")
            return self

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Run the command, and judge how it ended."""
        command = self._make_command(context)
        if isinstance(command, GiveUp):
            return command
        try:
            with run_command(command, self.params.max_output_bytes, context.cancelled) as printed:
                return self._judge(printed, context)
        except TooMuchOutputError as error:
            return GiveUp(f"{self._name}: {error}")
        except OSError as error:
            if error.errno not in _HOPELESS:
                raise
            return GiveUp(f"{self._name} cannot be run{self._where}: {error.strerror}")

    @property
    def _name(self) -> str:
        return Path(self.params.command[0]).name

    @property
    def _where(self) -> str:
        return f" in {self.params.folder}" if self.params.folder else ""

    def _make_command(self, context: HandlerContext) -> Command | GiveUp:
        arguments = []
        for template in self.params.command:
            if isinstance(text := render(template, context, self.params), GiveUp):
                return text
            if "\0" in text:
                return GiveUp(f"{self._name}: an argument holds the character NUL, which no command can take")
            arguments.append(text)
        if isinstance(stdin := self._write_stdin(context), GiveUp):
            return stdin
        inherited = {name: os.environ[name] for name in self.params.inherit if name in os.environ}
        given = {name: secret.get_secret_value() for name, secret in self.params.env.items()}
        return Command(arguments, inherited | given, stdin.encode("utf-8", "replace"), self.params.folder)

    def _write_stdin(self, context: HandlerContext) -> str | GiveUp:
        if self.params.stdin is None:
            return ""
        if self.params.stdin != "item":
            return render(self.params.stdin, context, self.params)
        told = {"key": context.key, "data": dict(context.data), "results": dict(context.results)}
        return json.dumps(told, ensure_ascii=False)

    # -- how it ended -------------------------------------------------------------------------------------

    def _judge(self, printed: Printed, context: HandlerContext) -> Outcome:
        code = printed.exit_code
        if code == 0:
            return self._make_result(printed.stdout, context)
        said = f"{self._name} ended with {_name_code(code)}{self._quote(printed)}"
        if code in self.params.skip_codes:
            return Skip(said)
        if code in self.params.later_codes:
            return RetryLater(self.params.later, said)
        if code in self.params.give_up_codes:
            return GiveUp(said)
        raise CommandFailedError(said)

    def _quote(self, printed: Printed) -> str:
        """Quote the end of what a command said, on standard error or else on standard output."""
        said = _read_end(printed.stderr) or _read_end(printed.stdout)
        for secret in self.params.env.values():
            if hidden := secret.get_secret_value():
                said = said.replace(hidden, "…")
        return f": {said}" if said else ""

    def _make_result(self, stdout: IO[bytes], context: HandlerContext) -> Outcome:
        size = os.fstat(stdout.fileno()).st_size
        if self.params.stdout == "json":
            return self._read_json(stdout, size)
        body = stdout.read(self.params.max_stdout_bytes)
        text = body.decode("utf-8", "replace")
        is_whole = size == len(body) and text.encode() == body
        if size > len(body):
            text = body.decode("utf-8", "ignore")  # without the half of a character at the cut
        result: dict[str, object] = {"exit_code": 0, "stdout": text, "bytes": size}
        if not is_whole:
            stdout.seek(0)
            pieces = iter(lambda: stdout.read(2**20), b"")
            result["stdout_file"] = context.artifact("stdout", pieces, "text/plain")
        return result

    def _read_json(self, stdout: IO[bytes], size: int) -> Outcome:
        try:
            parsed: Any = json.load(stdout)
        except (ValueError, RecursionError) as error:
            return GiveUp(f"{self._name} printed no JSON: {error}")
        if fault := find_json_fault({"json": parsed}):
            return GiveUp(f"{self._name} printed JSON that no result can hold: {fault}")
        return {"exit_code": 0, "json": parsed, "bytes": size}


def _name_code(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _read_end(file: IO[bytes]) -> str:
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - 4 * SHOWN_CHARS))
    return file.read().decode("utf-8", "replace").strip()[-SHOWN_CHARS:]
