from __future__ import annotations

import html
import json
import re

import pytest
from filled import jobs_reading
from hostile import SCRIPT, TEXTS, read_page

import tracker
from dashboard.kinds import MOST_NODES, find_at, make_tree
from tracker.artifacts import Holder, keep
from tracker.attempt_logs import AttemptLog, put_log
from tracker.blobs import BlobStore
from tracker.events import log_cost
from tracker.items import get_item
from tracker.recovery import release_lost_worker, reset_items

STAGES = ["read", "note"]
PNG = b"\x89PNG\r\n\x1a\nnot really"


@pytest.fixture
def add(conn):
    """Store an item, with the results of its stages if given, and give its id."""

    def make(key, data=None, **results):
        tracker.upsert_items(conn, "papers", [{"key": key, "data": data or {}}])
        item_id = get_item(conn, "papers", key)["item_id"]
        for stage, result in results.items():
            tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
            tracker.mark_stage_done(conn, item_id, stage, STAGES, result, handler_version="1")
        return item_id

    return make


def show(browser, key, **more):
    return browser.get("/items", params={"job": "papers", "key": key, **more})


def test_a_page_tells_why_an_item_does_not_move_and_all_that_happened(visit, conn, add):
    item_id = add("a", {"title": "Bees"}, read={"text": "about honey"})
    tracker.mark_stage_in_progress(conn, item_id, "note", STAGES)
    tracker.mark_stage_failed(conn, item_id, "note", STAGES, TimeoutError("no answer in 30 s"))
    log_cost(conn, "papers", 0.25, "openai", item_id=item_id, stage="read", attempt=1, model="small")
    text, _ = read_page(show(visit(), "a"))
    assert "Bees" in text
    assert "about honey" in text
    assert "TimeoutError: no answer in 30 s" in text
    assert "$0.2500" in text
    assert "To do:" in text
    assert [one for one in ("claim", "finish", "fail") if one not in text] == []


def attempt(conn, item_id, stage, end, log=None):
    """Make an attempt that logs something, and give its number."""
    number = tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
    end()
    if log is not None:
        with tracker.write(conn):
            put_log(conn, item_id, stage, number, "papers", AttemptLog(1_000_000, 999_800, log))
    return number


def test_each_attempt_has_what_it_logged_and_says_so_when_that_is_lost(visit, conn, add):
    item_id = add("a")
    error = TimeoutError("no answer in 30 s")
    attempt(
        conn,
        item_id,
        "read",
        lambda: tracker.mark_stage_failed(conn, item_id, "read", STAGES, error),
        "it began",
    )
    reset_items(conn, "papers", [item_id], "again")
    number = attempt(conn, item_id, "read", lambda: None)
    text, _ = read_page(show(visit(), "a"))
    assert "it began" in text
    assert "1,000,000 lines logged" in text
    assert "What it logs is kept when it ends." in text
    release_lost_worker(conn, item_id, "read", number, "signal 9")
    assert "What it logged is lost" in show(visit(), "a").text
    attempts = visit().get("/api/items", params={"job": "papers", "key": "a"}).json()["attempts"]
    assert [(one["attempt"], one["ended"], one["log_is_lost"]) for one in attempts] == [
        (2, "release", True),
        (1, "fail", False),
    ]
    assert attempts[1]["log"] == {"lines": 1_000_000, "left_out": 999_800, "text": "it began"}


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_log_is_text(visit, conn, add, name):
    item_id = add("a")
    attempt(conn, item_id, "read", lambda: None, TEXTS[name][:65_536])
    text, _ = read_page(show(visit(), "a"))
    assert TEXTS[name][:100].replace("\r\n", "\n").strip()[:20] in text.replace("\r\n", "\n")


def test_an_item_that_was_not_begun_has_a_page(visit, add):
    add("a")
    assert "No stage has been sent yet" in show(visit(), "a").text


@pytest.mark.parametrize(("job", "key"), [("papers", "b"), ("nowhere", "a"), ("", "")])
def test_an_item_that_is_not_there_is_told(visit, add, job, key):
    add("a")
    assert visit().get("/items", params={"job": job, "key": key}).status_code == 404


def test_an_item_may_be_asked_for_by_its_id(visit, add):
    item_id = add("k" * 5000)
    assert "kkkk" in visit().get(f"/items?job=papers&id={item_id}").text
    assert visit().get("/items?job=papers&id=999").status_code == 404


