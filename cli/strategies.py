"""`celeriac strategies` and `celeriac handlers`: what there is to name in jobs.yaml, and what each takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.catalog import Kind
    from pipeline.plugin_docs import ParameterDoc, PluginDoc, PluginLine


@click.command("strategies")
@click.argument("name", required=False)
@json_option
def strategies_command(name: str | None, *, as_json: bool) -> None:
    r"""
    List the strategies, or show all of one.

    With NAME: its parameters, what it finds, and a job to paste. NAME may be your own `package.module:Class`.

    \b
    Examples:
      celeriac strategies
      celeriac strategies rss_feeds
    """
    from pipeline.catalog import STRATEGY

    _show(STRATEGY, name, as_json=as_json)


@click.command("handlers")
@click.argument("name", required=False)
@json_option
def handlers_command(name: str | None, *, as_json: bool) -> None:
    r"""
    List the handlers, or show all of one.

    With NAME: its parameters, what it makes of what, and a stage to paste. NAME may be your own
    `package.module:Class`.

    \b
    Examples:
      celeriac handlers
      celeriac handlers fetch
    """
    from pipeline.catalog import HANDLER

    _show(HANDLER, name, as_json=as_json)


def _show(kind: Kind, name: str | None, *, as_json: bool) -> None:
    from cli.render import write_json
    from pipeline.plugin_docs import describe_plugin, list_plugins
    from pipeline.variables import current_environment

    shown = list_plugins(kind, current_environment()) if name is None else describe_plugin(kind, name)
    if as_json:
        write_json(shown)
    elif isinstance(shown, list):
        _write_list(kind, shown)
    else:
        _write_one(shown)


def _write_list(kind: Kind, lines: Sequence[PluginLine]) -> None:
    from cli.render import write_table

    write_table([kind.word, "what it does", "needs"], [(one.name, one.summary, one.lacks) for one in lines])


def _write_one(doc: PluginDoc) -> None:
    from cli.render import out
    from pipeline.plugin_pages import say_environment

    out.print(doc.name, style="bold", markup=False)
    _say(doc.summary, *doc.about.split("\n\n"))
    if doc.extra:
        _say(f"Needs: pip install 'celeriac[{doc.extra}]'")
    if doc.timeout:
        _say(f"Timeout: {doc.timeout}, unless jobs.yaml says otherwise")
    if doc.parameters:
        _write_parameters(doc.parameters)
    for form in doc.forms:
        _say(f"{form.form}: {form.about}")
        _write_parameters(form.parameters)
    if doc.environment:
        _say(say_environment(doc).replace("`", ""))
    _say("\n".join(f"{word}: {said}" for word, said in doc.entries.items()))
    _say("Example:", doc.example.rstrip())


def _say(*paragraphs: str) -> None:
    from cli.render import out

    for paragraph in paragraphs:
        if paragraph:
            out.print(f"\n{paragraph}", markup=False)


def _write_parameters(parameters: Sequence[ParameterDoc]) -> None:
    from cli.render import out, write_table
    from pipeline.plugin_docs import show_default

    out.print()
    rows = [(each.name, each.type, show_default(each), each.description) for each in parameters]
    write_table(["parameter", "may be", "default", "meaning"], rows)
