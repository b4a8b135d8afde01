"""What the commands that act on many stages have in common: which are meant, asking first, and what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli import exit_codes
from cli.acting import say_what_workers_need
from cli.lines import confirm, write_line

if TYPE_CHECKING:
    from runner.actions import ActedOnMany, Order
    from runner.runtime import Runtime
    from tracker.actions import Action

F = TypeVar("F", bound=Callable[..., Any])

LONG = 5_000
"""What touches fewer is over before anybody looks."""

AGAIN = frozenset({"retry", "reset", "reopen", "wake"})
"""The acts after which workers have something to do."""


def key_option(command: F) -> F:
    """Give a command the option `--key`."""
    help_text = "Only this item; may be given several times."
    return click.option("--key", "keys", metavar="KEY", multiple=True, help=help_text)(command)


def group_option(command: F) -> F:
    """Give a command the option `--group`."""
    help_text = "Only this group of failures; `celeriac failures` shows their ids."
    return click.option("--group", metavar="ID", help=help_text)(command)


def all_option(command: F) -> F:
    """Give a command the option `--all`."""
    help_text = "All there are; needs --yes."
    return click.option("--all", "everything", is_flag=True, help=help_text)(command)


def yes_option(command: F) -> F:
    """Give a command the option `--yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


@dataclass(frozen=True, slots=True)
class Words:
    """How people are told of an act: `retry` 3 `failed stage`s, which `are tried again`, or one that `is`."""

    verb: str
    noun: str
    done: str

    @property
    def done_one(self) -> str:
        """The same of just one."""
        return self.done.replace("are ", "is ", 1)

    def count(self, number: int) -> str:
        """Write how many."""
        from runner.saying import say_count

        return say_count(number, self.noun)


def require_one_choice(**given: object) -> None:
    """Refuse two ways to say which items are meant."""
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise click.UsageError(f"{named[0]} and {named[1]} both say which; give one")


def act_on_many(
    runtime: Runtime, order: Order, words: Words, *, yes: bool, everything: bool = False, as_json: bool
) -> None:
    """Count what an order would touch, ask if that is more than one and `yes` was not given, do it, and tell."""
    from runner import actions

    total = actions.count(runtime, order)
    of = f" of {order.job_id}" if order.job_id else ""
    if not is_wanted(f"{words.verb} {words.count(total)}{of}", total, yes=yes, everything=everything):
        raise click.exceptions.Exit(exit_codes.FAILED)
    with show_acting(order.act, total) as watch:
        acted = actions.carry_out(runtime, order, total=total, watch=watch)
    report_many(acted, words, as_json=as_json)


def is_wanted(what: str, total: int, *, yes: bool, everything: bool = False) -> bool:
    """Ask whether to do what touches more than one; without an answer, or with `--all` alone, the answer is no."""
    if yes and everything:
        write_line(what, err=True)
    if yes or (total <= 1 and not everything):
        return True
    if everything:
        write_line(f"--all would {what}; it needs --yes", err=True)
        return False
    try:
        wanted = confirm(f"{what[0].upper()}{what[1:]}?")
    except click.Abort:  # Ctrl-C, or nobody there to answer
        write_line(err=True)
        wanted = False
    if not wanted:
        write_line("nothing was changed (--yes does not ask)", err=True)
    return wanted


@contextmanager
def show_acting(what: str, total: int) -> Iterator[Callable[[Action], None]]:
    """Show how far an action is; nothing of a short one. Ctrl-C ends the showing, and the sweep does the rest."""
    from cli.long_work import telling_how_far

    with telling_how_far() as tell:

        def watch(action: Action) -> None:
            if total >= LONG:
                tell(what, action.done + action.passed, action.total)

        try:
            yield watch
        except KeyboardInterrupt:
            write_line(
                "stopped here; the next sweep does the rest, unless celeriac undo puts it back", err=True
            )
            raise click.exceptions.Exit(exit_codes.INTERRUPTED) from None


def report_many(acted: ActedOnMany, words: Words, *, as_json: bool) -> None:
    """Tell what an action did: as JSON on standard output, or in words on standard error."""
    if as_json:
        from cli.render import write_json

        write_json(acted)
        return
    write_line(_say(acted, words), err=True)
    if acted.items and acted.act in AGAIN:
        say_what_workers_need()


def _say(acted: ActedOnMany, words: Words) -> str:
    of = f" of {acted.job}" if acted.job else ""
    if not acted.total:
        text = f"there is no {words.noun}{of} to {words.verb}"
    elif acted.items < acted.total:
        text = f"{acted.items:,} of {words.count(acted.total)}{of} {words.done}"
    else:
        text = f"{words.count(acted.items)}{of} {words.done if acted.items != 1 else words.done_one}"
    return text + _say_earlier(acted, words)


def _say_earlier(acted: ActedOnMany, words: Words) -> str:
    if acted.earlier is None:
        return ""
    from cli.render import say_ago

    return f"; {acted.earlier.by} did so {say_ago(acted.earlier.at)}, with {words.count(acted.earlier.done)}"
