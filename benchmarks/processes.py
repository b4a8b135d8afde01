"""What processes take of the machine, read from /proc."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


def list_family(pid: int) -> list[int]:
    """List a process and all below it, the eldest first."""
    children: dict[int, list[int]] = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    family = [pid]
    for member in family:  # which grows meanwhile
        family += sorted(children.get(member, []))
    return family


def count_ticks(pid: int) -> int:
    """Count the ticks of processor time that a process and all below it have had."""
    ticks = 0
    for member in list_family(pid):
        try:
            words = (PROC / str(member) / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # as above
            continue
        ticks += int(words[11]) + int(words[12])
    return ticks


def read_megabytes(pid: int) -> float:
    """Read how much memory a process holds; 0 when it has just ended."""
    try:
        told = dict(line.split(":", 1) for line in (PROC / str(pid) / "status").read_text().splitlines())
    except OSError:
        return 0.0
    return int(told.get("VmRSS", "0").split()[0]) / 1024


def read_command(pid: int) -> str:
    """Read by what words a process was started; nothing when it has just ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""
