"""Every route with every kind of odd value: whatever is sent, the answer is no 500, and below /api it is JSON."""

from __future__ import annotations

import json
import re

import pytest
from filled import fill
from route_table import list_routes

from dashboard.app import make_app
from dashboard.house import House, Served
from pipeline.settings import Settings

ODD = [
    "",
    " ",
    "0",
    "-1",
    "1e400",
    "9" * 25,
    "NaN",
    "null",
    "true",
    "a" * 5000,
    "\0",
    "\ud7ff\uffff",
    "\u202e\u200f",
    "<script>alert(1)</script>",
    "'; DROP TABLE work_items; --",
    "../../etc/passwd",
    "%s{}[0]",
    "papers",
    "read",
    '"',
    "status:failed,",
    "papers:1:read",
    "0001-01-01T00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "10000000000d",
]

BODIES = [b"", b"null", b"[]", b"{}", b'"x"', b"17", b"{", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 50_000]


@pytest.fixture
def odd_browser(visit, conn):
    fill(conn)
    return visit()


@pytest.fixture(scope="session")
def document(tmp_path_factory):
    """Make the document of the API, once, because that takes as long as many requests."""
    settings = Settings(data=tmp_path_factory.mktemp("documented"))
    return make_app(House(settings, Served(), lambda: None)).openapi()


def list_documented(document):
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield method.upper(), path, described


def check(answer, place):
    assert answer.status_code < 500 or (answer.status_code == 503 and "/readyz" in str(answer.url)), place
    if answer.request.url.path.startswith("/api/"):
        said = answer.json()
        assert answer.status_code < 400 or list(said) == ["error"], place


def fill_path(path, value):
    quoted = "".join(f"%{byte:02x}" for byte in value.encode()) or "x"
    return re.sub(r"\{[^}]+\}", lambda _: quoted, path)


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_an_odd_value_anywhere_in_an_address_is_answered(odd_browser, document, value):
    for method, path, described in list_documented(document):
        names = [one["name"] for one in described.get("parameters", ()) if one["in"] == "query"]
        for name in names:
            others = {"job": "papers", "key": "a"} if name not in ("job", "key") else {"job": "papers"}
            asked = {other: text for other, text in others.items() if other in names} | {name: value}
            check(odd_browser.request(method, fill_path(path, "papers"), params=asked), (method, path, name))
        if "{" in path:
            check(odd_browser.request(method, fill_path(path, value)), (method, path))


@pytest.mark.parametrize("value", ODD[::4], ids=range(len(ODD[::4])))
def test_an_odd_value_anywhere_in_a_body_is_answered(odd_browser, document, value):
    schemas = document["components"]["schemas"]
    for method, path, described in list_documented(document):
        content = described.get("requestBody", {}).get("content", {}).get("application/json")
        if not content:
            continue
        named = re.findall(r"#/components/schemas/(\w+)", json.dumps(content))
        fields = list(schemas[named[0]]["properties"]) if named else ["key", "data", "priority"]
        good = {"all": True, "reason": "x", "stage": "read", "priority": 1}
        for field in fields:
            for wrong in (value, [value], {value: value}, 10**30, None):
                body = {name: good[name] for name in fields if name in good and name != field} | {
                    field: wrong
                }
                if field in ("keys", "filter"):
                    body.pop("all", None)
                answer = odd_browser.request(
                    method,
                    fill_path(path, "papers"),
                    content=json.dumps(body),
                    headers={"content-type": "application/json"},
                )
                check(answer, (method, path, field, wrong))


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_an_odd_body_is_answered(odd_browser, document, body):
    for method, path, described in list_documented(document):
        if "requestBody" in described:
            headers = {"content-type": "application/json"}
            check(
                odd_browser.request(method, fill_path(path, "papers"), content=body, headers=headers),
                (method, path),
            )


@pytest.mark.parametrize("value", ["9" * 25, "-1", "<x>", "\0", ""], ids=range(5))
def test_an_odd_value_in_the_address_of_a_page_is_answered(odd_browser, app, value):
    pages = {
        path for path, method, _ in list_routes(app) if method == "GET" and path not in ("/live", "/static")
    }
    asked = dict.fromkeys(
        ("job", "key", "filter", "before", "after", "since", "by", "kind", "limit", "live", "all"), value
    )
    for path in sorted(pages):
        check(odd_browser.get(fill_path(path, value)), path)
        check(odd_browser.get(fill_path(path, "papers"), params=asked), path)
