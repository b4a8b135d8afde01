"""What running processes have accepted of jobs.yaml, so that readers need not check it all again."""

from __future__ import annotations

from runner.accepted import Accepted, find_accepted, note_accepted
from runner.sweep import sweep
from tracker.connection import open_readonly


def find(shop):
    return find_accepted(shop.conn, shop.runtime.settings.jobs)


def test_a_file_is_accepted_once_a_house_has_swept_with_it(shop):
    assert find(shop) is None
    sweep(shop.runtime)
    assert find(shop) == Accepted(shop.runtime.jobs.digest, [])


def test_an_edited_file_is_not_accepted_until_a_house_has_read_it(shop):
    sweep(shop.runtime)
    jobs = shop.runtime.settings.jobs
    jobs.write_text(jobs.read_text() + " ")
    assert find(shop) is None
    shop.look_again()
    sweep(shop.runtime)
    assert find(shop) is not None


def test_a_file_that_the_house_refuses_is_not_accepted(shop):
    sweep(shop.runtime)
    shop.break_jobs("version: 1\njobs: {a: {discovery: no_such_thing, stages: [fetch]}}")
    sweep(shop.runtime)
    assert shop.runtime.watch.refusal is not None
    assert find(shop) is None


def test_a_file_that_is_gone_is_not_accepted(shop):
    sweep(shop.runtime)
    shop.runtime.settings.jobs.unlink()
    assert find(shop) is None


def test_jobs_that_cannot_run_where_it_was_accepted_are_told(shop):
    jobs = shop.runtime.jobs.model_copy(update={"unavailable": {"papers": ()}})
    note_accepted(shop.conn, jobs)
    assert find(shop) == Accepted(jobs.digest, ["papers"])


def test_what_is_noted_already_is_not_written_again(shop):
    note_accepted(shop.conn, shop.runtime.jobs)
    with open_readonly(shop.runtime.settings.db_path) as reader:
        note_accepted(reader, shop.runtime.jobs)  # a write would be refused
