"""Each page, at three sizes, in the light and in the dark."""

from __future__ import annotations

import pytest
from person import Person
from places import PLACES

SIZES = {"phone": (360, 740), "laptop": (1280, 900), "wall": (3840, 2160)}

OF_SIZE = ("aria-hidden-focus", "scrollable-region-focusable", "target-size")
"""Those rules of axe whose answer depends on the size of the window."""

OF_COLOURS = ("color-contrast", "link-in-text-block")
"""Those whose answer depends on its colours."""

EVERYTHING = ()

VIEWS = (
    ("laptop", "light", EVERYTHING),
    ("laptop", "dark", OF_COLOURS),
    ("phone", "light", OF_SIZE + OF_COLOURS),
    ("phone", "dark", OF_COLOURS),
    ("wall", "light", OF_SIZE + OF_COLOURS),
    ("wall", "dark", OF_COLOURS),
)
"""Each size in the light and in the dark, with the rules whose answer is not known from a view above it."""


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_page_is_usable_at_every_size_in_the_light_and_in_the_dark(person, place):
    person.open(place.path)
    if place.button:
        person.page.get_by_role("button", name=place.button, exact=True).click()
    person.page.locator("main").get_by_text(place.says).first.wait_for(state="attached")
    person.page.wait_for_load_state("load")  # with its styles
    barriers = []
    for size, scheme, rules in VIEWS:
        person.look_at(*SIZES[size], scheme)
        barriers += [f"{size}, {scheme}: {one}" for one in person.find_barriers(*rules)]
        assert not person.is_wider_than_the_window(), size
    assert barriers == [], "\n".join(barriers)
    if place.path in ("/jobs/leters", "/jobs/letters/items?filter=stauts:x"):
        person.wrong.clear()  # the browser says in its console that the answer was 404, or 400


def test_a_chart_that_is_yet_to_follow_the_window_widens_no_page(person):
    person.open("/jobs/letters")
    person.page.locator("figure.chart canvas").first.wait_for()
    person.page.locator("figure.chart .uplot").first.evaluate("one => one.style.width = '3000px'")
    assert not person.is_wider_than_the_window()


SEEN_FOCUS = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), place = one.getBoundingClientRect();
  const text = getComputedStyle(one.querySelector("text") ?? one);
  const draws_its_own = one.matches("audio, video");  // in the parts of its controls
  const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  const is_marked = ring || text.textDecorationLine === "underline";
  const shown = place.bottom > 0 && place.top < innerHeight && place.right > 0 && place.left < innerWidth;
  const name = one.getAttribute("aria-label") ?? one.querySelector("img")?.alt ?? one.textContent;
  return {
    name: `${one.tagName} ${(name || one.name || "").trim().slice(0, 60)}`,
    is_seen: draws_its_own || (is_marked && shown && one.matches(":focus-visible")),
    has_name: Boolean((name ?? "").trim() || one.labels?.length),
  };
}"""


@pytest.mark.parametrize(
    "name",
    [
        "overview",
        "job",
        "items that a filter selects",
        "item that failed",
        "failures",
        "events of people",
        "login",
    ],
)
def test_wherever_tab_goes_the_focus_is_seen_and_says_where_it_is(person, name):
    person.open(PLACES[name].path)
    person.page.evaluate("document.activeElement.blur()")
    unseen, passed = [], 0
    for _ in range(150):
        person.press("Tab")
        focused = person.page.evaluate(SEEN_FOCUS)
        if focused is None:
            break
        passed += 1
        if not (focused["is_seen"] and focused["has_name"]):
            unseen.append(focused)
    assert unseen == []
    assert passed >= 3


def test_somebody_who_wants_no_motion_gets_none(person):
    moving = """() => [...document.querySelectorAll("*")].filter((one) => {
      const style = getComputedStyle(one);
      const seconds = style.transitionDuration.split(", ").map(parseFloat);
      return style.animationName !== "none" || seconds.some((one) => one > 0);
    }).length"""
    for name in ("overview", "job", "items"):
        person.open(PLACES[name].path)
        person.page.emulate_media(reduced_motion="no-preference")
        assert person.page.evaluate(moving) > 0
        person.page.emulate_media(reduced_motion="reduce")
        assert person.page.evaluate(moving) == 0


def test_a_page_can_be_read_without_scripts(browser, dashboard):
    with Person(browser, dashboard, java_script_enabled=False) as reader:
        for name, place in PLACES.items():
            reader.open(place.path)
            if place.button:
                reader.page.get_by_role("button", name=place.button, exact=True).click()
            assert place.says in reader.page.locator("main").text_content(), name
            assert reader.page.locator("h1").count() == 1, name
        assert [one for one in reader.wrong if "status of 40" not in one] == []


def test_a_long_list_goes_on_by_a_link_without_scripts_and_by_itself_with_them(browser, dashboard, person):
    path = "/jobs/letters/items?sort=key"
    with Person(browser, dashboard, java_script_enabled=False) as reader:
        reader.open(path)
        assert reader.page.get_by_role("link", name="letter-60").count() == 0
        reader.page.get_by_role("link", name="More").click()
        reader.page.get_by_role("link", name="letter-60").wait_for()
    person.open(path)
    person.page.mouse.wheel(0, 20_000)
    person.page.get_by_role("link", name="letter-60").wait_for()
    assert person.page.url.endswith(path)


BROKEN_NUMBERS = """() => [...document.querySelectorAll("table.lines th[id]")].filter(one => {
  const text = document.createRange();
  text.selectNodeContents(one);
  return text.getClientRects().length > 1;
}).map(one => one.id)"""


@pytest.mark.parametrize("size", SIZES)
def test_the_number_of_a_line_of_jobs_yaml_stands_on_one_line(person, size):
    person.open("/jobs/letters")
    person.look_at(*SIZES[size], "light")
    assert int(person.page.locator("table.lines th[id]").last.inner_text()) > 9
    assert person.page.evaluate(BROKEN_NUMBERS) == []
