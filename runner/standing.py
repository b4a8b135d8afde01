"""What can be said of a place by what it is in, and by what holds its job: the first rules of `runner.causes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.money import format_usd
from pipeline.quoting import quote
from runner.places import State, is_within
from runner.saying import say_distance, say_span, say_until, shorten
from tracker.spending import EVERYTHING

if TYPE_CHECKING:
    from runner.places import Place
    from tracker.facts import Paused

Words = dict[str, object]
"""What a cause's words are filled with."""


def find_claimed(place: Place) -> Words | None:
    """Find that it runs, and its worker renews the lease."""
    if place.state is not State.RUNNING or _is_lease_out(place):
        return None
    since = (place.at.started_at if place.at else None) or place.facts.now
    return {
        "worker": place.name_worker(),
        "span": say_span(place.facts.now - since),
        "progress": _say_progress(place),
    }


def find_silent(place: Place) -> Words | None:
    """Find that it runs, by the tracker, but its worker does not renew the lease."""
    if place.state is not State.RUNNING or place.at is None or place.at.leased_until is None:
        return None
    return {
        "worker": place.name_worker(),
        "ago": say_distance(place.at.leased_until, place.facts.now),
    }


def _is_lease_out(place: Place) -> bool:
    until = place.at.leased_until if place.at else None
    return until is not None and until < place.facts.now


def _say_progress(place: Place) -> str:
    at = place.at
    if at is None:
        return ""
    asked = f", asked by {at.cancelled_by} to stop" if at.cancelled_by else ""
    if at.done is None:
        return asked
    of = f" of {at.total:g}" if at.total else ""
    note = f" ({at.note})" if at.note else ""
    return f"{asked}, {at.done:g}{of} done{note}"


def find_not_applied(place: Place) -> Words | None:
    """Find that every stage that it has is done, but jobs.yaml has more, which is not applied."""
    if place.state is not State.ENDED or place.file.spec is None:
        return None
    has = {one.stage for one in place.facts.item_stages}
    new = [one.name for one in place.file.spec.stages if one.enabled and one.name not in has]
    return {"stages": " and ".join(new)} if new else None


def find_done(place: Place) -> Words | None:
    """Find that every stage is done or skipped."""
    if place.state is not State.ENDED:
        return None
    reason = place.at.reason if place.at and place.at.status == "skipped" else None
    return {"how": f": {place.stage} was skipped, {shorten(reason)}" if reason else ""}


def find_failed(place: Place) -> Words | None:
    """Find that an attempt failed, and no other follows by itself."""
    if place.state is not State.FAILED or place.at is None:
        return None
    at = place.at
    said = ": ".join(filter(None, (at.error_type, at.message)))
    error = (said if at.message else at.signature or said) or at.reason or "by hand"
    return {
        "error": shorten(error),
        "group": f"; {at.alike} are alike" if at.alike > 1 else "",
        "retry": _say_retry(place),
    }


def _say_retry(place: Place) -> str:
    if place.facts.key is not None:
        return f"celeriac retry {place.facts.job} --key {quote(place.facts.key)}"
    group = place.at.failure_group if place.at else None
    return f"celeriac retry --group {group}" if group else f"celeriac retry {place.facts.job}"


def find_waiting(place: Place) -> Words | None:
    """Find that a stage that it needs is not done."""
    if place.state is not State.BLOCKED:
        return None
    needs = place.facts.needs.get(place.stage or "", [])
    told: Words = {"follows": _say_follows(place)}
    if not place.facts.item_stages:
        return told | {"needs": " and ".join(needs) or "an earlier stage", "states": ""}
    states = {one.stage: one.status for one in place.facts.item_stages}
    unmet = [need for need in needs if states.get(need) in {"pending", "in_progress", "failed"}]
    said = {"in_progress": "running"}
    how = ", ".join(said.get(states[need], states[need]) for need in unmet)
    return told | {
        "needs": " and ".join(unmet) or "an earlier stage",
        "states": f", which is {how}" if how else "",
    }


def _say_follows(place: Place) -> str:
    """Say what lets it follow: nothing but time, or another try of what failed before it."""
    facts, before = place.facts, _list_before(place)
    if facts.item_stages:
        failed = [one.stage for one in facts.item_stages if one.stage in before and one.status == "failed"]
        if not failed:
            return "nothing: it follows"
        return f"`{_say_retry(place)}`: it follows when {' and '.join(failed)} is done"
    if not any(facts.stages[one].failed for one in before if one in facts.stages):
        return "nothing: it follows"
    return f"nothing: it follows; where a stage before it failed, `{_say_retry(place)}`"


def _list_before(place: Place) -> set[str]:
    """List the stages that a stage needs, and those that these need."""
    before: set[str] = set()
    left = list(place.facts.needs.get(place.stage or "", []))
    while left:
        if (need := left.pop()) not in before:
            before.add(need)
            left += place.facts.needs.get(need, [])
    return before


def find_held(place: Place) -> Words | None:
    """Find that it was found above a cap, and waits for somebody to let it in."""
    if place.state is not State.HELD:
        return None
    held_at = place.facts.held_at
    return {"since": f" since {say_distance(held_at, place.facts.now)}" if held_at else ""}


