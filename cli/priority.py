"""`celeriac priority`: what goes first."""

from __future__ import annotations

import click

from cli.acting import get_acting_runtime, who
from cli.bulk import Words, act_on_many, yes_option
from cli.filtering import filter_option
from cli.options import json_option


def _read_priority(text: str) -> int:
    """Read a whole number of 32 bits. It stands last, where a number may also follow a key that looks like one."""
    try:
        number = int(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no whole number") from None
    if not -(2**31) <= number < 2**31:
        raise click.UsageError(f"a priority is between {-(2**31)} and {2**31 - 1}, not {number}")
    return number


# a negative number is no option
@click.command("priority", context_settings={"ignore_unknown_options": True})
@click.argument("job")
@click.argument("words", metavar="[KEY] N", nargs=-1, required=True)
@filter_option
@yes_option
@json_option
def priority_command(
    job: str, words: tuple[str, ...], filter_text: str | None, *, yes: bool, as_json: bool
) -> None:
    r"""
    Set the priority of items to N.

    Of one, or of all that a filter selects. Higher goes first.

    \b
    Examples:
      celeriac priority demo argparse.py 10
      celeriac priority demo argparse.py -10
      celeriac priority demo 5 --filter 'age:>2d' --yes
    """
    from runner import choices
    from runner.actions import Order

    *keys, number = words
    if len(keys) != (filter_text is None):
        raise click.UsageError("give either one KEY or --filter, then N")
    wanted = _read_priority(number)
    runtime = get_acting_runtime()
    how = (
        choices.choose_keys(runtime, job, keys)
        if keys
        else choices.choose_filter(runtime, filter_text, job_id=job)
    )
    told = Words(f"give priority {wanted} to", "item", f"are put at priority {wanted}")
    order = Order("priority", job, who(), how=how, detail={"priority": wanted})
    act_on_many(runtime, order, told, yes=yes, as_json=as_json)