def test_events_go_on_to_the_first(visit, conn, add):
    item_id = add("a")
    for number in range(150):
        tracker.log_event(conn, "papers", "thing", item_id=item_id, detail={"number": number})
    text, links = read_page(show(visit(), "a"))
    assert '{"number": 149}' in text
    (older,) = [one for one in links if "before=" in one]
    text, links = read_page(visit().get(older))
    assert '{"number": 0}' in text
    assert not [one for one in links if "before=" in one]


def test_older_results_are_compared_with_the_one_that_counts(visit, conn, add):
    add("a", read={"text": "one two three", "n": 4})
    tracker.reset_stage(conn, "papers", "read", ["a"])
    add("a", read={"text": "one 2 three", "n": 5})
    text, links = read_page(show(visit(), "a"))
    (compare,) = [one for one in links if "diff=read" in one]
    answer = visit().get(compare)
    text, _ = read_page(answer)
    assert re.search(r'<del class="gone">\s*two</del>', answer.text)
    assert re.search(r'<ins class="new">\s*2</ins>', answer.text)
    assert "+1 (+25 %)" in text
    assert show(visit(), "a", diff="read", a=7).status_code == 404


def test_acts_of_an_items_page_come_back_to_it(visit, conn, add):
    item_id = add("a/b", read={"text": "x"})
    said = {"which": "chosen", "from": "item", "item": item_id, "stage": "read"}
    asked = visit().post("/jobs/papers/items/reset/confirm", data=said)
    assert "<strong>1</strong>" in asked.text
    done = visit().post("/jobs/papers/items/reset", data=said)
    assert done.headers["location"].startswith("/items?job=papers&key=a%2Fb&done=")
    assert tracker.get_stage_status(conn, item_id, "read") == "pending"


# -- in a sandbox -----------------------------------------------------------------------------------------


def test_a_stage_is_run_again_in_a_sandbox_and_nothing_is_recorded(settings, visit, conn, add, tmp_path):
    path = tmp_path / "papers" / "paper.txt"
    path.parent.mkdir()
    path.write_text("new text")
    settings.jobs.write_text(jobs_reading(path.parent))
    item_id = add("a", {"path": str(path)}, read={"text": "old text"})
    before = conn.execute("SELECT count(*) FROM events").fetchone()[0]
    text, _ = read_page(
        visit().post("/items/replay", data={"job": "papers", "item": item_id, "stage": "read"})
    )
    assert "Nothing was recorded" in text
    assert "new text" in text
    assert tracker.get_result(conn, "papers", "a", "read") == {"text": "old text"}
    assert conn.execute("SELECT count(*) FROM events").fetchone()[0] == before


def test_one_file_that_the_sandbox_would_have_kept_is_one(settings, visit, add, tmp_path):
    path = tmp_path / "papers" / "paper.pdf"
    path.parent.mkdir()
    path.write_bytes(b"%PDF-1.7")
    settings.jobs.write_text(jobs_reading(path.parent).replace("params: {", "params: {as_file: true, ", 1))
    item_id = add("a", {"path": str(path)})
    text, _ = read_page(
        visit().post("/items/replay", data={"job": "papers", "item": item_id, "stage": "read"})
    )
    assert "It would have kept 1 file." in text


def test_a_failure_in_the_sandbox_is_shown(visit, add):
    item_id = add("a", {"path": f"/nowhere/{SCRIPT}"})
    text, _ = read_page(
        visit().post("/items/replay", data={"job": "papers", "item": item_id, "stage": "read"})
    )
    assert "nowhere" in text


def test_a_stage_whose_inputs_are_missing_is_not_run(visit, add):
    item_id = add("a")
    answer = visit().post("/items/replay", data={"job": "papers", "item": item_id, "stage": "note"})
    assert answer.status_code in (404, 503)
    assert "needs" in answer.text


def test_who_only_looks_runs_nothing(log_in, add):
    item_id = add("a")
    browser = log_in("viewer")
    assert (
        browser.post("/items/replay", data={"job": "papers", "item": item_id, "stage": "read"}).status_code
        == 403
    )
    assert "sandbox" not in show(browser, "a").text


# -- values by their kind ---------------------------------------------------------------------------------


