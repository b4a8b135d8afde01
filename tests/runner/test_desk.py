"""What a handler keeps, remembers and tells beside its result, through the runner as workers have it."""

from __future__ import annotations

import errno
import json
import os

import pytest
import time_machine
from workshop import job, step

import tracker
from handlers.desk import write_pointer
from runner import big_results
from runner.context import RunContext
from runner.dry_run import rehearse
from tracker.collecting import collect
from tracker.progress import list_progress

PAIR = {"papers": job(step("fetch"), step("extract"))}
ALONE = {"papers": job(step("fetch", retries=0))}
TABLES = ("artifacts", "artifact_uses", "answers", "fingerprints", "progress")


def count_rows(shop):
    return [shop.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]  # noqa: S608


def files_in(shop):
    folder = shop.runtime.artifacts.folder
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "OWNER"]


def reason(shop, key="a", stage="fetch"):
    return shop.row(key, stage)["reason"]


# -- artifacts --------------------------------------------------------------------------------------------


def test_a_file_that_one_stage_keeps_the_next_one_opens(open_workshop):
    shop = open_workshop(**PAIR)
    shop.acts["fetch"] = lambda context: {"page": context.artifact("page.html", b"<p>hello</p>", "text/html")}
    shop.acts["extract"] = lambda context: {
        "text": context.open_artifact(context.results["fetch"]["page"]).read_text()
    }
    shop.run("a")
    assert shop.result("a", "extract") == {"text": "<p>hello</p>"}
    assert shop.result("a", "fetch")["page"] | {"artifact": None} == {
        "artifact": None,
        "name": "page.html",
        "bytes": 12,
        "content_type": "text/html",
    }
    assert collect(shop.conn, shop.runtime.artifacts).files == 0


def test_a_file_of_a_stage_that_failed_is_for_the_collector(open_workshop):
    shop = open_workshop(**ALONE)

    def act(context):
        context.artifact("page.html", b"half of it")
        assert collect(shop.conn, shop.runtime.artifacts).files == 0  # while it runs
        raise ValueError("no more of it")

    shop.acts["fetch"] = act
    shop.run("a")
    assert collect(shop.conn, shop.runtime.artifacts).files == 1
    assert files_in(shop) == []


def test_a_file_that_is_open_stays_though_its_result_is_replaced_meanwhile(open_workshop):
    shop = open_workshop(**PAIR)
    shop.acts["fetch"] = lambda context: {"page": context.artifact("page.html", b"old")}

    def act(context):
        path = context.open_artifact(context.results["fetch"]["page"])
        tracker.store_result(shop.conn, "papers", "a", "fetch", {"page": None})
        shop.conn.execute("DELETE FROM results_history")
        collect(shop.conn, shop.runtime.artifacts)
        return {"text": path.read_text()}

    shop.acts["extract"] = act
    shop.run("a")
    assert shop.result("a", "extract") == {"text": "old"}
    assert collect(shop.conn, shop.runtime.artifacts).files == 1


@pytest.mark.parametrize(
    "pointer", [{}, {"artifact": "sha256:../../etc/passwd"}, {"artifact": 3}, write_pointer("a" * 64, "a", 1)]
)
def test_what_was_not_kept_cannot_be_opened(open_workshop, pointer):
    shop = open_workshop(**ALONE)
    shop.acts["fetch"] = lambda context: {"path": str(context.open_artifact(pointer))}
    shop.run("a")
    assert reason(shop).startswith("ArtifactError: ")


def test_a_disk_without_room_for_a_file_makes_its_stage_come_again_and_uses_no_retry(
    open_workshop, monkeypatch
):
    shop = open_workshop(**ALONE)
    shop.acts["fetch"] = lambda context: {"page": context.artifact("page.html", b"x" * 100)}
    is_full = [True]
    really = os.fsync

    def fsync(descriptor):
        if is_full and is_full.pop():
            raise OSError(errno.ENOSPC, "No space left on device")
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    shop.run("a")
    row = shop.row("a", "fetch")
    assert (row["status"], row["retries"]) == ("pending", 0)
    assert "no room left to keep files" in row["reason"]
    assert files_in(shop) == []
    with time_machine.travel(row["retry_at"] / 1000 + 1):
        shop.deliver(shop.publisher.countdowns[0])
    assert shop.status("a") == "done"


