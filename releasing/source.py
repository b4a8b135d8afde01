"""The source that a release is made of: its version, its place in git, and a copy of what belongs to it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


class NotReadyError(Exception):
    """Something is missing for a release; the message says what to do."""


def read_version(root: Path = ROOT) -> str:
    """Read the version, which is written in pyproject.toml and nowhere else."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def call_git(root: Path, *arguments: str) -> str:
    """Run git in a checkout; what it said."""
    ended = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)  # noqa: S607
    if ended.returncode:
        raise NotReadyError(f"git {arguments[0]} failed: {ended.stderr.strip()}")
    return ended.stdout.strip()


def require_release(root: Path = ROOT) -> None:
    """
    Make sure that this checkout is a release: all committed, tagged with its version, and in the changelog.

    Raises `NotReadyError` otherwise.
    """
    version = read_version(root)
    if changed := call_git(root, "status", "--porcelain"):
        raise NotReadyError(f"not all is committed:\n{changed}")
    if not re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$",
        (root / "CHANGELOG.md").read_text(),
        re.MULTILINE,
    ):
        raise NotReadyError(f"CHANGELOG.md has no section `## [{version}] - YYYY-MM-DD`")
    tags = call_git(root, "tag", "--points-at", "HEAD").split()
    if f"v{version}" not in tags:
        found = f"it has {', '.join(tags)}" if tags else "it has none"
        raise NotReadyError(
            f"pyproject.toml says {version}, so this commit needs the tag v{version}; {found}. "
            f"Try: git tag --annotate v{version} --message 'Celeriac {version}'"
        )


def find_commit(root: Path = ROOT) -> tuple[str, int]:
    """Find the commit and when it was made, in Unix seconds; what is built twice gets the same times in it."""
    commit, made_at = call_git(root, "log", "-1", "--format=%H %ct").split()
    return commit, int(made_at)


def copy_source(into: Path, root: Path = ROOT) -> None:
    """Copy what git has, or would have after `git add`: nothing ignored, and nothing that builds left behind."""
    listed = call_git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, into / name)
