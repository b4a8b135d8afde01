from __future__ import annotations

import hashlib
import json
from pathlib import Path

VENDOR = Path(__file__).parent / "vendor"


def test_what_others_wrote_is_what_was_published_and_has_its_licence():
    for name, facts in json.loads((VENDOR / "vendor.json").read_text()).items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == facts["sha256"], name
        assert (VENDOR / facts["licence_file"]).is_file(), name
