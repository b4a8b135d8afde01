from __future__ import annotations

import pytest

import tracker
from pipeline.errors import NotFoundError
from tracker.results import list_results, read_results

STAGES = ["fetch", "extract", "store"]


@pytest.fixture
def versions(conn, add_opened):
    """Store three items fetched by version 1, by version 2 and by nobody knows which."""
    for key, version in (("old", "v1"), ("new", "v2"), ("unknown", None)):
        (item_id,) = add_opened(key)
        tracker.mark_stage_done(conn, item_id, "fetch", STAGES, {"by": version}, handler_version=version)


def test_store_result_keeps_the_latest_and_moves_nothing(conn, opened_id):
    tracker.store_result(conn, "papers", "a", "fetch", {"n": 1}, handler_version="v1")
    tracker.store_result(conn, "papers", "a", "fetch", {"n": 2}, handler_version="v2")
    assert tracker.get_result(conn, "papers", "a", "fetch") == {"n": 2}
    assert tracker.get_handler_version(conn, "papers", "a", "fetch") == "v2"
    assert tracker.get_stage_status(conn, opened_id, "fetch") == "pending"


def test_store_result_needs_an_item_and_json(conn, item_id):
    with pytest.raises(NotFoundError, match="no item in job 'papers' with key 'b'"):
        tracker.store_result(conn, "papers", "b", "fetch", {})
    with pytest.raises(TypeError):
        tracker.store_result(conn, "papers", "a", "fetch", {"n": object()})


def test_a_result_is_stored_as_text_that_people_can_read(conn, item_id):
    tracker.store_result(conn, "papers", "a", "fetch", {"text": "größer"})
    assert conn.execute("SELECT result FROM results").fetchone()[0] == '{"text": "größer"}'


def test_what_has_no_result_gives_none(conn, item_id):
    assert tracker.get_result(conn, "papers", "a", "fetch") is None
    assert tracker.get_handler_version(conn, "papers", "a", "fetch") is None
    assert tracker.get_results(conn, "papers", "a") == {}


def test_get_results_gives_every_stages_result(conn, item_id):
    for stage in STAGES:
        tracker.store_result(conn, "papers", "a", stage, {"made by": stage})
    assert tracker.get_results(conn, "papers", "a") == {stage: {"made by": stage} for stage in STAGES}
    assert list(read_results(conn, item_id, ["store", "print", "fetch"])) == ["store", "fetch"]


def test_get_stale_count_counts_what_another_version_made_the_unknown_included(conn, versions):
    assert tracker.get_stale_count(conn, "papers", "fetch", "v2") == 2
    assert tracker.get_stale_count(conn, "papers", "fetch", "v3") == 3
    assert tracker.get_stale_count(conn, "papers", "store", "v1") == 0


def test_reprocess_stale_resets_those_and_no_others(conn, versions):
    assert tracker.reprocess_stale(conn, "papers", "fetch", "v2", limit=1) == 1
    stages = tracker.get_stages_dict(conn, "papers")
    assert {key: row["fetch"] for key, row in stages.items()} == {
        "old": "pending",
        "new": "done",
        "unknown": "done",
    }
    assert tracker.reprocess_stale(conn, "papers", "store", "v1") == 0


def test_stage_version_hash_changes_with_the_source_and_the_parameters():
    def handler(context):
        return {"n": 1}

    def changed(context):
        return {"n": 2}

    version = tracker.stage_version_hash(handler)
    assert len(version) == 12
    assert version == tracker.stage_version_hash(handler, {})
    assert (
        len(
            {
                version,
                tracker.stage_version_hash(handler, {"prompt": "p"}),
                tracker.stage_version_hash(changed),
            }
        )
        == 3
    )


@pytest.mark.parametrize("stage", ["fetch", None])
def test_results_are_listed_to_a_limit_or_all(conn, versions, stage):
    assert {row["key"] for row in list_results(conn, "papers", stage, -1)} == {"old", "new", "unknown"}
    assert len(list(list_results(conn, "papers", stage, 2))) == 2
