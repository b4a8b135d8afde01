"""The contract of a handler: its parameters, what it is handed, and how it ends."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from handlers.desk import Desk, NoDesk, Pointer
from handlers.places import ItemFiles
from handlers.spent import RecordCost, Spent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from structlog.typing import FilteringBoundLogger

    from handlers.desk import Content, Folder, Scalar
    from net.client import PoliteClient
    from pipeline.outcomes import Outcome


class HandlerParams(BaseModel):
    """The parameters that a stage may set; an unknown one is refused. Describe each field for the docs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_NO_DESK = NoDesk()
_NO_FILES = ItemFiles()


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class HandlerContext:
    """
    Everything a handler may know of its attempt.

    `results` holds, by stage, the results of the stages that this one needs, in the order of the job's
    stages; one that was skipped is absent. `attempt` counts from 1. `deadline` is aware, in UTC. `log` has
    job, item, stage and attempt bound. `stage` is the stage's name; empty outside of a job. `item_files` opens the
    files that the item names: its data may be a stranger's, so open none of them otherwise.
    """

    job: str
    key: str
    data: Mapping[str, Any]
    results: Mapping[str, dict[str, Any]]
    attempt: int
    log: FilteringBoundLogger
    http: PoliteClient
    deadline: datetime
    record_cost: RecordCost
    stop_asked: Callable[[], bool] = _never
    desk: Desk = _NO_DESK
    stage: str = ""
    item_files: ItemFiles = _NO_FILES

    def cost(
        self,
        usd: float | None,
        provider: str,
        *,
        model: str | None = None,
        price: Mapping[str, Any] | None = None,
        **units: float,
    ) -> None:
        """
        Report what this attempt has just spent; call it as often as money is spent.

        `usd` is None when the price is unknown, which is not the same as 0. `units` are counts such as
        `input_tokens=812`. `price` says what `usd` was reckoned with. It is on record at once, whatever becomes
        of the attempt. Raises ValueError for an amount that is negative or no number.
        """
        self.record_cost(Spent.of(usd, provider, units, model, price))

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """
        Say how far this attempt is, as often as you like; whoever watches sees the latest.

        `total` is None when it is not known. Raises ValueError for what is no finite number.
        """
        if not all(map(math.isfinite, (done, total or 0))):
            raise ValueError(f"progress is told in finite numbers; not {done!r} of {total!r}")
        self.desk.tell_progress(done, total, note)

    def artifact(self, name: str, content: Content, content_type: str | None = None) -> Pointer:
        """
        Keep a file, and give the pointer to put into the result.

        The same bytes are kept once, whoever gives them. `content` is bytes, pieces of bytes, or the file at a
        path, which is copied. It stays while the attempt runs, and then for as long as a result or an answer
        points at it; `celeriac artifacts gc` removes the rest.
        """
        return self.desk.keep(name, content, content_type)

    def open_artifact(self, pointer: Mapping[str, Any]) -> Path:
        """
        Give the path of a kept file, to be read and not written, after checking its bytes.

        Raises `ArtifactError` for one that is gone, that was changed, or what is no pointer.
        """
        return self.desk.find(pointer)

    def recall(self, key: str) -> Any:
        """Recall what `remember` was told under this key, by any item of any job: JSON, or None."""
        return self.desk.recall(key)

    def remember(self, key: str, value: Any) -> None:
        """
        Remember JSON under a key made of all that it depends on, at once, whatever becomes of the attempt.

        For what must not be paid for twice, such as a model's answer.
        """
        self.desk.remember(key, value)

    def find_twin(self, fingerprint: int, distance: int) -> str | None:
        """
        Note this item's 64-bit fingerprint, and name the item that noted the nearest one before.

        Only items of this job and stage, at most `distance` (0 to 7) bits away; None if there is none. Raises
        ValueError for another distance, and for a fingerprint that is not in 0 to 2**64 - 1.
        """
        if not (0 <= fingerprint < 1 << 64 and 0 <= distance <= 7):
            raise ValueError(
                f"a fingerprint has 64 bits, a distance is 0 to 7; not {fingerprint!r}, {distance!r}"
            )
        return self.desk.find_twin(fingerprint, distance)

    def find_folder(self, name: Folder) -> Path:
        """
        Find a folder of the data folder, made if need be: `files` that people keep, `partial` downloads.

        Raises `ArtifactError` where the worker does not reach the tracker's folder.
        """
        return self.desk.find_folder(name)

    def upsert_row(
        self, database: Path, table: str, row: Mapping[str, Scalar], key: Sequence[str], *, make: bool = False
    ) -> None:
        """
        Put a row into a table of a user's own SQLite file, in the place of the one with the same `key` columns.

        With `make`, a file, table or column that is not there is made. Raises `SourceRejectedError` for what
        cannot be written so, `SourceUnavailableError` for a file that is busy.
        """
        self.desk.upsert_row(database, table, row, key, make=make)

    @property
    def seconds_left(self) -> float:
        """How long there is until the deadline; never negative."""
        return max(0.0, (self.deadline - datetime.now(UTC)).total_seconds())

    def cancelled(self) -> bool:
        """Tell whether to stop: nobody waits for the result any more. Ask between the steps of long work."""
        return datetime.now(UTC) >= self.deadline or self.stop_asked()


