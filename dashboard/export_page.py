"""Results, to be saved as a file."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from dashboard.house import house_of
from dashboard.item_list import Asked
from dashboard.known import require_job, require_stage
from dashboard.visitors import Needs
from pipeline.errors import ExportError
from runner.export import Form, Order, export
from tracker.exporting import Wish

if TYPE_CHECKING:
    from starlette.responses import Response

router = APIRouter(include_in_schema=False)

TYPES = {
    Form.JSONL: "application/jsonl",
    Form.CSV: "text/csv; charset=utf-8",
    Form.PARQUET: "application/vnd.apache.parquet",
    Form.SQLITE: "application/vnd.sqlite3",
    Form.RSS: "application/rss+xml",
}


@router.get("/jobs/{job}/export", dependencies=[Depends(Needs("export"))], response_model=None)
def send_export(
    request: Request,
    job: str,
    form_name: Annotated[str, Query(alias="format")] = "jsonl",
    stage: str = "",
    filter_text: Annotated[str, Query(alias="filter")] = "",
    limit: int | None = None,
) -> Response:
    """Export the results of what a filter selects, of one stage or of all, and send the file."""
    house = house_of(request)
    require_job(house, job)
    form = _read_form(form_name)
    if stage:
        require_stage(house, job, stage)
    if form is Form.RSS and not stage:
        raise ExportError("rss needs a stage: each item is one entry")
    wanted = Asked(job, filter_text).read_filter() if filter_text.strip() else None
    folder = TemporaryDirectory(prefix="celeriac-")
    try:
        path = (
            Path(folder.name) / f"{'-'.join(clean_name(name) for name in (job, stage) if name)}.{form.value}"
        )
        title = f"{job} {stage}" if stage else job
        limited = None if limit is None or limit < 1 else limit
        order = Order(Wish(job, stage or None, wanted=wanted), form, path, limit=limited, title=title)
        export(house.reader, order, lambda *_: None)
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        path, media_type=TYPES[form], filename=path.name, background=BackgroundTask(folder.cleanup)
    )


def _read_form(text: str) -> Form:
    try:
        return Form(text)
    except ValueError:
        raise ExportError(f"no format {text!r:.40}: {', '.join(Form)}") from None


def clean_name(name: str) -> str:
    """Keep of a name what may stand in that of a file."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:100]
