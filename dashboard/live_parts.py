"""The parts of a page that are sent anew while it is open: rendered once for all tabs that see the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dashboard.events_page import describe_events, read_query
from dashboard.job_page import describe_job
from dashboard.known import list_jobs
from dashboard.overview import describe_overview
from dashboard.rendering import render_part
from dashboard.workers_page import describe_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dashboard.house import House
    from dashboard.roles import Role
    from dashboard.visitors import Visitor

Parts = dict[str, str]
"""The HTML of each part, by its name; and as `order` the names of the cards as they stand, in JSON."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a tab watches: a page, or a page of a `subject`, as those see it who may do the same."""

    page: str
    subject: str
    role: Role
    scopes: tuple[str, ...] | None
    visitor: Visitor = field(compare=False)

    @classmethod
    def of(cls, page: str, subject: str, visitor: Visitor) -> Topic:
        """Make the topic of a page for a visitor."""
        scopes = None if visitor.scopes is None else tuple(sorted(visitor.scopes))
        return cls(page, subject, visitor.role, scopes, visitor)


def _render_overview(house: House, topic: Topic) -> Parts:
    described = describe_overview(house)
    parts = {"head": render_part(house, topic.visitor, "overview_head.html", stand="", **described)}
    for card in described["cards"]:
        parts[f"card-{card.job}"] = render_part(house, topic.visitor, "card.html", card=card)
    return parts | {"order": json.dumps([f"card-{card.job}" for card in described["cards"]])}


def _render_job(house: House, topic: Topic) -> Parts:
    if topic.subject not in list_jobs(house):
        return {}
    described = describe_job(house, topic.subject)
    return {
        name: render_part(house, topic.visitor, f"job_{name}.html", **described)
        for name in ("head", "figures", "pipeline")
    }


def _render_events(house: House, topic: Topic) -> Parts:
    described = describe_events(house, read_query(topic.subject))
    return {"events": render_part(house, topic.visitor, "events_part.html", **described)}


def _render_workers(house: House, topic: Topic) -> Parts:
    return {"workers": render_part(house, topic.visitor, "workers_part.html", **describe_workers(house))}


PAGES: Mapping[str, Callable[[House, Topic], Parts]] = {
    "overview": _render_overview,
    "job": _render_job,
    "events": _render_events,
    "workers": _render_workers,
}
"""The pages that have such parts."""


def render_topic(house: House, topic: Topic) -> Parts:
    """Render every part of what a tab watches, as things are now."""
    return PAGES[topic.page](house, topic)
