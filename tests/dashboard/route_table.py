"""The whole route table, for the tests that loop over it."""

from __future__ import annotations

import re

from starlette.routing import Mount

from dashboard.visitors import Needs


def list_routes(of):
    """List every route as (path, method, route)."""
    for route in of.routes:
        if isinstance(route, Mount):
            yield route.path, "GET", route
        else:
            yield from ((route.path, method, route) for method in sorted(route.methods - {"HEAD"}))


def needs_of(route):
    """Name what a route needs."""
    dependant = getattr(route, "dependant", None)
    calls = [one.call for one in dependant.dependencies] if dependant else []
    return [call.action for call in calls if isinstance(call, Needs)]


def made_path(path):
    """Fill in a route's parameters."""
    return re.sub(r"\{[^}]+\}", "1", path)
