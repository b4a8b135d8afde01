"""Everything that people do, done by the keyboard alone, and what it makes of the tracker's file."""

from __future__ import annotations

import getpass
import json

import pytest

from runner.access import add_account
from tracker import open_db

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
ME = getpass.getuser()

STAND_SO = """
SELECT count(*)
  FROM item_stages JOIN work_items ON work_items.item_id = item_stages.item_id
 WHERE work_items.job_id = 'letters' AND stage = ? AND item_stages.status = ?
"""
PAUSED = "SELECT count(*) FROM pauses WHERE reason = ?"


@pytest.fixture
def failed(fresh):
    """How many letters have failed."""
    count = fresh.ask(STAND_SO, "answer", "failed")
    assert count > 5
    return count


def last_action(house):
    """Read the last action: what was done, by whom, to how many."""
    act, by, done = (
        house.ask(f"SELECT {column} FROM actions ORDER BY action_id DESC LIMIT 1")  # noqa: S608 - three words of ours
        for column in ("act", "by", "done")
    )
    return act, by, done


def choose(person, *keys):
    """Choose items of the list that is open."""
    for key in keys:
        person.tab_to(f"Choose {key}", "field")
        person.press("Space")


def choose_all(person):
    """Choose all that fit, with the arrow keys as radio buttons have it."""
    person.tab_to("those chosen below", "field")
    person.press("ArrowRight")


def choose_stage(person, stage):
    person.tab_to("Stage")
    person.press(*stage[:2])


# -- items ------------------------------------------------------------------------------------------------


def test_an_item_is_retried_from_its_page_and_that_is_undone(person, fresh):
    person.open("/items?job=letters&key=letter-03")
    person.enter("Retry", "button")
    person.says("1 failed stage is tried again")
    person.enter("Retry it", "button")
    assert fresh.status("letter-03", "answer") == "pending"
    assert last_action(fresh) == ("retry", ME, 1)
    person.enter("Undo", "link")
    person.enter("Undo", "button")
    assert fresh.status("letter-03", "answer") == "failed"
    assert last_action(fresh) == ("undo", ME, 1)


def test_items_are_chosen_in_a_list_and_done_again_from_a_stage(person, fresh):
    person.open("/jobs/letters/items?filter=key:letter-01,letter-02")
    choose_stage(person, "answer")
    choose(person, "letter-01", "letter-02")
    person.says("(2)")
    person.enter("Do again from the stage", "button")
    person.says("2 items are done again")
    person.enter("Do them again", "button")
    assert [fresh.status("letter-02", stage) for stage in ("open", "answer", "file")] == [
        "done",
        "pending",
        "pending",
    ]
    assert last_action(fresh)[:2] == ("reset", ME)


def test_an_item_is_skipped_with_a_reason(person, fresh):
    person.open("/items?job=letters&key=letter-03")
    person.enter("Skip", "button")
    person.tab_to("Reason", "field")
    person.type("nobody minds")
    person.enter("Skip it", "button")
    assert fresh.status("letter-03", "answer") == "skipped"
    reason = fresh.ask(
        "SELECT reason FROM item_stages JOIN work_items USING (item_id) WHERE key = 'letter-03' AND stage = 'answer'"
    )
    assert reason == f"nobody minds (skipped by {ME})"


def test_an_item_gets_another_priority(person, fresh):
    person.open("/items?job=letters&key=letter-04")
    person.enter("Priority", "button")
    person.tab_to("Priority", "field")
    person.type("12")
    person.enter("Count", "button")
    person.says("1 item gets this priority")
    person.enter("Set it", "button")
    assert fresh.ask("SELECT priority FROM work_items WHERE key = 'letter-04'") == 12


def test_an_item_that_waits_is_cancelled(person, fresh):
    person.open("/items?job=papers&key=b")
    person.enter("Cancel", "button")
    person.enter("Cancel it", "button")
    assert fresh.status("b", "note") == "skipped"


def test_an_item_goes_through_everything_again(person, fresh):
    person.open("/items?job=letters&key=letter-01")
    person.enter("Reopen", "button")
    person.enter("Reopen it", "button")
    assert fresh.status("letter-01", "open") == "pending"