def test_an_attempt_that_lost_its_stage_keeps_nothing_and_changes_nothing(open_workshop):
    shop = open_workshop(**ALONE)

    def act(context):
        tracker.reset_in_progress_stages(shop.conn)
        return {"page": context.artifact("page.html", b"too late")}

    shop.acts["fetch"] = act
    shop.run("a")
    assert shop.status("a", "fetch") == "pending"
    assert files_in(shop) == []


# -- answers and twins ------------------------------------------------------------------------------------


def test_what_was_remembered_outlives_the_failure_of_the_attempt(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=1, backoff=1)))
    paid = []

    def act(context):
        answer = context.recall("what is 6 times 7?")
        if answer is None:
            paid.append(context.key)
            context.remember("what is 6 times 7?", {"answer": 42})
            raise ConnectionResetError("just after it was paid for")
        return answer

    shop.acts["fetch"] = act
    shop.run("a")
    with time_machine.travel(shop.row("a", "fetch")["retry_at"] / 1000 + 1):
        shop.deliver(shop.publisher.countdowns[0])
    assert shop.result("a", "fetch") == {"answer": 42}
    shop.run("b")
    assert (shop.result("b", "fetch"), paid) == ({"answer": 42}, ["a"])


def test_an_answer_that_is_no_json_is_refused_with_the_path_of_the_field(open_workshop):
    shop = open_workshop(**ALONE)
    shop.acts["fetch"] = lambda context: context.remember("q", {"scores": [1.0, float("nan")]})
    shop.run("a")
    assert reason(shop) == (
        "HandlerContractError: what is to be remembered is not JSON: result.scores[1]: nan is not a JSON number"
    )


def test_twins_are_found_among_the_items_of_a_stage_and_again_after_a_reset(open_workshop):
    shop = open_workshop(**ALONE)
    shop.acts["fetch"] = lambda context: {"twin": context.find_twin(0b1111, 3)}
    shop.run("a", "b")
    assert (shop.result("a", "fetch"), shop.result("b", "fetch")) == ({"twin": None}, {"twin": "a"})
    tracker.reset_stage(shop.conn, "papers", "fetch")
    shop.dispatch()
    shop.work()
    assert (shop.result("a", "fetch"), shop.result("b", "fetch")) == ({"twin": None}, {"twin": "a"})


@pytest.mark.parametrize(("fingerprint", "distance"), [(-1, 3), (1 << 64, 3), (1, 8), (1, -1)])
def test_a_fingerprint_or_distance_that_is_none_is_refused(open_workshop, fingerprint, distance):
    shop = open_workshop(**ALONE)
    shop.acts["fetch"] = lambda context: {"twin": context.find_twin(fingerprint, distance)}
    shop.run("a")
    assert reason(shop).startswith("ValueError: a fingerprint has 64 bits")


# -- progress ---------------------------------------------------------------------------------------------


def test_progress_is_shown_while_the_attempt_runs_and_gone_after(open_workshop):
    shop = open_workshop(**ALONE)
    seen = []

    def act(context):
        context.progress(3, 10, "pages")
        seen.extend(list_progress(shop.conn, "papers"))
        return {}

    shop.acts["fetch"] = act
    shop.run("a")
    ((told),) = seen
    assert (told.key, told.stage, told.attempt, told.done, told.total, told.note) == (
        "a", "fetch", 1, 3, 10, "pages",
    )  # fmt: skip
    assert list_progress(shop.conn, "papers") == []


def test_progress_that_is_told_all_the_time_is_written_at_most_twice_a_second(open_workshop):
    shop = open_workshop(**ALONE)
    written = []

    def act(context):
        before = shop.conn.total_changes()
        for number in range(10_000):
            context.progress(number)
        written.append(shop.conn.total_changes() - before)
        return {}

    shop.acts["fetch"] = act
    shop.run("a")
    assert 1 <= written[0] <= 4  # two a second, on a slow machine


def test_the_renewal_of_the_lease_shows_what_was_told_last(open_workshop):
    shop = open_workshop(**ALONE)
    seen = []

    def act(context):
        context.progress(1, note="first")
        context.progress(2, note="last")
        (held,) = shop.runtime.leases._held
        assert held.renew(shop.conn)
        seen.extend(told.note for told in list_progress(shop.conn, "papers"))
        return {}

    shop.acts["fetch"] = act
    shop.run("a")
    assert seen == ["last"]


