"""
The contract of a strategy: its parameters, and how a discovery goes.

What else a strategy needs can be imported from here as well.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from http import HTTPStatus
from inspect import isawaitable
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import structlog

from discovery.access import Access
from discovery.items import AdmittedItem, FoundItem, admit_items, require_items
from discovery.memory import (
    Batch,
    EnoughError,
    Keep,
    Look,
    Recalled,
    digest_wanted,
    find_cursor_fault,
    find_place,
    name_place,
    name_source,
    unmark_validator,
)
from discovery.params import FreeParams, StrategyParams
from discovery.readers import ItemPage, ReadItems, ReadRows
from discovery.urls import TBS_MAP, canonical_url, hash_url
from net.video_ids import extract_video_id
from pipeline.errors import HostPausedError, JobsFileError, PluginError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

    from net.body import Sink
    from net.client import Fetched

__all__ = [
    "TBS_MAP",
    "Access",
    "BaseDiscovery",
    "FoundItem",
    "FreeParams",
    "ItemPage",
    "Keep",
    "ReadItems",
    "ReadRows",
    "Recalled",
    "StrategyParams",
    "canonical_url",
    "digest_wanted",
    "extract_video_id",
    "hash_url",
    "name_source",
]

BATCH = 1000
"""How many items are handed over to be stored in one transaction, at most."""

log = structlog.get_logger("discovery")
_REQUIRED = object()


class BaseDiscovery:
    """
    Find the items of a job. Override `Params` and `fetch_items`.

    One that has to page, resume or hand items over as it goes overrides `discover` whole, and calls `hand_over`
    inside `looking`. Afterwards `refused` counts by reason what was not let in, `problems` says in words what
    could not be had, and `looks` holds what came of each source.
    """

    Params: ClassVar[type[StrategyParams]] = FreeParams
    obeys_robots: ClassVar[bool] = True
    """Whether robots.txt speaks to it; False for feeds and APIs, which are published for programs."""
    from_environment: ClassVar[Mapping[str, str]] = {}
    """Parameters that come from variables of the environment unless jobs.yaml gives them, such as API keys."""
    params: StrategyParams

    def __init__(
        self, params: Mapping[str, Any] | StrategyParams | None = None, access: Access | None = None
    ) -> None:
        self.params = params if isinstance(params, self.Params) else self.Params.model_validate(params or {})
        self.refused: Counter[str] = Counter()
        self.problems: list[str] = []
        self.looks: defaultdict[str, Look] = defaultdict(Look)
        self._access = access
        self._kept: dict[str, AdmittedItem] = {}
        self._handed_over = 0

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

    @classmethod
    def find_missing_method(cls) -> str | None:
        """Name the method without which it finds nothing, or None when it is there."""
        is_whole = cls.discover is not BaseDiscovery.discover
        return None if is_whole or cls.fetch_items is not BaseDiscovery.fetch_items else "fetch_items()"

    # -- finding ------------------------------------------------------------------------------------------

    async def fetch_items(self) -> list[FoundItem]:
        """
        Find everything there is to find now, new or not; the tracker knows what is new.

        A plain dict `{"key", "data"?, "priority"?}` will do for an item. Raises `SourceUnavailableError` when
        nothing could be had now.
        """
        raise NotImplementedError(f"{type(self).__name__} overrides neither fetch_items nor discover")

    async def discover(self) -> list[FoundItem]:
        """
        Fetch the items and hand over those that can be stored, the first of each key; the `kept` ones.

        What is refused is counted in `refused`, not raised. Raises what `fetch_items` raises, and
        `PluginError` when it returns no list.
        """
        async with self.looking():
            found: object = self.fetch_items()
            if isawaitable(found):
                found = await found
            await self.hand_over(require_items(found, f"{type(self).__name__}.fetch_items"))
        return self.kept

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Begin a discovery with clean counts, keep its connections open, and log what it came to."""
        self.refused.clear()
        self.problems.clear()
        self.looks.clear()
        self._kept.clear()
        self._handed_over = 0
        try:
            async with self._keep_connections():
                yield
        except EnoughError:
            log.debug("enough", strategy=type(self).__name__)
        self._log()

    async def hand_over(
        self, items: Iterable[object], *, source: str = "", cursor: Any = Keep.CURSOR
    ) -> None:
        """
        Give items to be stored, and with the last of them the cursor from which a later discovery goes on.

        Takes what `fetch_items` may return. They are stored in transactions of at most 1,000, the cursor (any
        JSON value) in the transaction of the last; so a crash loses nothing that came before. Items of another
        source than `source` say so themselves. To move the cursor alone, hand over nothing with it. Raises
        `PluginError` for a cursor that is not JSON.
        """
        if source:
            self.looks.setdefault(source, Look())  # it was looked at, also when nothing was there
        admitted = admit_items(items, self.refused)
        batch = list(islice(admitted, BATCH))
        while batch:
            following = list(islice(admitted, BATCH))
            self._pass_on(Batch(batch, source, Keep.CURSOR if following else cursor))
            await asyncio.sleep(0)  # requests that run beside this get their turn
            if not following:
                return
            batch = following
        if cursor is not Keep.CURSOR:
            self._pass_on(Batch((), source, cursor))

    def note_if_nothing_came(self, source: str) -> None:
        """Say of a look that went on behind what earlier ones stored, and found nothing, that this is no silence."""
        if not self._handed_over:
            self.looks[source].unchanged = True

    @property
    def kept(self) -> list[FoundItem]:
        """The items that were handed over while nobody received them, the first of each key."""
        return [item.as_found() for item in self._kept.values()]

    def _pass_on(self, batch: Batch) -> None:
        if fault := find_cursor_fault(batch.cursor):
            raise PluginError(f"{type(self).__name__} handed over a cursor that is not JSON: {fault}")
        self._handed_over += len(batch.items)
        if self._access is not None and self._access.receive is not None:
            self._access.receive(batch)
            return
        for item in batch.items:
            self._kept.setdefault(item.key, item)

    # -- asking -------------------------------------------------------------------------------------------

    def recall(self, source: str) -> Recalled:
        """Look up what is known of a source from earlier discoveries; blank at first."""
        return self.access.recall(source)

    async def fetch(
        self,
        url: str,
        *,
        source: str | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        json: Any = None,
        not_modified_ok: bool = False,
        statuses_ok: Collection[int] = (),
        file: Sink | None = None,
    ) -> Fetched:
        """
        Ask one address, counted as a request to `source` (of itself, when left out); see `PoliteClient.fetch`.

        With a `file`, into which the body goes, it is a GET; see `PoliteClient.download`. Raises
        `SourceUnavailableError` or `SourceRejectedError`.
        """
        look, http = self.looks[name_source(url) if source is None else source], self.access.http
        how: dict[str, Any] = {
            "headers": headers,
            "not_modified_ok": not_modified_ok,
            "statuses_ok": statuses_ok,
            "robots": self.obeys_robots,
        }
        look.requests += 1
        try:
            if file is not None:
                return await http.download(url, file, **how)
            return await http.fetch(url, method=method, json=json, **how)
        except HostPausedError as error:
            look.paused = error
            raise

    async def fetch_if_changed(
        self,
        url: str,
        *,
        source: str | None = None,
        headers: Mapping[str, str] | None = None,
        statuses_ok: Collection[int] = (),
        wanted: Sequence[object] = (),
        file: Sink | None = None,
    ) -> Fetched | None:
        """
        Get one address, or None when its server says that it is as it was when its items were last stored.

        `wanted` are the parameters that choose what is found in the answer: with others than last time it is had whole.
        Its new validators are remembered once this discovery's items are stored. Into `file`, if there is one, goes
        the body, of which the `Fetched` then has nothing. Raises as `fetch` does.
        """
        name, mark = name_source(url) if source is None else source, self.mark_wanted(*wanted)
        known, look = self.recall(name), self.looks[name]
        validators = {
            "If-None-Match": unmark_validator(known.etag, mark),
            "If-Modified-Since": unmark_validator(known.last_modified, mark),
        }
        asked = dict(headers or {}) | {field: value for field, value in validators.items() if value}
        fetched = await self.fetch(
            url, source=name, headers=asked, not_modified_ok=True, statuses_ok=statuses_ok, file=file
        )
        is_same_place = name_place(fetched) == find_place(known.etag or known.last_modified)
        if fetched.status == HTTPStatus.NOT_MODIFIED and is_same_place:
            look.unchanged = True
            return None
        if fetched.status == HTTPStatus.NOT_MODIFIED:  # said by another address than the validators are from
            fetched = await self.fetch(url, source=name, headers=headers, statuses_ok=statuses_ok, file=file)
        look.note_validators(fetched, mark)
        return fetched

    def mark_wanted(self, *wanted: object) -> str:
        """Tell what is wanted, by these parameters and by the job, from what was wanted before."""
        return digest_wanted(*wanted, *self.access.wanted)

    def _keep_connections(self) -> AbstractAsyncContextManager[None]:
        return self._access.http.keep_connections() if self._access else nullcontext()

    def _log(self) -> None:
        job = self._access.job if self._access else ""
        name, found, refused = type(self).__name__, self._handed_over, dict(self.refused)
        log.info("looked", strategy=name, job=job, found=found, refused=refused)
        for problem in self.problems:
            log.warning("discovery problem", strategy=name, job=job, problem=problem)
