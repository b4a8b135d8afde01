"""The handler `wait_for`: until when it parks, and what it makes of mistakes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from pydantic import ValidationError

from handlers.desk import NoDesk
from handlers.running import run_handler
from handlers.wait_for import WaitFor
from pipeline.outcomes import GiveUp, RetryLater

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def wait(make_context, clock):
    """Look whether a wait is over."""

    def run(params: dict, **given):
        deadline = datetime.now(UTC) + timedelta(minutes=10)
        return run_handler(WaitFor(params), make_context(deadline=deadline, **given))

    return run


@pytest.mark.parametrize(
    ("until", "after", "due"),
    [
        ("2026-02-01", None, datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-01-31T14:00:00+01:00", None, datetime(2026, 1, 31, 13, tzinfo=UTC)),
        ("{{ item.at }}", "2d", datetime(2026, 2, 1, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:01Z", None, NOW + timedelta(seconds=1)),
    ],
)
def test_an_item_is_parked_until_its_time(wait, until, after, due):
    outcome = wait({"until": until, "after": after}, data={"at": "2026-01-30T12:00:00Z"})
    assert isinstance(outcome, RetryLater)
    assert outcome.at == due


@pytest.mark.parametrize("until", ["2026-01-31", "2026-01-31T12:00:00", "1970-01-01T00:00:00Z"])
def test_what_is_due_goes_on_with_the_result_before(wait, until):
    result = wait({"until": until}, results={"fetch": {"text": "x"}})
    assert result["text"] == "x"
    assert datetime.fromisoformat(result["due_at"]) <= NOW


def test_a_time_without_a_zone_is_in_utc_wherever_the_worker_is(make_context, monkeypatch):
    at = (datetime.now(UTC) + timedelta(days=9)).replace(tzinfo=None)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        outcome = run_handler(WaitFor({"until": "{{ item.at }}"}), make_context(data={"at": at.isoformat()}))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert outcome.at == at.replace(tzinfo=UTC)


def test_a_while_is_counted_from_the_first_look(wait, clock):
    due = NOW + timedelta(hours=1)
    assert wait({"after": "1h"}).at == due
    clock.move_to(NOW + timedelta(minutes=59))
    assert wait({"after": "1h"}, attempt=2).at == due
    clock.move_to(due)
    assert wait({"after": "1h"}, attempt=3) == {"due_at": due.isoformat()}


def test_every_item_waits_a_while_of_its_own_and_again_after_new_results(wait, clock):
    wait({"after": "1h"}, key="a")
    clock.move_to(NOW + timedelta(minutes=30))
    assert wait({"after": "1h"}, key="b").at == NOW + timedelta(minutes=90)
    assert wait({"after": "1h"}, key="a", results={"fetch": {"text": "new"}}).at == NOW + timedelta(
        minutes=90
    )


def test_a_condition_is_looked_at_again_and_again(wait, clock):
    params = {"condition": "item.ready", "every": "5m"}
    assert wait(params) == RetryLater(300.0, "waits for the condition to hold")
    assert wait(params, data={"ready": True}) == {"due_at": None}
    later = {"condition": f"now >= `{(NOW + timedelta(hours=1)).timestamp()}`"}
    assert isinstance(wait(later), RetryLater)
    clock.move_to(NOW + timedelta(hours=1))
    assert wait(later) == {"due_at": None}


def test_a_condition_that_does_not_hold_in_time_is_given_up(wait, clock):
    params = {"condition": "item.ready", "at_most": "1h"}
    assert isinstance(wait(params), RetryLater)
    clock.move_to(NOW + timedelta(minutes=59))
    assert isinstance(wait(params), RetryLater)
    clock.move_to(NOW + timedelta(hours=1))
    assert wait(params) == GiveUp("the condition did not hold within 3600 seconds")


def test_a_time_comes_before_a_condition_and_both_must_be_met(wait):
    params = {"until": "2026-02-01", "condition": "item.ready"}
    assert wait(params, data={"ready": True}).at == datetime(2026, 2, 1, tzinfo=UTC)
    assert wait({**params, "until": "2026-01-01"}).delay == 900


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"until": "{{ 'soon' }}"}, "'soon' is no instant"),
        ({"until": "{{ item.key[:0] }}"}, "'' is no instant"),
        ({"until": "{{ item.at }}"}, "'at' is not there"),
        ({"until": "2027-06-01"}, "over a year off"),
        ({"until": "9999-12-31", "after": "2d"}, "too far off"),
        ({"condition": "length(job.x) > `1`"}, "cannot be applied"),
    ],
)
def test_a_wait_that_makes_no_sense_is_given_up(wait, params, told):
    outcome = wait(params)
    assert isinstance(outcome, GiveUp)
    assert told in outcome.reason


@pytest.mark.parametrize("until", ["soon", "", "31.1.2026", "2026-02-30"])
def test_a_constant_that_is_no_instant_is_refused_when_the_file_is_checked(until):
    with pytest.raises(ValidationError, match=f"'{until}' is no instant; write 2026-01-31T12:00:00Z"):
        WaitFor({"until": until})


@pytest.mark.parametrize("params", [{"after": "1h"}, {"condition": "item.ready", "at_most": "1h"}])
def test_where_nothing_is_remembered_a_while_would_never_end_and_is_given_up(wait, params):
    outcome = wait(params, desk=NoDesk())
    assert isinstance(outcome, GiveUp)
    assert "cannot remember" in outcome.reason


@pytest.mark.parametrize(
    "params",
    [{}, {"after": 0}, {"after": "1h", "at_most": "1h"}, {"condition": "ready"}, {"until": "{{ at }}"}],
)
def test_a_mistake_is_told_before_it_runs(params):
    with pytest.raises(ValidationError):
        WaitFor(params)
