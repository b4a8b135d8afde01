from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise

import pytest
import time_machine

import tracker
from tests.waiting import PATIENCE_SECONDS
from tracker.hosts import (
    HostTurn,
    RobotsRecord,
    find_robots,
    is_slowed,
    keep_robots,
    list_hosts,
    note_success,
    slow_host,
    take_turn,
)
from tracker.pauses import Target, pause

NOON = "2026-03-01T12:00:00Z"


@pytest.fixture
def clock():
    """Stop the clock at noon, until it is shifted."""
    with time_machine.travel(NOON, tick=False) as stopped:
        yield stopped


def slow(conn, seconds=None, throttles=0, reason="429"):
    return slow_host(conn, "example.org", seconds, reason, throttles, "w:1")


def ask(conn, interval_seconds=2.0, patience_seconds=10.0, host="example.org"):
    return take_turn(conn, host, interval_seconds, patience_seconds)


def test_the_first_to_ask_a_host_need_not_wait(conn, clock):
    assert ask(conn) == HostTurn(0.0, granted=True, throttles=0)


def test_turns_at_a_host_are_one_interval_apart(conn, clock):
    assert [ask(conn).wait_seconds for _ in range(4)] == [0, 2, 4, 6]


def test_another_host_has_turns_of_its_own(conn, clock):
    ask(conn)
    assert ask(conn, host="example.net").wait_seconds == 0


def test_time_that_has_passed_is_waited_off_but_not_saved_up(conn, clock):
    ask(conn)
    clock.shift(1.5)
    assert ask(conn).wait_seconds == 0.5
    clock.shift(3600)
    assert [ask(conn).wait_seconds for _ in range(2)] == [0, 2]


def test_a_turn_beyond_the_patience_is_not_taken(conn, clock):
    for _ in range(4):
        ask(conn)
    assert ask(conn, patience_seconds=7.9) == HostTurn(8.0, granted=False, throttles=0)
    assert ask(conn, patience_seconds=8.0) == HostTurn(8.0, granted=True, throttles=0)


def test_turns_given_by_a_clock_that_was_ahead_hold_nobody_once_it_is_right(conn, clock):
    clock.shift(7200)
    assert ask(conn).granted
    slow(conn, 600)
    clock.shift(-7200)
    assert [ask(conn).wait_seconds for _ in range(2)] == [0, 2]
    assert not is_slowed(conn, "example.org")


def test_nor_do_times_that_were_told_by_a_clock_that_was_ahead(conn, clock):
    clock.shift(7200)
    ask(conn)
    assert not ask(conn, patience_seconds=1).granted
    clock.shift(-7200)
    assert [ask(conn, patience_seconds=1).wait_seconds for _ in range(3)] == [0, 2, 4]


def test_who_is_turned_away_is_told_a_time_of_its_own(conn, clock):
    ask(conn)
    assert [ask(conn, patience_seconds=1).wait_seconds for _ in range(3)] == [2, 4, 6]


def test_who_is_turned_away_comes_back_within_the_hour_after_the_host_is_free(conn, clock):
    ask(conn, interval_seconds=2000)
    waits = [ask(conn, interval_seconds=2000, patience_seconds=1).wait_seconds for _ in range(4)]
    assert waits == [2000, 4000, 5600, 5600]


def test_each_turn_leaves_the_interval_of_who_took_it(conn, clock):
    assert [ask(conn, interval_seconds=each).wait_seconds for each in (5, 1, 1)] == [0, 5, 6]


def test_a_host_that_names_a_wait_is_asked_by_nobody_before_it_is_over(conn, clock):
    ask(conn)
    assert slow(conn, 120) == 120
    assert is_slowed(conn, "example.org")
    assert not ask(conn).granted
    clock.shift(119)
    assert ask(conn).wait_seconds == 1
    clock.shift(1)
    assert not is_slowed(conn, "example.org")


@pytest.mark.parametrize(("wish", "wait"), [(10**9, 86_400), (0, 60), (0.5, 60), (None, 60)])
def test_an_absurd_wish_is_bounded_and_none_is_a_minute(conn, clock, wish, wait):
    assert slow(conn, wish) == wait


def test_the_wait_doubles_each_time_in_a_row_up_to_an_hour(conn, clock):
    waits = []
    for _ in range(8):
        turn = ask(conn, patience_seconds=1e6)
        clock.shift(turn.wait_seconds)
        waits.append(slow(conn, throttles=turn.throttles))
        clock.shift(waits[-1])
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_answers_to_requests_made_together_count_once_in_a_row(conn, clock):
    throttles = [ask(conn).throttles for _ in range(5)]
    assert [slow(conn, throttles=each) for each in throttles] == [60] * 5
    assert list_hosts(conn)[0].throttled == 5
    assert ask(conn, patience_seconds=100).throttles == 1