def test_an_attempt_that_lost_its_stage_tells_nothing_of_the_next(open_workshop):
    shop = open_workshop(**ALONE)

    def act(context):
        tracker.reset_in_progress_stages(shop.conn)
        context.progress(1)
        return {}

    shop.acts["fetch"] = act
    shop.run("a")
    assert count_rows(shop) == [0] * len(TABLES)


@pytest.mark.parametrize(("done", "total"), [(float("nan"), None), (1, float("inf"))])
def test_progress_is_in_finite_numbers(open_workshop, done, total):
    shop = open_workshop(**ALONE)
    shop.acts["fetch"] = lambda context: context.progress(done, total)
    shop.run("a")
    assert reason(shop).startswith("ValueError: progress is told in finite numbers")


@pytest.mark.parametrize("units", [{"units": {"tokens": 100}}, {"tokens": "many"}, {"tokens": float("nan")}])
def test_units_of_a_cost_are_finite_numbers_by_their_names(open_workshop, units):
    shop = open_workshop(**ALONE)
    shop.acts["fetch"] = lambda context: context.cost(0.02, "openai", **units) or {}
    shop.run("a")
    assert reason(shop).startswith(
        "ValueError: units are finite numbers by their names, as input_tokens=812; not {"
    )


def test_a_note_of_any_length_and_kind_is_cut_to_a_line(open_workshop):
    shop = open_workshop(**ALONE)
    seen = []

    def act(context):
        context.progress(1, note="caf\udce9" + "x" * 10_000)
        seen.extend(list_progress(shop.conn, "papers"))
        return {}

    shop.acts["fetch"] = act
    shop.run("a")
    assert len(seen[0].note) == 200


# -- who uses none of it ----------------------------------------------------------------------------------


def test_a_handler_that_uses_none_of_it_makes_no_folder_and_no_row(shop):
    shop.run("a")
    assert shop.status("a") == "done"
    assert count_rows(shop) == [0] * len(TABLES)
    assert not shop.runtime.artifacts.folder.exists()


# -- big results ------------------------------------------------------------------------------------------


def test_a_result_of_fifty_megabytes_is_moved_and_the_next_stage_gets_all_of_it(open_workshop):
    shop = open_workshop(**PAIR)
    whole = {"text": "é" * 25_000_000, "n": 1}
    shop.acts["fetch"] = lambda _: whole
    shop.acts["extract"] = lambda context: {"same": context.results["fetch"] == whole}
    shop.run("a")
    assert shop.result("a", "extract") == {"same": True}
    stored = shop.result("a", "fetch")
    assert (stored["name"], stored["bytes"]) == (
        "result.json",
        len(json.dumps(whole, ensure_ascii=False).encode()),
    )
    assert stored["preview"].startswith('{"text": "éé')
    assert shop.conn.execute("SELECT max(length(result)) FROM results").fetchone()[0] < 2000
    assert len(files_in(shop)) == 1
    assert collect(shop.conn, shop.runtime.artifacts).files == 0


def test_the_files_that_a_big_result_points_at_stay_as_long_as_it_counts(open_workshop):
    shop = open_workshop(**PAIR)
    shop.acts["fetch"] = lambda context: {
        "pages": [{"file": context.artifact("page.html", b"<p>")}],
        "text": "x" * big_results.MAX_CHARS,
    }
    shop.acts["extract"] = lambda context: {
        "text": context.open_artifact(context.results["fetch"]["pages"][0]["file"]).read_text()
    }
    shop.run("a")
    assert collect(shop.conn, shop.runtime.artifacts).files == 0
    assert shop.result("a", "extract") == {"text": "<p>"}
    tracker.store_result(shop.conn, "papers", "a", "fetch", {})
    assert collect(shop.conn, shop.runtime.artifacts).files == 0  # the history of the stage refers to them
    shop.conn.execute("DELETE FROM results_history")
    assert collect(shop.conn, shop.runtime.artifacts).files == 2


def test_a_result_up_to_the_limit_stays_where_it_is(open_workshop):
    shop = open_workshop(**ALONE)
    whole = {"text": "x" * (big_results.MAX_CHARS - len('{"text": ""}'))}
    shop.acts["fetch"] = lambda _: whole
    shop.run("a")
    assert shop.result("a", "fetch") == whole


