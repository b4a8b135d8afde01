"""What strangers write into keys, data, results, errors, logs and sources breaks no page, and nothing of it runs."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from house import STRANGE

import tracker
from tracker.connection import write

IDS = "SELECT item_id FROM work_items WHERE job_id = 'strangers' AND key = ?"
GROUPS = "SELECT name FROM failure_groups JOIN work_items ON item_id = example_item_id WHERE key = ?"

LISTS = (
    "/",
    "/jobs/strangers",
    "/jobs/strangers/items?sort=key",
    "/jobs/strangers/items?filter=status:failed",
    f"/jobs/strangers/items?filter={quote('text:' + STRANGE['script'])}",
    "/failures?job=strangers",
    "/events?job=strangers",
    "/sources?job=strangers",
    f"/search?q={quote(STRANGE['script'])}",
    "/search?q=txt",
)


def see_that_nothing_ran(person):
    """See that no script of a stranger's ran, that no question came up, and that the page keeps to the window."""
    assert person.page.evaluate("window.ran") is None
    assert person.dialogs == []
    person.look_at(360, 740, "light")
    assert not person.is_wider_than_the_window(), person.page.url[:200]
    person.wrong = [
        one for one in person.wrong if "status of 400" not in one
    ]  # of a filter that cannot be read


@pytest.mark.parametrize("path", LISTS, ids=[path[:50] for path in LISTS])
def test_lists_with_words_of_strangers_are_lists(person, path):
    person.open(path)
    person.page.locator("h1").wait_for()
    see_that_nothing_ran(person)


@pytest.mark.parametrize("name", STRANGE)
def test_an_item_of_a_stranger_is_an_item(person, dashboard, name):
    item_id = dashboard.ask(IDS, STRANGE[name][:3000])
    path = f"/items?job=strangers&id={item_id}"
    person.open(path)
    for part in person.page.locator("details").all():
        part.evaluate("one => one.open = true")
    assert person.page.get_by_role("heading", level=1).locator("bdi").count() == 1
    see_that_nothing_ran(person)
    for url in person.page.get_by_role("link", name="as a page").evaluate_all(
        "all => all.map(one => one.href)"
    ):
        person.open(url)
        assert person.page.evaluate("[window.ran, document.scripts.length]") == [None, 0]


@pytest.mark.parametrize("name", ["script", "long"])
def test_a_failure_in_the_words_of_a_stranger_is_a_failure(person, dashboard, name):
    group = dashboard.ask(GROUPS, STRANGE[name][:3000])
    for act in ("", "/retry", "/mute"):
        person.open(f"/failures/{group}{act}")
        see_that_nothing_ran(person)


def test_a_kept_page_runs_nothing(person):
    person.open("/items?job=letters&key=letter-01")
    for url in person.page.get_by_role("link", name="as a page").evaluate_all(
        "all => all.map(one => one.href)"
    ):
        person.open(url)
        assert person.page.evaluate("document.querySelectorAll('[onclick]').length") == 0
    assert person.page.get_by_text("By hand.").count() == 1


LONG_TRACE = (
    "Traceback (most recent call last):\n"
    + '  File "theirs.py", line 1, in call\n' * 90
    + "ValueError: the end"
)
ENDS_IN_SIGHT = """one => {
  const box = one.getBoundingClientRect(), text = one.firstElementChild.getBoundingClientRect();
  return [text.height > box.height, Math.abs(text.bottom - box.bottom) < 2, box.height <= window.innerHeight];
}"""


def test_a_long_traceback_shows_its_end_on_a_phone(person, fresh):
    with tracker.open_db(fresh.db) as conn, write(conn):
        conn.execute("UPDATE failures SET traceback = ? WHERE job_id = 'letters'", (LONG_TRACE,))
    group = fresh.ask("SELECT name FROM failure_groups WHERE job_id = 'letters'")
    for path in ("/items?job=letters&key=letter-03", f"/failures/{group}"):
        person.open(path)
        person.look_at(360, 740, "light")
        assert person.page.locator(".trace").first.evaluate(ENDS_IN_SIGHT) == [True, True, True], path
        assert person.find_barriers() == []
