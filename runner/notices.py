"""Tell people what is wrong: once for each trouble, when it begins, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import structlog

from pipeline.notify import TroubleKind, name_channel
from runner.notice_words import say
from runner.telling import tell
from tracker import notices
from tracker.clock import now_ms
from tracker.notice_messages import note_sent, note_unsent, take_message
from tracker.troubles import Trouble, list_general_troubles, list_job_troubles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.filespec import JobsFile
    from pipeline.notify import ChannelSpec, NotifySpec
    from pipeline.problems import JobsFileInvalidError
    from runner.runtime import Runtime
    from tracker.troubles import Key

log = structlog.get_logger(__name__)

SENT_AT_ONCE = 10
"""How many messages one sweep sends: a channel that hangs must not hold it up for long."""


def review_notices(runtime: Runtime) -> int:
    """
    Open a notice for what has gone wrong, close those whose trouble is over, and send what is due; how many were sent.

    Sending is outside of any transaction, and at least once. Writes nothing when nothing has changed.
    """
    _review(runtime)
    return _send(runtime)


def _review(runtime: Runtime) -> None:
    conn, jobs = runtime.tracker, runtime.jobs
    known = {notice.key: notice for notice in notices.list_open_notices(conn)}
    seen = {trouble.key: trouble for trouble in _list_troubles(runtime, set(known))}
    for key, trouble in seen.items():
        spec = _find_spec(jobs, trouble.job)
        channels = [name_channel(channel) for channel in spec.to] if spec else []
        if key not in known:
            notices.open_notice(conn, trouble, channels)
            continue
        notices.note_still_there(conn, known[key], trouble.words)
        if spec and spec.remind is not None:
            notices.remind(conn, known[key], int(spec.remind * 1000), channels)
    for key, notice in known.items():
        if key not in seen:
            notices.note_gone(conn, notice)


def _list_troubles(runtime: Runtime, known: set[Key]) -> Iterator[Trouble]:
    """List what is wrong now, of what somebody wants to be told."""
    jobs, conn = runtime.jobs, runtime.tracker
    if jobs.notify is None and not any(job.notify for job in jobs.jobs.values()):
        return
    refused = _list_refusal(runtime.watch.refusal)
    for trouble in chain(list_general_troubles(conn, list(jobs.maintenance.schedules)), refused):
        if _wants(_find_spec(jobs, trouble.job), trouble.kind):
            yield trouble
    for job in jobs.enabled_jobs:
        spec = jobs.find_notify(job.name)
        if spec is not None:
            for trouble in list_job_troubles(conn, job.name, spec.failed_share, known):
                if _wants(spec, trouble.kind):
                    yield trouble


def _list_refusal(refusal: JobsFileInvalidError | None) -> Iterator[Trouble]:
    if refusal is not None:
        first, *more = str(refusal).splitlines()
        others = f"; and {len(more)} more: celeriac check" if more else ""
        words = f"jobs.yaml is refused; running processes keep the last good one: {first}{others}"
        yield Trouble(TroubleKind.JOBS_FILE, "", "", words)


def _find_spec(jobs: JobsFile, job: str) -> NotifySpec | None:
    return jobs.find_notify(job) if job else jobs.notify


def _wants(spec: NotifySpec | None, kind: TroubleKind) -> bool:
    return spec is not None and kind in spec.on


def _send(runtime: Runtime) -> int:
    conn, channels, sent = runtime.tracker, list_channels(runtime.jobs), 0
    for _ in range(SENT_AT_ONCE):
        message = take_message(conn)
        if message is None:
            break
        channel = channels.get(message.channel)
        if channel is None:
            note_unsent(conn, message, "its channel is in jobs.yaml no more", for_good=True)
            continue
        title, words = say(message)
        failure = tell(runtime, channel, title, words, f"notice {message.message_id}")
        if failure is None:
            note_sent(conn, message)
            sent += 1
        else:
            log.warning("could not tell of a notice", channel=channel.kind, title=title, error=failure)
            note_unsent(conn, message, failure)
    return sent


def list_channels(jobs: JobsFile) -> dict[str, ChannelSpec]:
    """List every channel in jobs.yaml by its name."""
    specs = [jobs.notify, *(job.notify for job in jobs.jobs.values())]
    return {name_channel(channel): channel for spec in specs if spec for channel in spec.to}


@dataclass(frozen=True, slots=True)
class Tried:
    """A channel that was tried out; `error` says why it did not take the message, without secrets."""

    channel: str
    error: str | None


def try_channels(runtime: Runtime) -> list[Tried]:
    """Send a message over each channel in jobs.yaml, now; what came of each. Nothing is written down."""
    identity = f"test {now_ms()}"
    return [
        Tried(name, tell(runtime, channel, "celeriac: a test", "Notices of this house come here.", identity))
        for name, channel in list_channels(runtime.jobs).items()
    ]
