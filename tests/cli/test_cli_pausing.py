from __future__ import annotations

import getpass
import json

import pytest

import tracker
from cli import exit_codes
from tracker import pauses
from tracker.pauses import Target

pytestmark = pytest.mark.usefixtures("no_broker")

TARGETS = {
    "notes": Target.of_job("notes"),
    "notes --stage read_file": Target.of_stage("notes", "read_file"),
    "--host example.org": Target.of_host("example.org"),
    "--all": Target.everything(),
}


@pytest.mark.parametrize("words", TARGETS)
def test_each_thing_is_paused_and_let_go_while_jobs_yaml_is_refused(shell, tracked, folder, words):
    with (folder / "jobs.yaml").open("a") as jobs:
        jobs.write("  bad: 1\n")
    assert shell("pause", *words.split(), "--reason", "cost limit").code == exit_codes.OK
    assert [str(each.target) for each in pauses.list_pauses(tracked)] == [str(TARGETS[words])]
    assert shell("unpause", *words.split()).code == exit_codes.OK
    assert pauses.list_pauses(tracked) == []


def test_a_job_or_stage_that_nobody_has_seen_is_named_while_jobs_yaml_is_refused(shell_each, tracked, folder):
    (folder / "jobs.yaml").write_text("version: 1\njobs: 5\n")
    job, stage = shell_each(["pause nots --reason x", "pause notes --stage reed_file --reason x"])
    assert (job.code, stage.code) == (exit_codes.NOT_FOUND, exit_codes.NOT_FOUND)
    assert "did you mean 'notes'?" in job.err
    assert "did you mean 'read_file'?" in stage.err


def test_a_pause_without_a_reason_is_refused(shell, conn):
    ended = shell("pause", "notes", "--reason", "  ")
    assert ended.code == exit_codes.INVALID
    assert "say why" in ended.err
    assert pauses.list_pauses(conn) == []


@pytest.mark.parametrize("words", TARGETS)
def test_each_thing_is_paused_listed_and_let_go(shell, conn, words):
    target = TARGETS[words]
    ended = shell("pause", *words.split(), "--reason", "cost limit", "--until", "2h")
    assert (ended.code, ended.out) == (exit_codes.OK, "")
    assert f"{target} is paused: cost limit, until 20" in ended.err
    held = pauses.read_pause(conn, target)
    assert (held.by, held.cause) == (getpass.getuser(), "person")
    listed = shell("pauses")
    assert str(target) in listed.out
    assert "cost limit" in listed.out
    assert json.loads(shell("pauses", "--json").out)[0]["scope"] == target.scope
    ended = shell("unpause", *words.split())
    assert f"{target} goes on; it was paused by {getpass.getuser()}" in ended.err
    assert pauses.list_pauses(conn) == []


@pytest.mark.parametrize("words", TARGETS)
def test_what_is_done_is_told_as_json_too(shell, words):
    done = json.loads(shell("pause", *words.split(), "--reason", "x", "--json").out)
    assert (done["act"], done["before"], done["pause"]["reason"]) == ("pause", None, "x")
    done = json.loads(shell("unpause", *words.split(), "--json").out)
    assert (done["act"], done["pause"], done["before"]["reason"]) == ("unpause", None, "x")


def test_who_pauses_second_is_told_what_the_first_did(shell, conn):
    tracker.pause_job(conn, "notes", "site is down", by="ann")
    ended = shell("pause", "notes", "--reason", "cost limit")
    assert "it was paused already by ann" in ended.err
    assert ": site is down; what it says now is yours" in ended.err
    assert pauses.read_pause(conn, Target.of_job("notes")).reason == "cost limit"


def test_who_lifts_second_is_told_that_there_is_nothing_to_lift(shell, conn):
    ended = shell("unpause", "notes")
    assert (ended.code, "notes was not paused" in ended.err) == (exit_codes.OK, True)
    assert tracker.get_events(conn) == []


def test_what_still_holds_a_job_is_said(shell, conn):
    pauses.pause(conn, Target.everything(), "the disk is full", by="ann")
    tracker.pause_job(conn, "notes", "x")
    assert "everything is still paused by ann" in shell("unpause", "notes").err


REFUSED = {
    "pause --reason x": (exit_codes.INVALID, "name a JOB, or --host HOST, or --all"),
    "pause notes --all --reason x": (exit_codes.INVALID, "one of them"),
    "pause --host example.org --stage read_file --reason x": (exit_codes.INVALID, "--stage is one of a JOB"),
    "pause --host https://example.org/x --reason x": (exit_codes.INVALID, "write the host's name only"),
    "pause notes --stage read_fil --reason x": (exit_codes.NOT_FOUND, "did you mean 'read_file'?"),
    "pause notes --reason x --until 2020-01-01": (exit_codes.INVALID, "is not in the future"),
    "pause notes --reason x --until 9999-12-31T23:59:59-12:00": (exit_codes.INVALID, "is too far away"),
    "unpause nots": (exit_codes.NOT_FOUND, "did you mean 'notes'?"),
    "unpause notes --stage read_fil": (exit_codes.NOT_FOUND, "did you mean 'read_file'?"),
    "unpause --host example.org": (exit_codes.NOT_FOUND, "no paused host 'example.org'"),
    "unpause": (exit_codes.INVALID, "name a JOB"),
}


def test_an_empty_end_is_none_that_a_pause_could_go_without(shell, conn):
    ended = shell("pause", "notes", "--reason", "x", "--until", "")
    assert (ended.code, "--until ''" in ended.err) == (exit_codes.INVALID, True)
    assert pauses.list_pauses(conn) == []


def test_what_cannot_be_done_is_refused_and_changes_nothing(shell_each, conn):
    for line, ended in zip(REFUSED, shell_each(list(REFUSED)), strict=True):
        code, said = REFUSED[line]
        assert (ended.code, said in ended.err) == (code, True), (line, ended)
    assert (pauses.list_pauses(conn), tracker.get_events(conn)) == ([], [])


def test_the_status_tells_of_paused_stages_and_of_everything(shell, tracked):
    pauses.pause(tracked, Target.of_stage("notes", "read_file"), "model is wrong", by="ann")
    assert "read_file paused by ann: model is wrong" in shell("status").out
    pauses.pause(tracked, Target.everything(), "the disk is full", by="ben")
    assert "everything paused by ben: the disk is full" in shell("status", "notes").out


def test_the_hosts_tell_of_their_pauses(shell, conn):
    pauses.pause(conn, Target.of_host("example.org"), "they asked us to", by="ann")
    assert "paused by ann: they asked us to" in shell("hosts").out
    assert json.loads(shell("hosts", "--json").out)[0]["pause"]["by"] == "ann"
