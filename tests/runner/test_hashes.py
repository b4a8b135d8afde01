"""What a result was made from, and what it is, as hashes beside it."""

from __future__ import annotations

import json

from workshop import job, step

import tracker
from pipeline.versions import hash_input, hash_result

TWO = {"papers": job(step("fetch"), step("extract"))}


def hashes(shop, key, stage):
    sql = "SELECT input_hash, output_hash FROM v_results WHERE key = ? AND stage = ?"
    return tuple(shop.conn.execute(sql, (key, stage)).fetchone())


def test_the_same_input_has_the_same_hash_and_another_has_another(open_workshop):
    shop = open_workshop(**TWO)
    shop.acts["fetch"] = lambda context: {"n": context.data["n"], "m": 1}
    shop.acts["extract"] = lambda context: {"double": context.results["fetch"]["n"] * 2}
    shop.add("a", data={"n": 1})
    shop.add("b", data={"n": 1})
    shop.add("c", data={"n": 2})
    shop.dispatch()
    shop.work()
    for stage in ("fetch", "extract"):
        first, same, other = (hashes(shop, key, stage) for key in "abc")
        assert first == same
        assert not set(first) & set(other)
    output = hash_result({"m": 1, "n": 1})
    assert hashes(shop, "a", "fetch") == (hash_input('{"n": 1}', {}), output)
    assert hashes(shop, "a", "extract")[0] == hash_input('{"n": 1}', {"fetch": output})


def test_results_that_a_handler_never_looked_at_are_not_part_of_its_input(open_workshop):
    shop = open_workshop(**TWO)
    shop.acts["extract"] = lambda context: {"key": context.key}
    shop.run("a")
    assert hashes(shop, "a", "extract")[0] == hash_input("{}", {})


def test_a_handler_that_changes_its_data_changes_nothing_about_what_it_was_given(open_workshop):
    shop = open_workshop(**TWO)
    shop.acts["fetch"] = lambda context: context.data.clear() or {}
    shop.add("a", data={"n": 1})
    shop.dispatch()
    shop.work()
    assert hashes(shop, "a", "fetch")[0] == hash_input('{"n": 1}', {})


def test_a_remote_stage_has_its_hashes_too(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("model", queue="far", remote=True)))
    shop.add("a", data={"n": 1})
    shop.dispatch()
    shop.take()
    cargo = json.loads(json.dumps(shop.publisher.waiting[0].cargo))
    assert cargo["input_hash"] == hash_input('{"n": 1}', {"fetch": hashes(shop, "a", "fetch")[1]})


def test_a_result_stored_by_hand_has_a_hash_of_its_own_and_none_of_an_input(open_workshop):
    shop = open_workshop(**TWO)
    shop.run("a")
    tracker.store_result(shop.conn, "papers", "a", "fetch", {"by": "hand"})
    assert hashes(shop, "a", "fetch") == (None, hash_result({"by": "hand"}))


def test_a_result_kept_before_there_were_hashes_is_hashed_when_it_is_needed(open_workshop):
    shop = open_workshop(**TWO)
    shop.add("a")
    shop.dispatch()
    shop.take()
    known = hashes(shop, "a", "fetch")[1]
    shop.conn.execute("UPDATE results SET output_hash = NULL")
    shop.work()
    assert hashes(shop, "a", "extract")[0] == hash_input("{}", {"fetch": known})
