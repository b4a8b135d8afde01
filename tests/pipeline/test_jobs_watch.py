from __future__ import annotations

import os

import pytest

from pipeline.jobs_file import JobsFileInvalidError, JobsWatch

TEXT = """
    version: 1
    jobs:
      {name}:
        discovery: {{strategy: "sample_plugins:Source"}}
        stages: [{{name: only, handler: "sample_plugins:Step"}}]
"""


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(write_jobs, clock):
    return JobsWatch(write_jobs(TEXT.format(name="one")), clock)


def test_an_unchanged_file_is_read_once(watch, clock):
    first = watch.current()
    clock.now += 60
    assert watch.current() is first


def test_a_changed_file_is_seen_a_second_later(watch, clock, write_jobs):
    watch.current()
    write_jobs(TEXT.format(name="other"))
    clock.now += 0.9
    assert set(watch.current().jobs) == {"one"}
    clock.now += 0.1
    assert set(watch.current().jobs) == {"other"}


def test_a_file_put_in_its_place_with_the_same_time_and_size_is_seen(watch, clock, tmp_path):
    watch.current()
    before = watch.path.stat()
    replacement = tmp_path / "new.yaml"
    replacement.write_text(watch.path.read_text().replace("one:", "two:"))
    os.utime(replacement, ns=(before.st_atime_ns, before.st_mtime_ns))
    replacement.rename(watch.path)
    clock.now += 1
    assert set(watch.current().jobs) == {"two"}


def test_a_bad_edit_is_refused_and_the_last_good_file_stays(watch, clock, write_jobs):
    good = watch.current()
    write_jobs("version: 3\njobs: {}\n")
    clock.now += 1
    assert watch.current() is good
    assert watch.refusal.problems[0].message == "3 is not allowed"
    clock.now += 1
    assert watch.current() is good
    assert watch.refusal is not None


def test_a_refusal_ends_with_the_mistake(watch, clock, write_jobs):
    watch.current()
    for text in ("version: [", TEXT.format(name="mended")):
        write_jobs(text)
        clock.now += 1
        watch.current()
    assert watch.refusal is None
    assert set(watch.current().jobs) == {"mended"}


def test_a_file_that_was_refused_for_a_module_that_was_not_there_is_taken_up_when_it_is(
    watch, clock, write_jobs, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    watch.current()
    write_jobs(TEXT.format(name="two").replace("sample_plugins:Step", "kitchen_of_later:Step"))
    clock.now += 1
    assert set(watch.current().jobs) == {"one"}
    assert "No module named 'kitchen_of_later'" in str(watch.refusal)
    (tmp_path / "kitchen_of_later.py").write_text("from sample_plugins import Step\n")
    clock.now += 10
    assert set(watch.current().jobs) == {"two"}
    assert watch.refusal is None


def test_a_file_that_vanishes_is_refused_and_comes_back(watch, clock, write_jobs):
    good = watch.current()
    watch.path.unlink()
    clock.now += 1
    assert watch.current() is good
    assert "cannot be read" in str(watch.refusal)
    write_jobs(TEXT.format(name="back"))
    clock.now += 1
    assert set(watch.current().jobs) == {"back"}
    assert watch.refusal is None


def test_the_first_reading_raises(write_jobs):
    watch = JobsWatch(write_jobs("version: 3\njobs: {}\n"))
    with pytest.raises(JobsFileInvalidError):
        watch.current()
