"""Far from the tracker's folder: artifacts, answers and the wish to go on, by a real dashboard on a real socket."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading

import pytest
import uvicorn
from test_remote import FAR, run_far

from dashboard.app import make_app
from dashboard.house import House, Served
from net.client import PoliteClient
from pipeline.errors import (
    ArtifactError,
    HostPausedError,
    JobsFileError,
    TrackerUnusableError,
    UnclearRequestError,
)
from pipeline.outcomes import RetryLater, RetryLaterError
from runner.access import make_token
from runner.advance import advance
from runner.cargo import load_cargo
from runner.far_cache import ArtifactCache
from runner.far_dashboard import FarDashboard
from runner.far_desk import Afar, Place
from runner.far_manners import FarManners
from runner.far_requests import keep_sent
from runner.lost import give_back_crashed
from runner.runtime import Runtime
from tests.waiting import wait_until
from tracker import answers, pauses
from tracker.artifacts import list_artifacts

BIG = b"0123456789" * 100_000


@pytest.fixture
def shop(open_workshop):
    """Open the workshop with a remote stage in the middle, before which an item stands."""
    shop = open_workshop(**FAR)
    shop.add("a", data={"n": 1})
    shop.dispatch()
    shop.take()
    return shop


@pytest.fixture
def serve(shop, settings):
    """Serve the dashboard of the workshop's tracker; its address."""
    served = []

    def start():
        house = House(settings, Served(), lambda: Runtime(settings, shop.publisher))
        config = uvicorn.Config(make_app(house), log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        listening = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        served.append((server, thread))
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for server, thread in served:
        server.should_exit = True
        thread.join()


@pytest.fixture
def token(shop):
    return make_token(shop.conn, "far", "operator", "test", scopes={"remote"})[1]


@pytest.fixture
def make_afar(tmp_path, token, serve):
    """Make what a machine has that is far from the file."""

    def make(
        url=None,
        token=token,
        max_bytes=2**30,
        allow_hosts=("127.0.0.1",),
        patience_seconds=0,
        is_stopping=lambda: False,
    ):
        http = PoliteClient(contact=None, allow_hosts=allow_hosts)
        there = FarDashboard(http, url or serve(), token, patience_seconds, is_stopping)
        return Afar(ArtifactCache(tmp_path / "elsewhere", max_bytes), there)

    return make


@pytest.fixture
def alone(tmp_path):
    return Afar(ArtifactCache(tmp_path / "elsewhere", 2**30))


def kept(shop):
    return [(one.name, one.bytes, one.uses) for one in list_artifacts(shop.conn, 10)]


# -- what it makes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [BIG, b"small"])
def test_an_artifact_made_far_away_is_kept_in_the_trackers_folder(shop, make_afar, content):
    shop.acts["model"] = lambda context: {"page": context.artifact("a.html", content, "text/html")}
    run_far(shop, afar=make_afar())
    pointer = shop.result("a", "model")["page"]
    assert (pointer["name"], pointer["bytes"], pointer["content_type"]) == (
        "a.html",
        len(content),
        "text/html",
    )
    sha256 = pointer["artifact"].removeprefix("sha256:")
    assert shop.runtime.artifacts.verify(sha256, len(content)).read_bytes() == content
    assert kept(shop) == [("a.html", len(content), 1)]


def test_small_artifacts_come_with_the_outcome_without_any_dashboard(shop, alone):
    shop.acts["model"] = lambda context: {"page": context.artifact("a.html", b"small")}
    run_far(shop, afar=alone)
    assert kept(shop) == [("a.html", 5, 1)]
    shop.work()
    assert shop.status("a") == "done"


def test_an_artifact_that_does_not_have_its_hash_fails_the_stage_and_is_not_kept(shop, alone):
    shop.acts["model"] = lambda context: {"page": context.artifact("a.html", b"small")}
    wire = run_far(shop, afar=alone, lose={"ended"})
    wire.reports[-1]["artifacts"][0]["content"] = "AAAA"
    wire.tell_ending()
    assert shop.result("a", "model") is None
    assert "has the SHA-256" in shop.failures()[0]["message"]
    assert kept(shop) == []


def test_where_no_file_can_be_kept_the_stage_of_a_small_artifact_fails_and_says_why(shop, alone):
    shop.acts["model"] = lambda context: {"page": context.artifact("a.html", b"small")}
    wire = run_far(shop, afar=alone, lose={"ended"})
    folder = shop.runtime.artifacts.folder
    folder.write_text("no folder any more")
    wire.tell_ending()
    assert shop.status("a", "model") == "failed"
    assert str(folder) in shop.failures()[0]["message"]


def test_without_a_dashboard_a_large_artifact_waits_for_a_worker_that_has_one(shop, alone, make_afar):
    shop.acts["model"] = lambda context: {"page": context.artifact("a.bin", BIG)}
    run_far(shop, afar=alone)
    row = shop.row("a", "model")
    assert (row["status"], row["retries"]) == ("pending", 0)
    assert "set CELERIAC_DASHBOARD_URL and CELERIAC_TOKEN" in row["reason"]
    shop.publisher.waiting += load_cargo(shop.runtime, shop.spec(), shop.publisher.countdowns)
    shop.conn.execute("UPDATE item_stages SET retry_at = 1 WHERE retry_at IS NOT NULL")  # a minute later
    run_far(shop, afar=make_afar())
    assert shop.status("a", "model") == "done"


def test_a_big_result_goes_ahead_as_an_artifact_and_is_read_back(shop, make_afar):
    shop.acts["model"] = lambda _: {"text": "x" * 2_000_000}
    shop.acts["store"] = lambda context: {"chars": len(context.results["model"]["text"])}
    wire = run_far(shop, afar=make_afar())
    assert len(json.dumps(wire.reports[-1])) < 5_000
    shop.work()
    assert shop.result("a", "store") == {"chars": 2_000_000}
    assert len(kept(shop)) == 1


def test_a_big_result_that_did_not_arrive_fails_its_stage(shop, make_afar):
    shop.acts["model"] = lambda _: {"text": "x" * 2_000_000}
    wire = run_far(shop, afar=make_afar(), lose={"ended"})
    sha256 = json.loads(wire.reports[-1]["result_json"])["artifact"].removeprefix("sha256:")
    shop.runtime.artifacts.path(sha256).unlink()
    wire.tell_ending()
    assert "which is not in" in shop.failures()[0]["message"]


def test_a_big_result_that_arrived_in_part_fails_its_stage(shop, make_afar):
    shop.acts["model"] = lambda _: {"text": "x" * 2_000_000}
    wire = run_far(shop, afar=make_afar(), lose={"ended"})
    sha256 = json.loads(wire.reports[-1]["result_json"])["artifact"].removeprefix("sha256:")
    path = shop.runtime.artifacts.path(sha256)
    path.chmod(0o600)
    os.truncate(path, 1000)
    wire.tell_ending()
    assert "which is not in" in shop.failures()[0]["message"]


def test_without_a_dashboard_a_big_result_comes_whole_and_is_kept_all_the_same(shop, alone):
    shop.acts["model"] = lambda _: {"text": "x" * 2_000_000}
    run_far(shop, afar=alone)
    assert kept(shop)[0][0] == "result.json"


def test_an_overtaken_attempt_can_keep_nothing_more(shop, make_afar):
    def act(context):
        if context.attempt > 1:
            return {"ok": True}
        give_back_crashed(
            shop.runtime, shop.item_id("a"), "model", context.attempt, reason="thought to be dead"
        )
        shop.dispatch()
        run_far(shop, afar=context.desk.afar)
        with pytest.raises(ArtifactError, match="owns it no longer"):
            context.artifact("a.bin", BIG)
        return {"ok": False}

    shop.acts["model"] = act
    run_far(shop, afar=make_afar())
    assert shop.result("a", "model") == {"ok": True}
    assert kept(shop) == []


@pytest.mark.parametrize("content", [BIG, 64 * BIG], ids=["says nothing", "takes nothing"])
def test_who_keeps_the_connection_and_is_silent_is_given_up(shop, make_afar, monkeypatch, content):
    monkeypatch.setattr("runner.far_dashboard.SILENT_SECONDS", 0.2)
    shop.acts["model"] = lambda context: {"page": context.artifact("a.bin", content)}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        run_far(shop, afar=make_afar(url=f"http://127.0.0.1:{silent.getsockname()[1]}"))
    row = shop.row("a", "model")
    assert (row["status"], row["retries"]) == ("pending", 0)
    assert "the dashboard cannot be used from here" in row["reason"]


def test_a_worker_that_is_told_to_stop_has_little_patience(make_afar, monkeypatch):
    monkeypatch.setattr("runner.far_dashboard.STOPPING_PATIENCE_SECONDS", 0.0)
    told = iter([False, False])
    afar = make_afar(url="http://127.0.0.1:9", patience_seconds=3600, is_stopping=lambda: next(told, True))
    with pytest.raises(RetryLaterError, match="cannot be used from here"):
        afar.dashboard.ask("recall", key="q")
    assert next(told, None) is None  # it was patient until then


# -- what it needs ----------------------------------------------------------------------------------------


def test_a_large_input_is_fetched_once_and_checked(shop, make_afar):
    pointer, opened = put(shop, BIG), []

    def act(context):
        path = context.open_artifact(pointer)
        opened.append(path)
        return {"bytes": len(path.read_bytes())}

    shop.acts["model"] = act
    afar = make_afar()
    run_far(shop, afar=afar)
    assert shop.result("a", "model") == {"bytes": len(BIG)}
    assert not opened[0].exists()  # its own name for it has gone with the attempt
    sha256 = pointer["artifact"].removeprefix("sha256:")
    assert afar.cache.find(sha256, len(BIG)) is not None
    shop.runtime.artifacts.path(sha256).unlink()
    add_another(shop)
    run_far(shop, afar=Afar(afar.cache))  # nobody is asked again
    assert shop.result("b", "model") == {"bytes": len(BIG)}


def put(shop, content):
    """Keep a file as an earlier stage would have."""
    blob = shop.runtime.artifacts.put(content)
    shop.conn.execute(
        "INSERT INTO artifacts (sha256, bytes, name, first_kept_at, last_kept_at, uses) VALUES (?, ?, 'in', 1, 1, 0)",
        (blob.sha256, blob.size),
    )
    return {"artifact": f"sha256:{blob.sha256}", "name": "in", "bytes": blob.size}


def add_another(shop):
    shop.add("b")
    shop.dispatch()
    while shop.publisher.waiting[0].stage != "model":
        shop.take()


def test_an_input_that_was_changed_on_its_way_is_not_used(shop, make_afar):
    pointer = put(shop, BIG)
    path = shop.runtime.artifacts.path(pointer["artifact"].removeprefix("sha256:"))
    path.chmod(0o644)
    path.write_bytes(BIG[:-1] + b"!")
    shop.acts["model"] = lambda context: {"path": str(context.open_artifact(pointer))}
    run_far(shop, afar=make_afar())
    assert "is something else" in shop.failures()[0]["message"]


def test_an_input_that_is_gone_fails_the_stage_clearly(shop, make_afar):
    pointer = put(shop, BIG)
    shop.runtime.artifacts.path(pointer["artifact"].removeprefix("sha256:")).unlink()
    shop.acts["model"] = lambda context: {"path": str(context.open_artifact(pointer))}
    run_far(shop, afar=make_afar())
    assert "is gone from the tracker's folder" in shop.failures()[0]["message"]


def test_a_big_result_of_an_earlier_stage_is_fetched_when_it_is_read(shop, make_afar):
    run_far(shop)
    shop.acts["fetch"] = lambda _: {"text": "x" * 2_000_000}
    shop.acts["model"] = lambda context: {"chars": len(context.results["fetch"]["text"])}
    add_another(shop)
    run_far(shop, afar=make_afar())
    assert shop.result("b", "model") == {"chars": 2_000_000}


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"token": "celeriac_wrong"}, "CELERIAC_TOKEN is not accepted"),
        ({"allow_hosts": ()}, "CELERIAC_ALLOW_HOSTS"),
        ({"url": "http://127.0.0.1:9"}, "did not answer"),
    ],
)
def test_a_dashboard_that_cannot_be_used_is_said_and_the_stage_comes_again(shop, make_afar, more, word):
    pointer = put(shop, BIG)
    shop.acts["model"] = lambda context: {"path": str(context.open_artifact(pointer))}
    run_far(shop, afar=make_afar(**more))
    row = shop.row("a", "model")
    assert (row["status"], row["retries"]) == ("pending", 0)
    assert word in row["reason"]
    assert "celeriac_wrong" not in row["reason"]


def test_a_token_without_the_scope_is_not_enough(shop, make_afar):
    _, token = make_token(shop.conn, "x", "operator", "test", scopes={"view", "enqueue"})
    afar = make_afar(token=token)
    with pytest.raises(RetryLaterError, match="may not remote"):
        afar.dashboard.ask("recall", key="q")


def test_nobody_keeps_an_artifact_for_an_attempt_that_does_not_run_or_under_a_wrong_hash(make_afar, shop):
    item_id = shop.item_id("a")
    afar = make_afar()
    path = shop.runtime.settings.data / "x"
    path.write_bytes(b"x")
    said = {"item_id": item_id, "attempt": 1, "worker": "w", "name": "x"}
    with pytest.raises(ArtifactError, match="owns it no longer"):
        afar.dashboard.put_artifact(path, "0" * 64, stage="fetch", **said)
    with pytest.raises(ArtifactError, match="has the SHA-256"):
        afar.dashboard.put_artifact(path, "0" * 64, stage="model", **said)


# -- answers, twins, progress, and the wish to go on ------------------------------------------------------


def test_what_is_remembered_far_away_is_known_to_all_at_once(shop, make_afar):
    answers.remember(shop.conn, "known", [1, 2])

    def act(context):
        context.remember("new", {"n": 1})
        return {
            "known": context.recall("known"),
            "new": answers.recall(shop.conn, "new"),
            "none": context.recall("?"),
        }

    shop.acts["model"] = act
    run_far(shop, afar=make_afar())
    assert shop.result("a", "model") == {"known": [1, 2], "new": {"n": 1}, "none": None}


def test_without_a_dashboard_what_is_remembered_comes_with_the_outcome(shop, alone):
    def act(context):
        context.remember("new", {"n": 1})
        return {"new": context.recall("new"), "twin": context.find_twin(1, 3)}

    shop.acts["model"] = act
    run_far(shop, afar=alone)
    assert shop.result("a", "model") == {"new": {"n": 1}, "twin": None}
    assert answers.recall(shop.conn, "new") == {"n": 1}


def test_a_twin_is_found_from_far_away(shop, make_afar):
    shop.acts["model"] = lambda context: {"twin": context.find_twin(2**64 - 1, 3)}
    afar = make_afar()
    run_far(shop, afar=afar)
    add_another(shop)
    run_far(shop, afar=afar)
    assert [shop.result(key, "model")["twin"] for key in "ab"] == [None, "a"]


def test_async_handlers_may_ask_as_well(shop, make_afar):
    async def act(context):
        context.remember("q", 1)
        return {"q": context.recall("q")}

    shop.acts["model"] = act
    run_far(shop, afar=make_afar())
    assert shop.result("a", "model") == {"q": 1}


def test_progress_is_shown_with_the_word_that_the_attempt_lives(shop, make_afar, monkeypatch):
    monkeypatch.setattr("runner.leases.RENEW_EVERY_SECONDS", 0.02)
    told = []

    def act(context):
        context.progress(1, 2, "half")
        told.extend(
            wait_until(lambda: shop.conn.execute("SELECT done, total, note FROM progress").fetchall())
        )
        return {}

    shop.acts["model"] = act
    run_far(shop)
    assert [tuple(row) for row in told] == [(1.0, 2.0, "half")]


def test_an_attempt_far_away_hears_that_it_was_cancelled(shop, make_afar, monkeypatch):
    monkeypatch.setattr("runner.leases.RENEW_EVERY_SECONDS", 0.02)

    def act(context):
        assert not context.cancelled()
        shop.conn.execute("UPDATE item_stages SET cancelled_by = 'ada' WHERE stage = 'model'")
        wait_until(context.cancelled)
        return {}

    shop.acts["model"] = act
    run_far(shop, afar=make_afar())
    assert (shop.status("a", "model"), shop.row("a", "model")["reason"]) == ("skipped", "cancelled by ada")


def test_who_waits_far_away_for_a_paused_host_is_woken_when_the_pause_ends(shop):
    shop.acts["model"] = lambda _: RetryLater(3600, "host x.example is paused", host="x.example")
    pauses.pause(shop.conn, pauses.Target("host", host="x.example"), "down", by="ada")
    run_far(shop)
    waits = shop.conn.execute("SELECT host, stage FROM host_waits").fetchall()
    assert [tuple(row) for row in waits] == [("x.example", "model")]


def test_a_host_that_is_paused_is_not_asked_from_far_away_either(shop, make_afar):
    afar = make_afar()
    client = PoliteClient(contact="me@example.org", manners=FarManners(afar.dashboard.find_pause))
    pauses.pause(shop.conn, pauses.Target("host", host="x.example"), "down", by="ada")
    with pytest.raises(HostPausedError, match="down"):
        client.fetch_now("http://www.x.example/")
    assert FarManners(afar.dashboard.find_pause).find_pause("y.example") is None


def test_without_an_answer_of_the_dashboard_no_host_is_taken_to_be_paused(make_afar):
    assert FarManners(make_afar(url="http://127.0.0.1:9").dashboard.find_pause).find_pause("x") is None


# -- the cache --------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path):
    return ArtifactCache(tmp_path / "cache", 25)


def sizes(cache):
    return sorted(blob.size for blob in cache.store.list_placed())


def test_the_cache_keeps_to_its_cap_and_lets_go_of_what_was_used_longest_ago(cache):
    loan = cache.lend()
    paths = [loan.keep(bytes([65 + number]) * 10)[0] for number in range(3)]
    assert sizes(cache) == [10, 10]
    assert all(path.read_bytes() for path in paths)  # who uses it has it still
    first = next(cache.store.list_placed()).sha256
    os.utime(cache.store.path(first), (1, 1))
    loan.keep(b"D" * 10)
    assert first not in {blob.sha256 for blob in cache.store.list_placed()}
    loan.end()
    assert not paths[0].exists()


def test_what_killed_processes_left_in_the_cache_is_removed(cache):
    loan = cache.lend()
    loan.keep(b"x")
    left = cache.store.folder / "lent" / "left"
    left.mkdir()
    (left / "file").write_bytes(b"y")
    cache.prune()
    assert [path.name != "left" for path in left.parent.iterdir()] == [True]
    loan.end()


@pytest.mark.parametrize("step", [(tempfile, "mkdtemp"), (os, "open")], ids=["it is opened", "it is locked"])
def test_an_attempt_whose_folder_is_taken_for_a_left_one_before_it_is_locked_makes_another(
    cache, monkeypatch, step
):
    original = getattr(*step)

    def be_overtaken(*args, **options):
        monkeypatch.undo()
        made = original(*args, **options)
        cache.prune()  # as another process does just now
        return made

    first, loan = cache.lend(), cache.lend()
    found = first.keep(b"x")[0]
    monkeypatch.setattr(*step, be_overtaken)
    path = loan.take(lambda: found)
    cache.prune()
    assert path.read_bytes() == b"x"
    loan.end()
    first.end()


def test_who_removes_what_an_attempt_has_of_its_own_fails_it_and_lets_it_not_wait_for_ever(cache):
    loan = cache.lend()
    path = loan.keep(b"x")[0]
    shutil.rmtree(path.parent)
    with pytest.raises(FileNotFoundError):
        loan.take(lambda: next(cache.store.folder.glob("??/*")))
    loan.end()


def test_a_file_of_the_cache_that_was_changed_is_fetched_again(cache):
    loan = cache.lend()
    path, blob = loan.keep(b"right")
    path.chmod(0o644)
    path.write_bytes(b"wrong")

    def download(sink):
        sink.write(b"right")

    assert cache.fetch(blob.sha256, 5, download).read_bytes() == b"right"
    loan.end()


def test_the_queues_of_other_stages_are_refused_by_a_process_that_is_far(settings, shop):
    runtime = Runtime(settings, None, is_far=True)
    with pytest.raises(TrackerUnusableError, match="remote stages alone"):
        advance(runtime, shop.item_id("a"), "model", 1)
    with pytest.raises(JobsFileError):
        _ = runtime.jobs


def test_nobody_keeps_an_artifact_for_a_stage_that_is_not_remote(shop):
    run_far(shop)
    place = Place(shop.item_id("a"), "store", 1, "far away")
    with pytest.raises(UnclearRequestError, match="is not remote"):
        keep_sent(shop.runtime, place, "0" * 64, b"x", "x", None)
    assert shop.status("a", "store") == "pending"