def test_a_result_that_looks_like_a_moved_one_is_given_to_the_next_stage_as_it_was(open_workshop):
    shop = open_workshop(**PAIR)
    forged = {"artifact": f"sha256:{'0' * 64}", "content_type": big_results.CONTENT_TYPE, "name": "mine"}
    shop.acts["fetch"] = lambda _: forged
    shop.acts["extract"] = lambda context: {"got": context.results["fetch"]}
    shop.run("a")
    assert shop.result("a", "extract") == {"got": forged}


def test_a_big_result_for_the_folder_of_another_tracker_fails_its_stage_and_says_what_to_do(open_workshop):
    shop = open_workshop(**ALONE)
    shop.runtime.artifacts.folder.mkdir()
    (shop.runtime.artifacts.folder / "OWNER").write_text("another")
    shop.acts["fetch"] = lambda _: {"text": "x" * 2_000_000}
    shop.run("a")
    assert shop.status("a", "fetch") == "failed"
    assert "keeps the files of another tracker" in reason(shop)


def test_a_moved_result_whose_file_is_gone_fails_the_stage_that_needs_it_clearly(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("extract", retries=0)))
    shop.acts["fetch"] = lambda _: {"text": "x" * 2_000_000}
    shop.acts["extract"] = lambda context: {"got": len(context.results["fetch"]["text"])}
    shop.add("a")
    shop.dispatch()
    shop.take()
    files_in(shop)[0].unlink()
    shop.work()
    assert reason(shop, stage="extract").startswith("ArtifactError: the artifact ")
    assert "is gone" in reason(shop, stage="extract")


def test_a_big_result_goes_to_a_remote_stage_as_the_pointer_to_its_artifact(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("extract", remote=True, queue="far")))
    shop.acts["fetch"] = lambda _: {"text": "x" * 2_000_000}
    shop.add("a")
    shop.dispatch()
    shop.take()
    (message,) = shop.publisher.waiting
    assert message.cargo["moved"] == ["fetch"]
    assert message.cargo["results"]["fetch"]["name"] == "result.json"
    assert len(json.dumps(message.cargo)) < 2_000


def test_a_big_result_for_which_there_is_no_room_waits_for_it(open_workshop, monkeypatch):
    shop = open_workshop(**ALONE)
    shop.acts["fetch"] = lambda _: {"text": "x" * 2_000_000}
    full, waits, really = [True, True], [], os.fsync

    def fsync(descriptor):
        if full and full.pop():
            raise OSError(errno.ENOSPC, "No space left on device")
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr("time.sleep", waits.append)
    shop.run("a")
    assert (shop.status("a"), len(waits)) == ("done", 2)
    assert len(files_in(shop)) == 1


# -- rehearsals -------------------------------------------------------------------------------------------


def test_a_dry_run_keeps_and_remembers_until_it_is_over_and_leaves_nothing(open_workshop):
    shop = open_workshop(**PAIR)
    shop.plugins.find = lambda: [{"key": "a"}, {"key": "b"}]
    paths = []

    def fetch(context):
        context.remember("q", (context.recall("q") or 0) + 1)
        return {
            "page": context.artifact("a.txt", b"abc"),
            "twin": context.find_twin(7, 3),
            "n": context.recall("q"),
        }

    def extract(context):
        paths.append(context.open_artifact(context.results["fetch"]["page"]))
        return {"text": paths[-1].read_text()}

    shop.acts.update(fetch=fetch, extract=extract)
    given = [one.result for one in rehearse(shop.runtime, "papers", RunContext(mode="dry_run"))]
    assert [one["text"] for one in given[1::2]] == ["abc", "abc"]
    assert [(one["twin"], one["n"]) for one in given[::2]] == [(None, 1), ("a", 2)]
    assert not paths[0].exists()
    assert not shop.runtime.artifacts.folder.exists()


def test_a_dry_run_reads_the_files_that_are_kept_for_real(open_workshop):
    shop = open_workshop(**ALONE)
    shop.acts["fetch"] = lambda context: {"page": context.artifact("a.txt", b"abc")}
    shop.run("a")
    kept = shop.result("a", "fetch")["page"]
    shop.plugins.find = lambda: [{"key": "b", "data": {"page": kept}}]
    shop.acts["fetch"] = lambda context: {"text": context.open_artifact(context.data["page"]).read_text()}
    (given,) = rehearse(shop.runtime, "papers", RunContext(mode="dry_run"))
    assert given.result == {"text": "abc"}