def find_gone(place: Place) -> Words | None:
    """Find that its job is not in jobs.yaml."""
    return {} if place.file.state == "gone" else None


def find_off(place: Place) -> Words | None:
    """Find that its job is switched off."""
    return {} if place.file.state == "off" else None


def find_unavailable(place: Place) -> Words | None:
    """Find that this machine lacks something for its job."""
    if place.state not in {State.READY, State.LOOKING} or place.file.state != "on":
        return None  # what is sent already can run somewhere
    lacks = place.file.find_lacks()
    return {"lacks": shorten(lacks)} if lacks else None


def find_stage_off(place: Place) -> Words | None:
    """Find that its stage is switched off in jobs.yaml, or no longer there, and its row does not know it yet."""
    if place.file.spec is None or place.stage is None:
        return None
    if place.spec is None:
        return {"how": "not in jobs.yaml"}
    return None if place.spec.enabled else {"how": "switched off in jobs.yaml"}


def find_paused(place: Place) -> Words | None:
    """Find that somebody paused it, its stage, its job, its host, or everything."""
    pause = place.find_pause()
    return _say_pause(place, pause) if pause is not None and pause.cause != "breaker" else None


def find_breaker_open(place: Place) -> Words | None:
    """Find that the breaker paused it, and its time is not up."""
    pause = place.find_pause()
    if pause is None or pause.cause != "breaker" or pause.until_at is None:
        return None
    return _say_pause(place, pause)


def find_probing(place: Place) -> Words | None:
    """Find that the breaker lets out a few attempts, to see whether all is well again."""
    pause = place.find_pause()
    if pause is None or pause.cause != "breaker" or pause.until_at is not None:
        return None
    probes = "one goes as soon as a worker is free" if pause.probes_left else "one is on its way"
    return _say_pause(place, pause) | {"probes": probes}


def _say_pause(place: Place, pause: Paused) -> Words:
    until = f" until {say_until(pause.until_at, place.facts.now)}" if pause.until_at else ""
    job = place.facts.job
    what, how = {
        "all": ("everything", "--all"),
        "job": ("the job", job),
        "stage": (f"the stage {pause.stage}", f"{job} --stage {pause.stage}"),
        "host": (f"the host {pause.host}", f"--host {pause.host}"),
    }[pause.scope]
    return {"what": what, "by": pause.by, "until": until, "reason": shorten(pause.reason), "unpause": how}


def find_over_budget(place: Place) -> Words | None:
    """Find that a budget is reached, and its stage costs something."""
    hold = place.find_hold()
    if hold is None or place.state is not State.READY:  # what is sent already, no budget holds back
        return None
    per = {"usd_per_day": "a day", "usd_total": "in all"}.get(hold.cap, "an item")
    whose = " for everything" if hold.job == EVERYTHING else ""
    resumes = (
        f"resumes {say_until(hold.until_at, place.facts.now)}"
        if hold.until_at
        else "until jobs.yaml allows more"
    )
    waiting, usd = _count_waiting(place)
    return {
        "budget": f"{format_usd(hold.usd)} {per}{whose}",
        "waiting": f"{waiting:,} waiting, about {format_usd(usd)}",
        "resumes": resumes,
    }


def _count_waiting(place: Place) -> tuple[int, float]:
    root = next(iter(place.file.spec.roots), None) if place.file.spec else None
    waiting, usd = 0, 0.0
    for one in place.facts.stages.values():
        if one.expected_usd:
            ready = one.ready + (place.facts.items.unopened if one.stage == root else 0)
            waiting, usd = waiting + ready, usd + ready * one.expected_usd
    return waiting, usd


def find_item_over_budget(place: Place) -> Words | None:
    """Find that its item has spent so much that this stage would go beyond what one item may."""
    if place.at is None or not place.at.over_budget or not place.goes_out:
        return None
    budget = place.file.spec.budget if place.file.spec else None
    cap = budget.usd_per_item if budget else None
    return {"cap": format_usd(cap) if cap else "the budget for everything allows"}


def find_host_limit(place: Place) -> Words | None:
    """Find that it waits for its time, and its host asked to slow down."""
    if place.state is not State.PARKED or place.at is None:
        return None
    hosts = (place.at.waits_for_host, place.facts.item.host if place.facts.item else None)
    for slow in place.facts.slow_hosts:
        named = slow.host in (place.at.reason or "")
        if named or any(host and is_within(host, slow.host) for host in hosts):
            why = f": {shorten(slow.reason)}" if slow.reason else ""
            return {"host": slow.host, "until": say_until(slow.slowed_until, place.facts.now), "why": why}
    return None


def find_retry(place: Place) -> Words | None:
    """Find that it waits for its time: a retry, or what the handler asked for."""
    if place.state is not State.PARKED:
        return None
    if place.at is None or place.at.retry_at is None:  # of several, which another stage of the job is before
        return {"at": "its time", "why": ""}
    why = f": {shorten(place.at.reason)}" if place.at.reason else ""
    return {"at": say_until(place.at.retry_at, place.facts.now), "why": why}
