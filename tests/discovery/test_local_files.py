from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from discovery.globs import matches_any
from discovery.local_files import LocalFiles
from pipeline.errors import SourceUnavailableError

MEMORY = "/dev/shm"  # noqa: S108


@pytest.fixture
def root(tmp_path):
    """Make a small tree, with an outside beside it."""
    for name in (
        "root/b.txt",
        "root/a.py",
        "root/sub/c.py",
        "root/sub/deep/d.py",
        "root/.git/config",
        "out/secret.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "root"


@pytest.fixture
def keys(discover):
    return lambda **params: [item.key for item in discover(LocalFiles(params))]


def test_every_file_is_found_in_the_order_of_its_key(keys, root):
    assert keys(root=root) == [".git/config", "a.py", "b.txt", "sub/c.py", "sub/deep/d.py"]


def test_a_file_comes_with_its_place_its_size_and_its_time(discover, root):
    os.utime(root / "a.py", (1_767_225_600, 1_767_225_600))
    (item,) = discover(LocalFiles({"root": root, "include": ["a.py"]}))
    assert item.data == {
        "path": str(root.resolve() / "a.py"),
        "size": 9,
        "modified_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
    }


@pytest.mark.skipif(not Path(MEMORY).is_dir(), reason="other file systems end within the calendar")
def test_a_file_from_beyond_the_calendar_has_no_time(discover):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder, "a")
        path.touch()
        os.utime(path, (0, 10**12))
        (item,) = discover(LocalFiles({"root": folder}))
    assert item.data["modified_at"] is None


def test_a_relative_root_gives_absolute_paths(discover, root, monkeypatch):
    monkeypatch.chdir(root.parent)
    (item,) = discover(LocalFiles({"root": "root", "include": ["a.py"]}))
    assert item.data["path"] == str(root.resolve() / "a.py")


def test_only_what_is_included_and_not_excluded_is_found(keys, root):
    assert keys(root=root, include=["*.py"], exclude=["deep"]) == ["a.py", "sub/c.py"]


def test_an_excluded_folder_is_not_entered(keys, root):
    (root / "sub" / "deep" / "more").mkdir()
    strategy = LocalFiles({"root": root, "exclude": ["sub/**", ".git"]})
    entered = [path.relative_to(root).as_posix() for path in strategy._walk(root)]
    assert sorted(entered) == ["a.py", "b.txt"]


def test_a_file_above_the_bound_is_left_out(keys, root):
    (root / "large.bin").write_bytes(bytes(100))
    (root / "fits.bin").write_bytes(bytes(99))
    assert keys(root=root, include=["*.bin"], max_bytes=99) == ["fits.bin"]


def test_a_link_out_of_the_root_is_not_followed(keys, root):
    (root / "link.py").symlink_to(root.parent / "out" / "secret.py")
    (root / "folder").symlink_to(root.parent / "out")
    assert keys(root=root, include=["*.py"]) == ["a.py", "sub/c.py", "sub/deep/d.py"]


def test_a_link_within_the_root_is_a_file_and_a_link_to_a_folder_is_no_way_round(keys, root):
    (root / "again.py").symlink_to(root / "a.py")
    (root / "sub" / "loop").symlink_to(root)
    assert keys(root=root, include=["*.py"]) == ["a.py", "again.py", "sub/c.py", "sub/deep/d.py"]


def test_a_link_to_nowhere_and_a_pipe_are_no_files(keys, root):
    (root / "nowhere.py").symlink_to(root / "gone")
    os.mkfifo(root / "pipe.py")
    assert keys(root=root, include=["/*.py"]) == ["a.py"]


def test_a_name_that_is_not_utf8_is_refused_and_the_rest_go_on(discover, root):
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.py")).touch()
    strategy = LocalFiles({"root": root, "include": ["/*.py"]})
    assert [item.key for item in discover(strategy)] == ["a.py"]
    assert strategy.refused == {"key is not text": 1}


@pytest.mark.parametrize("name", ["absent", "b.txt", "b.txt/below"])
def test_a_root_that_is_no_folder_is_unavailable(keys, root, name):
    with pytest.raises(SourceUnavailableError, match=name):
        keys(root=root / name)


def test_a_folder_that_vanishes_is_a_problem_and_not_the_end(root):
    strategy = LocalFiles({"root": root})
    strategy._note(NotADirectoryError(20, "Not a directory", str(root / "sub")))
    assert strategy.problems == [f"cannot read the folder {root / 'sub'}: Not a directory"]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.py", "a/b.py", True),
        ("/*.py", "a/b.py", False),
        ("a/*.py", "a/b.py", True),
        ("a/*.py", "a/b/c.py", False),
        ("a/**/*.py", "a/c.py", True),
        ("a/**/*.py", "a/b/b/c.py", True),
        ("**/b/*", "a/b/c", True),
        ("a/**", "a", True),
        ("a/**", "ab/c", False),
        ("a/", "x/a", True),
        ("?.p[xy]", "b.py", True),
        ("*.PY", "b.py", False),
        ("**", "a/b/c", True),
        ("a.b", "axb", False),
    ],
)
def test_a_pattern_matches_as_documented(pattern, path, matches):
    assert matches_any(path, [pattern]) is matches
