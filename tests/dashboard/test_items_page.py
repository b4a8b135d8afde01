from __future__ import annotations

import html
import json
import re

import pytest
from hostile import TEXTS, read_page

import tracker
from dashboard import item_list
from pipeline.filters import parse_filter
from tracker.actions import list_actions
from tracker.items import get_item
from tracker.plan import make_plan, remember_plan

STAGES = ["read", "note"]


@pytest.fixture
def papers(conn):
    """Fill the job with 120 items: one in four failed in `read`, the others wait."""
    tracker.upsert_items(conn, "papers", [{"key": f"k{n:03}", "priority": n % 3} for n in range(120)])
    ids = {row[1]: row[0] for row in conn.execute("SELECT item_id, key FROM work_items")}
    for n in range(0, 120, 4):
        item_id = ids[f"k{n:03}"]
        tracker.mark_stage_in_progress(conn, item_id, "read", STAGES)
        tracker.mark_stage_failed(conn, item_id, "read", STAGES, TimeoutError(f"no answer for {n}"))
    return ids


def keys_of(answer):
    return re.findall(r"<bdi>(k\d+)</bdi>", answer.text)


def next_of(answer):
    found = re.search(r'<a href="([^"]+)" rel="next">', answer.text)
    return html.unescape(found[1]) if found else None


def walk(browser, url):
    keys = []
    while url:
        answer = browser.get(url)
        assert answer.status_code == 200
        keys += keys_of(answer)
        url = next_of(answer)
    return keys


ALL = [f"k{n:03}" for n in range(120)]
FAILED = ALL[::4]


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", ALL[::-1]),
        ("?sort=oldest", ALL),
        ("?sort=key", ALL),
        ("?filter=status:failed&sort=oldest", FAILED),
        ("?filter=status:failed", FAILED[::-1]),
        ("?filter=stage:read status:failed", FAILED[::-1]),
        ("?filter=error:Timeout&sort=oldest", FAILED),
        (
            "?filter=status:pending&sort=priority",
            sorted(set(ALL) - set(FAILED), key=lambda key: (-(int(key[1:]) % 3), key)),
        ),
        ("?filter=job:other", []),
    ],
)
def test_a_list_goes_on_by_a_plain_link_to_its_end(visit, papers, query, keys):
    assert walk(visit(), f"/jobs/papers/items{query}") == keys


def test_a_script_gets_the_next_rows_alone(visit, papers):
    first = visit().get("/jobs/papers/items")
    rows = visit(**{"hx-request": "true"}).get(next_of(first))
    assert "<html" not in rows.text
    assert rows.text.lstrip().startswith("<tr>")
    assert keys_of(rows) == ALL[::-1][50:100]


def test_a_page_says_how_many_fit(visit, papers):
    assert "<strong>30</strong> items fit" in visit().get("/jobs/papers/items?filter=status:failed").text
    assert (
        "<strong>30</strong> stages of items fit"
        in visit().get("/jobs/papers/items?filter=error:Timeout").text
    )


def test_a_filter_that_cannot_be_read_is_shown_with_the_place_and_what_was_meant(visit, papers):
    answer = visit().get("/jobs/papers/items?filter=age:>2d stauts:failed")
    text = html.unescape(answer.text)
    assert answer.status_code == 400
    assert "no word 'stauts'; did you mean 'status'?\n  age:>2d stauts:failed\n          ^\n" in text
    assert 'value="age:>2d stauts:failed"' in text  # to be mended


@pytest.mark.parametrize(
    ("query", "told"),
    [("filter=status:failed&sort=key", "By key only"), ("sort=priority", "By priority only")],
)
def test_an_order_that_no_index_has_is_told_and_not_sorted(visit, papers, query, told):
    answer = visit().get(f"/jobs/papers/items?{query}")
    assert (answer.status_code, keys_of(answer)) == (400, [])
    assert told in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "sort=size",
        "after=nowhere",
        "filter=status:failed&sort=priority&after=x",
        "after=a:b:c",
        f"after=papers:{2**64}:",
    ],
)
def test_a_url_that_means_nothing_says_so(visit, papers, query):
    assert visit().get(f"/jobs/papers/items?{query}").status_code == 400


def test_a_job_that_is_not_there_is_told_with_the_nearest(visit, papers):
    answer = visit().get("/jobs/paper/items")
    assert (answer.status_code, "did you mean" in answer.text) == (404, True)


