from __future__ import annotations

import json

import pytest

import tracker
from pipeline.errors import NotFoundError, TakesTooLongError
from pipeline.search_words import read_search
from tracker import search_index
from tracker.patience import for_at_most
from tracker.saved_views import forget_view, list_views, save_view
from tracker.search import find_key, search

STAGES = ["fetch", "extract", "store"]


def keep_up(conn, job="papers", limit=100):
    """Read in all that is new; how many documents that took, batch by batch."""
    done = []
    while (count := search_index.read_in(conn, job, limit)) is not None:
        done.append(count)
    return done


def find(conn, typed, limit=20, before=None):
    return [one.key for one in search(conn, read_search(typed), limit, before)]


def finish(conn, item_id, stage, result):
    tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
    tracker.mark_stage_done(conn, item_id, stage, STAGES, result)


def test_an_item_is_found_by_its_key_its_data_and_its_results(conn, add_opened):
    a, _ = add_opened("first-key", "second-key", data={"title": "Naïve bees", "n": 4711})
    finish(conn, a, "fetch", {"pages": [{"text": "about honey"}]})
    keep_up(conn)
    assert find(conn, "first") == ["first-key"]
    assert find(conn, "naive 4711") == ["second-key", "first-key"]
    assert find(conn, "honey") == ["first-key"]
    assert find(conn, "title") == []  # the names of fields are no words of the item


def test_a_new_result_takes_the_place_of_the_old_one(conn, add_opened):
    (item_id,) = add_opened("a")
    finish(conn, item_id, "fetch", {"text": "honey"})
    keep_up(conn)
    tracker.reset_stage(conn, "papers", "fetch", ["a"])
    finish(conn, item_id, "fetch", {"text": "wax"})
    assert find(conn, "honey") == ["a"]  # nothing is read in by whoever stores a result
    keep_up(conn)
    assert (find(conn, "honey"), find(conn, "wax")) == ([], ["a"])


def test_reading_in_goes_on_where_it_ended_in_small_batches_and_writes_nothing_when_it_is_done(
    conn, add_opened
):
    ids = add_opened(*"abcdefg")
    assert keep_up(conn, limit=3) == [3, 3, 1]
    for item_id in ids:
        finish(conn, item_id, "fetch", {"text": "honey"})
    assert sum(keep_up(conn, limit=3)) == 7
    before = conn.total_changes()
    assert search_index.read_in(conn, "papers", 3) is None
    assert conn.total_changes() == before


def test_a_batch_of_long_texts_is_smaller(conn, add_items):
    add_items(*"abcd", data={"text": "honey " * 30_000})
    assert keep_up(conn) == [2, 2]


def test_who_is_slower_than_another_changes_nothing(conn, db_path, add_items, monkeypatch):
    add_items("a")
    original = search_index._read_new

    def overtaken(*asked):
        batch = original(*asked)
        monkeypatch.setattr(search_index, "_read_new", original)
        with tracker.open_db(db_path) as other:
            assert search_index.read_in(other, "papers", 10) == 1
        return batch

    monkeypatch.setattr(search_index, "_read_new", overtaken)
    assert search_index.read_in(conn, "papers", 10) == 0
    assert find(conn, "a") == ["a"]


def test_a_job_that_is_searched_no_longer_is_forgotten_and_may_be_searched_again(conn, add_opened):
    ids = add_opened(*"abcde", data={"text": "honey"})
    keep_up(conn)
    assert search_index.forget(conn, "papers", 2) == 2
    assert find(conn, "honey") == ["c", "b", "a"]
    finish(conn, ids[0], "fetch", {"text": "wax"})
    keep_up(conn)
    assert (find(conn, "honey"), find(conn, "wax")) == (["e", "d", "c", "b", "a"], ["a"])
    while search_index.forget(conn, "papers", 2) is not None:
        pass
    assert find(conn, "honey") == []
    assert search_index.find_position(conn, "papers") is None


def test_the_newest_come_first_page_by_page(conn, add_items):
    ids = add_items(*"abcde", data={"text": "honey"})
    keep_up(conn)
    assert find(conn, "honey", 2) == ["e", "d"]
    assert find(conn, "honey", 2, before=ids[3]) == ["c", "b"]


