"""Refuse to keep the tracker where SQLite's write-ahead log cannot work."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import TrackerUnusableError

UNSAFE = frozenset(
    [
        "9p",
        "afs",
        "afpfs",
        "ceph",
        "cifs",
        "fuse.cephfs",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "fuse.vmhgfs-fuse",
        "fuse.gvfsd-fuse",
        "fuse.osxfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
    ]
)
"""File systems whose shared memory or locks do not reach every process that may open the file."""

MOUNTS = Path("/proc/self/mountinfo")


def check_directory(directory: Path, mounts: Path = MOUNTS) -> None:
    """
    Raise `TrackerUnusableError` when the directory cannot be made or written, or lies on an unsafe file system.

    Where the kernel lists no mounts (macOS), only writing is checked.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrackerUnusableError(
            f"cannot make the tracker's directory {directory}: {error.strerror}"
        ) from error
    if not can_write(directory):
        raise TrackerUnusableError(
            f"cannot write to {directory}: SQLite needs to make files beside the tracker; "
            "give this user the directory, or set CELERIAC_DB"
        )
    kind = find_file_system(directory, mounts)
    if kind in UNSAFE:
        raise TrackerUnusableError(
            f"{directory} is on a {kind} file system, where SQLite's write-ahead log corrupts databases; "
            "keep the tracker on a local disk or in a named volume"
        )


def check_file(path: Path) -> None:
    """Raise `TrackerUnusableError` for a file that this user cannot write; SQLite would open it for reading."""
    if path.is_file() and not os.access(path, os.R_OK | os.W_OK):
        raise TrackerUnusableError(f"this user cannot write {path}; chmod or chown it, or set CELERIAC_DB")


def check_first_reader(path: Path) -> None:
    """Raise `TrackerUnusableError` when this user, being the only reader, cannot make the files that reading needs."""
    folder = path.absolute().parent
    if not can_write(folder):
        raise TrackerUnusableError(
            f"cannot read {path}: nobody else has it open, so SQLite needs to make files beside it, and this user "
            f"cannot write to {folder}; give this user the directory, or set CELERIAC_DB to the tracker.db of a backup"
        )


def can_write(directory: Path) -> bool:
    """Tell whether this user can make files in the directory; nobody can on a mount that is for reading only."""
    return os.access(directory, os.W_OK | os.X_OK)


def find_file_system(directory: Path, mounts: Path = MOUNTS) -> str | None:
    """
    Name the type of the file system that holds the directory, or None where the kernel does not say.

    Source: proc_pid_mountinfo(5): mount point in field 5, the type first after the `-`; octal escapes.
    """
    if not mounts.exists():
        return None
    resolved, best, kind = str(directory.resolve()), "", None
    for line in mounts.read_text(errors="surrogateescape").split("\n")[:-1]:
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode("latin-1", "backslashreplace").decode("unicode_escape")
        inside = resolved == point or resolved.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split(" ")[0]
    return kind
