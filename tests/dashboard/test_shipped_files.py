from __future__ import annotations

import hashlib
import json

from dashboard.places import STATIC

VENDOR = STATIC / "vendor"
KNOWN = json.loads((VENDOR / "vendor.json").read_text())


def test_each_file_of_others_is_the_one_that_was_published_and_has_its_licence():
    for name, facts in KNOWN.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == facts["sha256"], name
        assert (VENDOR / facts["licence_file"]).is_file(), name


def test_every_file_of_others_is_accounted_for():
    licences = {facts["licence_file"] for facts in KNOWN.values()}
    assert {path.name for path in VENDOR.iterdir()} == {*KNOWN, *licences, "vendor.json"}