@pytest.mark.parametrize("sort", ["newest", "oldest"])
@pytest.mark.parametrize("text", ["text:of", "stage:read text:of", "text:nothing-like-it"])
def test_what_no_index_answers_is_looked_for_a_little_at_a_time(visit, conn, monkeypatch, text, sort):
    monkeypatch.setattr(item_list, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr("tracker.selecting.FIRST_IDS", 3)
    found = [{"key": f"{n}", "data": {"title": f"{n}{' of' * (n % 7 == 0)}"}} for n in range(40)]
    tracker.upsert_items(conn, "papers", found)
    with tracker.write(conn):
        remember_plan(conn, "papers", make_plan(["read", "note"]))
    for item in found:
        item_id = tracker.items.find_item(conn, "papers", item["key"])["item_id"]
        tracker.mark_stage_in_progress(conn, item_id, "read", ["read", "note"])
    shown, asked, url = [], 0, f"/jobs/papers/items?filter={text}&sort={sort}"
    while url:
        page = html.unescape(visit().get(url, headers={"hx-request": "true"} if asked else {}).text)
        shown += re.findall(r"<bdi>(\d+)</bdi>", page)
        more = re.search(r'hx-get="([^"]+)"', page)
        asked, url = asked + 1, more and more[1]
    wanted = [] if "nothing" in text else [f"{n}" for n in range(0, 40, 7)]
    assert shown == (wanted if sort == "oldest" else wanted[::-1])
    assert asked > 10
    assert "That was all." in page


def test_what_may_be_typed_next_is_suggested_behind_what_was_typed(visit, papers):
    text = html.unescape(visit().get("/jobs/papers/items?filter=age:>2d").text)
    for option in ("age:>2d status:failed", "age:>2d stage:note"):
        assert f'<option value="{option}">' in text


def test_each_suggestion_is_a_filter():
    for text, _ in item_list.suggest("", STAGES):
        assert parse_filter(text)


# -- kept lists -------------------------------------------------------------------------------------------


def test_a_list_is_kept_for_everybody_and_forgotten(log_in, papers):
    mine = log_in("operator")
    said = {"name": "Broken <b>", "filter": "status:failed", "sort": "oldest"}
    kept = mine.post("/jobs/papers/views", data=said)
    assert (kept.status_code, kept.headers["location"]) == (
        303,
        "/jobs/papers/items?filter=status%3Afailed&sort=oldest",
    )
    text, links = read_page(log_in("viewer").get("/jobs/papers/items"))
    assert "Broken <b>" in text
    assert "/jobs/papers/items?filter=status%3Afailed&sort=oldest" in links
    assert mine.post("/jobs/papers/views/forget", data={"name": "Broken <b>"}).status_code == 303
    assert "Broken" not in mine.get("/jobs/papers/items").text


@pytest.mark.parametrize(
    "said",
    [{"name": " "}, {"name": "x" * 81}, {"name": "a", "filter": "nonsense"}, {"name": "a", "sort": "x"}],
)
def test_a_list_that_would_show_nothing_is_not_kept(visit, papers, conn, said):
    assert visit().post("/jobs/papers/views", data=said).status_code == 400
    assert conn.execute("SELECT count(*) FROM saved_views").fetchone()[0] == 0


# -- acts -------------------------------------------------------------------------------------------------


def act(browser, name, **said):
    """Ask, see the number, do it; the number, and the page that follows."""
    asked = browser.post(f"/jobs/papers/items/{name}/confirm", data=said)
    assert asked.status_code == 200, asked.text
    done = browser.post(f"/jobs/papers/items/{name}", data=said)
    assert done.status_code == 303, done.text
    return int(re.search(r"<strong>([\d,]+)</strong>", asked.text)[1].replace(",", "")), done.headers[
        "location"
    ]


def status_of(conn, item_id, stage="read"):
    return tracker.get_stage_status(conn, item_id, stage)


def test_all_that_fit_are_retried_after_the_number_was_shown(visit, papers, conn):
    browser = visit()
    number, after = act(browser, "retry", which="all", filter="status:failed")
    assert number == 30
    assert status_of(conn, papers["k000"]) == "pending"
    assert "30 stages" in browser.get(after).text
    (done,) = list_actions(conn)
    assert (done.act, done.done) == ("retry", 30)
    events = [row for row in tracker.get_events(conn, "papers") if row["kind"] == "retry_stages"]
    assert len(events) == 1
    assert events[0]["by"] == done.by


def test_asking_changes_nothing(visit, papers, conn):
    for name in ("retry", "reset", "skip", "cancel", "reopen", "priority"):
        visit().post(
            f"/jobs/papers/items/{name}/confirm", data={"which": "all", "stage": "read", "priority": "3"}
        )
    assert list_actions(conn) == []
    assert status_of(conn, papers["k000"]) == "failed"


def test_only_those_that_were_chosen_are_meant(visit, papers, conn):
    number, _ = act(visit(), "retry", which="chosen", item=[papers["k000"], papers["k001"], papers["k004"]])
    assert number == 2
    assert [status_of(conn, papers[key]) for key in ("k000", "k004", "k008")] == [
        "pending",
        "pending",
        "failed",
    ]


def test_stages_that_were_chosen_are_skipped_also_where_they_wait(visit, papers, conn):
    number, _ = act(
        visit(), "skip", which="chosen", filter="stage:note", item=[f"{papers['k000']} note"], reason="dull"
    )
    assert number == 1
    assert [status_of(conn, papers["k000"], stage) for stage in STAGES] == ["failed", "skipped"]
    reason = conn.execute("SELECT reason FROM item_stages WHERE status = 'skipped'").fetchone()[0]
    assert reason.startswith("dull (skipped by ")


@pytest.mark.parametrize(
    ("name", "said", "number"),
    [
        ("reset", {"stage": "read", "which": "all", "filter": "status:failed"}, 30),
        ("reset", {"stage": "read", "which": "all"}, 30),
        ("skip", {"which": "all"}, 30),
        ("skip", {"which": "all", "stage": "note", "filter": "status:failed"}, 30),
        ("retry", {"which": "all"}, 30),
        ("retry", {"which": "all", "stage": "note"}, 0),
        ("cancel", {"which": "all", "filter": "status:failed"}, 30),
        ("reopen", {"which": "all", "filter": "status:failed"}, 30),
        ("priority", {"which": "all", "filter": "key:k00*", "priority": "-7"}, 10),
    ],
)
def test_each_act_says_how_many_it_touches_and_touches_as_many(visit, papers, conn, name, said, number):
    asked, _ = act(visit(), name, **said)
    assert asked == number
    assert sum(action.done for action in list_actions(conn)) == number


@pytest.mark.parametrize(
    ("name", "said", "problem"),
    [
        ("retry", {"which": "chosen"}, "nothing is chosen"),
        ("reset", {"which": "all"}, "from which stage"),
        ("priority", {"which": "all"}, "which priority"),
        ("retry", {"which": "all", "filter": "stage:nowhere"}, "nowhere"),
        ("retry", {"which": "all", "filter": "nonsense"}, "does not begin with a word"),
        ("retry", {"which": "chosen", "item": "999999"}, "999999"),
    ],
)
def test_what_is_missing_is_asked_for(visit, papers, conn, name, said, problem):
    for path in (f"{name}/confirm", name):
        answer = visit().post(f"/jobs/papers/items/{path}", data={**said, "asked": "yes"})
        assert answer.status_code in (400, 404)
        assert problem in html.unescape(answer.text)
    assert list_actions(conn) == []


@pytest.mark.parametrize(
    ("name", "question"), [("reset", "From which stage on?"), ("priority", "Which priority?")]
)
def test_who_was_not_asked_yet_is_asked_and_not_told_off(visit, papers, name, question):
    answer = visit().post(f"/jobs/papers/items/{name}/confirm", data={"which": "all"})
    assert (answer.status_code, question in answer.text, "alert" in answer.text) == (200, True, False)


@pytest.mark.parametrize("item", ["x", "1 2 3", "-1", "1 <script>", "9" * 40])
def test_what_is_no_item_is_refused(visit, papers, item):
    assert (
        visit().post("/jobs/papers/items/retry/confirm", data={"which": "chosen", "item": item}).status_code
        == 400
    )


def test_an_item_of_another_job_is_not_touched(visit, papers, conn):
    tracker.upsert_items(conn, "other", [{"key": "o"}])
    other = conn.execute("SELECT item_id FROM work_items WHERE job_id = 'other'").fetchone()[0]
    answer = visit().post("/jobs/papers/items/reopen", data={"which": "chosen", "item": other})
    assert answer.status_code == 404


def test_thousands_may_be_chosen_one_by_one(visit, conn):
    tracker.upsert_items(conn, "papers", [{"key": f"k{n}"} for n in range(3000)])
    ids = [row[0] for row in conn.execute("SELECT item_id FROM work_items")]
    number, _ = act(visit(), "priority", which="chosen", item=ids, priority="5")
    assert number == 3000


def test_who_only_looks_is_shown_no_acts(log_in, papers):
    text = log_in("viewer").get("/jobs/papers/items").text
    assert "Do something with" not in text
    assert 'name="item"' not in text
    assert "Download" in text


# -- again, with the quote --------------------------------------------------------------------------------


@pytest.fixture
def done(conn, papers, tmp_path):
    """Let one item have a result that an older version made, of a file."""
    path = tmp_path / "paper.txt"
    path.write_text("hello")
    tracker.upsert_items(conn, "papers", [{"key": "read", "data": {"path": str(path)}}])
    item_id = get_item(conn, "papers", "read")["item_id"]
    tracker.mark_stage_in_progress(conn, item_id, "read", STAGES)
    tracker.mark_stage_done(conn, item_id, "read", STAGES, {"text": "old"}, handler_version="0")
    return item_id


def test_results_are_made_again_after_a_quote(visit, done, conn):
    said = {"which": "chosen", "item": done, "stage": "read"}
    asked = visit().post("/jobs/papers/items/reprocess/confirm", data=said)
    assert "<p>1 item; at most $0.00" in asked.text
    answer = visit().post("/jobs/papers/items/reprocess", data=said)
    assert answer.status_code == 303
    (action,) = list_actions(conn)
    assert (action.act, action.done) == ("reprocess", 1)


# -- export -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["jsonl", "csv", "sqlite", "rss"])
def test_results_are_saved_as_a_file(visit, done, form):
    answer = visit().get(f"/jobs/papers/export?format={form}&stage=read&filter=key:read")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="papers-read.{form}"'
    assert b"old" in answer.content


def test_an_export_holds_what_the_filter_selects(visit, done):
    answer = visit().get("/jobs/papers/export?filter=key:read")
    assert [json.loads(line)["key"] for line in answer.text.splitlines()] == ["read"]
    assert visit().get("/jobs/papers/export?filter=key:k000").text == ""


@pytest.mark.parametrize("query", ["format=exe", "format=rss", "stage=nowhere", "filter=nonsense"])
def test_an_export_that_cannot_be_is_told(visit, done, query):
    assert visit().get(f"/jobs/papers/export?{query}").status_code in (400, 404, 503)


# -- hostile ----------------------------------------------------------------------------------------------


@pytest.fixture
def strangers(conn):
    """Store items whose keys, data, errors and sources are hostile."""
    for text in TEXTS.values():
        tracker.upsert_items(conn, "papers", [{"key": text, "data": {"title": text}}])
        item_id = get_item(conn, "papers", text)["item_id"]
        conn.execute(
            "UPDATE work_items SET source = :text WHERE item_id = :id", {"text": text[:9000], "id": item_id}
        )
        tracker.mark_stage_in_progress(conn, item_id, "read", STAGES)
        tracker.mark_stage_failed(conn, item_id, "read", STAGES, ValueError(text))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?sort=key",
        "?filter=stage:read",
        "?filter=status:failed&sort=priority",
        "?filter=text:%3Cscript%3E",
    ],
)
def test_hostile_texts_in_a_list_run_nothing_and_break_nothing(visit, strangers, query):
    answer = visit().get(f"/jobs/papers/items{query}")
    text, links = read_page(answer)
    assert TEXTS["script"] in text
    assert len(answer.content) < 300_000 + 12_000_000 * ("sort=key" in query or not query)
    items = [one for one in links if one.startswith("/items?")]
    assert items
    for one in items:
        if len(one) < 10_000:
            assert visit().get(one).status_code == 200


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\u202e", "x" * 3000, '"><b>', "a:" * 900, "\0"]
)
def test_hostile_filters_are_shown_as_text(visit, papers, text):
    read_page(visit().get("/jobs/papers/items", params={"filter": text}), 400)
