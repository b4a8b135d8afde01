"""Renders templates: everything is escaped, and a name that a template misspells is an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from dashboard.addresses import item_path, write_query
from dashboard.deeds import find_done
from dashboard.house import house_of
from dashboard.kinds import shorten_json
from dashboard.visitors import find_visitor
from pipeline.durations import format_duration
from pipeline.money import format_usd
from runner.saying import agree, say_bytes, say_distance, say_reasons
from tracker.clock import format_ms, now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import Request

    from dashboard.house import House
    from dashboard.visitors import Visitor

ABSENT = "–"  # noqa: RUF001 - a dash, as people write it

SHOWN_CHARS = 100_000
"""More of one text is cut: a browser would choke on it."""


def show_time(at_ms: int | None) -> Markup | str:
    """Show an instant as its distance, with the instant itself in UTC on a pointer or for a screen reader."""
    return _show_time(at_ms, lambda at: say_distance(at, now_ms()))


def show_still_time(at_ms: int | None) -> Markup | str:
    """Show an instant in a part that is sent anew when it has changed: as it is, until the page says its distance."""
    return _show_time(at_ms, format_ms)


def _show_time(at_ms: int | None, say: Callable[[int], str]) -> Markup | str:
    if at_ms is None:
        return ABSENT
    written = f"{format_ms(at_ms)} UTC"
    return Markup('<time datetime="{}Z" data-at="{}" title="{}">{}</time>').format(
        format_ms(at_ms).replace(" ", "T"), at_ms, written, say(at_ms)
    )


def show_seconds(seconds: float | None) -> str:
    """Show a duration; an absent one is a dash."""
    return ABSENT if seconds is None else format_duration(seconds)


def show_usd(usd: float | None) -> str:
    """Show an amount; one that is not known is said."""
    return "unknown" if usd is None else format_usd(usd)


def show_count(number: int) -> str:
    """Show a whole number with its thousands apart."""
    return f"{number:,}"


def show_rate(per_minute: float) -> str:
    """
    Show how many a minute; few ones to the tenth.

    >>> show_rate(0.0), show_rate(0.24), show_rate(1240.6)
    ('0', '0.2', '1,241')
    """
    return f"{per_minute:.1f}" if 0 < per_minute < 10 else f"{per_minute:,.0f}"


def show_live(number: int, name: str) -> Markup:
    """Show a counter that moves while the page is open; `name` as in `tracker.live.read_counts`."""
    return Markup('<span data-live="{}">{}</span>').format(name, show_count(number))


def show_json(value: Any) -> Markup:
    """Show JSON as text, indented, and cut when it is very long."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if len(text) > SHOWN_CHARS:
        text = f"{text[:SHOWN_CHARS]}\n… {len(text) - SHOWN_CHARS:,} more characters"
    return Markup("<pre>{}</pre>").format(text)


def make_environment(show_instant: Callable[[int | None], Markup | str] = show_time) -> Environment:
    """Make what the templates are rendered in."""
    environment = Environment(
        loader=PackageLoader("dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "time": show_instant,
        "seconds": show_seconds,
        "usd": show_usd,
        "count": show_count,
        "rate": show_rate,
        "live": show_live,
        "as_json": show_json,
        "in_query": write_query,
        "short_json": shorten_json,
        "bytes": say_bytes,
        "reasons": say_reasons,
        "agree": agree,
    }
    environment.globals["item_path"] = item_path
    return environment


TEMPLATES = make_environment()
PARTS = make_environment(show_still_time)


def render_part(house: House, visitor: Visitor, template: str, **values: Any) -> str:
    """Render a part of a page for those who may do what a visitor may."""
    part = PARTS.get_template(template).render({**house.facts(), "visitor": visitor, **values})
    return part.encode("utf-8", "replace").decode()


def render(request: Request, template: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    """Render a page for whoever asks."""
    house = house_of(request)
    facts: Mapping[str, Any] = {
        **house.facts(),
        "visitor": (visitor := find_visitor(request)),
        "done": find_done(request) if visitor else None,
        "path": request.url.path.removeprefix(house.served.prefix) or "/",
        **values,
    }
    page = TEMPLATES.get_template(template).render(facts)
    return HTMLResponse(page.encode("utf-8", "replace"), status_code)  # half of a surrogate pair is no text
