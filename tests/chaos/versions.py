"""The code before this one, as git knows it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

WORKER = ("worker", "--concurrency", "2")
MIGRATIONS = "tracker/migrations"


@dataclass(frozen=True, slots=True)
class Previous:
    """The code of an earlier commit, laid out; whether its schema is an older one."""

    tree: Path
    is_older: bool


def find_previous(folder: Path, random: Random) -> Previous | None:
    """
    Lay out the code of an earlier commit: the last with the same schema, or the last with an older one.

    None where there is no git, or no such commit.
    """
    candidates = [(commit, is_older) for commit, is_older in list_previous() if commit]
    if not candidates:
        return None
    commit, is_older = random.choice(candidates)
    tree = folder / f"tree-{commit[:12]}"
    if not tree.exists():
        packed = folder / f"{commit[:12]}.tar"
        _git("archive", "--output", str(packed), commit)
        tree.mkdir()
        shutil.unpack_archive(packed, tree)
    return Previous(tree, is_older)


def list_previous() -> Iterator[tuple[str, bool]]:
    """List the last commit before the present state with the same schema, and the last with an older one."""
    ours = {path.name for path in (ROOT / MIGRATIONS).glob("*.sql")}
    same = next((commit for commit in ("HEAD~1", "HEAD") if _list_migrations(commit) == ours), None)
    if same is not None:
        yield _git("rev-parse", same).strip(), False
    changes = _git("log", "--format=%H", "--", MIGRATIONS).split()
    for commit in (*changes[:1], *(f"{commit}~1" for commit in changes)):
        if set() < _list_migrations(commit) < ours:
            yield _git("rev-parse", commit).strip(), True
            return


def _list_migrations(commit: str) -> set[str]:
    return {
        path.rpartition("/")[2] for path in _git("ls-tree", "--name-only", commit, f"{MIGRATIONS}/").split()
    }


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
