"""What running a handler aside came to, for `celeriac try` and `celeriac replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli import exit_codes
from cli.lines import write_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.sandbox import Ran

_WORDS = {
    "done": "done",
    "skipped": "skipped",
    "retry_later": "wants to be tried later",
    "gave_up": "gave up",
    "failed": "failed",
}


def code_of(ran: Ran) -> int:
    """Give the exit code for how a handler ended."""
    if ran.ending in {"done", "skipped"}:
        return exit_codes.OK
    if ran.ending == "retry_later":
        return exit_codes.WAITING
    return exit_codes.SOURCE if ran.unavailable else exit_codes.FAILED


def show_ran(what: str, ran: Ran) -> None:
    """Say on standard error how it ended, what it cost, kept and told; its result is for the caller to show."""
    for line in _say(what, ran):
        write_line(line, err=True)


def _say(what: str, ran: Ran) -> Iterator[str]:
    from pipeline.durations import format_duration

    shows_trace = ran.trace is not None and not ran.unavailable
    if shows_trace:
        yield str(ran.trace).rstrip()
    later = "" if ran.delay_seconds is None else f" in {format_duration(ran.delay_seconds)}"
    why = f": {ran.reason}" if ran.reason and not shows_trace else ""
    yield f"{what}: {_WORDS[ran.ending]}{later}{why} ({ran.seconds:.1f} s)"
    for cost in ran.costs:
        units = ", ".join(f"{count:g} {unit}" for unit, count in cost["units"].items())
        price = "unknown price" if cost["usd"] is None else f"${cost['usd']:.6f}"
        named = " ".join(part for part in (cost["provider"], cost["model"]) if part)
        yield f"cost: {price}, {named}{f' ({units})' if units else ''}"
    for pointer in ran.artifacts:
        yield f"artifact: {pointer['name']}, {pointer['bytes']:,} bytes, {pointer['artifact']}"
    if ran.progress:
        total = "" if ran.progress.total is None else f" of {ran.progress.total:g}"
        yield f"progress: {ran.progress.done:g}{total} {ran.progress.note}".rstrip()
