"""Parameters given by hand, checked as `celeriac check` checks those of jobs.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.errors import JobsFileError, PluginError
from pipeline.plugin_checks import Lack, PluginUse, check_plugin
from pipeline.problems import show_path
from pipeline.variables import current_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.catalog import Kind
    from pipeline.problems import Finding


class InvalidParamsError(JobsFileError):
    """Parameters that the strategy or handler does not take; one line for each mistake."""


class LackingError(PluginError):
    """The parameters are right, but this machine lacks something that the strategy or handler needs."""


def check_params(kind: Kind, name: str, params: Mapping[str, Any]) -> None:
    """Raise `InvalidParamsError` with every mistake, an unknown name included, or `LackingError`."""
    use = PluginUse(kind, name, (), params, ())
    found = list(check_plugin(use, current_environment(), params))
    wrong = [each for each in found if not isinstance(each, Lack)]
    if wrong:
        raise InvalidParamsError("\n".join(map(_say_finding, wrong)))
    if found:
        raise LackingError("\n".join(_say_finding(each.finding) for each in found if isinstance(each, Lack)))


def _say_finding(finding: Finding) -> str:
    where = f"{show_path(finding.path)}: " if finding.path else ""
    return f"{where}{finding.message}" + (f" (allowed: {finding.allowed})" if finding.allowed else "")
