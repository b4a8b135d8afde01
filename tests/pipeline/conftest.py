from __future__ import annotations

from textwrap import dedent

import pytest

from pipeline.jobs_file import JobsFileInvalidError, load_jobs_file


@pytest.fixture
def write_jobs(tmp_path):
    """Write a jobs file and give its path."""

    def write(text):
        path = tmp_path / "jobs.yaml"
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


@pytest.fixture
def load_jobs(write_jobs):
    """Load a jobs file from its text."""

    def load(text, environment=None):
        return load_jobs_file(write_jobs(text), {} if environment is None else environment)

    return load


@pytest.fixture
def problems_of(load_jobs):
    """Give the problems of a jobs file, from its text."""

    def find(text, environment=None):
        with pytest.raises(JobsFileInvalidError) as caught:
            load_jobs(text, environment)
        return caught.value.problems

    return find
