from __future__ import annotations

from workshop import job, step

from pipeline.search_words import read_search
from runner.sweep import Swept, sweep
from tracker.search import search


def find(shop, typed):
    return [one.key for one in search(shop.conn, read_search(typed), 20)]


def test_a_sweep_reads_in_what_can_be_searched_and_no_worker_does(open_workshop):
    shop = open_workshop(papers=job(step("fetch")))
    shop.acts["fetch"] = lambda _: {"text": "honey"}
    shop.run("a")
    assert find(shop, "honey") == []
    sweep(shop.runtime)
    assert find(shop, "honey") == ["a"]


def test_a_sweep_with_nothing_new_to_read_in_writes_nothing(open_workshop):
    shop = open_workshop(papers=job(step("fetch")))
    shop.run("a")
    sweep(shop.runtime)
    before = shop.conn.total_changes()
    assert sweep(shop.runtime) == Swept()
    assert shop.conn.total_changes() == before


def test_a_job_whose_search_is_switched_off_is_forgotten_by_the_next_sweep(open_workshop):
    shop = open_workshop(papers=job(step("fetch")), rss=job(step("fetch")))
    shop.add("bees")
    shop.add("bees", job_id="rss")
    sweep(shop.runtime)
    assert len(find(shop, "bees")) == 2
    shop.edit(papers=job(step("fetch"), search=False), rss=job(step("fetch")))
    sweep(shop.runtime)
    assert [one.job for one in search(shop.conn, read_search("bees"), 20)] == ["rss"]
