"""Build the image of a release, and see that it is of that release."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from source import NotReadyError

if TYPE_CHECKING:
    from pathlib import Path


def has_engine() -> bool:
    """Tell whether a Docker engine answers."""
    if shutil.which("docker") is None:
        return False
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(asked, capture_output=True, check=False, timeout=30).returncode == 0


def build_image(source: Path, version: str, commit: str, made_at: int) -> str:
    """Build the image with its labels, and ask it for its version; its name."""
    name = f"celeriac:{version}"
    labels = {
        "title": "Celeriac",
        "version": version,
        "revision": commit,
        "created": datetime.fromtimestamp(made_at, UTC).isoformat(),
        "licenses": "MIT AND 0BSD",
    }
    told = [
        word
        for key, value in labels.items()
        for word in ("--label", f"org.opencontainers.image.{key}={value}")
    ]
    _call("docker", "build", "--quiet", "--tag", name, *told, str(source))
    said = _call("docker", "run", "--rm", "--network", "none", name, "celeriac", "--version")
    if version not in said:
        raise NotReadyError(f"the image says {said.strip()}, and not {version}")
    return name


def _call(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise NotReadyError(f"{' '.join(command[:2])} failed:\n{ended.stderr}")
    return ended.stdout
