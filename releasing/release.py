"""
Make a release in `dist/`: sdist, wheel, bill of materials, licences, sums; and the image, where Docker is.

    python releasing/release.py --tools .venv/release/bin [--rehearse]

Everything is made from a copy of the source, twice, and compared; the wheel is installed with the lock into a new
environment and runs the demo far from the source. A rehearsal does all of it, but asks for no tag.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from image import build_image, has_engine
from packages import build_twice, install_wheel, look_into_wheel, run_far_away
from papers import write_bill, write_licences, write_sums
from source import ROOT, NotReadyError, copy_source, find_commit, read_version, require_release


def make_release(dist: Path, tools: Path) -> None:
    """Make everything, and tell each step."""
    version, (commit, made_at) = read_version(), find_commit()
    shutil.rmtree(dist, ignore_errors=True)
    with TemporaryDirectory(prefix="celeriac-release-") as folder:
        source = Path(folder) / "source"
        copy_source(source)
        sdist, wheel = build_twice(source, dist, made_at)
        look_into_wheel(wheel, source)
        subprocess.run([tools / "twine", "check", "--strict", sdist, wheel], check=True, stdout=sys.stderr)
        tell(f"{sdist.name} and {wheel.name}, the same when built again")
        programs = install_wheel(wheel, source / "requirements.lock", Path(folder) / "environment")
        run_far_away(programs, source / "jobs.yaml", version)
        tell("installed into a new environment, and ran the demo there")
        write_bill(tools, programs, source, dist / f"celeriac-{version}.cdx.json", made_at)
        write_licences(source, dist / "THIRD-PARTY-LICENSES")
        write_sums(dist)
        tell("bill of materials, licences and sums")
        if has_engine():
            tell(f"image {build_image(source, version, commit, made_at)}")
        else:
            tell("no image: no Docker engine answers here")


def tell(what: str) -> None:
    """Say what is done."""
    print(f"made: {what}" if not what.startswith("no ") else what, flush=True)


def main() -> int:
    """Make a release, or rehearse one; 1 and a word when something is missing."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--tools", type=Path, required=True, help="Where twine and cyclonedx-py are.")
    options.add_argument("--dist", type=Path, default=ROOT / "dist")
    options.add_argument(
        "--rehearse", action="store_true", help="Do without a tag, and with what is not committed."
    )
    asked = options.parse_args()
    try:
        if not asked.rehearse:
            require_release()
        make_release(asked.dist, asked.tools)
    except NotReadyError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
