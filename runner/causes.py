"""
The causes for which something does not move, in the order in which they are looked for: the first that holds is it.

A table, from which docs/explain.md is tested. Each rule is a pure function of a place; see `runner.standing` and
`runner.sending`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.quoting import quote, quote_argument
from runner import sending, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.places import Place
    from runner.standing import Words


@dataclass(frozen=True, slots=True)
class Told:
    """A cause found: its name, in words, and what to do. `moves` when nobody has to do anything, nor wait for long."""

    cause: str
    words: str
    do: str
    moves: bool


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause. `find` fills the fields of `words` and `do` from the facts, or gives None when another holds."""

    name: str
    words: str
    do: str
    find: Callable[[Place], Words | None]
    moves: bool = False

    def tell(self, place: Place) -> Told | None:
        """Tell the cause of a place, or None when it is another."""
        found = self.find(place)
        if found is None:
            return None
        key = place.facts.key
        named = {"key": quote_argument(key), "item": quote(key)} if key else {"key": "KEY", "item": "KEY"}
        fields = {"job": place.facts.job, **named, "stage": place.stage or "", **found}
        return Told(self.name, self.words.format(**fields), self.do.format(**fields), self.moves)


CAUSES = (
    Cause("claimed", "claimed by {worker} for {span}{progress}", "nothing: `celeriac workers` shows all that runs",
          standing.find_claimed, moves=True),
    Cause("worker_silent", "claimed by {worker}, whose lease ran out {ago}",
          "the sweep takes it back: `celeriac doctor` tells whether there is one", standing.find_silent),
    Cause("not_applied", "done, but for {stages}, which jobs.yaml has and the tracker has not yet",
          "`celeriac plan {job}` shows it, `celeriac apply {job}` applies it", standing.find_not_applied),
    Cause("done", "nothing left to do{how}", "nothing: `celeriac reset {job} STAGE {key}` does a stage again",
          standing.find_done),
    Cause("failed", "failed: {error}{group}", "`{retry}`; `celeriac failures {job}` shows those that are alike",
          standing.find_failed),
    Cause("waits_for_stage", "waits for {needs}{states}", "{follows}", standing.find_waiting),
    Cause("held", "waits for approval{since}: there were more than the cap lets in",
          "`celeriac approve {job}`", standing.find_held),
    Cause("not_in_jobs_file", "its job is not in jobs.yaml", "put {job} back into jobs.yaml", standing.find_gone),
    Cause("switched_off", "its job is switched off in jobs.yaml", "take `enabled: false` from {job} in jobs.yaml",
          standing.find_off),
    Cause("stage_off", "its stage {stage} is {how}", "`celeriac plan` shows what jobs.yaml changes",
          standing.find_stage_off),
    Cause("paused", "{what} is paused by {by}{until}: {reason}", "`celeriac unpause {unpause}`", standing.find_paused),
    Cause("breaker_open", "the breaker paused {what}{until}: {reason}", "`celeriac unpause {unpause}`, or wait",
          standing.find_breaker_open),
    Cause("breaker_probing", "the breaker lets out probes of {what}, {probes}: {reason}",
          "wait for the probe, or `celeriac unpause {unpause}`", standing.find_probing),
    Cause("over_budget", "the budget of {budget} is reached: {waiting}, {resumes}",
          "wait, or raise `budget` in jobs.yaml; `celeriac costs {job}` shows what was spent",
          standing.find_over_budget),
    Cause("item_over_budget", "its item would spend more than {cap}",
          "raise `usd_per_item` in jobs.yaml, or `celeriac skip {job} --stage {stage} --key {item}`",
          standing.find_item_over_budget),
    Cause("host_limit", "the host {host} is not asked until {until}{why}", "wait; `celeriac hosts` shows the limits",
          standing.find_host_limit),
    Cause("retry_at", "waits until {at}{why}", "wait, or `celeriac wake {job} {key}`", standing.find_retry),
    Cause("no_worker", "no worker serves the queue {queue}{last}", "`{start}`", sending.find_no_worker),
    Cause("cannot_run_here", "its job cannot run here: {lacks}", "`celeriac check` names all that is missing",
          standing.find_unavailable),
    Cause("message_lost", "sent {ago} and not claimed: its message is lost",
          "the sweep sends it again; `celeriac doctor --repair` does so now", sending.find_lost),
    Cause("sent", "sent {ago}, and claimed when a worker is free{again}",
          "nothing; more workers would be sooner at it", sending.find_sent, moves=True),
    Cause("concurrency", "{limit} of {stage} may run at once, and {out} are out",
          "wait, or raise `concurrency` of {stage} in jobs.yaml", sending.find_concurrency, moves=True),
    Cause("rate", "the rate of {stage}, {rate}, lets the next go {at}", "wait, or raise `rate` of {stage} in jobs.yaml",
          sending.find_rate, moves=True),
    Cause("first_attempts", "{out} of {stage} are out, and it is not known yet what one costs",
          "wait for the first to end: there is a budget to keep", sending.find_first_attempts, moves=True),
    Cause("budget_set_aside", "what the budget leaves is set aside for those that are out: {stage} costs about {usd}",
          "nothing: what these do not spend is given back", sending.find_set_aside, moves=True),
    Cause("backfill", "was asked for again: fresh items go first, the oldest found {oldest}, and leave it {share}",
          "wait, or raise `backfill_share` of {job} in jobs.yaml", sending.find_lane, moves=True),
    Cause("runway_full", "{queued} of {job} are sent before it: it follows when they are claimed",
          "nothing; more workers would be sooner at it", sending.find_runway, moves=True),
    Cause("stages_changing", "the items of {job} are being brought to the stages that jobs.yaml has now",
          "wait; `celeriac plan` shows how far that is", sending.find_changing, moves=True),
    Cause("looking", "looks for items, for {span} now", "nothing", sending.find_looking, moves=True),
    Cause("sweep_waits", "{what}, but nobody has swept{last}: what runs takes long, and the sweep waits for a process",
          "`celeriac worker`: more processes, or long stages on a queue of their own", sending.find_sweep_waits),
    Cause("no_sweep", "{what}, but nobody has swept{last}", "`celeriac up`, or `celeriac beat` and a worker",
          sending.find_no_sweep),
    Cause("load_not_full", "waits some seconds for a load of {size}", "nothing", sending.find_load, moves=True),
    Cause("ready", "ready: the next sweep sends it, within {seconds}", "nothing", sending.find_ready, moves=True),
    Cause("woken", "was asked {ago} to look for items: the next sweep sends it, within {seconds}", "nothing",
          sending.find_woken, moves=True),
    Cause("look_waits", "its look for items waits for the host {host}, which is paused by {by}: {reason}; again {at}",
          "`celeriac unpause --host {host}`, or wait", sending.find_look_waits),
    Cause("look_failed", "the last look failed: {error}{again}",
          "`celeriac sources {job}` shows each source; `celeriac wake {job}` looks now", sending.find_look_failed),
    Cause("next_look", "{left}; looks for more {at}: {schedule}", "`celeriac wake {job}` looks now",
          sending.find_next_look),
    Cause("no_schedule", "{left}; looks for more {when}", "`{command} {job}` looks now",
          sending.find_no_schedule),
)  # fmt: skip
"""The table."""


def find_cause(place: Place) -> Told:
    """Find the one cause for which a place does not move."""
    return next(told for cause in CAUSES if (told := cause.tell(place)) is not None)
