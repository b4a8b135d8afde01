"""What a form about items says: which are meant, and with what; and the order that it makes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import NotFoundError, UnclearRequestError
from pipeline.filter_values import ValueRefusedError
from pipeline.filters import Filter
from runner import choices
from runner.actions import Order
from tracker.item_lists import list_keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import FormData

    from dashboard.house import House

MOST_CHOSEN = 10_000
"""So many may be chosen one by one; more are all that fit a filter."""

WHOLE_ITEMS = frozenset({"reset", "reopen", "priority"})
"""The acts that are about items, also where stages of them were chosen."""

_PLACE = re.compile(r"([0-9]{1,18})(?: ([A-Za-z0-9][A-Za-z0-9_.-]*))?")
_PRIORITY = re.compile(r"-?[0-9]{1,7}")


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    Which items are meant: those of `places`, (item, stage or None), or all that `filter` selects.

    `stage`, `reason` and `priority` are what an act wants to know besides; None where nothing was said.
    """

    job: str
    is_all: bool
    filter: str
    places: tuple[tuple[int, str | None], ...]
    stage: str | None
    reason: str | None
    priority: int | None
    is_stale: bool
    is_from_item: bool

    @property
    def item_ids(self) -> list[int]:
        """The items of its places."""
        return sorted({item_id for item_id, _ in self.places})


def read_chosen(job: str, form: FormData) -> Chosen:
    """Read what a form says. Raises `OperatorError` for what cannot be meant."""
    return Chosen(
        job,
        is_all=form.get("which") == "all",
        filter=_text(form, "filter"),
        places=tuple(_read_place(one) for one in form.getlist("item")),
        stage=_text(form, "stage") or None,
        reason=_text(form, "reason")[:500] or None,
        priority=_read_priority(_text(form, "priority")),
        is_stale=form.get("stale") == "yes",
        is_from_item=form.get("from") == "item",
    )


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _read_place(value: object) -> tuple[int, str | None]:
    found = _PLACE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise UnclearRequestError("that is no item of a list")
    return int(found[1]), found[2]


def _read_priority(text: str) -> int | None:
    if text and not _PRIORITY.fullmatch(text):
        raise UnclearRequestError(f"a priority is a whole number of up to seven digits, not {text:.40}")
    return int(text) if text else None


def find_keys(house: House, chosen: Chosen) -> dict[int, str]:
    """Find the keys of the items that were chosen one by one. Raises `NotFoundError` when one is not of the job."""
    found = list_keys_of(house.reader, chosen.job, chosen.item_ids)
    for item_id in chosen.item_ids:
        if item_id not in found:
            raise NotFoundError(f"item of job {chosen.job!r} with the id", str(item_id))
    return found


def make_order(house: House, act: str, chosen: Chosen, by: str) -> Order:
    """Make the order that a form asks for. Raises `OperatorError` where it does not say enough, `NotFoundError`."""
    stage = None if act in ("reopen", "priority") else chosen.stage
    detail: dict[str, Any] = {}
    reason = None
    if act == "reset":
        if stage is None:
            raise UnclearRequestError("say from which stage on it is done again")
        detail = {"stage": stage}
    elif act == "priority":
        if chosen.priority is None:
            raise UnclearRequestError("say which priority; higher goes first")
        detail = {"priority": chosen.priority}
    elif act == "skip":
        reason = f"{chosen.reason} (skipped by {by})" if chosen.reason else f"skipped by {by}"
    elif act == "cancel":
        reason = f"cancelled by {by}"
    how = _choose_all(house, act, chosen) if chosen.is_all else _choose_some(house, act, chosen)
    return Order(act, chosen.job, by, stage, how, reason=reason, detail=detail)


def _choose_some(house: House, act: str, chosen: Chosen) -> Mapping[str, Any]:
    if not chosen.places:
        raise UnclearRequestError("nothing is chosen: tick the items that are meant, or choose all that fit")
    find_keys(house, chosen)
    places = [[item_id, stage] for item_id, stage in chosen.places if stage is not None]
    if places and act not in WHOLE_ITEMS:
        return {"by": "places", "places": sorted(places)}
    return {"by": "items", "items": chosen.item_ids} | _only_failed(act, chosen)


def _choose_all(house: House, act: str, chosen: Chosen) -> Mapping[str, Any]:
    text = chosen.filter or None
    if text is None and act in ("retry", "skip"):
        return choices.EVERY_FAILURE | _only_failed(act, chosen, always=True)
    if text is None and act in ("reset", "reopen"):
        return choices.EVERY_ITEM
    # of the items that fit, not narrowed to the stage: that would make another filter of `status:failed`
    how = choices.choose_filter(house.runtime, text, job_id=chosen.job)
    return how | _only_failed(act, chosen)


def _only_failed(act: str, chosen: Chosen, *, always: bool = False) -> dict[str, Any]:
    """Keep a skip to failed stages, unless a stage was named: then it is also skipped where it waits."""
    return {"statuses": ["failed"]} if act == "skip" and (always or chosen.stage is None) else {}


def write_filter(house: House, chosen: Chosen) -> str | None:
    """Write a filter for what is meant; None for all items of the job. Raises `OperatorError`."""
    if chosen.is_all:
        return chosen.filter or None
    if not chosen.places:
        raise UnclearRequestError("nothing is chosen: tick the items that are meant, or choose all that fit")
    try:
        wanted = Filter().narrow("key", *find_keys(house, chosen).values())
        stages = sorted({stage for _, stage in chosen.places if stage is not None})
        return str(wanted.narrow("stage", *stages) if stages else wanted)
    except ValueRefusedError as error:
        raise UnclearRequestError(f"these cannot be named by their keys: {error}") from error
