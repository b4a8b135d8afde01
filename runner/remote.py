"""
Remote stages: run by workers that cannot open the tracker's file, and recorded by those beside it.

The message carries what the stage needs (its cargo). The remote worker says when it begins, that it is alive,
and how it ended (`runner.far`); a worker beside the file claims, renews and settles for it, by the same functions and
with the same fencing, as many words as wait in one transaction. Whatever of this is lost, the lease runs out and the
stage is sent again.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from handlers.desk import read_pointer
from handlers.spent import Spent
from pipeline.errors import (
    ArtifactError,
    NotFoundError,
    StaleLeaseError,
    TrackerNewerError,
    TrackerUnusableError,
)
from pipeline.other_releases import read_said
from runner.advance import Concluded, conclude, conclude_prepared, conclude_together, follow_up
from runner.big_results import is_to_be_moved
from runner.claimed import Claimed
from runner.costs import Costs
from runner.judge import describe_error, judge_failure
from runner.lost import release_crashed
from runner.room import wait_for_room
from tracker import answers, artifacts, claims, dispatch, progress, recovery, workers
from tracker.attempt_logs import AttemptLog
from tracker.connection import write
from tracker.endings import Ending, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.far import Report
    from runner.far_desk import HowFar
    from runner.runtime import Runtime

log = structlog.get_logger(__name__)


class Word(NamedTuple):
    """One word from afar: what it says (see `HEARD`), and of what."""

    kind: str
    args: tuple[Any, ...]


def hear(runtime: Runtime, words: Sequence[Word]) -> None:
    """
    Record what workers far from the file say: together, in one transaction, then publish; after it what brings files.

    When one of them cannot be recorded, each is by itself, and that one is dropped with an error in the log: its lease
    runs out. On a full disk this waits. Commits. Raises `TrackerNewerError`.
    """
    words = _leave_out_late([word for word in words if _is_readable(word)])
    alone = [word for word in words if _needs_more(word)]
    together = [word for word in words if not _needs_more(word)]
    if together:
        try:
            follow_up(runtime, wait_for_room(lambda: _record(runtime, together)))
        except TrackerNewerError:
            raise
        except Exception as error:  # noqa: BLE001 - one bad word must not take the others with it
            if len(together) == 1:
                log.error("dropped a word from afar", kind=together[0].kind, error=repr(error))
            else:
                for word in together:
                    hear(runtime, [word])
    for kind, args in alone:
        try:
            note_ended(runtime, *args)
        except TrackerNewerError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            log.error("dropped a word from afar", kind=kind, error=repr(error))


def _is_readable(word: Word) -> bool:
    """Tell whether a word says what is asked of it before any is recorded; one that does not is dropped."""
    try:
        if word.kind in {"ended", "lost"}:
            hash(word.args[:3])
        _needs_more(word)
    except Exception as error:  # noqa: BLE001 - as in `hear`
        log.error("dropped a word from afar", kind=word.kind, error=repr(error))
        return False
    return True


def _leave_out_late(words: Sequence[Word]) -> list[Word]:
    """Leave out that a process was lost with an attempt that it had ended: endings are recorded last."""
    ended, heard = set(), []
    for word in words:
        attempt = word.args[:3]
        if word.kind == "ended":
            ended.add(attempt)
        if word.kind != "lost" or attempt not in ended:
            heard.append(word)
    return heard


def _needs_more(word: Word) -> bool:
    """Tell whether a word brings files, which are kept in transactions of their own."""
    if word.kind != "ended":
        return False
    report = word.args[4]
    text = report.get("result_json")
    return bool(report.get("artifacts")) or (
        text is not None and not report.get("moved") and is_to_be_moved(text)
    )


def _record(runtime: Runtime, words: Sequence[Word]) -> Concluded:
    ended: list[tuple[Claimed, Ending]] = []
    with write(runtime.tracker):
        for kind, args in words:
            if kind != "ended":
                HEARD[kind](runtime, *args)
            elif (one := _receive(runtime, *args)) is not None:
                ended.append(one)
        return conclude_together(runtime, ended)


# -- an attempt -------------------------------------------------------------------------------------------


def note_begun(runtime: Runtime, item_id: int, stage: str, attempt: int, worker: str) -> None:
    """Claim a stage for the remote worker that has begun it; a duplicate changes nothing."""
    claims.claim(runtime.tracker, item_id, stage, attempt, worker=worker)


def note_alive(runtime: Runtime, item_id: int, stage: str, attempt: int, told: HowFar | None = None) -> None:
    """Renew the lease of a remote worker that still runs, and show how far it is."""
    claims.renew_lease(runtime.tracker, item_id, stage, attempt)
    if told is not None:
        done, total, note = told
        progress.tell_progress(runtime.tracker, item_id, stage, attempt, done=done, total=total, note=note)


def note_ended(runtime: Runtime, item_id: int, stage: str, attempt: int, worker: str, report: Report) -> None:
    """
    Settle a remote attempt. If the word that it began was lost, it is claimed first.

    An attempt that was overtaken changes nothing but the costs, like any other.
    """
    one = _receive(runtime, item_id, stage, attempt, worker, report)
    if one is None:
        return
    claimed, ending = one
    try:
        wait_for_room(lambda: _keep_files(runtime, claimed, report))
    except StaleLeaseError as error:
        log.warning("dropped", reason=str(error), item_id=item_id, stage=stage)
        return
    except (ArtifactError, TrackerUnusableError, OSError) as error:
        ending = Ending.failed(describe_error(error))
    if report.get("moved"):
        conclude_prepared(runtime, [(claimed, ending)])
    else:
        conclude(runtime, claimed, ending)


def _receive(
    runtime: Runtime, item_id: int, stage: str, attempt: int, worker: str, report: Report
) -> tuple[Claimed, Ending] | None:
    """Record what an attempt spent and remembered, and find its claim: None when it was overtaken."""
    # a worker of an older release does not name the job
    job_id = report.get("job") or recovery.read_attempt(runtime.tracker, item_id, stage)[0]
    costs = Costs(runtime, job_id, item_id, stage, attempt)
    for number, cost in enumerate(report["costs"]):
        costs.note(read_said(Spent, cost, receipt=f"{item_id}.{stage}.{attempt}.{number}"))
    costs.write()
    for key, value in report.get("answers", {}).items():
        answers.remember(runtime.tracker, key, value)
    claim = find_claim(runtime, item_id, stage, attempt, worker)
    if claim is None:
        log.warning("dropped", reason="the remote attempt was overtaken", item_id=item_id, stage=stage)
        return None
    logged = report.get("log")  # a worker of an older version sends none
    claimed = Claimed(runtime, claim, None if logged is None else read_said(AttemptLog, logged))
    try:
        if report.get("moved"):
            _check_kept(runtime, json.loads(report["result_json"]))
    except ArtifactError as error:
        return claimed, Ending.failed(describe_error(error))
    return claimed, _as_ending(runtime, claim, report)


def _check_kept(runtime: Runtime, pointer: dict[str, Any]) -> None:
    """Check that the artifact that stands for a result has arrived. Raises `ArtifactError`."""
    sha256, size = read_pointer(pointer)
    path = runtime.artifacts.path(sha256)
    if not (artifacts.is_known(runtime.tracker, sha256) and path.is_file() and path.stat().st_size == size):
        raise ArtifactError(
            f"the result was sent as the artifact {sha256[:12]}…, which is not in {path.parent}"
        )


def find_claim(runtime: Runtime, item_id: int, stage: str, attempt: int, worker: str) -> claims.Claim | None:
    """Find the claim of a remote attempt, made now if the word that it began was lost; None when it was overtaken."""
    return claims.read_claim(runtime.tracker, item_id, stage, attempt) or claims.claim(
        runtime.tracker, item_id, stage, attempt, worker=worker
    )


def _keep_files(runtime: Runtime, claimed: Claimed, report: Report) -> None:
    for sent in report.get("artifacts", ()):
        artifacts.keep(
            runtime.tracker,
            runtime.artifacts,
            claimed.holder,
            base64.b64decode(sent["content"]),
            sent["name"],
            sent["content_type"],
            sha256=sent["sha256"],
        )


def _as_ending(runtime: Runtime, claim: claims.Claim, report: Report) -> Ending:
    if report["ended"] == "failure":
        try:
            spec = runtime.jobs.get_job(claim.job_id).stage(claim.stage)
        except NotFoundError as error:
            return Ending.released(f"not in this worker's jobs.yaml: {error}")
        failure = read_said(Failure, report["failure"])
        return judge_failure(spec, claim.retries, failure)
    makers: dict[str, Callable[[], Ending]] = {
        "finish": lambda: Ending.finished(
            report["result_json"],
            report["version"],
            input_hash=report.get("input_hash"),
            output_hash=report.get("output_hash"),
        ),
        "skip": lambda: Ending.skipped(report["reason"], rest=report["skips_rest"]),
        "fail": lambda: Ending.gave_up(report["reason"], report["version"]),
        "retry_later": lambda: Ending.later(report["reason"], report["retry_at"], report.get("host")),
    }
    return makers[report["ended"]]()


# -- a process --------------------------------------------------------------------------------------------


def note_lost(runtime: Runtime, item_id: int, stage: str, attempt: int, reason: str) -> None:
    """Give back the claim of a remote process that died under its stage, at once."""
    try:
        release_crashed(runtime, runtime.tracker, item_id, stage, attempt, reason)
    except StaleLeaseError as error:
        log.debug("nothing to give back", reason=str(error))


def note_handed_back(runtime: Runtime, attempts: Sequence[tuple[int, str, int]]) -> None:
    """Let other remote workers have what one fetched and has not begun: (item, stage, attempt) of each."""
    dispatch.take_back_stamps(runtime.tracker, attempts)


def note_worker(runtime: Runtime, word: dict[str, Any]) -> None:
    """Record that a worker far from the file lives."""
    workers.note_worker(runtime.tracker, workers.as_word(word))


def note_gone(runtime: Runtime, host: str, pid: int) -> None:
    """Strike off a worker far from the file that stops."""
    workers.forget_worker(runtime.tracker, host, pid)


HEARD: dict[str, Callable[..., None]] = {
    "begun": note_begun,
    "alive": note_alive,
    "lost": note_lost,
    "handed_back": note_handed_back,
    "worker_alive": note_worker,
    "worker_gone": note_gone,
}
"""What may be said from afar, and who records it; and `ended`, of which many are settled together."""
