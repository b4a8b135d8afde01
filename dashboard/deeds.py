"""
What is done from a page: the order is carried out, and the next page says what came of it.

What takes longer than a moment goes on behind the page, which shows how far it is. It is on record, batch by batch:
were the dashboard to die, the sweep would go on with it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from dashboard.house import house_of
from pipeline.errors import CeleriacError, NotFoundError, OperatorError
from runner import actions
from runner.canary import approve_canary
from runner.reprocess import reprocess
from runner.saying import say_moved_on
from tracker.actions import UNDO, get_action
from tracker.acts import ACTS
from tracker.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastapi import Request

    from dashboard.house import House
    from runner.actions import ActedOnMany, Order
    from runner.canary import CanaryItem
    from runner.reprocess import Wish
    from tracker.actions import Action

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 1.0
"""For how long a page waits for what it asked for, before it shows how far that is."""

BEGIN_SECONDS = 60.0
"""How long the first batch may wait for its turn to write."""

LEFT_MS = 30_000
"""An action on which nobody has worked for so long is said to be left over."""

NOTHING, CANARY = "nothing", "canary"

DID = {
    NOTHING: "There was nothing to do.",
    CANARY: "The results of the canary count now. There was nothing else to do.",
    "pause": "It is paused: nothing more of it is begun. What runs ends as it would.",
    "unpause": "It may go on.",
    "wake": "It looks for items at the next sweep.",
    "approve": "The held items were let in.",
    "dismiss": "The held items are known now, and are not run.",
    "mute": "The group is muted: it is listed no more, and nobody is told of it.",
    "unmute": "The group is listed again.",
    "apply": "Its items are brought to the stages that jobs.yaml has.",
}
"""What is done in one go, and keeps no action: a page that is asked for with `?did=NAME` says so."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What was begun: its action, None if there was nothing to do; and what it came to, None while it goes on."""

    action_id: int | None
    acted: ActedOnMany | None = None

    @property
    def query(self) -> str:
        """The query by which the next page says what came of it."""
        return f"did={NOTHING}" if self.action_id is None else f"done={self.action_id}"


# -- doing it ---------------------------------------------------------------------------------------------


def carry_out(house: House, order: Order) -> str:
    """
    Do what is ordered; give the query by which the next page says what came of it.

    Raises what doing it raises within `PATIENCE_SECONDS`.
    """
    return begin(house, order).query


def begin(house: House, order: Order) -> Begun:
    """Do what is ordered; give what came of it, or which action goes on behind, after `PATIENCE_SECONDS`."""
    return _do_on_record(house, lambda watch: actions.carry_out(house.runtime, order, watch=watch))


def undo(house: House, action: Action, by: str) -> str:
    """Put back what an action changed; give the query by which the next page says what came of it."""
    return _do_on_record(house, lambda watch: actions.undo(house.runtime, action, by, watch=watch)).query


def make_again(house: House, wish: Wish, by: str, canary: Sequence[CanaryItem] = ()) -> str:
    """
    Make results again, but for those of a canary, which count from now on.

    Gives the query by which the next page says what came of it.
    """
    seen_to: list[int] = []

    def work(watch: Callable[[Action], None]) -> ActedOnMany:
        seen_to.extend(approve_canary(house.runtime, wish.job.name, canary, by))
        return reprocess(house.runtime, wish, by, seen_to=seen_to, watch=watch)

    begun = _do_on_record(house, work)
    return f"did={CANARY}" if begun.action_id is None and seen_to else begun.query


def do_behind(house: House, name: str, work: Callable[[], object]) -> str:
    """Do what is no action, of a name in `DID`, behind the page if it takes long; give the query of the next one."""
    doing = _Doing(house, work)
    doing.wait(PATIENCE_SECONDS)
    return f"did={name}"


def _do_on_record(house: House, work: Callable[[Callable[[Action], None]], ActedOnMany]) -> Begun:
    is_begun = threading.Event()
    told: list[Begun] = []

    def note(begun: Begun) -> None:
        told.append(begun)
        is_begun.set()

    def do() -> None:
        acted = work(lambda action: note(Begun(action.action_id)))
        note(Begun(acted.action, acted))

    doing = _Doing(house, do, is_begun)
    doing.wait(PATIENCE_SECONDS)
    if not is_begun.wait(BEGIN_SECONDS):
        raise OperatorError("the tracker is busy: it is not begun yet, and goes on as soon as it can be")
    doing.wait(0)
    return told[-1] if told else Begun(None)


class _Doing(threading.Thread):
    """Does one thing beside the page that asked for it."""

    def __init__(
        self, house: House, work: Callable[[], object], begun: threading.Event | None = None
    ) -> None:
        super().__init__(daemon=True, name="celeriac-deed")
        self._runtime, self._work, self._begun = house.runtime, work, begun or threading.Event()
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Do it. What goes wrong is for whoever waits; it is logged, too: nobody may wait any more."""
        try:
            self._work()
        except Exception as error:
            self._error = error
            if not isinstance(error, CeleriacError):
                log.exception("what a page asked for has failed")
        finally:
            self._begun.set()
            self._runtime.close()

    def wait(self, seconds: float) -> None:
        """Wait until it is done, so long at most. Raises what doing it raised."""
        self.join(seconds)
        if self._error is not None:
            raise self._error


# -- telling it -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """What a page says of what was just done. `action` is on record, and counts `counts`; else there are words only."""

    words: str
    action: Action | None = None
    counts: str = ""

    @property
    def is_going_on(self) -> bool:
        """Tell whether it is not through yet."""
        return self.action is not None and self.action.finished_at is None

    @property
    def is_undoable(self) -> bool:
        """Tell whether an undo may be asked for."""
        action = self.action
        return bool(
            action and action.finished_at and action.done and action.act != UNDO and not action.undone_by
        )


def find_done(request: Request) -> Done | None:
    """Find what the page that is asked for has to say of what was just done, by its query; None for nothing."""
    asked, house = request.query_params, house_of(request)
    if asked.get("did") in DID:
        return Done(DID[asked["did"]])
    action_id = asked.get("done", "")
    if not (action_id.isascii() and action_id.isdigit() and len(action_id) < 19):
        return None
    try:
        return describe(get_action(house.reader, int(action_id)))
    except NotFoundError:
        return None


def describe(action: Action) -> Done:
    """Say what an action did, or how far it is."""
    act = str(action.detail.get("act", "")) if action.act == UNDO else action.act
    counts = ACTS[act].counts if act in ACTS else "stages"
    name = f"undo of the {act}" if action.act == UNDO else action.act
    where = f" of {action.job_id}" if action.job_id else ""
    if action.finished_at is None:
        far = f"{action.done:,} of {action.total:,} {counts}"
        is_left = action.worked_at < now_ms() - LEFT_MS
        left = "; nobody works on it now, the next sweep goes on with it" if is_left else ""
        return Done(f"{name}{where}: {far}{left}", action, counts)
    tried = action.detail.get("canary")
    left = f"; of the canary, {tried:,} items count" if tried else ""
    left += say_moved_on(action.passed)
    return Done(f"{name}{where}: {action.done:,} {counts}{left}", action, counts)
