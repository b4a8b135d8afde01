"""Stages made ready to run: the handler of each, made of what jobs.yaml says of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.places import ItemFiles
from handlers.versions import handler_version
from pipeline import catalog
from pipeline.aside import printing_aside
from pipeline.errors import JobsFileError, PluginError
from pipeline.redaction import KNOWN
from pipeline.variables import fill_from_environment, resolve_params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handlers.base import Handler
    from pipeline.jobspec import JobSpec, StageSpec


@dataclass(frozen=True, slots=True)
class Prepared:
    """A stage made ready to run: its handler with its parameters, the version of what it makes, what items may name."""

    job: JobSpec
    spec: StageSpec
    handler: Handler
    version: str
    item_files: ItemFiles


def prepare(job: JobSpec, stage: str, data: Path) -> Prepared:
    """
    Make a stage ready in a house whose folder is `data`.

    Raises `NotFoundError` for a stage that jobs.yaml has not, and what making the handler raises.
    """
    spec = job.stage(stage)
    _learn_variables(job)
    handler, version = make_handler(spec.handler, spec.params)
    return Prepared(job, spec, handler, version, ItemFiles(find_item_folder(job), data))


def _learn_variables(job: JobSpec) -> None:
    """Have what all of a job's variables stand for kept out of what this stage says: its items may hold it."""
    discovery = job.discovery
    plugins = [(catalog.STRATEGY, discovery.strategy, discovery.params)]
    plugins += [(catalog.HANDLER, one.handler, one.params) for one in job.stages]
    for kind, name, params in plugins:
        with suppress(JobsFileError, PluginError):  # what they lack is for those who make them
            resolve_params(fill_from_environment(catalog.load(kind, name), params))


def make_handler(name: str, params: Mapping[str, Any]) -> tuple[Handler, str]:
    """Make a handler by its name, its parameters' variables resolved here; and its version, of the unresolved."""
    handler_class = catalog.load(catalog.HANDLER, name)
    with printing_aside(children=False):
        handler = handler_class(resolve_params(fill_from_environment(handler_class, params)))
    KNOWN.learn_model(getattr(handler, "params", None))
    return handler, handler_version(handler_class, params)


def find_item_folder(job: JobSpec) -> Path | None:
    """Find where the files are that a job's items may name: where its own discovery finds files, if it does."""
    if job.discovery.strategy != "local_files":
        return None
    # its variables, and the homes that it names, are for those who discover; what reads no file needs none of them
    with suppress(JobsFileError, OSError, RuntimeError):
        return Path(resolve_params(job.discovery.params)["root"]).expanduser().absolute()
    return None