def test_a_value_becomes_a_tree_with_its_places():
    tree = make_tree({"a/b": [1, None, {"c": "text"}]})
    (first,) = tree.children
    assert (first.name, first.said, first.path) == ("a/b", "3 entries", "/a~1b")
    assert [one.said for one in first.children] == ["1", "null", "1 field"]
    assert find_at({"a/b": [1, None, {"c": "text"}]}, first.children[2].children[0].path) == "text"


def test_a_tree_of_more_than_a_page_can_bear_is_cut():
    def count(node):
        return 1 + sum(map(count, node.children))

    tree = make_tree({"list": list(range(100_000)), **{f"k{n}": {"a": {"b": n}} for n in range(5000)}})
    assert count(tree) <= MOST_NODES + 20
    deep = value = {}
    for _ in range(900):
        value["in"] = value = {}
    assert count(make_tree(deep)) < 50
    long = make_tree([{"text": "x" * 200_000} for _ in range(150)])
    assert sum(len(child.children[0].said) for child in long.children) < 600_000


@pytest.fixture
def kept(conn, add, settings):
    """Keep a file for an item, pointed to from its result; give where it is sent from."""

    def make(content, content_type, name="file"):
        item_id = add(f"of {name}")
        tracker.mark_stage_in_progress(conn, item_id, "read", STAGES)
        store = BlobStore(settings.artifacts_path)
        blob = keep(conn, store, Holder(item_id, "read", 1), content, name, content_type)
        pointer = {
            "artifact": f"sha256:{blob.sha256}",
            "name": name,
            "bytes": blob.size,
            "content_type": content_type,
        }
        tracker.mark_stage_done(conn, item_id, "read", STAGES, {"file": pointer})
        return f"/artifacts/{blob.sha256}"

    return make


@pytest.mark.parametrize(("content_type", "said"), [("text/plain", "a.txt text/plain, 5 B"),
                                                    ("text/html", "a.txt, as a page text/html, 5 B")])  # fmt: skip
def test_a_space_stands_between_a_kept_file_and_its_kind(visit, kept, content_type, said):
    kept(b"words", content_type, "a.txt")
    text = re.sub(r"<[^>]*>", "", show(visit(), "of a.txt").text)
    assert said in text


@pytest.mark.parametrize(
    ("content_type", "tag", "disposition"),
    [
        ("image/png", "<img src=", "inline"),
        ("image/svg+xml", "<img src=", "inline"),
        ("audio/mpeg", "<audio", "inline"),
        ("video/mp4", "<video", "inline"),
        ("application/pdf", "<a href=", "inline"),
        ("text/html", "as a page", "attachment"),
        ("application/zip", "<a href=", "attachment"),
        ("text/plain", "<a href=", "attachment"),
    ],
)
def test_a_kept_file_is_shown_by_its_kind_and_sent_harmless(visit, kept, content_type, tag, disposition):
    url = kept(PNG, content_type, "a picture.bin")
    page = show(visit(), "of a picture.bin")
    assert (tag in page.text, f'"{url}"' in page.text) == (True, True)
    sent = visit().get(url)
    assert sent.content == PNG
    assert sent.headers["content-type"].split(";")[0] == content_type
    assert sent.headers["content-disposition"] == f"{disposition}; filename*=UTF-8''a%20picture.bin"
    assert sent.headers["x-content-type-options"] == "nosniff"
    policy = sent.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert ("sandbox" in policy) is (content_type != "application/pdf")
    assert "'self'" not in policy.replace("object-src 'self'", "")


@pytest.mark.parametrize(
    "content_type", ["image/png\r\nX-Evil: yes", "<script>", "text/html;charset=utf-7", "", None]
)
def test_a_media_type_that_is_none_is_not_sent(visit, kept, content_type):
    sent = visit().get(kept(b"<script>alert(1)</script>", content_type, "x\r\nSet-Cookie: a=b"))
    assert sent.headers["content-type"].split(";")[0] in ("application/octet-stream", "text/html")
    assert "utf-7" not in sent.headers["content-type"]
    assert sent.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    assert "x-evil" not in sent.headers
    assert "set-cookie" not in sent.headers


def test_a_part_of_a_kept_file_may_be_asked_for(visit, kept):
    sent = visit(range="bytes=1-3").get(kept(PNG, "audio/mpeg"))
    assert (sent.status_code, sent.content) == (206, PNG[1:4])


