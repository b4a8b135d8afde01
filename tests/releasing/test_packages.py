from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from packages import LICENCES, build_twice, look_into_wheel
from papers import VENDOR
from source import ROOT, NotReadyError, copy_source, read_version

if TYPE_CHECKING:
    from pathlib import Path

MADE_AT = 1_700_000_000


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("a release is made from a git checkout")
    folder = tmp_path_factory.mktemp("source")
    copy_source(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    _, wheel = build_twice(source, tmp_path_factory.mktemp("dist"), MADE_AT)
    return wheel


@pytest.fixture
def far_away(wheel, tmp_path):
    """Run one of our commands from the unpacked wheel, in a folder with nothing but a jobs.yaml."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "unpacked")
    folder = tmp_path / "away"
    folder.mkdir()
    (folder / "jobs.yaml").write_bytes((ROOT / "jobs.yaml").read_bytes())
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
    environment = kept | {"PYTHONPATH": str(tmp_path / "unpacked"), "CELERIAC_CONTACT": "ada@example.org"}

    def run(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-P", "-m", "cli.main", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return run


def test_the_wheel_is_the_same_when_it_is_built_again_and_holds_all_that_runs(wheel, source):
    look_into_wheel(wheel, source)


@pytest.mark.parametrize(
    "lost", ["tracker/migrations/0001_tables.sql", "dashboard/static/live.js", "cli/main.py"]
)
def test_a_wheel_without_one_of_our_files_is_refused(wheel, source, tmp_path, lost):
    lacking = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(lacking, "w") as packed:
        for name in whole.namelist():
            if name != lost:
                packed.writestr(name, whole.read(name))
    with pytest.raises(NotReadyError, match=f"lacks {lost}"):
        look_into_wheel(lacking, source)


def test_what_was_unpacked_runs_without_the_source(far_away):
    assert read_version() in far_away("--version")
    assert "demo" in far_away("check")


def test_the_licence_of_every_file_of_others_is_asked_for():
    assert {path.name for path in (ROOT / VENDOR).glob("*.LICENSE")} | {"LICENSE"} == set(LICENCES)