def test_a_filter_is_typed_and_all_that_fit_are_retried_with_their_number(person, fresh, failed):
    person.open("/jobs/letters/items")
    person.tab_to("Filter", "field")
    person.type("status:failed")
    with person.page.expect_navigation():
        person.press("Enter")
    assert person.page.url.endswith("filter=status%3Afailed&sort=newest")
    person.says(f"all that fit ({failed})")
    choose_all(person)
    person.enter("Retry", "button")
    person.says(f"{failed} failed stages are tried again")
    person.enter("Retry them", "button")
    assert (fresh.ask(STAND_SO, "answer", "failed"), last_action(fresh)) == (0, ("retry", ME, failed))


def test_results_are_made_again_after_a_quote_and_a_trial(person, fresh):
    person.open("/jobs/letters/items?filter=status:done")
    choose_all(person)
    person.enter("Reprocess", "button")
    person.says("The quote")
    choose_stage(person, "answer")
    person.tab_to("only results of another version", "field")
    person.press("Space")
    person.enter("Quote again", "button")
    done = fresh.ask(STAND_SO, "answer", "done")
    person.says(f"{done} items; at most")
    person.tab_to("Try on", "field")
    person.type("2")
    person.enter("Try on some first", "button")
    person.says("All 2 tried")
    person.says("another result")
    assert fresh.ask(STAND_SO, "answer", "done") == done  # nothing of it counts yet
    person.enter("Make them again", "button")
    person.page.locator("#done").get_by_text("reprocess of letters").wait_for()
    assert fresh.ask(STAND_SO, "answer", "pending") == done - 2
    assert last_action(fresh) == ("reprocess", ME, done - 2)


def test_results_are_saved_as_a_file(person, fresh):
    person.open("/jobs/letters/items?filter=status:done")
    person.tab_to("Save the results as a file", "button")
    person.press("Enter")
    person.tab_to("Download", "button")
    with person.page.expect_download() as download:
        person.press("Enter")
    lines = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert len(lines) == 3 * fresh.ask(
        "SELECT count(*) FROM work_items WHERE job_id = 'letters' AND status = 'done'"
    ) - fresh.ask(STAND_SO, "answer", "skipped")


def test_a_list_is_kept_under_a_name_and_forgotten(person, fresh):
    named = "SELECT count(*) FROM saved_views WHERE name = 'late answers'"
    person.open("/jobs/letters/items?filter=status:failed")
    person.tab_to("Kept lists", "button")
    person.press("Enter")
    person.tab_to("Keep this list as", "field")
    person.type("late answers")
    with person.page.expect_navigation():
        person.press("Enter")
    assert fresh.ask(named) == 1
    person.open("/jobs/letters/items")
    person.enter("late answers", "link")
    assert "filter=status%3Afailed" in person.page.url
    person.enter("Forget the list late answers", "button")
    assert person.dialogs == ["Forget the list late answers?"]
    assert fresh.ask(named) == 0


def test_a_stage_is_run_again_in_a_sandbox(person, fresh):
    before = fresh.ask("SELECT count(*) FROM events")
    person.open("/items?job=letters&key=letter-01")
    person.enter("run answer in a sandbox", "button")
    person.says("Nothing was recorded")
    person.says("Thank you, in a")
    assert len(person.dialogs) == 1
    assert fresh.ask("SELECT count(*) FROM events") == before


# -- jobs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "pause", "scope"), [("/", "Pause everything", "all"), ("/jobs/letters", "Pause", "job")]
)
def test_everything_or_a_job_is_paused_with_a_reason_and_let_go_on(person, fresh, page, pause, scope):
    person.open(page)
    person.enter(pause, "button")
    person.page.locator("[name=reason]:focus").wait_for()
    person.type("the post is on strike")
    person.tab_to("Until", "field")
    person.type("2h")
    person.enter("Pause it", "button")
    assert (
        fresh.ask("SELECT scope FROM pauses WHERE reason = 'the post is on strike' AND by = ?", ME) == scope
    )
    person.says("the post is on strike")
    person.enter("Let everything go on" if scope == "all" else "Let it go on", "button")
    person.enter("Do it", "button")
    assert fresh.ask(PAUSED, "the post is on strike") == 0


def test_a_stage_alone_is_paused(person, fresh):
    person.open("/jobs/letters")
    person.tab_to("The stages as a table", "button")
    person.press("Enter")
    person.enter("Pause answer", "link")
    person.page.locator("[name=reason]:focus").wait_for()
    person.type("the editor is ill")
    person.enter("Pause it", "button")
    assert fresh.ask("SELECT stage FROM pauses WHERE reason = 'the editor is ill'") == "answer"


def test_a_job_is_told_to_look_now_and_what_failed_of_it_is_tried_again(person, fresh, failed):
    person.open("/jobs/letters")
    person.enter("Look for items now", "button")
    person.enter("Do it", "button")
    assert fresh.ask("SELECT by FROM events WHERE kind = 'wake'") == ME
    person.enter("Try again what failed", "button")
    person.says(f"{failed} failed stages")
    person.enter("Do it", "button")
    assert fresh.ask(STAND_SO, "answer", "failed") == 0


def test_what_jobs_yaml_changes_is_applied(person, fresh):
    of_a_new_stage = "SELECT count(*) FROM job_stages WHERE job_id = 'papers' AND stage = 'shelve'"
    assert fresh.ask(of_a_new_stage) == 0
    person.open("/jobs/papers/apply")
    person.enter("Do it", "button")
    assert fresh.ask(of_a_new_stage) == 1


# -- failures ---------------------------------------------------------------------------------------------


def open_group(person):
    person.open("/failures?job=letters")
    person.enter("TimeoutError: no answer from the editor", "link")


def test_a_group_of_failures_is_muted_and_listed_again(person, fresh):
    muted = "SELECT muted_by FROM failure_groups WHERE job_id = 'letters'"
    open_group(person)
    person.enter("Mute", "button")
    person.enter("Mute this group", "button")
    assert fresh.ask(muted) == ME
    person.enter("Unmute", "button")
    person.enter("List this group again", "button")
    assert fresh.ask(muted) is None


@pytest.mark.parametrize(
    ("link", "button", "ends"), [("Try", "Try again", "pending"), ("Skip", "Skip", "skipped")]
)
def test_a_group_of_failures_is_retried_or_skipped(person, fresh, failed, link, button, ends):
    open_group(person)
    person.enter(f"{link} {failed}", "button")
    person.says(f"{failed} failed stages are")
    person.enter(f"{button} what failed so", "button")
    assert (fresh.ask(STAND_SO, "answer", "failed"), fresh.status("letter-03", "answer")) == (0, ends)


# -- coming and going -------------------------------------------------------------------------------------


def test_somebody_logs_in_and_out(person, fresh):
    with open_db(fresh.db) as conn:
        add_account(conn, "ada", "operator", PASSWORD, "test")
    person.open("/jobs/letters")
    assert "/login?to=" in person.page.url
    person.page.locator("[name=name]:focus").wait_for()
    person.type("ada")
    person.tab_to("Password", "field")
    person.type("wrong password")
    person.enter("Log in", "button")
    person.says("Name or password is wrong")
    person.page.locator("[name=password]:focus").wait_for()  # the name is still there
    person.wrong.clear()  # the browser says in its console that the answer was 403
    person.type(PASSWORD)
    with person.page.expect_navigation():
        person.press("Enter")
    assert person.page.url.endswith("/jobs/letters")
    person.says("ada, operator")
    person.enter("Log out", "button")
    person.open("/")
    assert "/login" in person.page.url


def test_keys_lead_to_pages_and_to_the_search(person, dashboard):
    person.open("/")
    person.press("g", "f")
    person.page.wait_for_url("**/failures")
    person.press("/")
    person.page.locator("header [name=q]:focus").wait_for()
    person.page.keyboard.type("letter-07/?")
    assert (
        person.page.input_value("header [name=q]") == "letter-07/?"
    )  # where one writes, a key is a character
    person.type("letter-07")
    with person.page.expect_navigation():
        person.press("Enter")
    person.enter("letter-07", "link")
    assert "key=letter-07" in person.page.url
    person.press("?")
    person.page.get_by_role("dialog", name="Keys").wait_for()
    person.press("Escape")
    person.page.get_by_role("dialog", name="Keys").wait_for(state="hidden")


def test_the_first_key_skips_what_is_the_same_on_every_page(person, dashboard):
    person.open("/failures")
    person.press("Tab", "Enter")
    assert person.page.evaluate("document.activeElement.id") == "main"
