"""The end of a stage's time, wherever it comes: it may strike its handler alone."""

from __future__ import annotations

import pytest

from handlers.base import Handler
from handlers.running import run_handler
from handlers.time_limit import TIME_LIMIT, TimeLimit


class TimeIsUpError(Exception):
    """What the host of the process raises."""


def interrupt():
    raise TimeIsUpError


class Overdue(Handler):
    """Works until its time is up."""

    def run(self, _):
        TIME_LIMIT.strike(interrupt)
        return {}


@pytest.fixture(autouse=True)
def task():
    TIME_LIMIT.begin()
    yield
    TIME_LIMIT.begin()  # what was missed here would strike the next test that runs a handler


def test_it_strikes_in_the_handler(make_context):
    with pytest.raises(TimeIsUpError):
        run_handler(Overdue({}), make_context())


def test_it_strikes_nothing_after_the_handler():
    limit = TimeLimit()
    with limit.applies():
        pass
    limit.strike(interrupt)


def test_a_handler_does_not_begin_after_its_time(make_context):
    TIME_LIMIT.strike(interrupt)
    with pytest.raises(TimeIsUpError):
        run_handler(Overdue({}), make_context())


def test_what_was_missed_in_one_task_is_forgotten_in_the_next():
    limit = TimeLimit()
    limit.strike(interrupt)
    limit.begin()
    with limit.applies():
        pass
