"""The contract of a strategy: its parameters, what it may reach, and how a discovery goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import structlog
from pydantic import BaseModel, ConfigDict

from discovery.items import FoundItem, admit_items
from discovery.urls import TBS_MAP, canonical_url, extract_video_id, hash_url
from pipeline.errors import JobsFileError, PluginError

if TYPE_CHECKING:
    from net.client import PoliteClient

__all__ = [
    "TBS_MAP",
    "Access",
    "BaseDiscovery",
    "FoundItem",
    "FreeParams",
    "ReadItems",
    "StrategyParams",
    "canonical_url",
    "extract_video_id",
    "hash_url",
]

log = structlog.get_logger("discovery")
_REQUIRED = object()


class StrategyParams(BaseModel):
    """The parameters that jobs.yaml may give; others are refused. Describe each field: the docs show it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FreeParams(StrategyParams):
    """Whatever jobs.yaml gives, for a strategy that declares nothing and asks by `require_param`."""

    model_config = ConfigDict(extra="allow", frozen=True)


class ReadItems(Protocol):
    """Reads the items of any job, without a way to change them."""

    def __call__(
        self, job_id: str, *, stage: str | None, status: str | None, limit: int
    ) -> Iterable[Mapping[str, Any]]:
        """
        Give at most `limit` items: `{"key": str, "data": dict, "status": str, "results": {stage: dict}}`.

        `status` is the item's, or that of its `stage` when one is named; None means any.
        """
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """
    What a strategy may reach, handed in by whoever runs it.

    `job` is the name of the job that it finds items for. `environment` holds the variables that jobs.yaml may
    name.
    """

    http: PoliteClient
    read_items: ReadItems
    job: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


class BaseDiscovery:
    """
    Find the items of a job. Override `Params` and `fetch_items`.

    One that has to page, resume or hand items over as it goes may override `discover` whole. Afterwards
    `refused` counts by reason what was not let in, and `problems` says in words what could not be had.
    """

    Params: ClassVar[type[StrategyParams]] = FreeParams
    params: StrategyParams

    def __init__(
        self, params: Mapping[str, Any] | StrategyParams | None = None, access: Access | None = None
    ) -> None:
        self.params = params if isinstance(params, self.Params) else self.Params.model_validate(params or {})
        self.refused: Counter[str] = Counter()
        self.problems: list[str] = []
        self._access = access

    @property
    def access(self) -> Access:
        """What this strategy may reach. Raises `PluginError` when it was made without."""
        if self._access is None:
            raise PluginError(f"{type(self).__name__} reaches outside; make it with access=Access(…)")
        return self._access

    def require_param(self, name: str, default: Any = _REQUIRED) -> Any:
        """Look up a parameter by name. Raises `JobsFileError` when it is missing and there is no default."""
        value = getattr(self.params, name, default)
        if value is _REQUIRED:
            raise JobsFileError(f"strategy {type(self).__name__} needs the parameter {name!r}")
        return value

    async def fetch_items(self) -> list[FoundItem]:
        """
        Find everything there is to find now, new or not; the tracker knows what is new.

        A plain dict `{"key", "data"?, "priority"?}` will do for an item. Raises `SourceUnavailableError` when
        nothing could be had now.
        """
        raise NotImplementedError(f"{type(self).__name__} overrides neither fetch_items nor discover")

    async def discover(self) -> list[FoundItem]:
        """
        Fetch the items and let in those that can be stored, the first of each key.

        What is refused is counted in `refused`, not raised. Raises what `fetch_items` raises, and
        `PluginError` when it returns no list.
        """
        self.refused.clear()
        self.problems.clear()
        async with self._keep_connections():
            found: object = await self.fetch_items()
        if not isinstance(found, Iterable) or isinstance(found, str | bytes | Mapping):
            raise PluginError(
                f"{type(self).__name__}.fetch_items returned {found!r:.80}; return a list of items"
            )
        items = list(admit_items(found, self.refused))
        self._log(len(items))
        return items

    def _keep_connections(self) -> AbstractAsyncContextManager[None]:
        return self._access.http.keep_connections() if self._access else nullcontext()

    def _log(self, count: int) -> None:
        job = self._access.job if self._access else ""
        log.info("discovered", strategy=type(self).__name__, job=job, found=count, refused=dict(self.refused))
        for problem in self.problems:
            log.warning("discovery problem", strategy=type(self).__name__, job=job, problem=problem)
