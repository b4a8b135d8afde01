"""Build the source distribution, and from it the wheel; look at what is in them; run the wheel far from the source."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from tempfile import TemporaryDirectory

from source import NotReadyError

LICENCES = ("LICENSE", "htmx.LICENSE", "pico.LICENSE", "uPlot.LICENSE")


def build_twice(source: Path, into: Path, made_at: int) -> tuple[Path, Path]:
    """Build both, once more, and compare: the same source makes the same bytes. The sdist and the wheel."""
    first = build(source, into, made_at)
    with TemporaryDirectory(prefix="celeriac-again-") as folder:
        again = build(source, Path(folder), made_at)
        for one, other in zip(first, again, strict=True):
            if hash_file(one) != hash_file(other):
                raise NotReadyError(f"{one.name} comes out differently each time that it is built")
    return first


def build(source: Path, into: Path, made_at: int) -> tuple[Path, Path]:
    """Build the sdist from the source, and the wheel from the sdist, so that the sdist is known to be whole."""
    into.mkdir(parents=True, exist_ok=True)
    sdist = _run_hatchling(source, into, made_at, "sdist")
    with TemporaryDirectory(prefix="celeriac-sdist-") as folder:
        with tarfile.open(sdist) as packed:
            packed.extractall(folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        return sdist, _run_hatchling(unpacked, into, made_at, "wheel")


def _run_hatchling(source: Path, into: Path, made_at: int, target: str) -> Path:
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        target,
        "--directory",
        str(into.resolve()),
    ]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(made_at)}
    ended = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise NotReadyError(f"the {target} does not build:\n{ended.stderr}")
    (made,) = into.glob("*.tar.gz" if target == "sdist" else "*.whl")
    return made


def hash_file(path: Path) -> str:
    """Hash a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def look_into_wheel(wheel: Path, source: Path) -> None:
    """Make sure that a wheel holds every file of ours that runs, and the licences of all that it ships."""
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        told = message_from_bytes(packed.read(about))
    for path in list_ours(source):
        if (name := str(path.relative_to(source))) not in names:
            raise NotReadyError(f"{wheel.name} lacks {name}")
    named = {Path(name).name for name in told.get_all("License-File", [])}
    if missing := set(LICENCES) - named:
        raise NotReadyError(f"{wheel.name} does not name the licences {', '.join(sorted(missing))}")
    if strangers := [name for name in names if name.startswith(("tests/", "benchmarks/", "releasing/"))]:
        raise NotReadyError(f"{wheel.name} holds what it should not: {strangers[0]}")


def list_ours(source: Path) -> list[Path]:
    """List the files that a wheel is made of, as pyproject.toml names them and their folders."""
    project = tomllib.loads((source / "pyproject.toml").read_text())
    named = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    roots = [source / name for name in named]
    return [path for root in roots for path in (root, *root.rglob("*")) if path.is_file()]


def install_wheel(wheel: Path, lock: Path, into: Path) -> Path:
    """Install a wheel with exactly what the lock names into a new environment; where its programs are."""
    subprocess.run([sys.executable, "-m", "venv", str(into)], check=True)
    pip = [str(into / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", str(lock)], check=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
    return into / "bin"


def run_far_away(programs: Path, jobs_yaml: Path, version: str) -> None:
    """Run what was installed in an empty folder, with nothing of the source in reach: to the demo's end."""
    with TemporaryDirectory(prefix="celeriac-away-") as folder:
        shutil.copy(jobs_yaml, folder)
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
        environment = {**kept, "CELERIAC_CONTACT": "release@example.org"}
        for words in (["--version"], ["check"], ["run", "demo", "--limit", "20"], ["status", "--json"]):
            ended = subprocess.run(
                [str(programs / "celeriac"), *words],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            if ended.returncode:
                raise NotReadyError(f"celeriac {' '.join(words)} failed:\n{ended.stdout}{ended.stderr}")
            if words == ["--version"] and version not in ended.stdout:
                raise NotReadyError(f"celeriac --version says {ended.stdout.strip()}, and not {version}")
