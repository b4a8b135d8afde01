"""
Make the pictures of the dashboard that the documentation shows: the same ones each time.

A house lives a day by a clock of its own, a server shows it at the end of that day, and a browser takes a picture of
each page, in the light, in the dark, and on a phone. Needs Chromium.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]
os.environ |= {"CELERIAC_CONTACT": "https://example.org/contact", "LOGNAME": "ada"}

import uvicorn  # noqa: E402
from believable import JOBS, NOW, Clock, live_a_day  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

import tracker.clock  # noqa: E402
from dashboard.app import make_app  # noqa: E402
from dashboard.house import House, Served  # noqa: E402
from pipeline.settings import Settings  # noqa: E402
from runner import code_version  # noqa: E402
from runner.runtime import Runtime  # noqa: E402
from runner.search_keeping import keep_search  # noqa: E402
from tracker.connection import open_db  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

PICTURES = ROOT / "docs" / "screenshots"
COLOURS = 255
PHONE_WIDTH = 390

BIGGEST_GROUP = "SELECT name FROM failure_groups ORDER BY failed DESC, group_id LIMIT 1"
LAST_EPISODE = """
SELECT key FROM work_items WHERE job_id = 'podcasts' AND status = 'done' ORDER BY item_id DESC LIMIT 1
"""

SCHEMES = ("light", "dark")


@dataclass(frozen=True)
class Shot:
    """A page to take: its name, its address, how high the picture is; `clicks` are pressed first."""

    name: str
    path: str
    height: int = 800
    phone: bool = False
    clicks: tuple[str, ...] = ()


SHOTS = (
    Shot("overview", "/", 830, phone=True),
    Shot("job", "/jobs/podcasts", 1000, phone=True),
    Shot("items", "/jobs/hacker-news/items?filter=stage:fetch,article status:failed", 760, phone=True),
    Shot("item", "/items?job=podcasts&key={episode}", 1000, phone=True),
    Shot(
        "reprocess",
        "/jobs/papers/items?filter=status:done",
        560,
        clicks=("input[name=which][value=all]", "[formaction*=reprocess]"),
    ),
    Shot("failures", "/failures", 560, phone=True),
    Shot("failure", "/failures/{group}", 800),
    Shot("costs", "/costs?by=stage&since=7d", 860),
    Shot("workers", "/workers", 620),
    Shot("events", "/events?acts=true", 620),
    Shot("search", "/search?q=lighthouses", 620),
    Shot("sources", "/sources?job=podcasts", 620),
    Shot("pause", "/jobs/podcasts/pause", 560),
)


@contextmanager
def serve(folder: Path) -> Iterator[tuple[str, Settings]]:
    """Serve a house that has lived its day, at the end of it."""
    settings = Settings(jobs=folder / "jobs.yaml", data=folder)
    settings.jobs.write_text(JOBS)
    house = House(
        settings, Served(flower_url="http://127.0.0.1:5555/"), lambda: Runtime(settings, publisher=None)
    )
    jobs, refusal = house.read_jobs()
    assert jobs is not None, refusal
    clock = Clock(NOW)
    with (
        patch.object(tracker.clock, "time", clock),
        patch.object(code_version, "_hash_sources", lambda: "5e1e71ac"),
    ):
        with open_db(settings.db_path) as conn:
            live_a_day(conn, jobs, clock)
        runtime = Runtime(settings, publisher=None)
        keep_search(runtime)
        runtime.close()
        app = make_app(house)
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            thread.join(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}", settings
        finally:
            app.state.live.close()
            server.should_exit = True
            thread.join()


def open_page(browser: Browser, url: str, width: int, height: int, scheme: str) -> Page:
    """Open a window at the house."""
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    return page


def take(page: Page, shot: Shot, path: str, file: Path) -> None:
    """Take one picture, and keep it with few colours."""
    page.goto(path)
    for click in shot.clicks:
        page.locator(click).first.click()
    page.locator("[data-stream]").get_by_text("live", exact=True).wait_for()
    for chart in page.locator("[data-chart]").all():
        chart.locator("canvas, p").first.wait_for(state="attached")
    page.evaluate("document.activeElement.blur()")
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    few = picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def main() -> None:
    """Make every picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no chromium on this machine: apt-get install chromium")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-")))
        made = folder / "pictures"
        made.mkdir()
        url, settings = stack.enter_context(serve(folder))
        with open_db(settings.db_path) as conn:
            there = {
                "group": conn.execute(BIGGEST_GROUP).fetchone()[0],
                "episode": conn.execute(LAST_EPISODE).fetchone()[0],
            }
        playwright = stack.enter_context(sync_playwright())
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=[*flags, "--hide-scrollbars"])
        stack.callback(browser.close)
        for shot in SHOTS:
            path = shot.path.format(**there)
            for scheme in SCHEMES:
                page = open_page(browser, url, 1200, shot.height, scheme)
                take(page, shot, path, made / f"{shot.name}-{scheme}.png")
                page.context.close()
            if shot.phone:
                page = open_page(browser, url, PHONE_WIDTH, 800, "light")
                take(page, shot, path, made / f"{shot.name}-phone.png")
                page.context.close()
        shutil.rmtree(PICTURES, ignore_errors=True)
        shutil.copytree(made, PICTURES)
    size = sum(path.stat().st_size for path in PICTURES.glob("*.png"))
    where = PICTURES.relative_to(ROOT)
    sys.stdout.write(f"{len(SHOTS)} pages in pictures of {size / 1024:,.0f} KiB, in {where}\n")


if __name__ == "__main__":
    main()