@pytest.mark.parametrize("name", ["1", "0" * 64, "..%2F..%2Ftracker.db", "A" * 64, "0" * 63])
def test_a_file_that_is_not_kept_is_not_sent(visit, conn, name):
    assert visit().get(f"/artifacts/{name}").status_code == 404


def test_a_file_that_is_gone_is_told(visit, kept, settings):
    url = kept(PNG, "image/png")
    BlobStore(settings.artifacts_path).path(url.rsplit("/", 1)[1]).unlink()
    assert visit().get(url).status_code == 404


PAGE = (
    "<html><head><style>p{}</style><script>alert(1)</script><meta http-equiv=refresh content=0></head>"
    "<body onload=alert(1)>"
    "<p style='x'>Hello <b>you</b> <a href='javascript:alert(1)'>a</a> <a href='https://example.org/'>b</a>"
    "<img src='https://example.org/x.png'><iframe src='//evil'></iframe>"
    "<form action='//evil'><input></form></body></html>"
)


def check_harmless(answer):
    assert answer.status_code == 200
    assert "Hello <b>you</b>" in answer.text
    for bad in (
        "script",
        "onload",
        "style=",
        "<style",
        "javascript:",
        "<img",
        "<iframe",
        "<form",
        "<input",
        "refresh",
    ):
        assert bad not in answer.text, bad
    assert 'href="https://example.org/" rel="noopener noreferrer nofollow"' in answer.text
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_html_is_shown_on_its_own_and_made_harmless(visit, add, kept):
    add("a", {"html": PAGE}, read={"body": {"text": PAGE, "content_type": "text/html"}})
    _, links = read_page(show(visit(), "a"))
    pages = [one for one in links if one.startswith("/items/page?")]
    assert len(pages) == 2
    for one in pages:
        check_harmless(visit().get(one))
    check_harmless(visit().get(kept(PAGE.encode(), "text/html; charset=utf-8") + "?as=page"))
    assert visit().get("/items/page?job=papers&key=a&stage=read&at=/body").status_code == 404


# -- hostile ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_hostile_texts_on_an_items_page_run_nothing_and_break_nothing(visit, conn, add, text):
    key = text[:3000]
    item_id = add(
        key,
        {text: text, "url": "javascript:alert(1)"},
        read={"text": text, text: [text], "html": f"<p>{text}"},
    )
    tracker.mark_stage_in_progress(conn, item_id, "note", STAGES)
    tracker.mark_stage_failed(conn, item_id, "note", STAGES, ValueError(text))
    conn.execute("UPDATE work_items SET source = :text, host = :text", {"text": text})
    tracker.log_event(conn, "papers", text[:100], item_id=item_id, by=text[:100], detail={text: text})
    log_cost(conn, "papers", None, text, item_id=item_id, stage="read", attempt=1, model=text)
    said = {"job": "papers", "id": item_id}
    answer = visit().get("/items", params=said)
    shown, links = read_page(answer)
    assert text[:50].strip() in shown or "\r" in text
    assert len(answer.content) < 1_500_000
    for one in links:
        if one.startswith("/items/page"):
            page = visit().get(one)
            assert page.status_code == 200
            assert "<script" not in page.text
    asked = visit().post(
        "/jobs/papers/items/retry/confirm", data={"which": "chosen", "item": item_id, "from": "item"}
    )
    read_page(asked)


def test_half_a_surrogate_pair_breaks_no_page(visit, conn, add):
    item_id = add("a")
    conn.execute("UPDATE work_items SET data = :data", {"data": json.dumps({"text": "\ud800"})})
    tracker.log_event(conn, "papers", "thing", item_id=item_id, detail={"name": "\udcff"})
    read_page(show(visit(), "a"))


def test_what_looks_like_a_link_leads_only_to_the_web(visit, add):
    add("a", {"a": "https://example.org/?a=1&b=<", "b": "https://example.org/ok", "c": "javascript:alert(1)"})
    _, links = read_page(show(visit(), "a"))
    assert [one for one in links if not one.startswith(("/", "#"))] == ["https://example.org/ok"]


def test_what_a_page_says_is_what_the_item_says(visit, add):
    add("a", {"title": SCRIPT})
    assert SCRIPT in html.unescape(show(visit(), "a").text)
