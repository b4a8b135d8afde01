"""The papers of a release: its bill of materials, the licences of what it ships, and the sums of all files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from packages import hash_file
from source import NotReadyError

VENDOR = Path("dashboard/static/vendor")


def read_vendor(source: Path) -> dict[str, dict[str, str]]:
    """Read which files of others the dashboard ships, by name, with package, version, licence and hash."""
    known: dict[str, dict[str, str]] = json.loads((source / VENDOR / "vendor.json").read_text())
    return known


def write_bill(tools: Path, programs: Path, source: Path, into: Path, made_at: int) -> None:
    """Write the bill of materials, CycloneDX in JSON: all packages that were installed, and the files of others."""
    command = [
        *(tools / "cyclonedx-py", "environment", programs / "python"),
        *("--pyproject", source / "pyproject.toml", "--mc-type", "application"),
        *("--output-reproducible", "--output-format", "JSON", "--output-file", into),
    ]
    ended = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(made_at)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise NotReadyError(f"no bill of materials:\n{ended.stderr}")
    bill = json.loads(into.read_text())
    bill["components"] += [describe_file(name, facts) for name, facts in sorted(read_vendor(source).items())]
    into.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n")


def describe_file(name: str, facts: dict[str, str]) -> dict[str, Any]:
    """Describe a shipped file of others as a component."""
    package = facts["package"].replace("@", "%40")
    return {
        "type": "library",
        "bom-ref": f"file:{VENDOR / name}",
        "name": facts["package"],
        "version": facts["version"],
        "purl": f"pkg:npm/{package}@{facts['version']}",
        "hashes": [{"alg": "SHA-256", "content": facts["sha256"]}],
        "licenses": [{"license": {"id": facts["licence"]}}],
        "properties": [{"name": "celeriac:file", "value": str(VENDOR / name)}],
    }


def write_licences(source: Path, into: Path) -> None:
    """Write the licences of the files of others, each with the files that are under it."""
    by_licence: dict[str, list[str]] = {}
    for name, facts in sorted(read_vendor(source).items()):
        about = f"{VENDOR / name}  {facts['package']} {facts['version']}, {facts['licence']}"
        by_licence.setdefault(facts["licence_file"], []).append(about)
    texts = [
        "\n".join(files) + "\n\n" + (source / VENDOR / licence).read_text().strip()
        for licence, files in by_licence.items()
    ]
    head = "Celeriac's dashboard ships these files of others, unchanged, under their own licences."
    into.write_text(("\n\n" + "-" * 78 + "\n\n").join([head, *texts]) + "\n")


def write_sums(folder: Path) -> None:
    """Write the SHA-256 of every file of a release, as `sha256sum --check` reads them."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text("".join(f"{hash_file(path)}  {path.name}\n" for path in files))
