from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import tracker
from pipeline.errors import TrackerUnusableError
from tracker.copying import copy_database
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
import encodings.unicode_escape  # later it may lie where nobody can read
from tracker import open_raw_db, open_readonly
from pipeline.errors import TrackerUnusableError
if os.getuid() == 0:  # root may write anywhere
    os.setuid(65534)
try:
    if sys.argv[1] == "write":
        open_raw_db(sys.argv[2])
    else:
        with open_readonly(sys.argv[2]) as conn:
            print(conn.execute("SELECT count(*) FROM meta").fetchone()[0], "notes")
except TrackerUnusableError as error:
    print(error)
"""


def open_as_nobody(how, path):
    command = [sys.executable, "-c", OPEN_AS_NOBODY, how, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_folder_that_cannot_be_written_is_refused_with_what_to_do():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        told = open_as_nobody("write", f"{folder}/tracker.db")
        assert f"cannot write to {folder}" in told
        assert "give this user the directory, or set CELERIAC_DB" in told
        assert list(Path(folder).iterdir()) == []


def test_a_file_that_cannot_be_written_in_a_folder_that_can_is_refused_with_what_to_do(others):
    others.parent.chmod(0o777)
    for file in others.parent.iterdir():
        file.chmod(0o666)  # the locks are not in question
    others.chmod(0o444)
    assert f"this user cannot write {others}; chmod or chown it" in open_as_nobody("write", others)


@pytest.fixture
def others():
    """Make a tracker, closed, in a folder that only its owner may write, and everybody read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracker.db"
        with tracker.open_db(path):
            pass
        Path(folder).chmod(0o555)
        yield path


def test_a_tracker_that_nobody_has_open_is_not_read_where_one_cannot_write(others):
    told = open_as_nobody("read", others)
    assert f"cannot read {others}: nobody else has it open" in told
    assert f"cannot write to {others.parent}; give this user the directory, or set CELERIAC_DB" in told


def test_a_tracker_that_somebody_has_open_is_read_by_who_cannot_write(others):
    others.parent.chmod(0o755)
    with tracker.open_db(others):
        assert open_as_nobody("read", others) == "0 notes\n"


def test_a_backup_is_read_by_who_cannot_write(others):
    copy_database(others, others.with_name("copy.db"))
    assert open_as_nobody("read", others.with_name("copy.db")) == "0 notes\n"
