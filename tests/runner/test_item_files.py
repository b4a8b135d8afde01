"""Which files an item may name, wherever its stage runs: whoever may send items in names what they like."""

from __future__ import annotations

import pytest
from test_remote import run_far

from runner.replay import replay_aside


@pytest.fixture
def open_shop(open_workshop, tmp_path):
    """Open a workshop whose job finds the files of a folder; an item names one of them, another what lies beside it."""
    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "a.txt").write_text("mine")
    (tmp_path / "secret.key").write_text("secret")

    def open_it(root=str(papers), **more):
        discovery = {"strategy": "local_files", "root": root}
        shop = open_workshop(papers={"discovery": discovery, "stages": [{"name": "read_file", **more}]})
        shop.add("inside", data={"path": str(papers / "a.txt")})
        shop.add("outside", data={"path": str(tmp_path / "secret.key")})
        shop.dispatch()
        return shop

    return open_it


def check(shop):
    assert shop.result("inside", "read_file")["text"] == "mine"
    assert shop.status("outside", "read_file") == "failed"
    assert "is not among the files below" in shop.row("outside", "read_file")["reason"]


def test_an_item_may_name_only_files_of_the_folder_in_which_its_job_finds_them(open_shop):
    shop = open_shop()
    shop.work()
    check(shop)


def test_that_holds_for_a_worker_far_away_too(open_shop):
    shop = open_shop(queue="far", remote=True)
    while shop.publisher.waiting:
        run_far(shop)
    check(shop)


def test_that_holds_for_a_stage_that_is_run_aside_too(open_shop):
    shop = open_shop()
    assert replay_aside(shop.runtime, "papers", "inside", "read_file").ran.result["text"] == "mine"
    assert "is not among the files" in replay_aside(shop.runtime, "papers", "outside", "read_file").ran.reason


@pytest.mark.parametrize("root", ["${PAPERS_OF_NOBODY}", "~nobody-of-this-name/papers"])
def test_a_folder_of_a_variable_or_home_that_is_not_there_where_the_stage_runs_is_no_folder(open_shop, root):
    shop = open_shop(root=root)
    shop.work()
    assert "set `folder`" in shop.row("inside", "read_file")["reason"]


def test_nor_does_it_keep_the_stage_from_being_sent_far_away(open_shop):
    shop = open_shop(root="~nobody-of-this-name/papers", queue="far", remote=True)
    while shop.publisher.waiting:
        run_far(shop)
    assert "set `folder`" in shop.row("inside", "read_file")["reason"]
