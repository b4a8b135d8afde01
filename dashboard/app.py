"""The dashboard's application: its routes, who may take them, and what every error looks like."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Depends, FastAPI, Query, Request
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response, StreamingResponse

from dashboard import (
    actions_page,
    api,
    api_acts,
    api_intake,
    api_remote,
    costs_page,
    events_page,
    export_page,
    failures_page,
    health,
    item_acts,
    item_page,
    items_page,
    job_acts,
    job_page,
    job_pauses,
    kept_files,
    login,
    metrics,
    overview,
    reprocess_page,
    search_page,
    sources_page,
    workers_page,
)
from dashboard.bounds import BodyBound
from dashboard.guarding import Guard
from dashboard.live import Live
from dashboard.live_parts import Topic, render_topic
from dashboard.login import Throttle
from dashboard.places import STATIC
from dashboard.problems import add_problem_handlers
from dashboard.visitors import Needs, Visitor

if TYPE_CHECKING:
    from dashboard.house import House

PAGES = (
    overview.router,
    job_page.router,
    job_acts.router,
    job_pauses.router,
    sources_page.router,
    actions_page.router,
    failures_page.router,
    costs_page.router,
    workers_page.router,
    events_page.router,
    items_page.router,
    item_acts.router,
    reprocess_page.router,
    export_page.router,
    item_page.router,
    kept_files.router,
    search_page.router,
    api.router,
    api_acts.router,
    api_intake.router,
    api_remote.router,
    metrics.router,
    health.router,
)
"""The routers of the pages, each of which says for every route what it takes to use it."""


def make_app(house: House) -> FastAPI:
    """Make the application for one house."""
    app = FastAPI(
        title="Celeriac",
        openapi_url="/api/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.house, app.state.throttle = house, Throttle()
    app.state.live = Live(house.settings.db_path, partial(render_topic, house))
    app.add_middleware(BodyBound)
    app.add_middleware(Guard, served=house.served)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for router in (login.router, *PAGES):
        app.router.routes.extend(router.routes)  # as they are: `include_router` would build each of them anew
    app.add_api_route("/live", stream, include_in_schema=False)
    add_problem_handlers(app)
    return app


async def stream(
    request: Request,
    visitor: Annotated[Visitor, Depends(Needs("view"))],
    page: Literal["overview", "job", "events", "workers"] | None = None,
    subject: Annotated[str, Query(max_length=2_000)] = "",
) -> Response:
    """Stream the numbers that change, and what changes of a page that is watched, as server-sent events."""
    live: Live = request.app.state.live
    topic = None if page is None else Topic.of(page, subject, visitor)
    return StreamingResponse(
        live.listen(topic), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )
