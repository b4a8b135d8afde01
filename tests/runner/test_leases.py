"""Leases: renewed while a handler runs, and told when they are lost."""

from __future__ import annotations

import os
import threading

import pytest
import structlog

import tracker
from runner.leases import LeaseKeeper
from tests.waiting import wait_until
from tracker import claims, moves
from tracker.connection import open_db
from tracker.endings import Ending

EVERY_SECONDS = 0.02


@pytest.fixture
def quick(shop):
    """Open the workshop with a keeper that renews fifty times a second."""
    shop.runtime._keeper = os.getpid(), keeper(shop)
    return shop


def keeper(shop):
    return LeaseKeeper(str(shop.runtime.settings.db_path), EVERY_SECONDS)


def test_a_lease_is_renewed_while_its_handler_runs(quick):
    def leased_until():
        return quick.row("a", "fetch")["leased_until"]

    def act(context):
        first = leased_until()
        return {"renewed": wait_until(lambda: leased_until() > first)}

    quick.acts["fetch"] = act
    quick.run("a")
    assert quick.result("a", "fetch") == {"renewed": True}


def test_a_handler_is_told_that_its_lease_was_lost(quick):
    def act(context):
        assert not context.cancelled()
        with open_db(quick.runtime.settings.db_path) as other:
            moves.settle(other, quick.item_id("a"), "fetch", 1, Ending.expired(0))
        told.append(wait_until(context.cancelled))
        return {"too": "late"}

    told = []
    quick.acts["fetch"] = act
    quick.run("a")
    assert told == [True]
    assert quick.result("a", "fetch") is None


def test_a_lease_is_not_renewed_after_its_block(shop):
    renewed = []
    kept = keeper(shop)
    with kept.hold("papers.fetch", lambda _: renewed.append(1) or True):
        wait_until(lambda: renewed)
    with kept.hold("papers.extract", lambda _: True):
        pass
    assert kept._held == set()


def test_many_leases_are_renewed_by_one_thread(shop):
    kept, renewed = keeper(shop), set()
    before = threading.active_count()
    with (
        kept.hold("a", lambda _: renewed.add("a") or True),
        kept.hold("b", lambda _: renewed.add("b") or True),
    ):
        wait_until(lambda: renewed == {"a", "b"})
        assert threading.active_count() == before + 1


def test_a_renewal_that_fails_is_told_and_tried_again(shop):
    kept, tries = keeper(shop), []

    def renew(conn):
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the disk is slow")
        return True

    with structlog.testing.capture_logs() as logs, kept.hold("papers.fetch", renew) as held:
        wait_until(lambda: len(tries) > 2)
    assert not held.lost.is_set()
    told = [line for line in logs if line["event"] == "leases were not renewed"]
    assert told[0]["stages"] == ["papers.fetch"]


def test_a_renewal_changes_nothing_once_the_stage_has_ended(shop):
    shop.run("a")
    assert not claims.renew_lease(shop.conn, shop.item_id("a"), "fetch", 1)
    assert shop.row("a", "fetch")["leased_until"] is None


def test_a_long_discovery_keeps_its_lease(quick):
    from runner.discover import discover

    def leased_until():
        return quick.conn.execute("SELECT leased_until FROM discovery_runs").fetchone()[0]

    def find():
        first = leased_until()
        wait_until(lambda: leased_until() > first)
        return [{"key": "a"}]

    quick.plugins.find = find
    assert discover(quick.runtime, "papers").new == 1


def test_every_process_has_its_own_keeper(shop):
    mine = shop.runtime.leases
    assert shop.runtime.leases is mine
    shop.runtime._keeper = (-1, mine)  # as a forked child finds it
    assert shop.runtime.leases is not mine


def test_every_thread_has_its_own_connection(shop):
    found = []
    thread = threading.Thread(target=lambda: found.append(shop.runtime.tracker) or shop.runtime.close())
    thread.start()
    thread.join()
    assert found[0] is not shop.runtime.tracker
    assert tracker.get_job_stats(shop.conn, "papers")["total"] == 0
