"""What is shown of a job moves while a page is open, and what somebody does there stays."""

from __future__ import annotations

import pytest

import tracker
from tracker.pauses import Target, lift, pause

MARK = """job => {
  const cause = document.querySelector(`[data-part="card-${job}"] .cause`);
  getSelection().selectAllChildren(cause);
  return cause.textContent;
}"""


@pytest.fixture
def conn(fresh):
    with tracker.open_db(fresh.db) as opened:
        yield opened


def card(person, job):
    return person.page.locator(f'[data-part="card-{job}"]')


def jobs_shown(person):
    return person.page.eval_on_selector_all(".cards > article", "all => all.map(one => one.dataset.job)")


def mark(person, job):
    """Mark what is said of a job, at once: what is looked up first and marked then may be another by then."""
    return person.page.evaluate(MARK, job)


def unmark(person):
    person.page.evaluate("getSelection().removeAllRanges()")


def is_live(person):
    person.page.locator("[data-stream]").get_by_text("live", exact=True).wait_for()


def test_a_card_says_that_its_job_was_paused_and_goes_where_it_belongs(person, conn):
    person.open("/")
    is_live(person)
    person.page.evaluate("window.isTheSame = true")
    before = jobs_shown(person)
    tracker.pause_job(conn, "papers", "the <b>printer</b> is out of ink", by="ann")
    card(person, "papers").get_by_text("the <b>printer</b> is out of ink").wait_for()
    assert card(person, "papers").get_attribute("data-stand") == "paused"
    assert sorted(jobs_shown(person)) == sorted(before)
    assert person.page.evaluate("window.isTheSame")
    tracker.unpause_job(conn, "papers", by="ann")
    person.wait_until(lambda: card(person, "papers").get_attribute("data-stand") != "paused")
    person.wait_until(lambda: jobs_shown(person) == before)


def test_of_the_jobs_that_stand_in_one_way_one_comes_and_goes(person, conn):
    person.open("/?stand=paused")
    is_live(person)
    assert jobs_shown(person) == []
    tracker.pause_job(conn, "papers", "out of ink", by="ann")
    card(person, "papers").wait_for()
    assert jobs_shown(person) == ["papers"]
    current = person.page.locator('nav.choices a[aria-current="page"]')
    assert current.all_inner_texts() == ["1 paused"]
    tracker.unpause_job(conn, "papers", by="ann")
    card(person, "papers").wait_for(state="detached")


def test_that_everything_is_paused_is_said_above_with_the_button_to_let_it_go_on(person, conn):
    person.open("/")
    is_live(person)
    pause(conn, Target.everything(), "a fire drill", by="ann")
    person.says("a fire drill")
    person.page.get_by_role("button", name="Let everything go on").wait_for()
    lift(conn, Target.everything(), by="ann")
    person.page.get_by_role("button", name="Pause everything").wait_for()


IS_OPEN = "element => element.open"


def test_who_stands_on_a_link_or_has_opened_a_table_goes_on_there(person, conn):
    person.open("/jobs/papers")
    is_live(person)
    pipeline = person.page.locator("[data-part=pipeline]")
    table = pipeline.locator("details")
    # a click while the part is replaced, as it is when the page begins to be live, opens nothing
    person.wait_until(
        lambda: table.evaluate(IS_OPEN) or person.page.get_by_text("The stages as a table").click()
    )
    person.page.get_by_role("button", name="Items", exact=True).focus()
    tracker.pause_job(conn, "papers", "out of ink", by="ann")
    person.says("out of ink")
    assert person.page.evaluate("document.activeElement.textContent") == "Items"
    before = pipeline.inner_html()
    tracker.upsert_items(conn, "papers", [{"key": f"more {n}"} for n in range(3)])
    person.wait_until(lambda: pipeline.inner_html() != before)
    assert table.evaluate(IS_OPEN)


def test_what_somebody_marks_is_not_taken_from_under_the_hand(person, conn):
    person.open("/")
    is_live(person)
    cause = card(person, "papers").locator(".cause")
    said = mark(person, "papers")
    tracker.pause_job(conn, "papers", "out of ink", by="ann")
    pause(conn, Target.everything(), "a fire drill", by="ann")
    person.says("a fire drill")
    assert cause.text_content() == said
    unmark(person)
    person.wait_until(lambda: cause.text_content() != said)


def test_no_card_is_moved_while_something_on_one_is_marked(person, conn):
    person.open("/")
    is_live(person)
    before = jobs_shown(person)
    assert before[:2] == ["letters", "strangers"]
    mark(person, "strangers")
    tracker.pause_job(conn, "letters", "out of stamps", by="ann")
    card(person, "letters").get_by_text("out of stamps").wait_for()
    assert jobs_shown(person) == before
    assert not person.page.evaluate("getSelection().isCollapsed")
    unmark(person)
    person.wait_until(lambda: jobs_shown(person)[0] == "strangers")


def test_events_come_by_themselves_newest_first(person, conn):
    person.open("/events")
    is_live(person)
    tracker.log_event(conn, "papers", "wake", by="somebody <new>")
    person.says("somebody <new>")
    assert "somebody <new>" in person.page.locator("tbody tr").first.inner_text()


STANDS_ON = "[document.activeElement.closest('tr')?.dataset.row, document.activeElement.getAttribute('href')]"


def test_who_stands_on_a_link_of_an_event_stands_on_the_same_when_another_comes(person, conn):
    tracker.log_event(conn, "papers", "wake", by="somebody before")
    tracker.log_event(conn, "papers", "wake", by="somebody else before")
    person.open("/events")
    is_live(person)
    person.page.locator("tbody tr").nth(1).get_by_role("link", name="papers").focus()
    before = person.page.evaluate(STANDS_ON)
    tracker.log_event(conn, "papers", "wake", by="somebody new")
    person.says("somebody new")
    assert person.page.evaluate(STANDS_ON) == before


AT_ONCE = "(later => { window.setTimeout = act => later(act, 0); })(window.setTimeout)"


def labels(person):
    return person.page.locator(".chart").first.locator(".u-label").all_inner_texts()


def test_a_chart_whose_lines_are_others_by_now_is_drawn_anew(person, conn):
    def turn_round(route):
        answer = route.fetch()
        told = answer.json()
        told["settled"]["lines"].reverse()
        route.fulfill(response=answer, json=told)

    person.open("/jobs/papers")
    is_live(person)
    person.wait_until(lambda: labels(person))
    utc, *before = labels(person)
    assert len(before) > 1
    person.page.evaluate(AT_ONCE)
    with person.page.expect_response("**/series*"):
        person.page.route("**/series*", turn_round)
        tracker.upsert_items(conn, "papers", [{"key": "one more"}])
    person.wait_until(lambda: labels(person) == [utc, *reversed(before)])
    person.page.unroute_all()
    person.page.locator(".chart").first.focus()
    person.press("ArrowLeft")
    assert person.page.locator(".chart").first.locator(".u-value").first.inner_text() != "--"


def test_workers_come_by_themselves(person, conn):
    person.open("/workers")
    is_live(person)
    conn.execute("UPDATE workers SET name = 'another@box'")
    person.says("another@box")