def test_a_shorter_wish_does_not_shorten_a_wait(conn, clock):
    assert [slow(conn, 120), slow(conn, 30)] == [120, 120]


def test_a_good_answer_ends_the_row(conn, clock):
    slow(conn, throttles=0)
    clock.shift(60)
    note_success(conn, "example.org", ask(conn).throttles)
    assert not is_slowed(conn, "example.org")
    assert slow(conn, throttles=ask(conn, patience_seconds=60).throttles) == 60


def test_a_good_answer_to_an_older_turn_ends_no_row(conn, clock):
    slow(conn, throttles=0)
    clock.shift(60)
    old = ask(conn).throttles
    slow(conn, throttles=old)
    note_success(conn, "example.org", old)
    assert is_slowed(conn, "example.org")


def test_the_first_of_a_row_is_an_event_in_the_same_transaction(conn, clock):
    def slow_and_fail():
        with tracker.write(conn):
            slow(conn, 120)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        slow_and_fail()
    assert tracker.get_events(conn) == list_hosts(conn) == []
    slow(conn, 120, throttles=0)
    slow(conn, 120, throttles=1)
    (event,) = tracker.get_events(conn)
    assert (event["kind"], event["by"], event["job_id"]) == ("host_slowed", "w:1", None)
    assert '"host": "example.org"' in event["detail"]


def test_hosts_that_asked_to_slow_down_are_listed_first(conn, clock):
    for host in ("a.example", "example.org", "z.example"):
        ask(conn, host=host)
        clock.shift(1)
    slow(conn, 120)
    assert [report.host for report in list_hosts(conn)] == ["example.org", "z.example", "a.example"]
    assert [report.host for report in list_hosts(conn, limit=1)] == ["example.org"]


def test_a_paused_host_is_listed_with_its_numbers_however_long_ago_it_was_asked(conn, clock):
    for name in ("a.example", "b.example", "c.example"):
        take_turn(conn, name, 1, 60)
        clock.shift(10)
    pause(conn, Target.of_host("a.example"), "asked by its owner")
    first, second = list_hosts(conn, 2)
    assert (first.host, first.requests, first.pause.reason) == ("a.example", 1, "asked by its owner")
    assert second.host == "c.example"


def test_a_report_says_all_of_a_host(conn, clock):
    ask(conn)
    ask(conn, patience_seconds=0)
    slow(conn, 120, reason="429 (Too Many Requests)")
    noon = int(time.time() * 1000)
    (report,) = list_hosts(conn)
    assert (report.interval_seconds, report.requests, report.throttled) == (2.0, 1, 1)
    assert (report.asked_at, report.free_at, report.slowed_until) == (noon, noon + 120_000, noon + 120_000)
    assert report.reason == "429 (Too Many Requests)"


def test_a_robots_file_is_found_by_its_origin(conn, clock):
    good_until = int(time.time() * 1000) + 1000
    keep_robots(conn, "https://example.org", RobotsRecord(200, "User-agent: *", good_until))
    keep_robots(conn, "https://example.org", RobotsRecord(404, "", good_until))
    assert find_robots(conn, "https://example.org") == RobotsRecord(404, "", good_until)
    assert find_robots(conn, "http://example.org") is None


def test_a_robots_file_is_dropped_a_week_after_it_was_good(conn, clock):
    now = int(time.time() * 1000)
    keep_robots(conn, "https://old.example", RobotsRecord(200, "", now))
    clock.shift(6 * 86_400)
    keep_robots(conn, "https://example.org", RobotsRecord(200, "", now))
    assert find_robots(conn, "https://old.example")
    clock.shift(2 * 86_400)
    keep_robots(conn, "https://example.org", RobotsRecord(200, "", now + 8 * 86_400_000))
    assert find_robots(conn, "https://old.example") is None


TAKE_MANY = """
import sys, tracker
from tracker import hosts
clock, read = hosts.now_ms, []
hosts.now_ms = lambda: read.append(clock()) or read[-1]
with tracker.open_db(sys.argv[1]) as conn:
    for _ in range(25):
        turn = hosts.take_turn(conn, "example.org", 0.01, 60)
        assert turn.granted
        print(read[-1] / 1000 + turn.wait_seconds)
"""


def test_no_two_processes_ever_have_the_same_turn(db_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", TAKE_MANY, str(db_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    turns = sorted(
        float(line) for each in processes for line in each.communicate(timeout=PATIENCE_SECONDS)[0].split()
    )
    assert len(turns) == 100
    assert min(later - earlier for earlier, later in pairwise(turns)) > 0.0099
