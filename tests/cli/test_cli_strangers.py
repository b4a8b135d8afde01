"""What strangers wrote is shown by every command, and does nothing to the terminal on which it is."""

from __future__ import annotations

import io
import json
import re

import pytest

import tracker
from cli import exit_codes, progress
from cli.render import Output
from tracker.backlog import Backlog
from tracker.items import find_item
from tracker.progress import Told

STRANGE = "c\x1b]0;pwned\x07\x1b[31mred\x9b2J\x7f\u202egnp.exe\u2066 :smile: [/red]"
SHOWN = r"c\u001b]0;pwned\u0007\u001b[31mred\u009b2J\u007f\u202egnp.exe\u2066 :smile: [/red]"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
STAGES = ["read_file", "summarise_text"]


@pytest.fixture
def strange(conn):
    """Let `notes` have two items of a stranger: one is done, one has failed; a connection to them."""
    keys = [STRANGE, f"{STRANGE} failed"]
    tracker.upsert_items(conn, "notes", [{"key": key, "data": {"text": STRANGE}} for key in keys])
    done, failed = (find_item(conn, "notes", key)["item_id"] for key in keys)
    tracker.mark_stage_in_progress(conn, done, "read_file", STAGES)
    tracker.mark_stage_done(conn, done, "read_file", STAGES, {STRANGE: STRANGE, "text": STRANGE})
    tracker.mark_stage_in_progress(conn, failed, "read_file", STAGES)
    tracker.mark_stage_failed(conn, failed, "read_file", STAGES, OSError(STRANGE))
    return conn


LOOKS = [
    ("items", "notes"),
    ("items", "notes", "--status", "failed"),
    ("items", "--filter", "status:failed"),
    ("show", "notes", STRANGE),
    ("show", "notes", f"{STRANGE} failed"),
    ("results", "notes"),
    ("events",),
    ("failures", "notes"),
    ("explain", "notes"),
    ("show", "notes", f"{STRANGE} unknown"),
]


@pytest.mark.parametrize("look", LOOKS, ids=range(len(LOOKS)))
def test_what_steers_a_terminal_is_shown_and_not_done(call, strange, look):
    ended = call(*look)
    assert STEERING.findall(ended.out + ended.err) == []
    assert "pwned" in ended.out + ended.err


def test_a_key_is_shown_with_all_its_characters(call, strange):
    assert SHOWN in call("items", "notes").out
    assert f"notes  {SHOWN}  pending" in call("show", "notes", STRANGE).out


def test_json_has_what_steers_a_terminal_as_escapes_and_is_the_same_data(call, strange):
    for form in (["--json"], ["--format", "jsonl"]):
        printed = call("results", "notes", "read_file", *form).out
        assert STEERING.findall(printed) == []
        found = json.loads(printed)
        one = found[0] if isinstance(found, list) else found
        assert (one["key"], one["result"][STRANGE]) == (STRANGE, STRANGE)


def test_an_item_that_is_enqueued_is_named_without_doing_anything(shell, conn, no_broker):
    ended = shell("enqueue", "hand", STRANGE)
    assert ended.err.startswith(f"{SHOWN} is new in hand\n")


def test_how_far_a_strangers_item_is_does_nothing_to_the_bar(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(progress, "err", Output(file=written, force_terminal=True, width=200))
    told = Told(STRANGE[:30] + "[/red]", "read_file", 1, 3, 10, STRANGE[:8], 0)
    progress.show_progress("notes", [Backlog(0, 1, 0, 1, 0, 2, 1, None, told)])
    assert "\x1b]" not in written.getvalue()
    assert r"read_file c\u001b]0;pwned\u0007" in written.getvalue()
    assert "[/red]: 30%, 3 of 10, c" in written.getvalue()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("show", "notes", "\udcff"), "is no text: it holds bytes that are no UTF-8"),
        (("failures", "show", "\udcff"), "is no text: it holds bytes that are no UTF-8"),
        (("failures", "\udcff"), "this is no text: it holds bytes that are no UTF-8"),
        (("items", "notes", "--stage", ""), "nothing stands behind stage:"),
        (("failures", ""), "nothing stands behind job:"),
    ],
)
def test_what_is_no_text_and_what_is_empty_is_refused_in_words(call, tracked, command, told):
    ended = call(*command)
    assert ended.code == exit_codes.INVALID
    assert told in ended.err
