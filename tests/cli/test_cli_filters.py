from __future__ import annotations

import json

import pytest

import tracker
from cli import exit_codes
from tracker.failures import list_groups


def find_group(conn):
    return list_groups(conn).groups[0].id


# -- items ------------------------------------------------------------------------------------------------


def test_a_filter_lists_items_or_stages(call, tracked):
    assert "b.txt" in call("items", "--filter", "job:notes status:failed").out
    told = call("items", "notes", "--filter", "stage:read_file status:failed,done").out.splitlines()
    assert [line.split()[:4] for line in told] == [
        ["job", "key", "stage", "status"],
        ["notes", "a.txt", "read_file", "done"],
        ["notes", "b.txt", "read_file", "failed"],
    ]


def test_a_stage_and_a_status_beside_the_filter_narrow_it(call, tracked):
    told = json.loads(call("items", "notes", "--stage", "read_file", "--status", "failed", "--json").out)
    assert [(one["key"], one["stage"]) for one in told["items"]] == [("b.txt", "read_file")]
    assert told["next_after"] is None


def test_a_page_says_where_the_next_begins(call, tracked):
    first = call("items", "notes", "--filter", "key:*", "--limit", "2")
    place = first.err.strip().removeprefix("there are more: --after ")
    assert "a.txt" in first.out
    second = call("items", "notes", "--filter", "key:*", "--limit", "2", "--after", place)
    assert "c.txt" in second.out
    assert "a.txt" not in second.out
    assert second.err == ""
    assert json.loads(call("items", "--limit", "2", "--json").out)["next_after"] == place


@pytest.mark.parametrize("place", ["yesterday", f"notes:{2**64}:", "notes:-1:"])
def test_a_place_that_no_page_named_is_refused(call, tracked, place):
    ended = call("items", "notes", "--after", place)
    assert ended.code == exit_codes.INVALID
    assert "give what the page before named" in ended.err


def test_a_count_says_how_many(call, tracked):
    assert call("items", "notes", "--count").out == "3\n"
    assert call("items", "--filter", "error:OSError", "--count").out == "1\n"
    told = call("items", "notes", "--filter", "text:One", "--count", "--exact", "--json").out
    assert json.loads(told) == {"count": 1, "is_exact": True}


def test_a_count_begins_at_no_place(call, tracked):
    ended = call("items", "notes", "--count", "--after", "1")
    assert (ended.code, ended.out) == (exit_codes.INVALID, "")


def test_exact_belongs_to_a_count(call, tracked):
    assert call("items", "notes", "--exact").code == exit_codes.INVALID


def test_a_filter_that_cannot_be_read_shows_where(call, tracked):
    ended = call("items", "--filter", "job:notes stats:failed")
    assert ended.code == exit_codes.INVALID
    assert ended.out == ""
    assert ended.err.splitlines()[:3] == [
        "celeriac: no word 'stats'; did you mean 'status'?",
        "  job:notes stats:failed",
        "            ^",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("job:nots", "no job 'nots'; did you mean 'notes'?"),
        ("job:notes stage:read_fil", "no stage of job 'notes' named 'read_fil'; did you mean 'read_file'?"),
        ("stage:read_fil", "no stage named 'read_fil'; did you mean 'read_file'?"),
        ("-stage:read_fil", "did you mean 'read_file'?"),
        ("job:notes key:a.txt,b.tx", "no item in job 'notes' with key 'b.tx'; did you mean 'b.txt'?"),
    ],
)
@pytest.mark.parametrize("command", ["items", "failures"])
def test_a_name_that_does_not_exist_is_named_with_its_nearest(call, tracked, command, text, said):
    ended = call(command, "--filter", text)
    assert ended.code == exit_codes.NOT_FOUND
    assert said in ended.err


def test_the_beginning_of_a_name_may_be_of_nothing(call, tracked):
    assert call("items", "--filter", "job:zz*").code == exit_codes.OK


def test_a_stage_of_jobs_yaml_that_never_ran_is_known(call, tracked):
    assert call("items", "hand", "--filter", "stage:summarise_text").code == exit_codes.OK
    assert call("items", "--filter", "stage:summarise_text job:hand,notes").code == exit_codes.OK


# -- failures ---------------------------------------------------------------------------------------------


def test_failures_are_listed_by_what_is_alike(call, tracked):
    told = call("failures").out
    assert "OSError: no such file as b.txt" in told
    assert find_group(tracked) in told
    (group,) = json.loads(call("failures", "notes", "--json").out)["groups"]
    assert (group["failed"], group["example_key"], group["stage"]) == (1, "b.txt", "read_file")


def test_failures_of_a_filter(call, tracked):
    assert len(json.loads(call("failures", "--filter", "error:OSError", "--json").out)["groups"]) == 1
    assert json.loads(call("failures", "--filter", "error:OSError age:>1d", "--json").out)["groups"] == []
    assert json.loads(call("failures", "hand", "--json").out)["groups"] == []


def test_a_group_is_shown_with_its_example(call, tracked):
    told = call("failures", "show", find_group(tracked)[:6]).out
    assert "attempt 1 of b.txt:" in told
    assert "no such file as b.txt" in told
    report = json.loads(call("failures", "show", find_group(tracked), "--json").out)
    assert report["example"]["key"] == "b.txt"
    assert [one["key"] for one in report["stages"]] == ["b.txt"]


def test_a_group_of_more_than_is_shown_says_so(call, tracked):
    ids = dict(tracked.execute("SELECT key, item_id FROM work_items").fetchall())
    stages = ["read_file", "summarise_text"]
    tracker.mark_stage_in_progress(tracked, ids["c.txt"], "read_file", stages)
    tracker.mark_stage_failed(tracked, ids["c.txt"], "read_file", stages, OSError("no such file as b.txt"))
    assert "shown: 1 of 2 (--limit)" in call("failures", "show", find_group(tracked), "--limit", "1").err


def test_an_id_that_is_not_there_is_not_found(call, tracked):
    assert call("failures", "show", "xyz").code == exit_codes.NOT_FOUND


# -- muting -----------------------------------------------------------------------------------------------


def test_a_muted_group_is_shown_no_more(no_broker, tracked, shell_each, call):
    group = find_group(tracked)
    muted, again, unknown, neither = shell_each([f"mute {group} --json", f"mute {group}", "mute xyz", "mute"])
    assert json.loads(muted.out) == {"act": "mute", "job": "notes", "items": 1, "sent": 0}
    assert again.err == "groups of failures that are muted now: 0 of 1\n"
    assert unknown.code == exit_codes.NOT_FOUND
    assert neither.code == exit_codes.INVALID
    listed = call("failures")
    assert group not in listed.out
    assert "muted groups: 1 (--all shows them)" in listed.err
    assert "(muted)" in call("failures", "--all").out
    assert "muted by" in call("failures", "show", group).out


def test_groups_are_muted_and_shown_again_by_a_filter(no_broker, tracked, shell_each, call):
    ended = shell_each(
        [
            "mute --filter error:OSError",
            "unmute --filter job:notes --json",
            "mute --filter stage:read_fil",
            "mute --filter eror:x",
        ]
    )
    assert ended[0].err == "groups of failures that are muted now: 1 of 1\n"
    assert json.loads(ended[1].out)["items"] == 1
    assert ended[2].code == exit_codes.NOT_FOUND
    assert ended[3].code == exit_codes.INVALID
    assert find_group(tracked) in call("failures").out
    kinds = [event["kind"] for event in tracker.get_events(tracked, limit=2)]
    assert kinds == ["unmute", "mute"]
