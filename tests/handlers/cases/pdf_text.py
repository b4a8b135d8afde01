from __future__ import annotations

import base64

from pdfs import make_pdf

PASSWORD = "an-open-sesame"  # noqa: S105


def make_sample(house):
    pointer = house.keep("roots.pdf", make_pdf("Roots keep long", title="Roots"), "application/pdf")
    return {"params": {"password": PASSWORD}, "results": {"fetch": {"body": pointer}}}


def make_endings(house):
    locked = base64.b64encode(make_pdf("Roots", password="another")).decode()  # noqa: S106
    return {
        "skip": {"results": {"fetch": {"body": house.keep("scan.pdf", make_pdf(""), "application/pdf")}}},
        "never": {"params": {"password": PASSWORD}, "results": {"fetch": {"body_base64": locked}}},
    }
