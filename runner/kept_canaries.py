"""
Canaries that a page asked for: each runs behind it, and is kept in a file until somebody goes on with it.

The file lies beside the tracker, for its owner alone, and has a line of JSON for each thing: what is meant, each item
once it is done, and that it has ended. Whoever runs it holds a lock on it: without a lock and without an end it was cut
off. To go on takes the file away, so that no canary counts twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import threading
import time
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

import structlog

from pipeline.differences import Difference
from pipeline.errors import CeleriacError, NotFoundError, OperatorError
from pipeline.text_differences import Piece
from runner.apart import canary_apart
from runner.canary import CanaryItem, CanaryStage
from runner.replay import StoredResult
from runner.sandbox import Ran
from tracker.clock import now_ms
from tracker.reprocessing import Basis, Made

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from pipeline.settings import Settings
    from runner.reprocess import Wish

log = structlog.get_logger(__name__)

FOLDER = "canaries"
KEPT_SECONDS = 86_400.0
"""For how long one can be gone on with; then it is forgotten when the next one begins."""

_NAME = re.compile(r"[A-Za-z0-9_-]{16}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked for: the wish, as `runner.reprocess.make_wish` was told it, and how many items to try."""

    job: str
    stage: str | None
    only_stale: bool
    filter_text: str | None
    how: Mapping[str, Any]
    count: int
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class KeptCanary:
    """
    A canary as it stands: `items` are those that are done, without what their stages gave but for what can count.

    `problem` says why it ended before its time; None while it runs, and when it came to its end.
    """

    name: str
    asked: Asked
    items: Sequence[CanaryItem]
    is_running: bool
    problem: str | None

    @property
    def failed(self) -> list[str]:
        """The keys of the items of which a stage failed."""
        return [one.key for one in self.items if any(done.has_failed for done in one.stages)]


# -- run behind the page ----------------------------------------------------------------------------------


def begin_canary(
    settings: Settings, wish: Wish, filter_text: str | None, count: int, by: str, seconds: float
) -> str:
    """Begin to run what is meant of the first `count` items aside; the name under which it is kept."""
    folder = settings.data / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    _forget_old(folder)
    asked = Asked(wish.job.name, wish.stage, wish.only_stale, filter_text, wish.how, count, by, now_ms())
    name = secrets.token_urlsafe(12)
    file = os.fdopen(os.open(_path(folder, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    _append(file, asdict(asked))
    items = canary_apart(settings, wish.job.name, wish.how, count, seconds)
    threading.Thread(target=_keep, args=(file, items), name="celeriac-canary", daemon=True).start()
    return name


def _keep(file: IO[str], items: Generator[dict[str, Any]]) -> None:
    problem = None
    with file:
        try:
            with closing(items):
                for item in items:
                    _append(file, _without_results(item))
        except CeleriacError as error:
            problem = str(error)
        except Exception:
            problem = "it broke off; the dashboard's log says why"
            log.exception("a canary has broken off")
        _append(file, {"ended": True, "problem": problem})


def _without_results(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out whole results: they are in the tracker, in what differs, and in what can count."""
    for stage in item["stages"]:
        stage["before"]["result"] = stage["ran"]["result"] = None
    return item


def _append(file: IO[str], said: Mapping[str, Any]) -> None:
    file.write(json.dumps(said) + "\n")
    file.flush()


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - KEPT_SECONDS:
                path.unlink()


# -- looked at, and gone on with --------------------------------------------------------------------------


def read_canary(settings: Settings, job: str, name: str) -> KeptCanary:
    """
    Read a canary as it stands.

    Raises `NotFoundError` for one that is not kept, or is another job's, and `OperatorError` for one of an older
    version, which did not keep what its results were made on.
    """
    try:
        with _path(settings.data / FOLDER, name).open() as file:
            is_running = _is_locked(file)  # before it is read: its last line is written before it is let go
            lines = [line for line in file if line.endswith("\n")]
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError("canary that can be gone on with", name) from None
    first, *said = (json.loads(line) for line in lines)
    ended = said.pop() if said and "ended" in said[-1] else None
    if first["job"] != job:
        raise NotFoundError(f"canary of the job {job!r}", name)
    cut_off = None if is_running else "it was cut off: the dashboard was stopped meanwhile"
    problem = ended["problem"] if ended else cut_off
    is_running = is_running and ended is None
    return KeptCanary(name, Asked(**first), [_read_item(one) for one in said], is_running, problem)


def take_canary(settings: Settings, job: str, name: str) -> KeptCanary:
    """Take a canary that has ended, to go on with it: nobody else can. Raises `OperatorError`."""
    canary = read_canary(settings, job, name)
    if canary.is_running:
        raise OperatorError("the canary still runs: wait until it has ended")
    try:
        _path(settings.data / FOLDER, name).unlink()
    except FileNotFoundError:
        raise NotFoundError("canary that can be gone on with", name) from None
    return canary


def _path(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise NotFoundError("canary that can be gone on with", name[:40])
    return folder / f"{name}.jsonl"


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _read_item(said: Mapping[str, Any]) -> CanaryItem:
    if "basis" not in said:
        raise OperatorError(
            "the canary was run by an older version of Celeriac, and cannot count: begin another one"
        )
    stages = tuple(_read_stage(one) for one in said["stages"])
    basis = Basis(**said["basis"])
    return CanaryItem(said["item_id"], said["key"], said["meant"], stages, said["left"], basis)


def _read_stage(said: Mapping[str, Any]) -> CanaryStage:
    return CanaryStage(
        said["stage"],
        StoredResult(**said["before"]),
        said["version"],
        Ran(**said["ran"]),
        [_read_difference(one) for one in said["diff"]],
        Made(**said["made"]) if said["made"] else None,
    )


def _read_difference(said: Mapping[str, Any]) -> Difference:
    return Difference(**{**said, "pieces": tuple(Piece(**one) for one in said["pieces"])})
