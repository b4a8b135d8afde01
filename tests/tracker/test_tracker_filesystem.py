from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import tracker
from pipeline.errors import TrackerUnusableError
from tracker.filesystem import UNSAFE, check_directory, find_file_system

ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


@pytest.fixture
def mounts(tmp_path):
    """Write a list of mounts as the kernel would: mount points with their types, on top of an ext4 root."""

    def write(**types):
        path = tmp_path / "mountinfo"
        path.write_text(ROOT + "".join(
            f"30 22 0:40 / {point} rw,relatime - {kind} source rw\n" for point, kind in types.items()
        ))  # fmt: skip
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.mark.parametrize("kind", sorted(UNSAFE))
def test_an_unsafe_file_system_is_refused_by_name(mounts, folder, kind):
    with pytest.raises(
        TrackerUnusableError, match=f"is on a {kind} file system, .* keep the tracker on a local disk"
    ):
        check_directory(folder, mounts(**{str(folder): kind}))


def test_a_local_disk_is_taken(mounts, folder):
    check_directory(folder, mounts(**{str(folder): "ext4"}))


def test_the_innermost_mount_decides(mounts, folder):
    listed = mounts(**{str(folder.parent): "nfs4", str(folder): "xfs"})
    assert find_file_system(folder, listed) == "xfs"
    assert find_file_system(folder.parent, listed) == "nfs4"


def test_of_two_mounts_on_one_point_the_later_decides(mounts, folder):
    listed = mounts(**{str(folder): "ext4"})
    listed.write_text(listed.read_text() + f"31 22 0:41 / {folder} rw - 9p source rw\n")
    assert find_file_system(folder, listed) == "9p"


def test_a_mount_with_a_longer_name_beside_the_folder_does_not_count(mounts, folder):
    assert find_file_system(folder, mounts(**{str(folder)[:-1]: "nfs"})) == "ext4"


@pytest.mark.parametrize(
    ("name", "written"), [("a b", r"a\040b"), ("Müll", "Müll"), ("日本", "日本"), ("c\\d", r"c\134d")]
)
def test_a_mount_point_is_known_by_any_name(mounts, tmp_path, name, written):
    folder = tmp_path / name
    folder.mkdir()
    assert find_file_system(folder, mounts(**{f"{tmp_path}/{written}": "cifs"})) == "cifs"


def test_a_symlink_into_an_unsafe_file_system_is_seen_through(mounts, folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(TrackerUnusableError, match="virtiofs"):
        check_directory(tmp_path / "link", mounts(**{str(folder): "virtiofs"}))


def test_where_the_kernel_lists_no_mounts_only_writing_is_checked(folder, tmp_path):
    check_directory(folder, tmp_path / "no such list")


@pytest.mark.parametrize("below", ["file/tracker.db", "file/deeper/tracker.db"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackerUnusableError, match="cannot make the tracker's directory"):
        tracker.open_raw_db(tmp_path / below)


OPEN_AS_NOBODY = """
import os, sys
from tracker import open_raw_db
from pipeline.errors import TrackerUnusableError
if os.getuid() == 0:  # root may write anywhere
    os.setuid(65534)
try:
    open_raw_db(sys.argv[1])
except TrackerUnusableError as error:
    print(error)
"""


def test_a_folder_that_cannot_be_written_is_refused_with_what_to_do():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        command = [sys.executable, "-c", OPEN_AS_NOBODY, f"{folder}/tracker.db"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert f"cannot write to {folder}" in done.stdout
        assert "give this user the directory, or set CELERIAC_DB" in done.stdout
        assert list(Path(folder).iterdir()) == []