def test_a_snippet_shows_the_words_and_in_which_result_they_are(conn, add_opened):
    (item_id,) = add_opened("a", data={"text": "wax"})
    finish(conn, item_id, "fetch", {"text": "a jar of <b>Honey</b>\x02 here"})
    keep_up(conn)
    (one,) = search(conn, read_search("honey"), 20)
    assert one.stage == "fetch"
    assert [(piece.text, piece.is_hit) for piece in one.snippet] == [
        ("a jar of <b>", False), ("Honey", True), ("</b>  here", False),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["x" * 1_000_000, "\0honey", "\u202eoof", "\x02\x03", '"\\', "é" * 300_000])
def test_hostile_texts_are_read_in_and_shown_short(conn, add_items, text):
    add_items("a", data={text[:100]: text, "then": "honey"})
    add_items("b", data={"first": "honey", "then": text})
    keep_up(conn)
    found = search(conn, read_search("honey"), 20)
    assert "b" in [one.key for one in found]
    assert all(len(piece.text) < 1000 for one in found for piece in one.snippet)


def count_documents(conn):
    return conn.execute("SELECT count(*) FROM search_documents").fetchone()[0]


def test_an_item_that_is_gone_is_found_no_more_and_its_document_is_gone_with_it(conn, add_items):
    item_id, _ = add_items("a", "b", data={"text": "honey"})
    keep_up(conn)
    conn.execute("DELETE FROM work_items WHERE item_id = :item_id", {"item_id": item_id})
    assert find(conn, "honey") == ["b"]
    assert count_documents(conn) == 1
    conn.execute("DELETE FROM work_items")
    assert count_documents(conn) == 0


def test_an_item_that_is_taken_out_while_it_is_read_in_leaves_no_document(conn, add_items, monkeypatch):
    add_items("a", "b", data={"text": "honey"})
    original = search_index._read_new

    def taken_out(*asked):
        batch = original(*asked)
        conn.execute("DELETE FROM work_items WHERE key = 'a'")
        return batch

    monkeypatch.setattr(search_index, "_read_new", taken_out)
    search_index.read_in(conn, "papers", 10)
    assert (find(conn, "honey"), count_documents(conn)) == (["b"], 1)


def test_a_key_is_found_in_any_job(conn, add_items):
    add_items("a/b", "a")
    add_items("a/b", job_id="rss")
    assert [(one.job, one.key) for one in find_key(conn, "a/b")] == [("papers", "a/b"), ("rss", "a/b")]
    assert find_key(conn, "a/") == []


def test_the_search_reads_the_index_alone_in_its_order(conn):
    from tracker.search import FIND_KEYS, SEARCH

    asked = {"words": "a", "before": 1, "limit": 1, "key": "a"}
    plan = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {SEARCH}", asked)]
    assert plan[0].startswith("SCAN search_documents VIRTUAL TABLE INDEX")
    assert plan[1:] == ["SEARCH i USING INTEGER PRIMARY KEY (rowid=?)"]
    plan = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {FIND_KEYS}", asked)]
    assert plan[1] == "SEARCH i USING INDEX sqlite_autoindex_work_items_1 (job_id=? AND key=?)"


def test_what_takes_too_long_is_ended_and_the_connection_goes_on(conn):
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(TakesTooLongError), for_at_most(conn, 0.05):
        conn.execute(endless).fetchone()
    assert conn.execute("SELECT 1").fetchone()[0] == 1


def test_lists_are_kept_by_name_for_everybody_with_who_kept_them(conn):
    save_view(conn, "papers", "broken", "status:failed", "newest", "ada")
    save_view(conn, "papers", "broken", "error:Timeout", "oldest", "ben")
    (view,) = list_views(conn, "papers")
    assert (view.filter, view.sort, view.by) == ("error:Timeout", "oldest", "ben")
    forget_view(conn, "papers", "broken", "ada")
    assert list_views(conn, "papers") == []
    with pytest.raises(NotFoundError):
        forget_view(conn, "papers", "broken", "ada")
    told = [
        (row["kind"], row["by"], json.loads(row["detail"])["name"])
        for row in tracker.get_events(conn, "papers")
    ]
    assert told[::-1] == [
        ("save_view", "ada", "broken"),
        ("save_view", "ben", "broken"),
        ("forget_view", "ada", "broken"),
    ]
