from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "releasing"))

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout of a project that is ready for its release, but for the tag."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "celeriac"\nversion = "1.2.3"\n')
    (folder / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-25\n")
    (folder / ".gitignore").write_text("/data/\n")
    (folder / "data").mkdir()
    (folder / "data" / "tracker.db").write_text("mine")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "All of it"]):
        run_git(folder, *words)
    return folder


@pytest.fixture
def git(checkout) -> Callable[..., None]:
    return lambda *words: run_git(checkout, *words)


def run_git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)  # noqa: S607
