from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from source import ROOT


def read_requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    return [Requirement(one) for one in asked]


def find_needed(requirement, found):
    """Find what a requirement needs, at any distance, as far as it is installed here: the extras asked for, by name."""
    for extra in requirement.extras or {""}:
        if (requirement.name, extra) in found:
            continue
        found[requirement.name, extra] = needed = []
        try:
            told = requires(requirement.name) or []
        except PackageNotFoundError:
            continue
        for one in map(Requirement, told):
            if one.marker is None or one.marker.evaluate({"extra": canonicalize_name(extra)}):
                needed.append(one)
                find_needed(one, found)
    return found


def test_what_comes_by_an_extra_whose_name_an_old_pip_does_not_find_is_required_by_us():
    # pip before 23.3, which comes with Python 3.11, does not find `html-clean` where it is asked for as `html_clean`
    ours = read_requirements()
    named = {canonicalize_name(one.name) for one in ours}
    missed = {}
    for requirement in ours:
        for needed in [one for each in find_needed(requirement, {}).values() for one in each]:
            for extra in needed.extras:
                if re.search("[_.]", extra):
                    brought = {
                        canonicalize_name(one.name)
                        for one in map(Requirement, requires(needed.name) or [])
                        if one.marker
                        and one.marker.evaluate({"extra": canonicalize_name(extra)})
                        and not one.marker.evaluate({"extra": ""})
                    }
                    missed |= {f"{needed.name}[{extra}]": brought - named} if brought - named else {}
    assert not missed
