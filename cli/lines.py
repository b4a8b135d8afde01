"""Lines and questions for people, in which a stranger's text does nothing to their terminal."""

from __future__ import annotations

import click

from pipeline.visible import make_visible


def write_line(text: object = "", *, err: bool = False) -> None:
    """Write a line on standard output, or on standard error."""
    click.echo(make_visible(str(text)), err=err)  # noqa: TID251 - the one place


def confirm(question: str) -> bool:
    """Ask a question on standard error. Raises `click.Abort` when nobody is there to answer."""
    return click.confirm(make_visible(question), err=True)  # noqa: TID251 - the one place
