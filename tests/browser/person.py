"""A person at a window, and what goes wrong in it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from tests.waiting import PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from house import Dashboard
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, Route

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()

MOST_TABS = 400

LOOK = """([where, options]) => axe.run(where, {...options, resultTypes: ["violations"]}).then(found => found.violations
  .filter(one => one.impact === "serious" || one.impact === "critical")
  .flatMap(one => one.nodes.map(node => `${one.id}: ${node.target.join(" ")}: ${node.failureSummary}`)))"""

FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const label = one.getAttribute("aria-label") ?? (one.labels?.length ? one.labels[0].innerText : one.innerText);
  const kind = one.matches("input, select, textarea") ? (one.type === "submit" ? "button" : "field")
    : one.matches("button, summary, [role=button]") ? "button" : one.matches("a") ? "link" : "place";
  return {kind, label: (label ?? "").replace(/\\s+/g, " ").trim()};
}"""


class Person:
    """
    Somebody who looks at pages of a dashboard, and acts by the keyboard alone.

    `wrong` gathers what must not happen: messages in the console, errors of scripts, requests that would leave the
    machine, answers that say that the server failed. `dialogs` are the questions of the browser, all of which are
    answered with yes.
    """

    def __init__(self, browser: Browser, dashboard: Dashboard, **how: Any) -> None:
        how = {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **how}
        self.dashboard, self.url = dashboard, dashboard.url
        self.context = browser.new_context(base_url=self.url, **how)
        self.context.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.context.route(lambda url: not url.startswith(self.url), self._refuse)
        self.context.on("page", self._watch)
        self.wrong: list[str] = []
        self.dialogs: list[str] = []
        self.page = self.context.new_page()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def begin(self) -> None:
        """Begin anew: at a window of a laptop, in the light, with nothing gone wrong yet."""
        self.wrong.clear()
        self.dialogs.clear()
        self.look_at(1280, 900, "light")

    def check(self) -> None:
        """See that nothing went wrong."""
        assert self.wrong == [], "\n".join(self.wrong)

    def _watch(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        page.on("dialog", self._agree)
        page.on(
            "response",
            lambda answer: answer.status < 500 or self.wrong.append(f"{answer.status} {answer.url}"),
        )

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text} {message.location}")

    def _agree(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.accept()

    def _refuse(self, route: Route, request: Request) -> None:
        if urlsplit(request.url).scheme not in ("data", "blob"):
            self.wrong.append(f"leaves the machine: {request.url[:500]}")
        route.abort()

    # -- looking ------------------------------------------------------------------------------------------

    def open(self, path: str) -> None:
        """Open a page."""
        self.page.goto(path)

    def look_at(self, width: int, height: int, scheme: Literal["light", "dark"]) -> None:
        """Look at the page that is open through another window, in the light or in the dark; nothing moves."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")

    def find_barriers(self, *rules: str) -> list[str]:
        """
        Find what axe holds to be serious or critical, by these rules, or by all that it has.

        By these rules, only the first rows of a long table are looked at: the others look alike.
        """
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE)
        options = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
        where = {"exclude": [["tr:nth-child(n + 12)"]]} if rules else {"include": [["html"]]}
        found: list[str] = self.page.evaluate(LOOK, [where, options])
        return found

    def is_wider_than_the_window(self) -> bool:
        """Tell whether the page scrolls sideways."""
        return bool(
            self.page.evaluate(
                "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
        )

    def says(self, text: str) -> None:
        """Wait until the page says something."""
        self.page.get_by_text(text).first.wait_for()

    def wait_until(self, holds: str | Callable[[], object]) -> None:
        """
        Wait until a script's expression, or what the browser tells, is true.

        The page's own policy allows no `wait_for_function`.
        """
        holds = partial(self.page.evaluate, holds) if isinstance(holds, str) else holds
        wait_until(holds, rest=lambda: self.page.wait_for_timeout(20))

    # -- acting -------------------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        """Type a text where the focus is, in place of what was there."""
        self.press("Control+A")
        self.page.keyboard.type(text)

    def tab_to(self, label: str, kind: str | None = None) -> None:
        """Go to what has a label, by Tab alone; `kind` is link, button or field."""
        passed = []
        for _ in range(MOST_TABS):
            self.press("Tab")
            focused = self.page.evaluate(FOCUSED)
            if focused and focused["label"].startswith(label) and kind in (None, focused["kind"]):
                return
            passed.append(focused and focused["label"][:40])
        raise AssertionError(f"Tab does not come to {kind or 'anything'} {label!r}: {passed}")

    def enter(self, label: str, kind: str | None = None) -> None:
        """Go to a link or a button by Tab alone, press Enter, and wait for the page to which it leads."""
        self.tab_to(label, kind)
        with self.page.expect_navigation(wait_until="load"):
            self.press("Enter")
