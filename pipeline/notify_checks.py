"""Whether the channels of `notify:` are what the handler `notify` takes, and what this machine lacks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline.catalog import HANDLER
from pipeline.notify import NotifySpec, as_handler_params, find_channel_path
from pipeline.plugin_checks import Lack, PluginUse, check_plugin
from pipeline.problems import Finding, KeyPath
from pipeline.variables import UnsetVariableError, resolve_variables

if TYPE_CHECKING:
    from pipeline.notify import ChannelSpec


def check_channels(data: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[Finding | Lack]:
    """Check the channels of every `notify:` in a file as written; one whose shape is wrong is told of elsewhere."""
    yield from _check_notify(data.get("notify"), ("notify",), environment, data)
    jobs = data.get("jobs")
    for name, entry in jobs.items() if isinstance(jobs, Mapping) else ():
        if isinstance(entry, Mapping):
            yield from _check_notify(entry.get("notify"), ("jobs", name, "notify"), environment, data)


def _check_notify(
    written: Any, base: KeyPath, environment: Mapping[str, str], data: Any
) -> Iterator[Finding | Lack]:
    try:
        spec = NotifySpec.model_validate(written)
    except ValidationError:
        return
    for index, channel in enumerate(spec.to):
        path = find_channel_path(base, index, written["to"])
        yield from _check_channel(channel, path, environment, data)


def _check_channel(
    channel: ChannelSpec, path: KeyPath, environment: Mapping[str, str], data: Any
) -> Iterator[Finding | Lack]:
    try:
        url = resolve_variables(channel.url, environment)
    except UnsetVariableError as error:
        yield Lack(Finding(path, str(error)))
        return
    use = PluginUse(HANDLER, "notify", path, as_handler_params(channel, url), path)
    yield from check_plugin(use, environment, data)
