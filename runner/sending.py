"""Why a stage that could run has not been sent, or was sent and not claimed: the next rules of `runner.causes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.money import format_usd
from pipeline.schedule import SWEEP_SECONDS
from runner.budgets import bound_loads, can_pay, find_least_left
from runner.places import State, is_within
from runner.saying import say_distance, say_span, say_until, shorten
from tracker.clock import to_datetime, to_ms
from tracker.dispatch import Runway
from tracker.workers import SILENT_MS

if TYPE_CHECKING:
    from runner.places import Place
    from runner.standing import Words

SWEEP_LATE_MS = 90_000
"""The sweep notes its time each half minute: with none for so long, none has been."""


def find_no_worker(place: Place) -> Words | None:
    """Find that no worker that lives serves its queue."""
    if not place.goes_out or place.spec is None or place.count_serving():
        return None
    queue = place.spec.queue
    last = max((one.seen_at for one in place.facts.workers if queue in one.queues), default=None)
    remote = " --remote" if place.spec.remote else ""
    return {
        "queue": queue,
        "last": f"; the last was seen {say_distance(last, place.facts.now)}" if last else "",
        "start": f"celeriac worker{remote} --queues {queue}" if queue != "celery" else "celeriac up",
    }


def find_lost(place: Place) -> Words | None:
    """Find that it was sent, and not claimed in time: its message is taken for lost."""
    at = place.at
    if place.state is not State.SENT or at is None or at.queued_at is None or at.resend_at is None:
        return None
    if at.resend_at > place.facts.now:
        return None
    return {"ago": say_distance(at.queued_at, place.facts.now)}


def find_sent(place: Place) -> Words | None:
    """Find that its message is with the broker, or with a worker that is busy."""
    if place.state is not State.SENT or place.at is None or place.at.queued_at is None:
        return None
    again = f"; sent again {say_distance(place.at.resend_at, place.facts.now)}" if place.at.resend_at else ""
    return {"ago": say_distance(place.at.queued_at, place.facts.now), "again": again}


def find_concurrency(place: Place) -> Words | None:
    """Find that as many of its stage are out as may be at once."""
    if place.state is not State.READY or place.spec is None or place.spec.concurrency is None:
        return None
    out = _count_out(place)
    return {"limit": place.spec.concurrency, "out": out} if out >= place.spec.concurrency else None


def _count_out(place: Place) -> int:
    if place.counts is None or place.spec is None:
        return 0
    counts = place.counts
    if place.spec.batch is None:
        return counts.queued + counts.running
    fewest = Runway(counts.queued, counts.running).in_loads_of(place.spec.batch)
    return fewest.at_least(Runway(counts.loads_queued, counts.loads_running)).outstanding


def find_rate(place: Place) -> Words | None:
    """Find that its stage's rate does not let the next one go yet."""
    if place.state is not State.READY or place.spec is None or place.spec.rate is None:
        return None
    free_us = place.counts.free_us if place.counts else None
    if free_us is None or free_us <= place.facts.now * 1000:
        return None
    return {"rate": place.spec.rate, "at": say_distance(-(-free_us // 1000), place.facts.now)}


def find_first_attempts(place: Place) -> Words | None:
    """Find that under a budget, a stage goes a few at a time, until it is well known what it costs."""
    counts = place.counts
    if place.state is not State.READY or not place.file.has_budget or counts is None or place.spec is None:
        return None
    most = bound_loads(place.spec, counts.cost, counts.finished)
    if most is None or _count_out(place) < most:
        return None
    return {"out": counts.queued + counts.running}


def find_set_aside(place: Place) -> Words | None:
    """Find that what its budget leaves is set aside for others, which may give some of it back."""
    expected = place.counts.expected_usd if place.counts else None
    limits = place.file.limits
    if place.state is not State.READY or not expected or can_pay(find_least_left(limits), expected):
        return None
    if any(one.is_reached_for(expected) for one in limits):  # who dispatches next puts that on record
        return None
    return {"stage": place.stage, "usd": format_usd(expected)}


def find_lane(place: Place) -> Words | None:
    """Find that it was asked for again, and what is fresh goes first."""
    at, oldest = place.at, place.facts.oldest_fresh_at
    if place.state is not State.READY or at is None or not at.backfill or oldest is None:
        return None
    if not place.queued_on_queue:
        return None
    share = place.file.spec.backfill_share if place.file.spec else 0.25
    return {"share": f"{share:.0%}", "oldest": say_distance(oldest, place.facts.now)}


def find_runway(place: Place) -> Words | None:
    """Find that enough of its job is on its way already; it follows when that is claimed."""
    if place.state is not State.READY or not place.queued_on_queue:
        return None
    return {"queued": place.queued_on_queue}


def find_changing(place: Place) -> Words | None:
    """Find that jobs.yaml changed its stages, and its items are being brought to that."""
    return {} if place.state is State.READY and place.facts.is_changing else None


def find_sweep_waits(place: Place) -> Words | None:
    """Find that it waits for a sweep, and that for a process: beat ticks, and what runs takes long."""
    facts = place.facts
    is_ticking = facts.ticked_at is not None and facts.now - facts.ticked_at <= SILENT_MS
    return find_no_sweep(place) if is_ticking and facts.is_anything_held else None


def find_no_sweep(place: Place) -> Words | None:
    """Find that it waits for a sweep, and nobody has swept for long."""
    now, swept_at = place.facts.now, place.facts.swept_at
    if not _waits_for_sweep(place) or (swept_at is not None and now - swept_at <= SWEEP_LATE_MS):
        return None
    what = "ready" if place.state is State.READY else "was asked to look for items"
    return {"what": what, "last": f" since {say_span(now - swept_at)}" if swept_at else " yet"}


def _waits_for_sweep(place: Place) -> bool:
    return place.state is State.READY or find_woken(place) is not None


def find_load(place: Place) -> Words | None:
    """Find that its stage works on several items together, and waits a little for more of them."""
    if place.state is not State.READY or place.spec is None or place.spec.batch is None:
        return None
    return {"size": place.spec.batch}


def find_ready(place: Place) -> Words | None:
    """Find that nothing holds it."""
    return {"seconds": f"{SWEEP_SECONDS:g} s"} if place.state is State.READY else None


# -- the job's looks --------------------------------------------------------------------------------------


def find_looking(place: Place) -> Words | None:
    """Find that a discovery of the job runs now."""
    look = place.facts.look
    if place.state is not State.LOOKING or look is None or look.ended_at is not None:
        return None
    return {"span": say_span(place.facts.now - look.started_at)}


def find_woken(place: Place) -> Words | None:
    """Find that somebody asked that the job look now."""
    if place.state is not State.LOOKING or place.facts.woken_at is None:
        return None
    return {"ago": say_distance(place.facts.woken_at, place.facts.now), "seconds": f"{SWEEP_SECONDS:g} s"}


def find_look_waits(place: Place) -> Words | None:
    """Find that the last look at its sources met a paused host, and waits for the end of the pause."""
    look = place.facts.look
    if place.state is not State.LOOKING or look is None or look.waits_for is None or look.retry_at is None:
        return None
    for pause in place.facts.pauses:
        if pause.scope == "host" and is_within(look.waits_for, pause.host):
            at = say_until(look.retry_at, place.facts.now)
            return {"host": pause.host, "by": pause.by, "reason": shorten(pause.reason), "at": at}
    return None  # it was lifted just now


def find_look_failed(place: Place) -> Words | None:
    """Find that the last look at its sources failed."""
    look = place.facts.look
    if place.state is not State.LOOKING or look is None or look.outcome not in {"failed", "unavailable"}:
        return None
    at = look.retry_at or _next_slot(place)
    again = f"; again {say_until(at, place.facts.now)}" if at else ""
    return {"error": shorten(look.error or "no reason given"), "again": again}


def find_next_look(place: Place) -> Words | None:
    """Find that the job looks again at its next slot."""
    at = _next_slot(place) if place.state is State.LOOKING else None
    if at is None or place.file.spec is None or place.file.spec.schedule is None:
        return None
    left = "no item yet" if not place.facts.items.total else "every item is through"
    return {
        "left": left,
        "at": say_until(at, place.facts.now),
        "schedule": place.file.spec.schedule.describe(),
    }


def find_no_schedule(place: Place) -> Words | None:
    """Find that the job looks for items only when somebody asks, or when a jobs.yaml says that is no more in order."""
    if place.state is not State.LOOKING:
        return None
    left = "no item yet" if not place.facts.items.total else "every item is through"
    is_refused = place.file.state == "unknown"
    return {
        "left": left,
        "when": "as the last good jobs.yaml says" if is_refused else "only when asked",
        "command": "… | celeriac discover" if _is_piped_in(place) else "celeriac wake",
    }


def _is_piped_in(place: Place) -> bool:
    """Tell whether items come by a pipe, which a worker has not."""
    return place.file.spec is not None and place.file.spec.discovery.strategy == "stdin_lines"


def _next_slot(place: Place) -> int | None:
    schedule = place.file.spec.schedule if place.file.spec else None
    return to_ms(schedule.next_slot(to_datetime(place.facts.now))) if schedule else None