class Handler:
    """
    Turn one item's context into an outcome. Override `Params` and `run`.

    A handler may be run twice for the same item, because execution is at least once: what it changes outside
    must come out the same the second time. Set `VERSION` to decide by hand which results are stale; without
    it the source and the stage's parameters decide. Set `TIMEOUT`, such as `"30m"`, to say how long one attempt
    may take when jobs.yaml does not say.
    """

    Params: ClassVar[type[HandlerParams]] = HandlerParams
    VERSION: ClassVar[str | None] = None
    TIMEOUT: ClassVar[str | None] = None
    from_environment: ClassVar[Mapping[str, str]] = {}
    """Parameters that come from variables of the environment unless jobs.yaml gives them, such as API keys."""
    belongs_to: ClassVar[Mapping[str, str]] = {}
    """Those of them that are not taken when jobs.yaml gives another: `{"api_key": "base_url"}`."""
    params: HandlerParams

    def __init__(self, params: Mapping[str, Any] | HandlerParams) -> None:
        self.params = params if isinstance(params, self.Params) else self.Params.model_validate(params)

    def __str__(self) -> str:
        return type(self).__name__

    def run(self, context: HandlerContext) -> Outcome | Awaitable[Outcome]:
        """Do the stage's work, as a plain or an async function. Raise only what is unexpected."""
        raise NotImplementedError(f"{self} has no run()")

    def run_batch(
        self, contexts: Sequence[HandlerContext]
    ) -> Sequence[Outcome | Exception] | Awaitable[Sequence[Outcome | Exception]]:
        """
        Do the work of several items together, for a stage with `batch`; an outcome for each, in their order.

        An exception in the place of an outcome is the unexpected failure of that item alone; one that is raised
        is that of all. Without an override a stage may have no `batch`.
        """
        raise NotImplementedError(f"{self} takes one item at a time; it has no run_batch()")

    @classmethod
    def takes_batches(cls) -> bool:
        """Tell whether a stage may have a `batch`."""
        return cls.run_batch is not Handler.run_batch

    @classmethod
    def find_missing_method(cls) -> str | None:
        """Name the method without which it cannot work on one item, or None when it is there."""
        return "run()" if cls.run is Handler.run else None

    @classmethod
    def list_source_modules(cls, params: Mapping[str, Any]) -> list[ModuleType]:  # noqa: ARG003 - for overriding
        """List the modules whose source makes this handler's version; `params` are unresolved."""
        ours = [kind for kind in cls.__mro__ if issubclass(kind, Handler) and kind is not Handler]
        return [sys.modules[kind.__module__] for kind in ours if kind.__module__ in sys.modules]
