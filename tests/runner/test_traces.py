"""A traceback begins with what its author wrote."""

from __future__ import annotations

import asyncio

import pytest
from workshop import job

from runner.traces import write_trace

OURS = ("runner/advance.py", "handlers/running.py", "handlers/python.py", "asyncio/")

MODULE = """
import asyncio

def plain(context):
    return _fail()

async def later(context):
    await asyncio.sleep(0)
    return _fail()

def _fail():
    try:
        int("x")
    except ValueError as error:
        raise RuntimeError("it is spoilt") from error
"""


@pytest.mark.parametrize("function", ["plain", "later"])
def test_a_recorded_traceback_begins_with_the_authors_own_line(
    open_workshop, tmp_path, monkeypatch, function
):
    (tmp_path / "spoilt_kitchen.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    cook = {"name": "cook", "handler": "python", "params": {"function": f"spoilt_kitchen:{function}"}}
    shop = open_workshop(papers=job(cook | {"retries": 0}))
    shop.run("a")
    (failure,) = shop.failures()
    frames = [line for line in failure["traceback"].splitlines() if line.startswith("  File ")]
    assert [frame.split(" in ")[-1] for frame in frames] == ["_fail", function, "_fail"]
    assert not [frame for frame in frames if any(one in frame for one in OURS)]
    assert failure["traceback"].endswith("RuntimeError: it is spoilt\n")
    assert "ValueError: invalid literal" in failure["traceback"]


def test_an_error_that_is_all_ours_keeps_its_frames():
    with pytest.raises(ValueError, match="coroutine") as caught:
        asyncio.run(None)
    caught.value.__traceback__ = caught.value.__traceback__.tb_next
    assert "asyncio/runners.py" in write_trace(caught.value)
