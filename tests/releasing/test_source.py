from __future__ import annotations

import pytest
from source import ROOT, NotReadyError, copy_source, read_version, require_release


def test_a_clean_checkout_with_the_tag_of_its_version_is_a_release(checkout, git):
    git("tag", "v1.2.3")
    require_release(checkout)


def test_without_its_tag_it_is_none_and_the_tag_is_named(checkout):
    with pytest.raises(NotReadyError, match=r"needs the tag v1\.2\.3; it has none"):
        require_release(checkout)


def test_with_another_versions_tag_it_is_none(checkout, git):
    git("tag", "v1.2.2")
    with pytest.raises(NotReadyError, match=r"it has v1\.2\.2"):
        require_release(checkout)


def test_a_tag_on_an_earlier_commit_does_not_count(checkout, git):
    git("tag", "v1.2.3")
    git("commit", "--quiet", "--allow-empty", "--message", "And one more thing")
    with pytest.raises(NotReadyError, match="it has none"):
        require_release(checkout)


def test_with_anything_that_is_not_committed_it_is_none(checkout, git):
    git("tag", "v1.2.3")
    (checkout / "notes.txt").write_text("to do")
    with pytest.raises(NotReadyError, match=r"not all is committed:\n\?\? notes\.txt"):
        require_release(checkout)


@pytest.mark.parametrize("heading", ["## [1.2.3]", "## [1.2.4] - 2026-11-25", "## 1.2.3 - 2026-11-25"])
def test_without_a_dated_section_in_the_changelog_it_is_none(checkout, git, heading):
    (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    git("commit", "--quiet", "--all", "--message", "Another heading")
    git("tag", "v1.2.3")
    with pytest.raises(NotReadyError, match=r"no section `## \[1\.2\.3\]"):
        require_release(checkout)


def test_what_is_ignored_or_deleted_is_not_copied_and_what_is_new_is(checkout, tmp_path):
    (checkout / "new.py").write_text("")
    (checkout / "CHANGELOG.md").unlink()
    copy_source(tmp_path / "copy", checkout)
    copied = {path.name for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert copied == {"pyproject.toml", ".gitignore", "new.py"}


def test_our_changelog_has_a_dated_section_for_our_version():
    assert f"## [{read_version()}] - 20" in (ROOT / "CHANGELOG.md").read_text()
